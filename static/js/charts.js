// Charts, only on the pages that have one: candles with signals and trades marked and the levels of exit plans, and the equity curve.
// Colours come from the style sheet, so that both themes and palettes fit. It draws what the API says and computes nothing but the forming candle.

import * as charts from "../vendor/lightweight-charts/lightweight-charts.js";
import { digits, priced } from "./format.js";
import { DayLevels } from "./levels.js";
import { thinned } from "./marks.js";

const ZONE_SECONDS = 5.5 * 3600; // the library knows only UTC: times are moved so that its axis reads IST
const STEPS = { "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86400 };
const MOST_MARKS = 200;

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// `shape`: of the prices that are drawn (app/pages/room.py).
export function look(shape = "price2") {
  return {
    layout: { background: { type: "solid", color: "transparent" }, textColor: colour("--muted"), fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 11, attributionLogo: false, panes: { separatorColor: colour("--line") } },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderColor: colour("--line") },
    timeScale: { borderColor: colour("--line"), timeVisible: true, secondsVisible: false, rightOffset: 4 },
    crosshair: { mode: 0 },
    localization: { locale: "en-IN", dateFormat: "dd MMM yyyy", priceFormatter: (price) => priced(digits(price), shape) },
    autoSize: true,
  };
}

// How fine the scale of such prices may be.
export function axis(shape) {
  const precision = Number(/\d+$/.exec(shape)?.[0] ?? { coin: 8, rate: 4 }[shape] ?? 2);
  return { type: "price", precision, minMove: 10 ** -precision };
}

export const seconds = (text) => Date.parse(text) / 1000;
export const shifted = (at) => Math.floor(at) + ZONE_SECONDS;

export async function get(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

export function note(box, text) {
  let line = box.querySelector(".chart-note");
  if (!line && text) {
    line = document.createElement("div");
    line.className = "chart-note";
    box.append(line);
  }
  if (line) {
    line.textContent = text;
    line.hidden = !text;
  }
}

// --- candles ----------------------------------------------------------------------------------------------------------

async function candleChart(box) {
  const { symbol, timeframe, strategy, priceShape: shape } = box.dataset;
  const chart = charts.createChart(box, look(shape));
  const series = chart.addSeries(charts.CandlestickSeries, { ...candleColours(), priceFormat: axis(shape) });
  const marks = charts.createSeriesMarkers(series, []);
  const step = STEPS[timeframe];
  const day = new DayLevels(colour);
  series.attachPrimitive(day);
  let last = null;
  let shownBars = [];
  let lines = [];
  const hints = new Map(); // candle → which signals fell into it
  const hint = document.createElement("div");
  hint.className = "chart-hint";
  hint.hidden = true;
  box.append(hint);
  chart.subscribeCrosshairMove(({ time }) => {
    hint.textContent = hints.get(time) ?? "";
    hint.hidden = !hint.textContent;
  });

  const bucket = (at) => (step >= 86400 ? shifted(at) - (shifted(at) % 86400) : shifted(at) - ((shifted(at) - 9 * 3600 - 900) % step));

  async function load() {
    const { items } = await get(`/api/candles?symbol=${encodeURIComponent(symbol)}&timeframe=${timeframe}&limit=500`);
    const bars = items.map((bar) => ({ time: shifted(seconds(bar.start)), open: +bar.open, high: +bar.high, low: +bar.low, close: +bar.close }));
    series.setData(bars);
    last = bars.at(-1) ?? null;
    shownBars = bars;
    note(box, bars.length ? "" : "No candle yet: the first appears when its time is over");
    return bars;
  }

  async function mark() {
    const [signals, trades, positions, worked] = await Promise.all([
      get(`/api/signals?strategy_id=${strategy}&symbol=${encodeURIComponent(symbol)}&limit=${MOST_MARKS}`),
      get(`/api/trades?strategy_id=${strategy}&symbol=${encodeURIComponent(symbol)}&limit=${MOST_MARKS}`),
      get(`/api/positions?strategy_id=${strategy}&symbol=${encodeURIComponent(symbol)}&limit=100`),
      get(`/api/strategies/${strategy}/levels?symbol=${encodeURIComponent(symbol)}`),
    ]);
    const held = positions.items.filter((position) => Number(position.quantity) !== 0);
    day.show(worked.items[0] ?? null, new Set(held.map((position) => (Number(position.quantity) > 0 ? "BUY" : "SELL"))), last?.close);
    day.bars(shownBars);
    if (day.shown) chart.applyOptions({ timeScale: { rightOffset: 14 } }); // room for their names
    const found = [];
    hints.clear();
    for (const { time, side, text, hint } of thinned(signals.items.map((signal) => ({ ...signal, time: place(seconds(signal.created_at)) })), step)) {
      const buy = side === "BUY";
      found.push({ time, position: buy ? "belowBar" : "aboveBar", shape: buy ? "arrowUp" : "arrowDown", color: colour(buy ? "--accent" : "--warn"), text });
      hints.set(time, [hints.get(time), hint].filter(Boolean).join(" · "));
    }
    const fills = new Map();
    for (const trade of trades.items) {
      const key = `${place(seconds(trade.traded_at))}|${trade.side}`;
      const one = fills.get(key) ?? { time: place(seconds(trade.traded_at)), side: trade.side, count: 0, price: 0 };
      one.count += 1;
      one.price += Number(trade.price);
      fills.set(key, one);
    }
    for (const fill of fills.values()) {
      found.push({ time: fill.time, position: "atPriceMiddle", price: fill.price / fill.count, shape: "circle", size: 0.6, color: colour(fill.side === "BUY" ? "--accent" : "--warn"), text: fill.count > 1 ? `${fill.count}` : "" });
    }
    marks.setMarkers(found.filter((one) => one.time !== null).sort((a, b) => a.time - b.time));
    levels(positions.items);
  }

  function place(at) {
    return last === null ? null : Math.min(bucket(at), last.time);
  }

  function levels(positions) {
    lines.forEach((line) => series.removePriceLine(line));
    const seen = new Set();
    lines = [];
    for (const position of positions) {
      const plan = position.exit_plan;
      if (!plan || plan.state !== "armed") continue;
      const open = plan.targets.filter((target) => !target.fired);
      const names = day.shown ? ["", ""] : ["stop", "target"]; // a ladder has its names at its lines, and of it only what comes next is marked
      const wanted = [[plan.stop, "--leg-stop", names[0]], ...(day.shown ? open.slice(0, 1) : open).map((target) => [target.price, "--leg-target", names[1]])];
      for (const [price, name, title] of wanted) {
        if (price === null || seen.has(`${price}${title}`)) continue;
        seen.add(`${price}${title}`);
        lines.push(series.createPriceLine({ price: +price, color: colour(name), lineWidth: 1, lineStyle: 2, axisLabelVisible: true, title }));
      }
    }
  }

  try {
    await load();
    await mark();
  } catch {
    note(box, "The candles could not be read; the page tries again in a few seconds");
  }

  document.addEventListener("tandem-price", ({ detail }) => {
    if (detail.symbol !== symbol || detail.last_price === null || !last) return;
    const price = +detail.last_price;
    const time = bucket(detail.as_of ? seconds(detail.as_of) : Date.now() / 1000);
    if (time < last.time) return;
    last = time > last.time ? { time, open: price, high: price, low: price, close: price } : { ...last, high: Math.max(last.high, price), low: Math.min(last.low, price), close: price };
    series.update(last);
    note(box, "");
  });
  for (const kind of ["signal", "order", "position"]) document.body.addEventListener(`tandem:${kind}`, () => mark().catch(() => {}));
  setInterval(() => document.hidden || load().then(mark).catch(() => {}), 30000);
  document.addEventListener("tandem-theme", () => {
    chart.applyOptions(look(shape));
    series.applyOptions(candleColours());
    mark().catch(() => {});
  });
}

function candleColours() {
  return { upColor: colour("--up"), downColor: colour("--down"), wickUpColor: colour("--up"), wickDownColor: colour("--down"), borderVisible: false };
}

// --- equity -----------------------------------------------------------------------------------------------------------

// The axis of money in steps that one reads: whole rupees, and never less of the scale than a thousandth of what is shown.
function roomy(original) {
  const found = original();
  if (!found?.priceRange) return found;
  const { minValue: low, maxValue: high } = found.priceRange;
  const lacking = Math.max(Math.abs(high) / 1000, 100) - (high - low);
  if (lacking > 0) found.priceRange = { minValue: low - lacking / 2, maxValue: high + lacking / 2 };
  return found;
}

const rupees = (value) => value.toLocaleString("en-IN", { maximumFractionDigits: 0 });

async function equityChart(box) {
  const looks = () => ({ ...look(), localization: { ...look().localization, priceFormatter: rupees }, rightPriceScale: { borderColor: colour("--line"), scaleMargins: { top: 0.12, bottom: 0.12 }, ensureEdgeTickMarksVisible: true } });
  const chart = charts.createChart(box, looks());
  const series = chart.addSeries(charts.BaselineSeries, { ...equityColours(), priceFormat: { type: "price", precision: 0, minMove: 1 }, autoscaleInfoProvider: roomy });
  const choices = document.querySelector("[data-chart-choices=equity]");
  let { series: chosen = "", currency = "", kind = "" } = choices?.querySelector("[aria-pressed=true]")?.dataset ?? {};

  async function load() {
    const points = [];
    const { items } = await get(`/api/equity?limit=500${chosen ? `&account_id=${chosen}` : ""}`);
    const newest = new Map();
    const day = new Map(); // account → what its session has made so far
    const marks = items.filter((item) => chosen || ((!currency || item.currency === currency) && (!kind || item.live === (kind === "live")))).map((item) => [seconds(item.at), item]).sort(([a], [b]) => a - b);
    const accounts = new Set(marks.map(([, item]) => item.account_id));
    for (const [at, item] of marks) {
      newest.set(item.account_id, +item.equity);
      day.set(item.account_id, +item.realised + +item.unrealised - +item.charges);
      if (newest.size < accounts.size) continue; // the sum means something once every account has a mark
      const time = shifted(at);
      const value = [...newest.values()].reduce((sum, one) => sum + one, 0);
      if (points.at(-1)?.time === time) points.at(-1).value = value;
      else points.push({ time, value });
    }
    series.setData(points);
    const made = [...day.values()].reduce((sum, one) => sum + one, 0);
    if (points.length) series.applyOptions({ baseValue: { type: "price", price: points.at(-1).value - made } }); // where the day began: above is a gain of today
    chart.timeScale().fitContent();
    note(box, points.length ? "" : "The curve begins about a minute after the first trade");
  }

  choices?.addEventListener("click", (event) => {
    const button = event.target.closest("[data-series]");
    if (!button) return;
    ({ series: chosen, currency = "", kind = "" } = button.dataset);
    for (const each of button.parentElement.querySelectorAll("[data-series]")) each.ariaPressed = String(each === button); // of several currencies one at a time: they are never added
    load().catch(() => note(box, "The curve could not be read"));
  });
  await load().catch(() => note(box, "The curve could not be read"));
  setInterval(() => document.hidden || load().catch(() => {}), 60000);
  document.addEventListener("tandem-theme", () => {
    chart.applyOptions(looks());
    series.applyOptions(equityColours());
  });
}

function equityColours() {
  return { topLineColor: colour("--up"), topFillColor1: colour("--up-wash"), topFillColor2: "transparent", bottomLineColor: colour("--down"), bottomFillColor1: "transparent", bottomFillColor2: colour("--down-wash"), lineWidth: 2, priceLineVisible: false };
}

document.querySelectorAll("[data-chart=candles]").forEach(candleChart);
document.querySelectorAll("[data-chart=equity]").forEach(equityChart);
