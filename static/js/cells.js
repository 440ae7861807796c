// Patches cells in place: every `[data-key]` of the page that shows a value gets the new one, and nothing else is touched, so that
// nothing flickers and no field loses its focus.

import { digits, shaped, tone, unrounded, words } from "./format.js";
import { leaves } from "./still.js";

const TONES = {
  planned: "info", sending: "info", open: "info", working: "info", info: "info",
  partly_filled: "warn", unknown: "warn", denied: "warn", needs_login: "warn", restarting: "warn", warning: "warn",
  filled: "ok", ready: "ok", running: "ok", flat: "ok", armed: "ok",
  rejected: "bad", halted: "bad", error: "bad", quarantined: "bad", dead: "bad", stuck: "bad", critical: "bad",
};

export function stateTone(state) {
  return TONES[state] ?? "";
}

export function patch(key, value) {
  for (const cell of document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)) write(cell, value);
}

// What is shown only while something is held leaves with it; "3 of 5 filled" follows the rows that it counts.
export function leave(key) {
  document.querySelectorAll(`[data-while="${CSS.escape(key)}"]`).forEach(leaves);
}

export function tally() {
  for (const note of document.querySelectorAll("[data-tally]")) {
    const states = [...document.querySelectorAll(`#${note.dataset.tally} .badge[data-shape=state]`)];
    const text = `${states.filter((cell) => cell.dataset.value === "filled").length} of ${states.length} filled`;
    if (note.textContent !== text) note.textContent = text;
  }
}

// A sum stays that of the rows below it: `data-sum` names the part of the page, `data-of` how the keys of its numbers end.
export function sums() {
  for (const cell of document.querySelectorAll("[data-sum]")) {
    const rows = document.querySelectorAll(`#${CSS.escape(cell.dataset.sum)} [data-key$="${CSS.escape(cell.dataset.of)}"]`);
    const kind = cell.dataset.kind; // live or paper, where there are both
    const known = [...rows].filter((row) => row.dataset.currency === cell.dataset.currency && row.dataset.value !== "" && (!kind || row.closest("[data-kind]")?.dataset.kind === kind));
    if (known.length) write(cell, digits(known.reduce((sum, row) => sum + Number(row.dataset.value), 0)));
  }
}

export function write(cell, value) {
  const text = value === null || value === undefined ? "" : String(value);
  const before = cell.dataset.value;
  const shape = cell.dataset.shape;
  if (before === text && shape !== "age") return;
  cell.dataset.value = text;
  const column = cell.closest("td[data-value]");
  if (column?.querySelector("[data-shape]") === cell) column.dataset.value = text; // what stands below it on a phone is not what the column sorts by
  WRITERS[shape] ? WRITERS[shape](cell, value) : number(cell, value, shape);
  if ("flash" in cell.dataset && before) flash(cell, Number(text) - Number(before));
}

function number(cell, value, shape) {
  const text = shaped(value, shape, cell.dataset.currency || "INR");
  if (cell.textContent !== text) cell.textContent = text;
  if (/^(price|coin|rate)/.test(shape)) cell.title = unrounded(value, text);
  if (shape.startsWith("signed")) {
    cell.classList.remove("up", "down", "flat");
    cell.classList.add(tone(value));
  }
}

const WRITERS = {
  state(cell, value) {
    cell.textContent = words(value);
    cell.className = `badge ${stateTone(value)}`;
  },
  onoff(cell, value) {
    cell.textContent = value ? "on" : "off";
  },
  lamp(cell, value) {
    cell.className = `lamp ${value}`;
  },
  meter(cell, value) {
    const pct = Number(value ?? 0);
    cell.classList.remove("warn", "bad");
    if (pct >= 80) cell.classList.add(pct >= 100 ? "bad" : "warn");
    cell.querySelector("progress").value = Math.min(Math.max(pct, 0), 100);
    cell.querySelector("span").textContent = value === null || value === undefined ? "–" : `${Math.round(pct)} %`;
  },
  text(cell, value) {
    cell.textContent = value ?? "–";
  },
};

function flash(cell, change) {
  if (!change) return;
  const name = change > 0 ? "flash-up" : "flash-down";
  cell.classList.remove("flash-up", "flash-down");
  void cell.offsetWidth; // the animation starts again
  cell.classList.add(name);
}
