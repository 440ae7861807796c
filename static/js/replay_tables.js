// The tables and the log of a replay: rows are kept by their names and only what changed in them is written.

import { money, priced, quantity, tone, unrounded, words } from "./format.js";

const MOST_ORDERS = 300;
const MOST_LINES = 3000;
const STATE_TONES = { filled: "ok", open: "info", partly_filled: "warn", denied: "warn", rejected: "bad", unknown: "warn", accepted: "info", sending: "info" };
const NEAR = 24; // pixels from the end at which the log still follows

export function put(node, text, className) {
  if (node.textContent !== text) node.textContent = text;
  if (className !== undefined && node.className !== className) node.className = className;
}

// Without paise and sign of the currency, so that six columns fit; the exact amount is in the title.
export function amount(cell, value, currency, signed = true) {
  put(cell, money(value, currency, signed, 0).replace(/₹|\$/, ""), signed ? `n num ${tone(value)}` : "n num");
  const exact = money(value, currency, signed);
  if (cell.title !== exact) cell.title = exact;
}

export class Rows {
  constructor(root, name) {
    this.body = root.querySelector(`[data-table=${name}] tbody`);
    this.count = root.querySelector(`[data-count=${name}]`);
    this.nothing = root.querySelector(`[data-empty=${name}]`);
    this.rows = new Map();
  }

  // The row of this name, made with so many cells when it is not there: at the end, or first of all.
  row(name, cells, first = false) {
    let row = this.rows.get(name);
    if (!row) {
      row = document.createElement("tr");
      for (let n = 0; n < cells; n += 1) row.append(document.createElement(n ? "td" : "th"));
      row.cells[0].scope = "row";
      this.rows.set(name, row);
      if (first) this.body.prepend(row);
      else this.body.append(row);
    }
    return row;
  }

  drop(name) {
    this.rows.get(name)?.remove();
    this.rows.delete(name);
  }

  counted(number) {
    if (this.count) put(this.count, String(number));
    if (this.nothing) this.nothing.hidden = this.rows.size > 0;
  }
}

export function showAccount(row, account, known, days) {
  row.dataset.account = account.account_id;
  const cells = [...row.cells];
  const [name, net] = cells;
  const closed = account.state !== "ready" ? words(account.state_detail || account.state) : "";
  if (name.dataset.closed !== closed) {
    name.dataset.closed = closed;
    const why = document.createElement("small");
    why.className = "under warn";
    why.textContent = closed;
    name.replaceChildren(known.name, ...(closed ? [why] : []));
  }
  amount(net, account.total, known.currency);
  const rest = days ? cells.slice(2) : [null, ...cells.slice(2)];
  const [today, booked, open, charges, trades] = rest;
  if (today) amount(today, account.net, known.currency);
  amount(booked, account.realised, known.currency);
  amount(open, account.unrealised, known.currency);
  amount(charges, account.charges, known.currency, false);
  put(trades, String(account.trades), "n num");
}

export function showPosition(row, position, known, shape) {
  row.dataset.of = position.account_id;
  const [name, symbol, held, average, last, made, stop, target, reached] = row.cells;
  put(name, known.name);
  put(symbol, position.symbol.split(":")[1] ?? position.symbol, "opt roomy");
  put(held, quantity(position.quantity, true), `n num ${tone(position.quantity)}`);
  put(average, priced(position.average_price, shape), "n num opt");
  put(last, priced(position.last_price, shape), "n num opt");
  amount(made, position.unrealised, known.currency);
  const { plan } = position;
  put(stop, plan && plan.stop !== null ? priced(plan.stop, shape) : "–", "n num down");
  const next = plan?.targets.find((each) => !each.fired);
  put(target, next ? priced(next.price, shape) : "–", "n num up");
  rungs(reached, plan?.targets ?? []);
}

// The ladder as small rungs with the count beside them.
function rungs(cell, targets) {
  const fired = targets.filter((target) => target.fired).length;
  const key = targets.length ? `${fired}/${targets.length}` : "–";
  if (cell.dataset.key === key) return;
  cell.dataset.key = key;
  cell.className = "n num";
  const steps = document.createElement("span");
  steps.className = "rungs";
  for (const target of targets.slice(0, 12)) {
    const rung = document.createElement("i");
    if (target.fired) rung.className = "on";
    steps.append(rung);
  }
  cell.replaceChildren(...(targets.length ? [steps] : []), key);
}

export function showOrder(row, order, known, shape, clock) {
  row.dataset.of = order.account_id;
  const [time, name, side, size, at, symbol, why, state] = row.cells;
  put(time, clock(order.created_at));
  put(name, known.name);
  put(side, order.side, `side ${order.side.toLowerCase()}`);
  const whole = order.filled_quantity === order.quantity || order.filled_quantity === "0";
  put(size, whole ? quantity(order.quantity) : `${quantity(order.filled_quantity)} of ${quantity(order.quantity)}`, "n num");
  put(at, priced(order.average_price, shape), "n num");
  const exact = unrounded(order.average_price, at.textContent);
  if (exact) at.title = exact;
  put(symbol, order.symbol.split(":")[1] ?? order.symbol, "opt");
  put(why, order.reason ? `${words(order.role)}: ${words(order.reason)}` : words(order.role), order.reason ? "warn" : "");
  let badge = state.firstElementChild;
  if (!badge) {
    badge = document.createElement("span");
    state.append(badge);
  }
  put(badge, words(order.state), `badge ${STATE_TONES[order.state] ?? ""}`);
}

export function trimmed(rows) {
  while (rows.rows.size > MOST_ORDERS) {
    const [oldest] = rows.rows.keys();
    rows.drop(oldest);
  }
}

// --- the log ------------------------------------------------------------------------------------------------------------

export class Log {
  constructor(box, accounts, strategies) {
    this.box = box;
    this.accounts = accounts;
    this.strategies = strategies;
    this.lines = [];
    this.day = "";
    this.focus = "";
    this.follows = true; // until a person scrolls up, and again from the end on
    box.addEventListener("scroll", () => (this.follows = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR), { passive: true });
    new ResizeObserver(() => this.follow()).observe(box);
  }

  follow() {
    if (this.follows) this.box.scrollTop = this.box.scrollHeight;
  }

  add(lines) {
    if (!lines.length) return;
    this.lines.push(...lines);
    const made = document.createDocumentFragment();
    for (const line of lines.slice(-MOST_LINES)) made.append(...this.drawn(line));
    this.box.append(made);
    while (this.box.childElementCount > MOST_LINES) this.box.firstElementChild.remove();
    this.follow();
  }

  // "2024-01-23 10:41  account  symbol  what" → a line with names instead of ids.
  drawn(line) {
    const [moment, account, symbol, what = "", ...rest] = line.split(/\s{2,}/);
    const [day, time = ""] = moment.split(" ");
    const made = [];
    if (day !== this.day) {
      this.day = day;
      const head = document.createElement("p");
      head.className = "day";
      head.textContent = day;
      made.push(head);
    }
    const row = document.createElement("p");
    row.className = kindOf(what);
    row.title = line;
    if (account !== "all") row.dataset.of = account;
    const at = document.createElement("time");
    at.textContent = time;
    const who = document.createElement("span");
    who.textContent = account === "all" ? "all" : (this.accounts.get(account)?.name ?? account);
    const said = document.createElement("b");
    const by = [...this.strategies.values()].find((strategy) => rest.some((part) => part.startsWith(strategy.id)));
    said.textContent = `${words(what)}${by ? ` · ${by.name}` : rest.length ? ` ${rest.join(" ")}` : ""}`;
    if (this.strategies.size && this.several) said.textContent = `${symbol.split(":")[1] ?? symbol} ${said.textContent}`;
    row.append(at, who, said);
    if (this.focus && row.dataset.of && row.dataset.of !== this.focus) row.classList.add("out");
    made.push(row);
    return made;
  }

  only(account) {
    this.focus = account;
    for (const line of this.box.querySelectorAll("[data-of]")) line.classList.toggle("out", Boolean(account) && line.dataset.of !== account);
    this.box.scrollTop = this.box.scrollHeight;
  }
}

function kindOf(what) {
  const word = what.split(" ")[0];
  if (word === "signal" || word === "entry" || word === "target" || word === "stop") return word;
  return /refused|denied/.test(what) ? "refused" : word === "square_off" ? "stop" : "";
}
