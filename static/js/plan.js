// The exit plan editor: rows of targets that come and go, the shares they leave, and a whole ladder of them at once.

import { showAway } from "./away.js";
import { PREPARE } from "./forms.js";
import { drawLadder } from "./ladder.js";
import { mistyped, plain } from "./numbers.js";

const MOST = 20; // targets of a plan, as the API has it

export function startPlans() {
  document.addEventListener("click", (event) => {
    const box = event.target.closest("[data-targets]");
    if (!box) return;
    if (event.target.closest("[data-target-add]")) {
      const full = box.querySelectorAll("[data-target]").length >= MOST;
      refused(box, full ? `A plan has at most ${MOST} targets` : "");
      if (!full) addRow(box).querySelector("input").focus();
    }
    if (event.target.closest("[data-ladder-open]")) open(box, box.querySelector("[data-ladder]").hidden);
    if (event.target.closest("[data-ladder-fill]")) fill(box);
    const remove = event.target.closest("[data-target-remove]");
    if (remove) {
      remove.closest("[data-target]").remove();
      refused(box, "");
      number(box);
    }
  });
  for (const kind of ["input", "change"]) {
    document.addEventListener(kind, (event) => {
      const plan = event.target.closest("[data-exits]");
      if (plan) told(plan.querySelector("[data-targets]"));
      else event.target.closest("form")?.querySelectorAll("[data-exits]").forEach(showAway); // another side, another price
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.closest("[data-ladder]")) return;
    event.preventDefault(); // fills the ladder, does not send the form
    fill(event.target.closest("[data-targets]"));
  });
  for (const kind of ["htmx:load", "tandem:shown"]) document.addEventListener(kind, (event) => toldAll(event.target));
  for (const kind of ["tandem-price", "tandem:quoted"]) document.addEventListener(kind, () => document.querySelectorAll("[data-exits]").forEach(showAway));
  toldAll(document);
}

function toldAll(place) {
  place.querySelectorAll?.("[data-targets]").forEach(told);
}

function addRow(box) {
  const row = box.querySelector("template").content.firstElementChild.cloneNode(true);
  box.querySelector("[data-target-rows]").append(row);
  number(box);
  return row;
}

function number(box) {
  box.querySelectorAll("[data-target]").forEach((row, index) => {
    row.dataset.field = `${box.dataset.field}.${index}`;
    for (const field of row.querySelectorAll("[name]")) field.name = field.name.replace(/targets\[\d*\]/, `targets[${index}]`);
    row.querySelector("[data-target-number]").textContent = `T${index + 1}`;
  });
  told(box);
}

function told(box) {
  const rows = [...box.querySelectorAll("[data-target]")];
  box.querySelector("[data-target-names]").hidden = !rows.length;
  const shares = rows.map((row) => row.querySelector("[name$=share_pct]").value.trim());
  const rest = round(100 - shares.reduce((sum, share) => sum + (Number(plain(share)) || 0), 0));
  const note = box.querySelector("[data-target-left]");
  const open = shares.some((share) => share === "");
  note.textContent = rest < 0 ? `${-rest} % too much` : rest > 0 && rows.length && !open ? `${rest} % stays with the stop` : "";
  note.classList.toggle("bad", rest < 0);
  drawLadder(box);
  showAway(box.closest("[data-exits]"));
}

// --- a whole ladder --------------------------------------------------------------------------------------------------

function open(box, on) {
  box.querySelector("[data-ladder]").hidden = !on;
  box.querySelector("[data-ladder-open]").ariaExpanded = String(on);
  if (!on) return;
  const guarded = box.closest("[data-exits]").querySelector("[name$=stop_value]").value !== "";
  const stop = box.querySelector("[data-ladder-stop]");
  if (!guarded && stop.value === "") stop.value = round(Number(box.querySelector("[data-ladder-count]").value) * Number(box.querySelector("[data-ladder-step]").value));
  box.querySelector("[data-ladder-step]").select();
}

// Why the editor does not do what was asked; "" takes it back. The field at fault gets the focus.
function refused(box, why, name) {
  box.querySelector(":scope > .error").textContent = why;
  for (const each of ["count", "step", "stop"]) box.querySelector(`[data-ladder-${each}]`).toggleAttribute("aria-invalid", false);
  if (!why || !name) return;
  const field = box.querySelector(`[data-ladder-${name}]`);
  field.setAttribute("aria-invalid", "true");
  field.select();
}

// n targets at equal steps with equal shares, and the stop so many steps behind the target that was reached; the last target leaves nothing to guard.
function fill(box) {
  const of = (name) => box.querySelector(`[data-ladder-${name}]`).value.trim();
  const unclear = ["count", "step", "stop"].find((name) => mistyped(of(name)));
  if (unclear) return refused(box, mistyped(of(unclear)), unclear);
  const [count, step, stop] = ["count", "step", "stop"].map((name) => Number(plain(of(name))));
  const [form, lag] = [of("form"), of("lag")];
  const counted = Number.isInteger(count) && count >= 1 && count <= MOST;
  refused(box, !counted ? `A ladder has 1 to ${MOST} targets` : step > 0 ? "" : "Targets are apart by more than 0", counted ? "step" : "count");
  if (!counted || !(step > 0)) return;
  const plan = box.closest("[data-exits]");
  box.querySelector("[data-target-rows]").replaceChildren();
  for (const name of ["target_form", "then_form"]) plan.querySelector(`[name$=${name}]`).value = form;
  const share = Math.floor(10000 / count) / 100;
  for (let n = 1; n <= count; n += 1) {
    const row = addRow(box);
    row.querySelector("[name$=value]").value = round(n * step);
    row.querySelector("[name$=share_pct]").value = n === count ? round(100 - share * (count - 1)) : share;
    row.querySelector("[name$='.then']").value = n === count || lag === "" ? "" : round((n - Number(lag)) * step);
  }
  if (stop > 0) {
    plan.querySelector("[name$=stop_value]").value = stop;
    plan.querySelector("[name$=stop_form]").value = form;
  }
  plan.querySelector("[name$=booking]").value = "even";
  open(box, false);
  told(box);
  box.dispatchEvent(new Event("input", { bubbles: true })); // a ticket shows its preview anew
}

const round = (value) => Number(value.toFixed(6));

// --- to the API ------------------------------------------------------------------------------------------------------

// The editor's fields as the API's recipe: one form of distance for the stop and for each target, empty parts left out.
export function exits(body) {
  const { stop_form: stopForm, stop_value: stopValue, target_form: targetForm, then_form: thenForm, trail, cost_after_target: cost, booking, ...rest } = body;
  const out = { ...rest };
  if (stopValue) out.stop_loss = { [stopForm]: stopValue };
  const targets = (out.targets ?? []).filter((target) => target?.value);
  delete out.targets;
  if (targets.length) {
    out.targets = targets.map(({ value, form, share_pct: share, then, then_form: own }) => ({
      [form ?? targetForm]: value,
      ...(share ? { share_pct: share } : {}),
      ...(then ? { then_stop: { [own ?? thenForm]: then } } : {}),
    }));
    if (booking) out.booking = booking;
  }
  if (trail?.mode && trail.value) out.trailing = Object.fromEntries(Object.entries(trail).filter(([, value]) => value !== null && value !== ""));
  if (cost) out.cost_after_target = cost;
  return out;
}

PREPARE.exits = exits;
// A strategy keeps its recipe under `exit_plan` and its re-entries under `reentry`; nothing filled in means none.
PREPARE.strategy = ({ exits: plan, reentry: again, ...body }) => {
  const recipe = exits(plan ?? {});
  return { ...body, exit_plan: Object.keys(recipe).length ? recipe : null, reentry: again?.mode ? again : null };
};
