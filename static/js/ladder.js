// A picture of an exit plan: at each stage of its ladder the next target above the entry and the stop that guards meanwhile.

import { plain } from "./numbers.js";

const NS = "http://www.w3.org/2000/svg";
const HEIGHT = 132;
const SIDE = 34;
const TOP = 16;

export function drawLadder(box) {
  const view = box.querySelector("[data-ladder-view]");
  const stages = stagesOf(box);
  view.hidden = !stages;
  view.replaceChildren(...(stages ? [picture(stages, view.clientWidth || 640)] : []));
}

// Distances from the entry, above zero where it wins; null when they cannot be compared (a price, and nobody knows the entry yet).
function stagesOf(box) {
  const plan = box.closest("[data-exits]");
  const value = (name) => plain(plan.querySelector(`[name$=${name}]`)?.value ?? "");
  const rows = [...box.querySelectorAll("[data-target]")].map((row) => {
    const own = (name) => {
      const field = row.querySelector(`[name$="].${name}"]`);
      return field ? plain(field.value) : undefined;
    };
    return { past: row.classList.contains("reached"), at: own("value"), form: own("form") ?? value("target_form"), then: own("then"), thenForm: own("then_form") ?? value("then_form") };
  });
  const given = rows.filter((row) => row.at !== "");
  if (given.length < 2) return null;
  const stop = value("stop_value");
  const forms = new Set([...given.map((row) => row.form), ...given.filter((row) => row.then).map((row) => row.thenForm), ...(stop ? [value("stop_form")] : [])]);
  const entry = Number(plan.dataset.entry);
  const sign = plan.dataset.side === "SELL" ? -1 : 1;
  const away = (text, form) => (form === "price" ? sign * (Number(text) - entry) : form === "pct" && forms.size > 1 ? (entry * Number(text)) / 100 : Number(text));
  if (!entry && (forms.size > 1 || forms.has("price"))) return null;
  let guard = stop ? -away(stop, value("stop_form")) : null;
  if (stop && value("stop_form") === "price") guard = away(stop, "price");
  const stages = given
    .map((row) => ({ past: row.past, target: away(row.at, row.form), then: row.then ? away(row.then, row.thenForm) : null }))
    .sort((one, other) => one.target - other.target)
    .map(({ past, target, then }) => {
      const stage = { past, target, stop: guard };
      if (then !== null) guard = guard === null ? then : Math.max(guard, then);
      return stage;
    });
  return stages.every((stage) => Number.isFinite(stage.target) && (stage.stop === null || Number.isFinite(stage.stop))) ? stages : null;
}

function picture(stages, width) {
  const values = stages.flatMap((stage) => [stage.target, stage.stop ?? 0, 0]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const y = (value) => TOP + ((high - value) / (high - low || 1)) * (HEIGHT - 2 * TOP);
  const x = (stage) => SIDE + (stage / stages.length) * (width - 2 * SIDE);
  const svg = make("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": "The ladder: each target and the stop that guards meanwhile" });
  svg.append(make("line", { x1: SIDE, x2: width - SIDE, y1: y(0), y2: y(0), class: "entry" }), text(SIDE - 4, y(0) + 4, "entry", "entry end"));
  stages.forEach(({ past, target, stop }, index) => {
    const [from, to, middle] = [x(index), x(index + 1) - 2, (x(index) + x(index + 1)) / 2];
    const stage = make("g", past ? { class: "past" } : {});
    if (stop !== null) stage.append(make("rect", { x: from, width: to - from, y: y(target), height: Math.max(1, y(stop) - y(target)), class: "room" }));
    stage.append(make("line", { x1: from, x2: to, y1: y(target), y2: y(target), class: "target" }), text(middle, y(target) - 5, `T${index + 1}`, "target"));
    if (stop !== null) stage.append(make("line", { x1: from, x2: to, y1: y(stop), y2: y(stop), class: "stop" }), text(middle, y(stop) + 12, `Y${index + 1}`, "stop"));
    svg.append(stage);
  });
  return svg;
}

function make(name, attributes) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function text(x, y, words, kind) {
  const element = make("text", { x, y, class: kind });
  element.textContent = words;
  return element;
}
