// Nothing moves under the hand. A part of the page that fetches itself afresh waits while the mouse is on its way or lies on something to press;
// what one's own write changed never waits. A click on what only just moved there, on a screen that is touched above all, is not taken but said.

import { toast } from "./toast.js";

const REST_MS = 5000; // a hand that lies still on a button for longer is only reading
const WAY_MS = 400; // on its way to one
const SEEN_MS = 400; // until an eye has seen that something moved
const LOOK_MS = 250;
const PRESSED = "a, button, input, select, textarea, summary, label";
const ACTS = "main tr :is(a, button, label, input), main li :is(a, button)";

let hand = null; // {x, y, at} of a mouse that moved and has not clicked since
let spot = ""; // where the mouse was last told to be: some browsers tell it again when only the page has moved
let moved = { acts: new Set(), at: -Infinity };
const late = new Set(); // ids of the parts that wait
let timer = null;
let alone = false; // whether the part that is swapped now came by itself

export function startStill() {
  document.addEventListener("pointermove", ({ pointerType, clientX: x, clientY: y }) => {
    if (pointerType !== "mouse" || spot === `${x} ${y}`) return;
    spot = `${x} ${y}`;
    hand = { x, y, at: performance.now() };
  });
  document.documentElement.addEventListener("pointerleave", () => (hand = null));
  document.addEventListener("click", taken, true);
  document.body.addEventListener("htmx:beforeRequest", (event) => wait(event, () => event.preventDefault()));
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    wait(event, () => (event.detail.shouldSwap = false));
    alone = byItself(event.detail.requestConfig);
    if (event.detail.shouldSwap && alone) watch();
  });
  window.Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !ones(name, node);
  document.body.addEventListener("htmx:afterSwap", note);
}

export function held() {
  if (!hand) return false;
  const under = document.elementFromPoint(hand.x, hand.y);
  if (!under?.closest("main")) return false;
  return performance.now() - hand.at < (under.closest(PRESSED) ? REST_MS : WAY_MS);
}

// Takes away a row that no longer is, later where a hand would find another in its place: the list fetches itself afresh then.
export function leaves(row) {
  if (held()) {
    row.classList.add("gone");
    return;
  }
  watch();
  row.remove();
  note();
}

// What somebody has typed or unfolded stays as it is where a part of the page comes afresh that knows nothing of it; and words that rows are filtered by
// stay in any case, or rows would be away and nobody could see why.
function ones(name, node) {
  if (name === "value") return node.dataset.find || (alone && node.value !== node.defaultValue);
  return name === "open" && alone && node.localName === "details";
}

const byItself = ({ elt, triggeringEvent }) => elt.getAttribute("hx-swap")?.startsWith("morph") && triggeringEvent?.type !== "tandem:wrote";

function wait({ detail }, stop) {
  const { elt } = detail.requestConfig;
  if (!elt.id || !byItself(detail.requestConfig) || !held()) return;
  stop();
  if (elt.id === "halts" && !late.has(elt.id)) toast("A stop was set or lifted", "warn"); // known at once all the same
  late.add(elt.id);
  timer ??= setInterval(again, LOOK_MS);
}

function again() {
  if (held()) return;
  clearInterval(timer);
  timer = null;
  const ids = [...late];
  late.clear();
  for (const id of ids) {
    const part = document.getElementById(id);
    if (part) window.htmx.ajax("get", part.getAttribute("hx-get"), { source: part }).catch(() => {}); // the next event asks again
  }
}

// --- what a change moved -------------------------------------------------------------------------------------------------

let places = null;

const placesOf = () => new Map([...document.querySelectorAll(ACTS)].map((act) => [act, act.getBoundingClientRect().top]));

function watch() {
  places = placesOf();
}

function note() {
  if (!places) return;
  const acts = [...placesOf()].filter(([act, top]) => places.get(act) !== top).map(([act]) => act);
  places = null;
  if (acts.length) moved = { acts: new Set(acts), at: performance.now() };
}

function taken(event) {
  const act = event.target.closest(ACTS);
  const unseen = event.pointerType === "touch" || (event.pointerType === "mouse" && hand && hand.at < moved.at);
  hand = null; // who has clicked waits for what comes of it
  if (!unseen || !moved.acts.has(act) || performance.now() - moved.at >= SEEN_MS) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  toast("The list moved just now: nothing was done", "warn");
}
