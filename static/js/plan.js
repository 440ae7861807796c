// The exit plan editor: rows of targets that come and go, and the shares they leave.

import { PREPARE } from "./forms.js";

export function startPlans() {
  document.addEventListener("click", (event) => {
    const add = event.target.closest("[data-target-add]");
    if (add) addRow(add.closest("[data-targets]"));
    const remove = event.target.closest("[data-target-remove]");
    if (remove) {
      const box = remove.closest("[data-targets]");
      remove.closest("[data-target]").remove();
      number(box);
    }
  });
  document.addEventListener("input", (event) => {
    const box = event.target.closest("[data-targets]");
    if (box) left(box);
  });
}

function addRow(box) {
  const row = box.querySelector("template").content.firstElementChild.cloneNode(true);
  box.querySelector("[data-target-rows]").append(row);
  number(box);
  row.querySelector("input").focus();
}

function number(box) {
  box.querySelectorAll("[data-target]").forEach((row, index) => {
    row.dataset.field = `targets.${index}`;
    for (const field of row.querySelectorAll("[name]")) field.name = field.name.replace(/targets\[\d*\]/, `targets[${index}]`);
    row.querySelector("[data-target-number]").textContent = index + 1;
  });
  left(box);
}

function left(box) {
  const shares = [...box.querySelectorAll("[name$=share_pct]")].map((field) => Number(field.value) || 0);
  const rest = 100 - shares.reduce((sum, share) => sum + share, 0);
  const note = box.querySelector("[data-target-left]");
  note.textContent = rest < 0 ? `${-rest} % too much` : rest > 0 ? `${rest} % stays with the stop` : "";
  note.classList.toggle("bad", rest < 0);
}

// The editor's fields as the API's recipe: one form of distance for the stop and for each target, empty parts left out.
export function exits(body) {
  const { stop_form: stopForm, stop_value: stopValue, target_form: targetForm, trail, cost_after_target: cost, ...rest } = body;
  const out = { ...rest };
  if (stopValue) out.stop_loss = { [stopForm]: stopValue };
  const targets = (out.targets ?? []).filter((target) => target?.value);
  delete out.targets;
  if (targets.length) out.targets = targets.map(({ value, share_pct: share }) => ({ [targetForm]: value, ...(share ? { share_pct: share } : {}) }));
  if (trail?.mode && trail.value) out.trailing = Object.fromEntries(Object.entries(trail).filter(([, value]) => value !== null && value !== ""));
  if (cost) out.cost_after_target = cost;
  return out;
}

PREPARE.exits = exits;
// A strategy keeps its recipe under `exit_plan`; nothing filled in means none.
PREPARE.strategy = ({ exits: plan, ...body }) => {
  const recipe = exits(plan ?? {});
  return { ...body, exit_plan: Object.keys(recipe).length ? recipe : null };
};
