// The editor of the look: what is chosen is worn by the whole page at once. The server says what follows from a colour and what can be read on it;
// nothing is kept before one saves.

const SHAPE = /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i;
const WAIT = 60; // milliseconds without a change before it is tried

const root = document.documentElement;
const form = document.querySelector("form[data-look]");
const sheet = new CSSStyleSheet();
const tried = { dark: "", light: "" };
const asked = { dark: 0, light: 0 };
const timers = {};
let editing = root.dataset.bsTheme;

const rows = (scheme) => [...form.querySelectorAll(`[data-look-scheme="${scheme}"] [data-look-part]`)];
const text = (row) => row.querySelector("input:not([type=color])");
const well = (row) => row.querySelector("input[type=color]");

// "1f6feb" and "#abc" are understood, too; null for nothing, undefined for what is no colour.
function colourOf(row) {
  const typed = text(row).value.trim();
  if (!typed) return null;
  const found = SHAPE.exec(typed)?.[1].toLowerCase();
  if (!found) return undefined;
  return `#${found.length === 3 ? [...found].map((digit) => digit + digit).join("") : found}`;
}

function wear() {
  sheet.replaceSync(tried.dark + tried.light);
  const saved = document.querySelector("link[data-own-look]");
  if (saved) saved.disabled = true;
  document.dispatchEvent(new CustomEvent("tandem-theme"));
}

async function tryOut(scheme) {
  const query = new URLSearchParams({ scheme });
  for (const row of rows(scheme)) {
    const colour = colourOf(row);
    row.classList.toggle("own", text(row).value.trim() !== "");
    if (colour) query.set(row.dataset.lookPart, colour);
    if (colour) well(row).value = colour;
    if (colour === null) well(row).value = well(row).dataset.usual;
  }
  const turn = (asked[scheme] += 1);
  const answer = await fetch(`${form.dataset.preview}?${query}`, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok || turn !== asked[scheme]) return; // an older question: a newer one is on its way
  const { css, checks } = await answer.json();
  if (turn !== asked[scheme]) return;
  tried[scheme] = css;
  wear();
  for (const row of rows(scheme)) told(row, checks.find((check) => check.part === row.dataset.lookPart));
}

function told(row, check) {
  const place = row.querySelector("[data-look-check]");
  const error = row.querySelector(".error");
  const wrong = colourOf(row) === undefined;
  place.className = "look-check";
  place.textContent = "";
  error.textContent = wrong ? "Six digits, like #1f6feb" : (check?.refused ?? "");
  text(row).toggleAttribute("aria-invalid", wrong || Boolean(check?.refused));
  if (!check || wrong) return;
  const ratio = `${(Math.floor(check.contrast * 10) / 10).toFixed(1)} : 1`;
  place.classList.add(check.refused ? "bad" : "good");
  place.append(sign(check.refused ? "x-lg" : "check-lg"), check.ink ? `${check.ink} text, ${ratio}` : ratio);
  if (check.nearest) error.append(" ", offer(row, check.nearest));
}

function sign(name) {
  const [svg, use] = ["svg", "use"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg.setAttribute("class", "icon");
  use.setAttribute("href", document.querySelector("svg.icon use").getAttribute("href").replace(/#.*/, `#${name}`));
  svg.append(use);
  return svg;
}

function offer(row, colour) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `Take ${colour}`;
  button.addEventListener("click", () => put(row, colour));
  return button;
}

function put(row, colour) {
  text(row).value = colour ?? "";
  soon(row.closest("[data-look-scheme]").dataset.lookScheme);
}

function soon(scheme) {
  clearTimeout(timers[scheme]);
  timers[scheme] = setTimeout(() => tryOut(scheme), WAIT);
  pressed();
}

// Which of the two schemes is edited, and so worn.
function edit(scheme) {
  editing = scheme;
  root.dataset.bsTheme = scheme;
  for (const set of form.querySelectorAll("[data-look-scheme]")) set.hidden = set.dataset.lookScheme !== scheme;
  form.querySelector(`[data-scheme][value=${scheme}]`).checked = true;
  pressed();
  document.dispatchEvent(new CustomEvent("tandem-theme"));
}

function fill(preset) {
  for (const scheme of ["dark", "light"]) {
    for (const row of rows(scheme)) text(row).value = preset[scheme][row.dataset.lookPart] ?? "";
    soon(scheme);
  }
}

function pressed() {
  for (const button of form.querySelectorAll("[data-look-preset]")) {
    const preset = JSON.parse(button.dataset.lookPreset)[editing];
    button.ariaPressed = String(rows(editing).every((row) => (colourOf(row) ?? null) === (preset[row.dataset.lookPart] ?? null)));
  }
}

form.addEventListener("input", ({ target }) => {
  const row = target.closest("[data-look-part]");
  if (!row) return;
  if (target === well(row)) text(row).value = target.value;
  soon(editing);
});
form.addEventListener("change", ({ target }) => {
  const { name, value } = target;
  if (name === "theme") {
    root.dataset.theme = value;
    edit(value === "system" ? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark") : value);
  }
  if (name === "palette") {
    root.dataset.palette = value;
    document.dispatchEvent(new CustomEvent("tandem-theme"));
  }
  if (name === "scheme") edit(value);
  const row = target.closest("[data-look-part]");
  if (row && target === text(row) && colourOf(row)) text(row).value = colourOf(row);
});
form.addEventListener("click", ({ target }) => {
  const clear = target.closest("[data-look-clear]");
  const preset = target.closest("[data-look-preset]");
  if (clear) put(clear.closest("[data-look-part]"), null);
  if (preset) fill(JSON.parse(preset.dataset.lookPreset));
  if (target.closest("[data-look-reset]")) fill({ dark: {}, light: {} });
});
form.addEventListener("submit", () => {
  for (const scheme of ["dark", "light"]) for (const row of rows(scheme)) if (colourOf(row)) text(row).value = colourOf(row);
}, true);

document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
edit(editing);
await Promise.all([tryOut("dark"), tryOut("light")]);
