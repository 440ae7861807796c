// How far a plan's stop and targets are from the price, and calm words where that is further than people mostly mean: a slip of a digit is seen
// before it is armed. Nothing is refused here.

import { plain } from "./numbers.js";

const FAR = { stop: 20, target: 100 }; // percent; a stop of an option may be anywhere

export function showAway(plan) {
  const at = placeOf(plan);
  const field = (name) => plan.querySelector(`[name$=${name}]`)?.value ?? "";
  say(plan, "stop", [["", away(field("stop_value"), field("stop_form"), -at.sign, at)]], at);
  const rows = [...plan.querySelectorAll("[data-target]:not(.reached)")].map((row) => {
    const own = (name) => row.querySelector(`[name$="].${name}"]`)?.value;
    return [row.querySelector("[data-target-number]").textContent, away(own("value") ?? "", own("form") ?? field("target_form"), at.sign, at)];
  });
  say(plan, "target", rows, at);
}

// Where the position is, or would be: its entry, the price now, which way it earns, and whether it is an option.
function placeOf(plan) {
  const form = plan.closest("form");
  const typed = (name) => Number(plain(form?.querySelector(`[name=${name}]:enabled`)?.value ?? ""));
  const cell = form?.querySelector("[data-ticket-quote]:not([hidden]) [data-part=last_price], [data-key^='price:'][data-key$='.last_price']");
  const last = Number(cell?.dataset.value);
  const symbol = form?.querySelector("[name=symbol]")?.value ?? form?.querySelector("[data-symbol]")?.dataset.symbol ?? "";
  return {
    entry: Number(plan.dataset.entry) || typed("price") || typed("trigger_price") || last,
    price: last,
    sign: (plan.dataset.side ?? form?.querySelector("[name=side]:checked")?.value) === "SELL" ? -1 : 1,
    option: /\d(CE|PE)$/.test(symbol),
  };
}

// Percent from the price, below zero where it is lower; null when that cannot be said.
function away(text, form, sign, { entry, price }) {
  const value = Number(plain(text));
  if (text.trim() === "" || !Number.isFinite(value)) return null;
  const base = price || entry;
  if (!base) return form === "pct" ? sign * value : null;
  const level = form === "price" ? value : form === "pct" ? entry * (1 + (sign * value) / 100) : entry + sign * value;
  return (level / base - 1) * 100;
}

function say(plan, kind, all, { price, option }) {
  const note = plan.querySelector(`[data-away=${kind}]`);
  if (!note) return;
  const known = all.filter(([, percent]) => percent !== null);
  const one = ([name, percent]) => `${name} ${Number(Math.abs(percent).toPrecision(Math.abs(percent) < 100 ? 2 : 3))} % ${percent < 0 ? "below" : "above"}`.trim();
  const [first, last] = [known[0], known.at(-1)];
  const far = !(kind === "stop" && option) && known.some(([, percent]) => Math.abs(percent) > FAR[kind]);
  const said = !known.length ? "" : `${first === last ? one(first) : `${one(first)} to ${one(last)}`} the ${price ? "price" : "entry"}`;
  const text = far ? `${said}: unusually far` : said;
  if (note.textContent !== text) note.textContent = text;
  note.classList.toggle("warn", far);
  note.classList.toggle("muted", !far);
}
