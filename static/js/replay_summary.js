// What came of a replay: net by account, the best and the worst, how its orders ended.

import { money, tone } from "./format.js";

const WIDE = 200;

export function summarize(box, { accounts, rows, orders, state, severalDays }) {
  const known = (row) => accounts.get(row.account_id) ?? { name: "archived", currency: "INR", capital: "0" };
  const sorted = [...rows].sort((a, b) => Number(b.total) - Number(a.total));
  const currency = known(sorted[0]).currency;
  const own = sorted.filter((row) => known(row).currency === currency);
  const sum = (name) => own.reduce((all, row) => all + Number(row[name] ?? 0), 0).toFixed(2);
  const capital = own.reduce((all, row) => all + Number(known(row).capital), 0);
  const filled = orders.filter((order) => Number(order.filled_quantity));
  const by = (role) => filled.filter((order) => order.role === role).length;
  const denied = orders.filter((order) => order.state === "denied" || order.state === "rejected");
  const net = sum("total");
  const share = capital ? `${Number(net) < 0 ? "−" : "+"}${Math.abs((Number(net) / capital) * 100).toFixed(2)} % of the capital` : "";
  const reasons = [...new Set(denied.map((order) => (order.reason ?? "").replaceAll("_", " ")))].slice(0, 2).join(", ");
  const ends = [["target", "target"], ["stop", "stop"], ["square_off", "square-off"], ["exit", "exit"]].map(([role, name]) => [by(role), name]).filter(([number]) => number);
  const left = ends.map(([number, name]) => `${number} ${name}${number === 1 ? "" : "s"}`).join(", ");
  const facts = [
    [state === "done" ? "Net of the replay" : "Net until it ended", money(net, currency, true), share, tone(net)],
    severalDays
      ? ["Of that on the last day", money(sum("net"), currency, true), `charges ${money(sum("charges"), currency)}`, tone(sum("net"))]
      : ["Booked before charges", money(sum("realised"), currency, true), `charges ${money(sum("charges"), currency)}`, tone(sum("realised"))],
    ["Entries", String(by("entry")), left ? `left by ${left}` : "", ""],
    ["Refused", String(denied.length), reasons, denied.length ? "warn" : ""],
  ];
  if (own.length > 1) {
    facts.push(["Best", known(own[0]).name, money(own[0].total, currency, true), ""]);
    facts.push(["Worst", known(own.at(-1)).name, money(own.at(-1).total, currency, true), ""]);
  }
  box.querySelector("[data-summary-facts]").replaceChildren(...facts.map(fact));
  const most = Math.max(...sorted.map((row) => Math.abs(Number(row.total))), 0.01);
  box.querySelector("[data-summary-bars]").replaceChildren(...(sorted.length > 1 ? sorted.map((row) => bar(known(row), row.total, most)) : []));
  box.querySelector("[data-summary-bars]").hidden = sorted.length < 2;
  box.hidden = false;
}

function made(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function fact([name, value, small, className]) {
  const box = made("div", "wraps");
  const shown = made("dd", `num ${className}`, value);
  if (small) shown.append(made("small", "", small));
  box.append(made("dt", "", name), shown);
  return box;
}

// A bar to the right for a gain, to the left for a loss, all in one scale.
function bar({ name, currency }, total, most) {
  const row = made("div", "summary-bar");
  const drawing = svg("svg", { viewBox: `0 0 ${WIDE} 10`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const length = (Math.abs(Number(total)) / most) * (WIDE / 2);
  const loss = Number(total) < 0;
  drawing.append(svg("rect", { class: loss ? "down" : "up", x: loss ? WIDE / 2 - length : WIDE / 2, y: 1, width: length, height: 8 }), svg("line", { x1: WIDE / 2, x2: WIDE / 2, y1: 0, y2: 10 }));
  row.append(made("span", "", name), drawing, made("span", `num ${tone(total)}`, money(total, currency, true)));
  return row;
}

function svg(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
