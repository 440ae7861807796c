// The levels of a strategy's day on a chart of candles: entries, targets T1…Tn and stops Y1…Yn as lines with their names at the right edge.
// It draws what the API says. Names that share a price share a label; where labels would lie upon each other, the more important one stays.

const WEIGHT = { entry: 3, stop: 1, target: 1 };
const ROOM = 13; // pixels of height that a label needs
const NEAR = 0.015; // entries further from the price than this share of it do not widen the scale

export class DayLevels {
  #colour;
  #lines = [];
  #from = null;
  #price = null;
  #at = null;

  constructor(colour) {
    this.#colour = colour;
  }

  attached({ chart, series, requestUpdate }) {
    this.#at = { chart, series, requestUpdate };
  }

  detached() {
    this.#at = null;
  }

  // `day`: what the API says of one instrument's day, or null; `open`: the sides that are held, and of those only the ladders are drawn.
  show(day, open, price) {
    this.#from = day ? Date.parse(`${day.day}T00:00:00Z`) / 1000 : null;
    this.#price = price;
    const merged = new Map();
    for (const level of day?.levels ?? []) {
      if (level.kind !== "entry" && open.size && !open.has(level.side)) continue;
      const key = `${level.side}|${Number(level.price).toFixed(4)}`;
      const line = merged.get(key) ?? { price: Number(level.price), kind: level.kind, side: level.side, names: [] };
      if (WEIGHT[level.kind] > WEIGHT[line.kind]) line.kind = level.kind;
      line.names.push(level.name);
      merged.set(key, line);
    }
    this.#lines = [...merged.values()].sort((a, b) => WEIGHT[b.kind] - WEIGHT[a.kind] || a.price - b.price);
    this.#at?.requestUpdate();
  }

  get shown() {
    return this.#lines.length > 0;
  }

  updateAllViews() {}

  paneViews() {
    const view = (order, draw) => ({ zOrder: () => order, renderer: () => ({ draw: (target) => target.useMediaCoordinateSpace(draw) }) });
    return [view("bottom", (space) => this.#draw(space, this.#rule)), view("top", (space) => this.#draw(space, this.#label))];
  }

  autoscaleInfo() {
    const near = this.#lines.filter((line) => line.kind === "entry" && this.#price && Math.abs(line.price / this.#price - 1) < NEAR).map((line) => line.price);
    return near.length ? { priceRange: { minValue: Math.min(...near), maxValue: Math.max(...near) } } : null;
  }

  // Calls `paint` for each line in sight with its height, its colour and whether its label has room.
  #draw({ context, mediaSize }, paint) {
    if (!this.#at || !this.#lines.length) return;
    const { chart, series } = this.#at;
    const place = { left: this.#firstOfDay(chart), right: mediaSize.width };
    const taken = [];
    context.font = `600 10px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    for (const line of this.#lines) {
      const y = series.priceToCoordinate(line.price);
      if (y === null || y < 0 || y > mediaSize.height) continue;
      const room = !taken.some((other) => Math.abs(other - y) < ROOM);
      if (room) taken.push(y);
      paint.call(this, context, line, place, y, this.#colour(line.kind === "entry" ? "--accent" : line.kind === "target" ? "--leg-target" : "--leg-stop"), room);
    }
    context.globalAlpha = 1;
    context.setLineDash([]);
  }

  #rule(context, line, { left, right }, y, tone) {
    const entry = line.kind === "entry";
    context.globalAlpha = entry ? 1 : 0.55;
    context.strokeStyle = tone;
    context.lineWidth = 1;
    context.setLineDash(entry ? [] : [2, 3]);
    context.beginPath();
    context.moveTo(left, Math.round(y) + 0.5);
    context.lineTo(right, Math.round(y) + 0.5);
    context.stroke();
  }

  #label(context, line, { right }, y, tone, room) {
    if (!room) return;
    const words = this.#words(line);
    const width = context.measureText(words).width + 8;
    context.globalAlpha = 0.85;
    context.fillStyle = this.#colour("--panel");
    context.fillRect(right - width - 2, y - 7, width, 14);
    context.globalAlpha = 1;
    context.fillStyle = tone;
    context.fillText(words, right - width + 2, y);
  }

  #words(line) {
    const names = [...new Set(line.names)].join(" · ");
    return line.kind === "entry" ? `${names} ${line.price.toLocaleString("en-IN", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}` : names;
  }

  #firstOfDay(chart) {
    const x = this.#from === null ? null : chart.timeScale().timeToCoordinate(this.#first ?? this.#from);
    return x === null ? 0 : Math.max(0, x);
  }

  #first = null;

  // The candles as they are drawn: lines begin at the first of the levels' day.
  bars(bars) {
    this.#first = this.#from === null ? null : (bars.find((bar) => bar.time >= this.#from)?.time ?? null);
  }
}
