// The chart of a replay: candles that grow, what was bought and sold, the stops and targets that are armed. It adds what is new and redraws nothing.

import * as charts from "../vendor/lightweight-charts/lightweight-charts.js";
import { colour, look, note, shifted } from "./charts.js";

const SHOWN = 100; // candles in view while it plays
const ROOM = 14; // candles, for the names of lines
const MANY = 150; // more new ones than this at once are set together
const EXITS = { stop: "SL", target: "T", square_off: "SO", flatten: "flat" };

export class ReplayChart {
  constructor(box, starts) {
    this.box = box;
    this.starts = starts; // shifted time of the first replayed moment
    this.chart = charts.createChart(box, look());
    this.series = this.chart.addSeries(charts.CandlestickSeries, candleColours());
    this.marks = charts.createSeriesMarkers(this.series, []);
    this.lines = new Map();
    this.bars = []; // of the pair that is shown, in order of time
    document.addEventListener("tandem-theme", () => {
      this.chart.applyOptions(look());
      this.series.applyOptions(candleColours());
      this.show(this.rows, this.seconds);
    });
  }

  // Another pair: everything of it. `rows`: start → candle, as the API told them.
  show(rows, seconds) {
    this.rows = rows;
    this.seconds = seconds;
    this.bars = [...rows.values()].sort((a, b) => a.start - b.start).map((row) => this.bar(row));
    this.series.setData(this.bars);
    note(this.box, this.bars.length ? "" : "The first candle comes with the first price");
    this.toEnd();
  }

  // What is new of the pair that is shown, oldest first.
  add(rows) {
    if (!rows.length) return;
    if (!this.bars.length || rows.length > MANY) {
      this.show(this.rows, this.seconds);
      return;
    }
    for (const row of rows) {
      const bar = this.bar(row);
      const last = this.bars.at(-1);
      if (bar.time < last.time) continue;
      if (bar.time === last.time) this.bars[this.bars.length - 1] = bar;
      else this.bars.push(bar);
      this.series.update(bar);
    }
  }

  bar({ start, ohlc }) {
    const [open, high, low, close] = ohlc;
    const time = shifted(start);
    const bar = { time, open, high, low, close };
    if (time < this.starts) bar.color = bar.wickColor = `${colour(close < open ? "--down" : "--up")}66`;
    return bar;
  }

  toEnd() {
    const count = this.bars.length;
    if (count) this.chart.timeScale().setVisibleLogicalRange({ from: count - SHOWN, to: count + (this.lines.size ? ROOM : 6) });
  }

  // The whole replay, without what came before it.
  fit() {
    const from = this.bars.findIndex((bar) => bar.time >= this.starts);
    if (from >= 0) this.chart.timeScale().setVisibleLogicalRange({ from: from - 3, to: this.bars.length + 4 });
  }

  at(moment) {
    const time = shifted(moment);
    let low = 0;
    let high = this.bars.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.bars[middle].time <= time) low = middle;
      else high = middle - 1;
    }
    return this.bars[low]?.time;
  }

  // One arrow for all that happened alike in one candle.
  orders(orders) {
    if (!this.bars.length) return;
    const found = new Map();
    for (const order of orders) {
      if (!Number(order.filled_quantity)) continue;
      const time = this.at(order.updated_at);
      const way = order.role === "entry" ? "entry" : (EXITS[order.role] ?? "exit");
      const key = `${time}|${order.side}|${way}`;
      const one = found.get(key) ?? { time, buy: order.side === "BUY", way, count: 0 };
      one.count += 1;
      found.set(key, one);
    }
    const drawn = [...found.values()].map(({ time, buy, way, count }) => ({
      time,
      position: buy ? "belowBar" : "aboveBar",
      shape: way === "entry" ? (buy ? "arrowUp" : "arrowDown") : "circle",
      size: way === "entry" ? 1.4 : 0.7,
      color: colour(way === "SL" ? "--leg-stop" : way === "T" ? "--leg-target" : buy ? "--accent" : "--warn"),
      text: way === "entry" ? (count > 1 ? `×${count}` : "") : way === "exit" ? "" : way,
    }));
    this.marks.setMarkers(drawn.sort((a, b) => a.time - b.time));
  }

  // Stops and targets that are armed: what the accounts have in common is one line.
  plans(positions) {
    const before = this.lines.size > 0;
    const wanted = new Map();
    const put = (price, kind, next) => {
      const key = `${kind}|${price}`;
      const line = wanted.get(key) ?? { price: Number(price), kind, count: 0, next: false };
      line.count += 1;
      line.next ||= next;
      wanted.set(key, line);
    };
    for (const { plan } of positions) {
      if (!plan?.armed) continue;
      if (plan.stop !== null) put(plan.stop, "stop", true);
      let next = true;
      for (const target of plan.targets) {
        if (target.fired) continue;
        put(target.price, "target", next);
        next = false;
      }
    }
    for (const [key, line] of this.lines) {
      if (wanted.has(key)) continue;
      this.series.removePriceLine(line);
      this.lines.delete(key);
    }
    for (const [key, { price, kind, count, next }] of wanted) {
      const look = { price, color: colour(kind === "stop" ? "--leg-stop" : "--leg-target"), lineWidth: 1, lineStyle: next ? 2 : 4, axisLabelVisible: next, title: next ? `${kind}${count > 1 ? ` ×${count}` : ""}` : "" };
      const line = this.lines.get(key);
      if (line) line.applyOptions(look);
      else this.lines.set(key, this.series.createPriceLine(look));
    }
    if (before !== this.lines.size > 0) this.chart.timeScale().applyOptions({ rightOffset: this.lines.size ? ROOM : 6 });
  }
}

function candleColours() {
  return { upColor: colour("--up"), downColor: colour("--down"), wickUpColor: colour("--up"), wickDownColor: colour("--down"), borderVisible: false };
}
