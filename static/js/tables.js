// Tables: sort by a column (exact values, not their looks), filter rows as one types, export what is shown as CSV.
// Sorting and filtering survive the fresh rows that live updates bring.

const chosen = new Map(); // table id → {column, descending, find}

export function startTables() {
  document.addEventListener("click", (event) => {
    const head = event.target.closest("th[data-sort] .sort")?.closest("th");
    if (head) sortBy(head);
    const exporter = event.target.closest("button[data-csv]");
    if (exporter) download(document.getElementById(exporter.dataset.csv), exporter.dataset.name);
    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, input, label, summary")) location.assign(row.dataset.href);
  });
  document.addEventListener("input", (event) => {
    const box = event.target.closest("input[data-find]");
    if (!box) return;
    remember(box.dataset.find).find = box.value.trim();
    apply(document.getElementById(box.dataset.find));
  });
  document.body.addEventListener("htmx:afterSettle", () => [...chosen.keys()].forEach(again));
}

function again(id) {
  const box = document.querySelector(`[data-find="${id}"]`);
  if (box && !box.value) box.value = chosen.get(id).find; // another box, of a list that was filtered by the server
  apply(document.getElementById(id));
}

function remember(id) {
  if (!chosen.has(id)) chosen.set(id, { column: null, descending: false, find: "" });
  return chosen.get(id);
}

function sortBy(head) {
  const table = head.closest("table");
  const state = remember(table.id);
  const column = head.cellIndex;
  if (state.column === column) state.descending = !state.descending;
  else {
    state.column = column;
    state.descending = head.dataset.sort !== "text";
  }
  apply(table);
}

function valueOf(row, column, kind) {
  const cell = row.cells[column];
  const text = cell ? (cell.dataset.value ?? cell.textContent.trim()) : "";
  if (kind !== "num") return text.toLowerCase();
  const number = Number.parseFloat(text);
  return Number.isNaN(number) ? null : number;
}

function apply(table) {
  if (!table) return;
  const state = remember(table.id);
  const heads = [...table.tHead.rows[0].cells];
  for (const head of heads) head.removeAttribute("aria-sort");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  if (state.column !== null && heads[state.column]) {
    const head = heads[state.column];
    head.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    const kind = head.dataset.sort;
    const sign = state.descending ? -1 : 1;
    const keyed = rows.map((row, index) => [valueOf(row, state.column, kind), index, row]);
    keyed.sort(([a, i], [b, j]) => {
      if (a === b) return i - j;
      if (a === null || a === "") return 1; // what has no value comes last either way
      if (b === null || b === "") return -1;
      return (a < b ? -1 : 1) * sign;
    });
    if (keyed.some(([, , row], index) => rows[index] !== row)) body.append(...keyed.map(([, , row]) => row));
  }
  const words = state.find.toLowerCase();
  for (const row of rows) row.hidden = Boolean(words) && !row.textContent.toLowerCase().includes(words);
}

function download(table, name) {
  const cells = (row) => [...row.cells].filter((cell) => !cell.classList.contains("acts"));
  const rows = [...table.rows].filter((row) => !row.hidden && !row.closest("tfoot"));
  const text = rows.map((row) => cells(row).map((cell) => quoted(cell.dataset.value ?? cell.textContent)).join(",")).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text, "\r\n"], { type: "text/csv" }));
  link.download = `tandem-${name}.csv`;
  link.click();
  setTimeout(URL.revokeObjectURL, 1000, link.href);
}

// Quotes a cell, and defuses text that a spreadsheet would run as a formula.
function quoted(value) {
  let text = value.trim().replace(/\s+/g, " ").replaceAll("\u2212", "-");
  if (/^[=+\-@]/.test(text) && Number.isNaN(Number(text))) text = `'${text}`;
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
