// Back-tests and sweeps on every page that lists or awaits one: the form's fields as a request, the bar that moves, choosing which to compare.

import { PREPARE } from "./forms.js";
import { exits } from "./plan.js";

const MOST_COMPARED = 8;

export function startStudies() {
  document.addEventListener("tandem-study", ({ detail }) => moved(detail));
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-studies]");
    if (form && event.target.name === "ids") counted(form);
  });
  keepTicks();
  document.body.addEventListener("htmx:afterSettle", () => document.querySelectorAll("form[data-studies]").forEach(counted));
  document.querySelectorAll("form[data-studies]").forEach(counted);
  setInterval(ask, 2000);
}

function moved(told) {
  const { id, state, progress, doing, left } = told;
  for (const bar of document.querySelectorAll(`[data-study-bar="${CSS.escape(id)}"]`)) bar.value = progress;
  for (const part of document.querySelectorAll(`[data-study-part="${CSS.escape(id)}"]`)) part.textContent = `${Math.round(progress * 100)} %`;
  if (doing) for (const line of document.querySelectorAll(`[data-study-doing="${CSS.escape(id)}"]`)) line.textContent = doing;
  for (const line of document.querySelectorAll(`[data-study-left="${CSS.escape(id)}"]`)) line.textContent = waits(left);
  const page = document.querySelector(`[data-study="${CSS.escape(id)}"]`);
  if (page && page.dataset.state !== state) location.reload();
}

function waits(seconds) {
  if (seconds === null || seconds === undefined) return "";
  return seconds < 90 ? `about ${Math.round(seconds)} s left` : `about ${Math.round(seconds / 60)} min left`;
}

// Where the stream is slow or absent, whoever waits on a page of its own asks.
async function ask() {
  const page = document.querySelector("[data-study]");
  if (!page || document.hidden) return;
  try {
    const answer = await fetch(`/api/backtests/${encodeURIComponent(page.dataset.study)}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const study = await answer.json();
    moved({ ...study, left: study.seconds_left });
  } catch {
    // the next time
  }
}

// What was ticked stays so in a list that fetches itself afresh.
function keepTicks() {
  const boxes = () => [...document.querySelectorAll("form[data-studies] [name=ids]")];
  let ticked = new Set();
  document.body.addEventListener("htmx:beforeSwap", () => (ticked = new Set(boxes().filter((box) => box.checked).map((box) => box.value))));
  document.body.addEventListener("htmx:afterSwap", () => boxes().forEach((box) => (box.checked = !box.disabled && ticked.has(box.value))));
}

function counted(form) {
  const chosen = form.querySelectorAll("input[name=ids]:checked").length;
  const button = form.querySelector("[data-compare]");
  if (!button) return;
  button.disabled = chosen < 2 || chosen > MOST_COMPARED;
  button.querySelector("[data-compare-count]").textContent = chosen || "";
}

// The form's fields as the API's request.
PREPARE.backtest = (fields) => {
  const { mode, whose, own, made, datasets, pick, with_sample: withSample, sample, grid, rank, random, train_days: trainDays, test_days: testDays, exits: plan, reentry: again, ...rest } = fields;
  const body = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== ""));
  const recipe = exits(plan ?? {});
  body.exit_plan = Object.keys(recipe).length ? recipe : null;
  body.reentry = again?.mode ? again : null;
  body.data = (datasets ?? []).map((id) => ({ dataset_id: id, ...(pick?.[id] ? { symbol: pick[id] } : {}) }));
  if (withSample) body.sample = { ...sample, days: whole(sample.days), seed: whole(sample.seed), symbols: sample.symbols ?? [] };
  body.accounts = whose === "own" ? (own ?? []).map((id) => ({ account_id: id })) : [seat(made)];
  if (mode !== "backtest") {
    const search = { grid: grid ?? {}, rank, ...(random ? { random: whole(random) } : {}) };
    if (mode === "sweep") {
      body.sweep = search;
      delete body.checks;
    } else body.walk_forward = { ...search, train_days: whole(trainDays), test_days: whole(testDays) };
  }
  return body;
};

const whole = (value) => (/^\d+$/.test(String(value ?? "")) ? Number(value) : value);

function seat({ sizing, ...made }) {
  const kept = Object.fromEntries(Object.entries(made).filter(([, value]) => value !== null && value !== ""));
  return { name: "Back-test", ...kept, sizing: sizing.mode === "risk" ? { mode: "risk" } : sizing };
}
