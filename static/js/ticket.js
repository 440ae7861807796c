// The order ticket: one wish, every chosen account. What each account would do is shown before anything is sent.

import { send } from "./api.js";
import { write } from "./cells.js";
import { PREPARE, bodyOf, mistypedIn } from "./forms.js";
import { digits, money, priceShape, quantity, words } from "./format.js";
import { want } from "./live.js";
import { exits } from "./plan.js";

let timer = null;
let asked = 0;

export function startTicket() {
  for (const kind of ["input", "change", "tandem:shown"]) {
    document.addEventListener(kind, (event) => {
      const form = event.target.closest?.("[data-ticket]") ?? event.target.querySelector?.("[data-ticket]");
      if (form) later(form);
    });
  }
  document.addEventListener("click", (event) => {
    const all = event.target.closest("[data-ticket-all]");
    if (!all) return;
    const boxes = [...all.closest("[data-ticket]").querySelectorAll("[name='account_ids[]']:not(:disabled)")];
    const on = !boxes.every((box) => box.checked);
    boxes.forEach((box) => (box.checked = on));
    later(all.closest("[data-ticket]"));
  });
  document.querySelectorAll("[data-ticket]").forEach(later);
}

// The form's own fields → the body of a manual signal.
PREPARE.ticket = (body) => {
  const { audience, ...rest } = exits(body);
  const out = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null && value !== ""));
  if (audience === "strategy") delete out.account_ids;
  else delete out.strategy_id;
  return out;
};

function later(form) {
  clearTimeout(timer);
  timer = setTimeout(refresh, 180, form);
}

async function refresh(form) {
  const mine = ++asked;
  const body = PREPARE.ticket(bodyOf(form));
  delete body.wait_ms;
  dress(form, body);
  if (!/^[A-Z0-9_]+:.+/.test(body.symbol ?? "") || !(body.strategy_id || body.account_ids?.length)) {
    show(form, []);
    if (/^[A-Z0-9_]+:.+/.test(body.symbol ?? "")) quote(form, body.symbol);
    return;
  }
  want([body.symbol]);
  quote(form, body.symbol);
  const [unclear] = mistypedIn(form);
  if (unclear) {
    show(form, [], unclear[1]);
    return;
  }
  try {
    const { orders } = await send("POST /api/signals/preview", body);
    if (mine === asked) show(form, orders);
  } catch (failure) {
    if (mine === asked) show(form, [], failure.message);
  }
}

// The button says what it will do, in the colour of the side; the quote beside the symbol follows the symbol.
function dress(form, body) {
  const button = form.querySelector("[data-ticket-send]");
  const real = [...form.querySelectorAll("[name='account_ids[]']:checked")].some((box) => box.dataset.broker !== "paper" && body.account_ids);
  button.textContent = `${body.side === "SELL" ? "Sell" : "Buy"} ${body.symbol?.split(":")[1] ?? ""}`.trim() + (real ? " with real money" : "");
  button.classList.toggle("sell", body.side === "SELL");
}

async function quote(form, symbol) {
  const box = form.querySelector("[data-ticket-quote]");
  if (box.dataset.symbol === symbol) return;
  box.dataset.symbol = symbol;
  for (const cell of box.querySelectorAll("[data-part]")) {
    cell.dataset.key = `price:${symbol}.${cell.dataset.part}`;
  }
  try {
    const { items } = await send(`GET /api/quotes?symbols=${encodeURIComponent(symbol)}`);
    box.hidden = !items.length;
    if (items.length) {
      for (const cell of box.querySelectorAll("[data-part]")) {
        cell.dataset.shape = priceShape(symbol, items[0].tick_size);
        write(cell, items[0][cell.dataset.part]);
      }
    }
    form.dispatchEvent(new CustomEvent("tandem:quoted", { bubbles: true }));
  } catch {
    box.hidden = true;
  }
}

// Reasons with more than one cause are told in the words of the check that failed (the same as app/pages/words.py).
const TOLD_IN_FULL = new Set(["market_closed", "daily_loss", "daily_profit"]);

function why({ reason, note }, reasons) {
  if (TOLD_IN_FULL.has(reason) && note) return `${note[0].toUpperCase()}${note.slice(1)}.`;
  return reasons[reason] ?? words(reason);
}

function show(form, orders, problem = "") {
  const known = new Map(orders.map((order) => [order.account_id, order]));
  const reasons = JSON.parse(form.dataset.reasons);
  const totals = new Map(); // currency → what goes out in it
  let going = 0;
  for (const row of form.querySelectorAll("[data-preview]")) {
    const order = known.get(row.dataset.preview);
    const refused = order?.reason;
    row.querySelector("[data-preview-quantity]").textContent = order ? quantity(order.quantity) : "";
    row.querySelector("[data-preview-value]").textContent = order?.value ? money(order.value, row.dataset.currency) : "";
    const note = row.querySelector("[data-preview-note]");
    note.textContent = refused ? why(order, reasons) : (order?.note ?? "");
    note.className = refused || order?.note ? "warn" : "muted";
    row.classList.toggle("refused", Boolean(refused));
    if (order && !refused) {
      going += 1;
      totals.set(row.dataset.currency, (totals.get(row.dataset.currency) ?? 0) + Number(order.value ?? 0));
    }
  }
  const sum = form.querySelector("[data-preview-sum]");
  sum.textContent = problem || (orders.length ? `${going} of ${orders.length} accounts, ${[...totals].map(([currency, value]) => money(digits(value), currency)).join(" and ") || money(0)} in all` : "");
  sum.classList.toggle("warn", Boolean(problem));
}
