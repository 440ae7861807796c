// Which marks a chart gets for signals: one for each candle and side, however many signals fell into it, so that no two print over each other.
// A mark carries words only while it stands alone; what stands in a crowd is told when one points at its candle.

const APART = 12; // candles between two marks of a side that leave room for words

// [{time, side, source}] in any order, the seconds of a candle → [{time, side, count, text, hint}] in the order of time.
export function thinned(signals, step) {
  const groups = new Map();
  for (const { time, side, source } of signals) {
    if (time === null) continue;
    const key = `${time}|${side}`;
    const group = groups.get(key) ?? { time, side, sources: [] };
    group.sources.push(source);
    groups.set(key, group);
  }
  const found = [...groups.values()].sort((a, b) => a.time - b.time);
  return found.map(({ time, side, sources }) => {
    const alone = found.every((other) => (other.time === time && other.side === side) || Math.abs(other.time - time) > APART * step);
    const spoken = [...new Set(sources.map((source) => (source === "strategy" ? "" : source)))].filter(Boolean).join(", ");
    const many = sources.length > 1 ? `${sources.length}×` : "";
    const what = `${sources.length > 1 ? `${sources.length} signals` : "signal"} to ${side === "BUY" ? "buy" : "sell"}`;
    return { time, side, count: sources.length, text: alone ? [many, spoken].filter(Boolean).join(" ") : "", hint: spoken ? `${what}: ${spoken}` : what };
  });
}
