// Charts of back-tests: equity with its drawdown, candles with the trades of one account, the band of shuffles, several runs side by side.
// It draws what the report says and computes nothing but positions on the screen.

import * as charts from "../vendor/lightweight-charts/lightweight-charts.js";
import { axis, colour, get, look, note, seconds, shifted } from "./charts.js";
import { priced } from "./format.js";

const LINES = ["--accent", "--warn", "--up", "--paper", "--down", "--text", "--live", "--muted"];
const rupees = (value) => value.toLocaleString("en-IN", { maximumFractionDigits: 0 });
const percent = (value) => `${value.toFixed(1)} %`;
const plain = { priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false };

// A session's figure is drawn at its day; the library reads ISO days as they are.
const day = (text) => text.slice(0, 10);

function start(box, localization = {}, more = {}) {
  const chart = charts.createChart(box, { ...look(), localization: { ...look().localization, ...localization }, ...more });
  document.addEventListener("tandem-theme", () => chart.applyOptions({ ...look(), localization: { ...look().localization, ...localization } }));
  return chart;
}

async function equity(box) {
  const { report } = await get(`/api/backtests/${box.dataset.studyId}/report`);
  const rows = report.equity_curve;
  const chart = start(box, { priceFormatter: rupees }, { timeScale: { ...look().timeScale, timeVisible: false, rightOffset: 1 } });
  const first = Number(report.result.equity_start);
  const net = chart.addSeries(charts.BaselineSeries, { ...colours(), baseValue: { type: "price", price: first }, priceFormat: { type: "price", precision: 0, minMove: 1 } });
  net.setData(points(rows, (row) => row.equity));
  const others = {
    gross: [points(rows, (row) => row.gross), "--accent"],
    benchmark: [points(rows, (row) => row.benchmark), "--warn"],
  };
  const drawdown = chart.addSeries(charts.AreaSeries, { lineColor: colour("--down"), topColor: "transparent", bottomColor: colour("--down-wash"), lineWidth: 1, invertFilledArea: true, priceFormat: { type: "custom", formatter: percent, minMove: 0.01 }, ...plain }, 1);
  drawdown.setData(points(rows, (row) => -Math.abs(row.drawdown_pct)));
  chart.panes()[1].setStretchFactor(0.32);
  const shown = new Map();
  document.querySelector("[data-lines]")?.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-line]");
    if (!chip) return;
    const name = chip.dataset.line;
    if (shown.has(name)) {
      chart.removeSeries(shown.get(name));
      shown.delete(name);
    } else {
      const [data, tone] = others[name];
      const line = chart.addSeries(charts.LineSeries, { color: colour(tone), lineWidth: 1, ...plain });
      line.setData(data);
      shown.set(name, line);
    }
    chip.ariaPressed = String(shown.has(name));
  });
  chart.timeScale().fitContent();
  note(box, rows.length > 1 ? "" : "One session only: there is no curve to draw");
}

function points(rows, value) {
  return rows.filter((row) => value(row) !== null && !Number.isNaN(Number(value(row)))).map((row) => ({ time: day(row.day), value: Number(value(row)) }));
}

function colours() {
  return { topLineColor: colour("--up"), topFillColor1: colour("--up-wash"), topFillColor2: "transparent", bottomLineColor: colour("--down"), bottomFillColor1: "transparent", bottomFillColor2: colour("--down-wash"), lineWidth: 2, priceLineVisible: false };
}

// --- candles and trades -----------------------------------------------------------------------------------------------

async function tradeChart(box) {
  const { studyId, symbolName: symbol, account } = box.dataset;
  const query = new URLSearchParams({ symbol, ...(account ? { account_id: account } : {}) });
  const told = await get(`/api/backtests/${studyId}/chart?${query}`);
  const chart = start(box, look(box.dataset.priceShape).localization);
  const candles = chart.addSeries(charts.CandlestickSeries, { upColor: colour("--up"), downColor: colour("--down"), wickUpColor: colour("--up"), wickDownColor: colour("--down"), borderVisible: false, priceFormat: axis(box.dataset.priceShape) });
  const bars = told.bars.map(([at, open, high, low, close]) => ({ time: shifted(at), open, high, low, close }));
  candles.setData(bars);
  const place = (text) => {
    const at = shifted(seconds(text));
    let low = 0;
    let high = bars.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (bars[middle].time <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const marks = [];
  for (const trade of told.trades) {
    const long = trade.side === "BUY";
    marks.push(arrow(bars[place(trade.entry_at)].time, long, ""));
    marks.push(arrow(bars[place(trade.exit_at)].time, !long, signed(trade.net)));
  }
  charts.createSeriesMarkers(candles, marks.sort((a, b) => a.time - b.time));
  steps(box, chart, candles, told.trades, place, bars);
  note(box, bars.length ? "" : "There are no candles of this instrument");
}

function arrow(time, buy, text) {
  return { time, position: buy ? "belowBar" : "aboveBar", shape: buy ? "arrowUp" : "arrowDown", color: colour(buy ? "--accent" : "--warn"), text };
}

function signed(net) {
  const value = Number(net);
  return `${value < 0 ? "−" : "+"}${rupees(Math.abs(value))}`;
}

// One trade after the other: the view goes there, a line joins entry and exit, the words say what happened.
function steps(box, chart, candles, trades, place, bars) {
  const count = document.querySelector("[data-trade-count]");
  const said = document.querySelector("[data-trade-said]");
  let at = Math.max(trades.findIndex((trade) => `#trade-${trade.number}` === location.hash), 0);
  let line = null;
  const show = () => {
    const trade = trades[at];
    count.textContent = trades.length ? `${at + 1} of ${trades.length}` : "";
    if (!trade) return;
    const [from, to] = [place(trade.entry_at), place(trade.exit_at)];
    const around = Math.max(30, Math.round((to - from) * 0.6));
    chart.timeScale().setVisibleLogicalRange({ from: from - around, to: Math.min(to + around, bars.length + 5) });
    if (line) chart.removeSeries(line);
    line = chart.addSeries(charts.LineSeries, { color: colour(Number(trade.net) < 0 ? "--down" : "--up"), lineWidth: 2, lineStyle: 2, ...plain });
    line.setData(to > from ? [{ time: bars[from].time, value: Number(trade.entry_price) }, { time: bars[to].time, value: Number(trade.exit_price) }] : [{ time: bars[from].time, value: Number(trade.exit_price) }]);
    said.textContent = `${trade.side === "BUY" ? "Long" : "Short"} ${Number(trade.quantity).toLocaleString("en-IN")} from ${priced(trade.entry_price, box.dataset.priceShape)} to ${priced(trade.exit_price, box.dataset.priceShape)}: ${signed(trade.net)} (${trade.exit_reason.replaceAll("_", " ")})`;
    said.className = Number(trade.net) < 0 ? "down" : "up";
  };
  document.querySelectorAll("[data-step]").forEach((button) =>
    button.addEventListener("click", () => {
      at = Math.min(Math.max(at + Number(button.dataset.step), 0), trades.length - 1);
      show();
    }),
  );
  show();
}

// --- the band of shuffles ---------------------------------------------------------------------------------------------

async function band(box) {
  const { report } = await get(`/api/backtests/${box.dataset.studyId}/report`);
  const told = report.shuffle;
  const chart = start(box, { priceFormatter: rupees, timeFormatter: (n) => `trade ${n}` }, { timeScale: { ...look().timeScale, timeVisible: false, tickMarkFormatter: (n) => String(n) } });
  const drawn = (values, options) => {
    const line = chart.addSeries(charts.LineSeries, { lineWidth: 1, ...plain, priceFormat: { type: "price", precision: 0, minMove: 1 }, ...options });
    line.setData(values.map((value, n) => ({ time: told.at[n], value })));
  };
  const spread = (name) => told.equity.map((each) => each[name]);
  drawn(spread("p05"), { color: colour("--muted"), lineStyle: 2 });
  drawn(spread("p95"), { color: colour("--muted"), lineStyle: 2 });
  drawn(spread("p50"), { color: colour("--muted") });
  drawn(told.actual, { color: colour("--accent"), lineWidth: 2 });
  chart.timeScale().fitContent();
  note(box, "");
}

// --- side by side -----------------------------------------------------------------------------------------------------

async function compared(box) {
  const { items } = await get(`/api/backtests/compare?ids=${encodeURIComponent(box.dataset.ids)}`);
  const chart = start(box, { priceFormatter: percent }, { timeScale: { ...look().timeScale, timeVisible: false, rightOffset: 1 } });
  items.forEach(({ equity: curve }, n) => {
    const line = chart.addSeries(charts.LineSeries, { color: colour(LINES[n % LINES.length]), lineWidth: 2, priceLineVisible: false, priceFormat: { type: "custom", formatter: percent, minMove: 0.01 } });
    line.setData(curve.map(([when, value]) => ({ time: day(when), value })));
    if (n === 0) line.createPriceLine({ price: 0, color: colour("--edge"), lineWidth: 1, lineStyle: 1, axisLabelVisible: false });
  });
  chart.timeScale().fitContent();
  note(box, "");
}

const DRAWN = { study: equity, "study-trades": tradeChart, "study-band": band, "study-compare": compared };

function drawAll() {
  for (const [name, draw] of Object.entries(DRAWN)) {
    for (const box of document.querySelectorAll(`[data-chart=${name}]`)) {
      if ("drawn" in box.dataset) continue;
      box.dataset.drawn = "";
      draw(box).catch(() => note(box, "It could not be drawn: the report cannot be read"));
    }
  }
}

drawAll();
document.body.addEventListener("htmx:afterSettle", drawAll); // a filter has brought another chart
