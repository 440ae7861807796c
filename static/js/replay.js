// Watching a replay: asks for what is new, a few times a second while it plays, and writes only that. It computes nothing of trading:
// every figure is the replay's own, only the clock runs on between two answers.

import { Failure, freshKey, send } from "./api.js";
import { get, shifted } from "./charts.js";
import { digits, money, priced, priceShape, tone } from "./format.js";
import { ReplayChart } from "./replay_chart.js";
import { amount, Log, put, Rows, showAccount, showOrder, showPosition, trimmed } from "./replay_tables.js";
import { summarize } from "./replay_summary.js";
import { toast } from "./toast.js";

const PLAYING_MS = 400;
const RESTING_MS = 1500;
const ENDED = ["done", "stopped", "failed"];
const SPEEDS = [1, 10, 60, 600, 0];
const OPENS = 9 * 3600 + 900;
const A_DAY = 86400;

const root = document.querySelector("[data-replay]");
const told = JSON.parse(root.dataset.replay);
const accounts = new Map(told.accounts.map((account) => [account.id, account]));
const strategies = new Map(told.strategies.map((strategy) => [strategy.id, strategy]));
const severalDays = told.first !== told.last;
const part = (name) => root.querySelector(`[data-${name}]`);

const book = { accounts: new Map(), positions: new Map(), orders: new Map(), candles: new Map() };
const tables = { accounts: new Rows(root, "accounts"), positions: new Rows(root, "positions"), orders: new Rows(root, "orders") };
const log = new Log(part("log"), accounts, strategies);
const chart = new ReplayChart(part("replay-chart"), Date.parse(`${told.first}T00:00:00Z`) / 1000);
const shapeOf = (symbol) => told.shapes[symbol] ?? priceShape(symbol);
const anyone = { name: "archived", currency: "INR", capital: "0" };

let now = { state: told.state, at: null, speed: 60, number: 0 };
let heard = 0; // when the last answer came, by the page's own clock
let pair = null; // what the chart shows
let focus = ""; // one account, or all
let timer = 0;
let steps = { at: null, seconds: 0 };
let fitted = false;

// --- time -----------------------------------------------------------------------------------------------------------------

function clock(at) {
  const text = new Date(shifted(at) * 1000).toISOString();
  return severalDays ? `${text.slice(8, 10)}/${text.slice(5, 7)} ${text.slice(11, 19)}` : text.slice(11, 19);
}

// Between two answers the clock runs on at the replay's speed, never further than an answer takes.
function ticking() {
  if (now.at === null) return;
  const on = now.state === "playing" && now.speed > 0 ? Math.min((performance.now() - heard) / 1000, 1) * now.speed : 0;
  const at = new Date(shifted(now.at + Math.min(on, 120)) * 1000);
  put(part("replayed"), at.toISOString().slice(11, 19));
  put(part("day"), at.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }));
}

// --- what is new ------------------------------------------------------------------------------------------------------------

async function poll() {
  clearTimeout(timer);
  let wait = RESTING_MS;
  try {
    take(await get(`/api/replays/${told.id}?after=${now.number}`));
    if (now.state === "playing" || now.state === "starting") wait = PLAYING_MS;
    part("note").hidden = now.state !== "starting";
  } catch (failure) {
    const gone = failure.message === "404";
    put(part("note"), gone ? "This replay is gone: the server was started anew. Choose it again to see it once more." : "No answer; trying again");
    part("note").hidden = false;
    if (gone) return;
  }
  if (ENDED.includes(now.state)) over();
  else timer = setTimeout(poll, document.hidden ? RESTING_MS * 2 : wait);
}

function take(frame) {
  heard = performance.now();
  now = { ...now, state: frame.state, number: frame.number, speed: frame.speed, at: frame.at ? Date.parse(frame.at) / 1000 : now.at };
  root.dataset.state = frame.state;
  part("progress").value = frame.progress;
  for (const button of root.querySelectorAll("[data-speed]")) {
    const on = String(Number(button.dataset.speed) === frame.speed);
    if (button.ariaPressed !== on) button.ariaPressed = on;
  }
  ticking();
  candles(frame.candles);
  accountRows(frame.accounts);
  positionRows(frame.positions);
  orderRows(frame.orders);
  log.add(frame.log);
  incidents(frame.incidents ?? []);
  for (const each of frame.strategies ?? []) if (each.quarantined) quarantined(each);
  if (frame.failed) {
    put(part("failed").querySelector("div"), frame.failed);
    part("failed").hidden = false;
  }
}

function candles(rows) {
  const fresh = [];
  let choices = false;
  for (const row of rows) {
    const key = `${row.symbol}|${row.timeframe}`;
    if (!book.candles.has(key)) {
      book.candles.set(key, new Map());
      choices = true;
    }
    book.candles.get(key).set(row.start, row);
    if (pair && key === pair.key) fresh.push(row);
  }
  if (choices) offer();
  chart.add(fresh.sort((a, b) => a.start - b.start));
  const last = chart.bars.at(-1);
  if (last) put(part("chart-price"), priced(digits(last.close), shapeOf(pair.symbol)), `chart-price num ${last.close < last.open ? "down" : "up"}`);
}

// What can be drawn: each strategy on each of its instruments that has candles.
function offer() {
  const select = part("pair");
  const pairs = told.strategies.flatMap((strategy) => strategy.symbols.map((symbol) => ({ strategy, symbol, key: `${symbol}|${strategy.timeframe}` }))).filter(({ key }) => book.candles.has(key));
  if (!pairs.length) return;
  select.replaceChildren(...pairs.map(({ strategy, symbol }, n) => new Option(`${strategy.name} · ${symbol.split(":")[1] ?? symbol}`, String(n))));
  select.hidden = pairs.length < 2;
  select.onchange = () => draw(pairs[Number(select.value)]);
  const kept = pairs.findIndex((each) => pair && each.key === pair.key && each.strategy === pair.strategy);
  select.value = String(Math.max(kept, 0));
  log.several = new Set(pairs.map(({ symbol }) => symbol)).size > 1;
  if (kept < 0) draw(pairs[0]);
}

function draw(chosen) {
  pair = chosen;
  put(part("chart-title"), `${pair.symbol.split(":")[1] ?? pair.symbol} · ${pair.strategy.timeframe}`);
  chart.show(book.candles.get(pair.key), pair.strategy.seconds);
  marks();
  plans();
  if (ENDED.includes(now.state)) chart.fit();
}

const drawn = (row) => pair && row.symbol === pair.symbol && row.strategy_id === pair.strategy.id && (!focus || row.account_id === focus);
const marks = () => chart.orders([...book.orders.values()].filter(drawn));
const plans = () => chart.plans([...book.positions.values()].filter((row) => drawn(row) && Number(row.quantity) !== 0));

function accountRows(rows) {
  for (const row of rows) {
    const known = accounts.get(row.account_id) ?? anyone;
    row.total = severalDays ? String(Number((Number(row.equity) - Number(known.capital)).toFixed(2))) : row.net;
    book.accounts.set(row.account_id, row);
    showAccount(tables.accounts.row(row.account_id, severalDays ? 7 : 6), row, known, severalDays);
  }
  if (rows.length) total();
}

// Accounts of one currency are added; of several, the first alone, because money of two kinds is never added.
function total() {
  const currency = (accounts.get([...book.accounts.keys()][0]) ?? anyone).currency;
  const own = [...book.accounts.values()].filter((row) => (accounts.get(row.account_id) ?? anyone).currency === currency);
  const sum = (name) => own.reduce((all, row) => all + Number(row[name] ?? 0), 0).toFixed(2);
  const row = part("total");
  const columns = [["total"], ...(severalDays ? [["net"]] : []), ["realised"], ["unrealised"], ["charges", false]];
  while (row.cells.length < columns.length + 2) row.append(document.createElement("td"));
  columns.forEach(([name, signed = true], n) => amount(row.cells[n + 1], sum(name), currency, signed));
  put(row.cells[columns.length + 1], String(own.reduce((all, each) => all + each.trades, 0)), "n num");
  const net = sum("total");
  put(part("net"), money(net, currency, true), `num ${tone(net)}`);
}

function positionRows(rows) {
  for (const row of rows) {
    book.positions.set(row.position_id, row);
    if (Number(row.quantity) === 0) tables.positions.drop(row.position_id);
    else lit(showing(tables.positions.row(row.position_id, 9), (tr) => showPosition(tr, row, accounts.get(row.account_id) ?? anyone, shapeOf(row.symbol))));
  }
  tables.positions.counted(tables.positions.rows.size);
  if (rows.length) plans();
}

function orderRows(rows) {
  for (const row of rows.sort((a, b) => a.created_at - b.created_at)) {
    book.orders.set(row.order_id, row);
    lit(showing(tables.orders.row(row.order_id, 8, true), (tr) => showOrder(tr, row, accounts.get(row.account_id) ?? anyone, shapeOf(row.symbol), clock)));
  }
  trimmed(tables.orders);
  tables.orders.counted(book.orders.size);
  if (rows.length) marks();
}

function showing(row, fill) {
  fill(row);
  return row;
}

function lit(row) {
  row.classList.toggle("out", Boolean(focus) && row.dataset.of !== focus);
}

function incidents(rows) {
  part("incidents").hidden = !rows.length;
  const list = part("incident-list");
  if (list.childElementCount === rows.length) return;
  list.replaceChildren(
    ...rows.map(({ kind, message }) => {
      const line = document.createElement("li");
      line.textContent = `${kind.replaceAll("_", " ")}: ${message}`;
      return line;
    }),
  );
}

function quarantined({ strategy_id: id, quarantined: why }) {
  put(part("failed").querySelector("div"), `${strategies.get(id)?.name ?? "A strategy"} failed and was taken out: ${why}`);
  part("failed").hidden = false;
}

function over() {
  if (fitted) return;
  fitted = true;
  root.toggleAttribute("data-over", true);
  const again = root.querySelector(".transport-after [data-api]");
  if (again) again.dataset.body = JSON.stringify({ ...JSON.parse(again.dataset.body), speed: now.speed }); // as fast as one has come to like it
  chart.fit();
  if (book.accounts.size) summarize(part("summary"), { accounts, rows: [...book.accounts.values()], orders: [...book.orders.values()], state: now.state, severalDays });
}

// --- what a person does -----------------------------------------------------------------------------------------------------

async function command(body) {
  try {
    await send(`POST /api/replays/${told.id}/control`, body, freshKey());
    clearTimeout(timer);
    timer = setTimeout(poll, 60); // its process tells within a quarter of a second
    setTimeout(poll, 320);
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    toast(failure.message, "bad");
  }
}

function toggle() {
  if (ENDED.includes(now.state)) return;
  const play = now.state !== "playing";
  now.state = root.dataset.state = play ? "playing" : "paused"; // at once; the next answer says how it is
  heard = performance.now();
  command({ do: play ? "go" : "pause" });
}

// To the last second of the candle, or of the next one; over a night in longer and longer steps.
function step() {
  if (now.at === null || ENDED.includes(now.state)) return;
  const length = pair?.strategy.seconds ?? 60;
  const passed = length < A_DAY ? (((shifted(now.at) % A_DAY) - OPENS) % length + length) % length : 0;
  const left = length - 1 - passed;
  let seconds = left > 0.5 ? left : left + length;
  if (steps.at === now.at) seconds = Math.min(Math.max(steps.seconds * 6, seconds), A_DAY);
  steps = { at: now.at, seconds };
  command({ do: "step", seconds });
}

function speed(value) {
  now.speed = value;
  for (const button of root.querySelectorAll("[data-speed]")) button.ariaPressed = String(Number(button.dataset.speed) === value);
  command({ do: "speed", speed: value });
}

const ACTS = { toggle, step, stop: () => command({ do: "stop" }) };

function chooseAccount(id) {
  focus = focus === id ? "" : id;
  for (const row of tables.accounts.body.rows) row.ariaSelected = String(row.dataset.account === focus);
  for (const rows of [tables.positions, tables.orders]) for (const row of rows.rows.values()) lit(row);
  put(part("focus-said"), focus ? `of ${accounts.get(focus)?.name} alone` : "");
  log.only(focus);
  marks();
  plans();
}

root.addEventListener("click", (event) => {
  const act = event.target.closest("[data-do]");
  if (act) ACTS[act.dataset.do]();
  const pace = event.target.closest("[data-speed]");
  if (pace) speed(Number(pace.dataset.speed));
  if (event.target.closest("[data-fit]")) chart.fit();
  const account = event.target.closest("tr[data-account]");
  if (account) chooseAccount(account.dataset.account);
  if (event.target.closest("[data-log-save]")) save();
});

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${log.lines.join("\n")}\n`], { type: "text/plain" }));
  link.download = `replay-${told.first}.txt`;
  link.click();
  URL.revokeObjectURL(link.href);
}

const busyElsewhere = (event) => event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea, [contenteditable]") || document.querySelector("dialog[open]");

document.addEventListener("keydown", (event) => {
  if (busyElsewhere(event)) return;
  const elsewhere = event.target.closest?.("a, button, summary") && !event.target.closest(".transport");
  if (event.key === " " && !elsewhere) toggle();
  else if (event.key === "ArrowRight") step();
  else if (/^[1-5]$/.test(event.key) && !ENDED.includes(now.state)) speed(SPEEDS[Number(event.key) - 1]);
  else return;
  event.preventDefault();
});
document.addEventListener("keyup", (event) => {
  if (event.key === " " && event.target.closest?.(".transport-keys button")) event.preventDefault(); // it was done when the key went down
});
document.addEventListener("visibilitychange", () => document.hidden || ENDED.includes(now.state) || poll());

setInterval(() => now.state === "playing" && ticking(), 100);
poll();
