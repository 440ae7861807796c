// Keyboard shortcuts; the list a person reads is app/pages/keys.py (a test compares both). Never while one types.

import { open, openSheet } from "./dialogs.js";

const GO = { o: "/", p: "/positions", r: "/orders", s: "/signals", l: "/pnl", a: "/accounts", t: "/strategies", m: "/mappings", h: "/health" };
let going = 0;

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]") || !document.body.dataset.user) return;
    const key = event.key.toLowerCase();
    if (Date.now() - going < 1500 && GO[key]) {
      going = 0;
      location.assign(GO[key]);
    } else if (key === "g") going = Date.now();
    else if (key === "n" && document.getElementById("estop")) openSheet("/order");
    else if (key === "!") open("estop");
    else if (key === "?") open("keys");
    else if (key === "/") document.querySelector("main [type=search]")?.focus();
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-keys-help]")) open("keys");
  });
}

function typing(node) {
  return node.closest?.("input, select, textarea, [contenteditable]");
}
