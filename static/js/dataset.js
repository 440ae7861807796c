// The chart of a dataset: the bars of one instrument and day, another day at a click in the calendar. It draws what the API says.

import * as charts from "../vendor/lightweight-charts/lightweight-charts.js";
import { colour, get, look, note, seconds, shifted } from "./charts.js";

const box = document.querySelector("[data-dataset-chart]");
const title = document.querySelector("[data-chart-title]");
const chart = charts.createChart(box, look());
const candles = chart.addSeries(charts.CandlestickSeries, colours());
const volume = chart.addSeries(charts.HistogramSeries, { color: colour("--line-strong"), priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false }, 1);
chart.panes()[1].setStretchFactor(0.2);

function colours() {
  return { upColor: colour("--up"), downColor: colour("--down"), wickUpColor: colour("--up"), wickDownColor: colour("--down"), borderVisible: false };
}

function told(day) {
  return new Date(`${day}T00:00:00Z`).toLocaleDateString("en-IN", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}

async function show() {
  const { datasetChart: id, symbol, day, step } = box.dataset;
  const asked = new URLSearchParams({ symbol, ...(day ? { day } : {}) });
  let bars;
  try {
    bars = (await get(`/api/datasets/${id}/bars?${asked}`)).items;
  } catch {
    note(box, "The bars could not be read");
    return;
  }
  const daily = Number(step) >= 86400;
  const at = (bar) => (daily ? shifted(seconds(bar.start)) - (shifted(seconds(bar.start)) % 86400) : shifted(seconds(bar.start)));
  candles.setData(bars.map((bar) => ({ time: at(bar), open: bar.open, high: bar.high, low: bar.low, close: bar.close })));
  volume.setData(bars.some((bar) => bar.volume) ? bars.map((bar) => ({ time: at(bar), value: bar.volume })) : []);
  chart.applyOptions({ timeScale: { timeVisible: !daily } });
  chart.timeScale().fitContent();
  title.textContent = [symbol, day ? told(day) : "", `${bars.length.toLocaleString("en-IN")} bars`].filter(Boolean).join(" · ");
  note(box, bars.length ? "" : "Nothing of this instrument on that day");
  mark();
}

function mark() {
  for (const cell of document.querySelectorAll(".cover td.shown")) cell.classList.remove("shown");
  document.querySelector(`.cover [data-day="${box.dataset.day}"]`)?.parentElement.classList.add("shown");
}

document.addEventListener("click", (event) => {
  const chosen = event.target.closest(".cover [data-day]");
  if (!chosen) return;
  box.dataset.day = chosen.dataset.day;
  show();
});
document.addEventListener("htmx:afterSettle", (event) => {
  const select = document.querySelector("select[name=symbol]");
  if (event.target.id !== "coverage" && !document.getElementById("coverage")) return;
  if (select && select.value !== box.dataset.symbol) {
    box.dataset.symbol = select.value;
    show();
  } else mark();
});
document.addEventListener("tandem-theme", () => {
  chart.applyOptions(look());
  candles.applyOptions(colours());
});
show();
