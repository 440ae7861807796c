// The instrument picker: a combobox that asks the API as one types, or at the down key; it never opens by itself, over a message below it. `data-picker="one"` fills its own field, `"many"` makes a pill of each choice.

let asked = 0;
let timer = null;

export function startPickers() {
  document.addEventListener("input", (event) => {
    const box = comboOf(event.target);
    if (!box) return;
    forget();
    if (!box.input.value.trim()) {
      hide(box);
      return;
    }
    timer = setTimeout(find, 120, box);
  });
  document.addEventListener("focusout", (event) => {
    const box = comboOf(event.target);
    if (box) setTimeout(() => box.root.contains(document.activeElement) || hide(box), 120);
  });
  document.addEventListener("keydown", (event) => {
    const box = comboOf(event.target);
    if (box) steer(box, event);
  });
  document.addEventListener("mousedown", (event) => {
    const option = event.target.closest(".picker li[data-symbol-option]");
    if (!option) return;
    event.preventDefault();
    choose(comboOf(option.closest(".picker").querySelector("[role=combobox]")), option);
  });
  document.addEventListener("click", (event) => {
    const remove = event.target.closest(".pill button");
    if (remove) remove.closest(".pill").remove();
  });
}

// What was to be asked and what is on its way are about what was there before.
function forget() {
  clearTimeout(timer);
  asked += 1;
}

function comboOf(input) {
  const root = input.matches?.("[role=combobox]") ? input.closest("[data-picker]") : null;
  return root && { root, input, list: root.querySelector("ul"), many: root.dataset.picker === "many" };
}

async function find(box) {
  const mine = ++asked;
  const words = box.input.value.trim().replace(/^[A-Z]+:/, "");
  let items = [];
  try {
    const answer = await fetch(`/api/instruments?limit=20&q=${encodeURIComponent(words)}`);
    items = (await answer.json()).items ?? [];
  } catch {
    items = [];
  }
  if (mine !== asked || document.activeElement !== box.input) return;
  show(box, items.filter((item) => box.many || item.segment !== "INDEX"));
}

function show(box, items) {
  box.list.replaceChildren(...(items.length ? items.map((item, index) => option(box, item, index)) : [none()]));
  box.list.hidden = false;
  box.input.ariaExpanded = "true";
  mark(box, box.list.querySelector("[data-symbol-option]"));
}

function option(box, item, index) {
  const line = document.createElement("li");
  line.role = "option";
  line.id = `${box.list.id}-${index}`;
  line.dataset.symbolOption = item.symbol;
  const symbol = document.createElement("b");
  symbol.textContent = item.symbol;
  const name = document.createElement("span");
  name.textContent = item.expiry ? item.name.split(", ").at(-1) : item.name; // a contract's symbol says the rest
  const lot = document.createElement("small");
  lot.className = "price";
  lot.textContent = item.lot_size > 1 ? `lot ${item.lot_size}` : "";
  line.append(symbol, name, lot);
  return line;
}

function none() {
  const line = document.createElement("li");
  line.className = "none";
  line.textContent = "No instrument like that";
  return line;
}

function hide(box) {
  box.list.hidden = true;
  box.input.ariaExpanded = "false";
  box.input.removeAttribute("aria-activedescendant");
}

function mark(box, line) {
  box.list.querySelectorAll("[aria-selected]").forEach((other) => other.removeAttribute("aria-selected"));
  if (!line) return;
  line.setAttribute("aria-selected", "true");
  box.input.setAttribute("aria-activedescendant", line.id);
  line.scrollIntoView({ block: "nearest" });
}

function steer(box, event) {
  const lines = [...box.list.querySelectorAll("[data-symbol-option]")];
  const at = lines.findIndex((line) => line.getAttribute("aria-selected"));
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (box.list.hidden) find(box);
    else mark(box, lines[(at + (event.key === "ArrowDown" ? 1 : -1) + lines.length) % lines.length]);
  } else if (event.key === "Enter" && !box.list.hidden && lines[at]) {
    event.preventDefault();
    choose(box, lines[at]);
  } else if (event.key === "Escape" && !box.list.hidden) {
    event.preventDefault();
    event.stopPropagation();
    forget();
    hide(box);
  } else if (event.key === "Tab" && !box.list.hidden && lines[at] && box.input.value) choose(box, lines[at]);
}

function choose(box, line) {
  const symbol = line.dataset.symbolOption;
  forget();
  hide(box);
  if (!box.many) {
    box.input.value = symbol;
    box.input.dispatchEvent(new Event("change", { bubbles: true }));
    return;
  }
  box.input.value = "";
  const pills = box.root.querySelector(".picked-list");
  if ([...pills.querySelectorAll("input")].some((input) => input.value === symbol)) return;
  const pill = document.createElement("span");
  pill.className = "pill";
  const kept = document.createElement("input");
  kept.type = "hidden";
  kept.name = `${box.root.dataset.name}[]`;
  kept.value = symbol;
  const remove = document.createElement("button");
  remove.type = "button";
  remove.ariaLabel = `Remove ${symbol}`;
  remove.textContent = "×";
  pill.append(symbol, kept, remove);
  pills.append(pill);
  box.input.dispatchEvent(new Event("change", { bubbles: true }));
}
