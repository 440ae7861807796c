// The watchlist: change, range and marker follow every price; with one-click on, B and S send at once instead of opening the ticket.

import { freshKey, send } from "./api.js";
import { digits, percent, priced, tone } from "./format.js";
import { plain } from "./numbers.js";
import { toast } from "./toast.js";

const MARGIN = 4;
const KEPT = "tandem-one-click";
const REST_MS = 600; // a double click is one order
const sending = new Set(); // "NSE:SBIN BUY": outlives the button, which a refresh of the list may replace

document.addEventListener("tandem-price", ({ detail }) => {
  const row = document.querySelector(`tr[data-watch="${CSS.escape(detail.symbol)}"]`);
  if (row && detail.last_price !== null) move(row, Number(detail.last_price));
});

function move(row, last) {
  const shape = row.dataset.priceShape;
  const close = Number(row.dataset.close);
  if (close) {
    const change = last - close;
    put(row, "change", (change > 0 ? "+" : "") + priced(digits(change), shape), change);
    put(row, "change_pct", (change > 0 ? "+" : "") + percent(((change * 100) / close).toFixed(4), 2), change);
  }
  for (const [name, beyond] of [["low", (edge) => last < edge], ["high", (edge) => last > edge]]) {
    if (row.dataset[name] !== "" && !beyond(Number(row.dataset[name]))) continue;
    row.dataset[name] = digits(last);
    const cell = row.querySelector(`[data-part=${name}]`);
    cell.textContent = priced(digits(last), shape);
    cell.dataset.value = digits(last);
  }
  const bar = row.querySelector(".day-bar");
  if (!bar) return;
  const least = Math.min(Number(row.dataset.least), Number(row.dataset.low));
  const most = Math.max(Number(row.dataset.most), Number(row.dataset.high));
  const width = bar.viewBox.baseVal.width - 2 * MARGIN;
  const place = (value) => MARGIN + ((value - least) / (most - least)) * width;
  bar.querySelector("[data-part=last]").setAttribute("cx", place(last).toFixed(1));
  const range = bar.querySelector("[data-part=range]");
  range.setAttribute("x", place(Number(row.dataset.low)).toFixed(1));
  range.setAttribute("width", Math.max(place(Number(row.dataset.high)) - place(Number(row.dataset.low)), 1).toFixed(1));
}

function put(row, name, text, change) {
  const cell = row.querySelector(`[data-part=${name}]`);
  if (cell.textContent === text) return;
  cell.textContent = text;
  cell.className = `num ${tone(digits(change))}`;
  cell.closest("td").dataset.value = digits(change);
}

// --- one click ----------------------------------------------------------------------------------------------------------

const box = () => document.querySelector("[data-one-click]");
const accounts = () => [...(box()?.querySelectorAll("[data-one-click-account]:checked") ?? [])];
const isOn = () => Boolean(box()?.querySelector("[data-one-click-on]").checked);

function recall() {
  if (!box()) return;
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}"); // ends with the tab: nobody finds it on the next morning
    box().querySelector("[data-one-click-on]").checked = Boolean(kept.on);
    if (kept.quantity) box().querySelector("[data-one-click-quantity]").value = kept.quantity;
    for (const field of box().querySelectorAll("[data-one-click-account]")) field.checked = (kept.accounts ?? []).includes(field.value);
  } catch {
    sessionStorage.removeItem(KEPT);
  }
  say();
}

function say() {
  const chosen = accounts();
  const real = chosen.filter((field) => field.dataset.live).length;
  const note = box().querySelector("[data-one-click-said]");
  const ready = isOn() && chosen.length > 0;
  note.textContent = !isOn() ? "off: a click opens the ticket" : ready ? `on: ${box().querySelector("[data-one-click-quantity]").value} each on ${chosen.length} account${chosen.length > 1 ? "s" : ""}${real ? `, ${real} with real money` : ""}` : "choose the accounts";
  note.classList.toggle("warn", ready && real > 0);
  document.getElementById("watch").toggleAttribute("data-armed", ready);
}

document.addEventListener("input", (event) => {
  if (!event.target.closest("[data-one-click]")) return;
  const quantity = box().querySelector("[data-one-click-quantity]").value.trim();
  sessionStorage.setItem(KEPT, JSON.stringify({ on: isOn(), quantity, accounts: accounts().map((field) => field.value) }));
  say();
});

// Before the dialog's own listener on the document: capturing.
document.addEventListener(
  "click",
  async (event) => {
    const button = event.target.closest("[data-trade]");
    if (!button || !isOn() || !accounts().length || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const row = button.closest("[data-watch]");
    const key = `${row.dataset.watch} ${button.dataset.trade}`;
    if (sending.has(key)) return;
    sending.add(key);
    const rest = new Promise((over) => setTimeout(over, REST_MS));
    const body = {
      symbol: row.dataset.watch,
      side: button.dataset.trade,
      order_type: "MARKET",
      quantity: plain(box().querySelector("[data-one-click-quantity]").value),
      account_ids: accounts().map((field) => field.value),
      wait_ms: 2000,
    };
    button.toggleAttribute("aria-disabled", true);
    try {
      const { orders } = await send("POST /api/signals/manual", body, freshKey());
      const filled = orders.filter((order) => order.state === "filled").length;
      const refused = orders.filter((order) => order.state === "denied" || order.state === "rejected");
      const why = refused.length ? `, ${refused.length} refused: ${(refused[0].reason ?? "").replaceAll("_", " ")}` : "";
      toast(`${body.side === "BUY" ? "Bought" : "Sold"} ${row.dataset.watch.split(":")[1]}: ${filled} of ${orders.length} filled${why}`, refused.length ? "warn" : "ok");
    } catch (failure) {
      toast(failure.message, "bad");
    } finally {
      await rest;
      sending.delete(key);
      button.removeAttribute("aria-disabled");
    }
  },
  true,
);

recall();
document.body.addEventListener("htmx:afterSettle", recall);
