// Credentials: shown for half a minute to whoever types their password, and Verify, which says thing by thing what works at the broker.
// What was shown is never kept: it is in the page alone, and goes with the half minute, with a look at another window, and with the page.

import { Failure, freshKey, send } from "./api.js";
import { ask } from "./dialogs.js";
import { toast } from "./toast.js";

const SHOWN_FOR = 30;
const NAMES = {
  signed_in: "Signed in",
  balance: "Balance",
  order_book: "Order book and positions",
  market_data: "Market data",
  may_trade: "May trade",
  withdrawals: "Cannot withdraw",
  address: "Address",
  instruments: "Instrument list",
};
let shown = null; // {values, left, timer}

export function startCredentials() {
  document.addEventListener("click", (event) => {
    const reveal = event.target.closest("[data-reveal]");
    if (reveal) return shown ? hide() : show(reveal.closest("[data-credentials]"));
    const copy = event.target.closest("[data-secret-copy]");
    if (copy && shown) return copyOut(shown.values[copy.dataset.secretCopy]);
    const verify = event.target.closest("button[data-verify]");
    if (verify && !verify.disabled) verifyNow(verify);
  });
  document.addEventListener("visibilitychange", () => document.hidden && hide());
  addEventListener("pagehide", hide);
  // The page fetches its parts afresh while somebody looks: what is shown stays shown, and what was hidden stays hidden.
  document.addEventListener("htmx:afterSettle", () => {
    if (shown) draw();
    if (kept) drawLines();
  });
}

async function show(panel) {
  if (!panel) return;
  let values;
  const given = await ask({
    title: "Show the credentials?",
    text: "Your password once more. It is written into the log that you looked.",
    confirm: "Show",
    password: true,
    attempt: async ({ password }) => {
      values = (await send(`POST ${panel.dataset.credentials}`, { password }, null)).credentials;
    },
  });
  if (!given) return;
  hide();
  shown = { values, left: SHOWN_FOR, timer: setInterval(tick, 1000) };
  draw();
}

function tick() {
  shown.left -= 1;
  if (shown.left <= 0) hide();
  else note();
}

function hide() {
  if (!shown) return;
  clearInterval(shown.timer);
  shown = null;
  draw();
}

function draw() {
  for (const place of document.querySelectorAll("[data-secret-of]")) {
    place.textContent = shown?.values[place.dataset.secretOf] ?? place.dataset.masked;
    place.classList.toggle("is-shown", Boolean(shown));
  }
  for (const button of document.querySelectorAll("[data-secret-copy]")) button.hidden = !shown;
  for (const button of document.querySelectorAll("[data-reveal]"))
    button.querySelector("[data-reveal-label]").textContent = shown ? button.dataset.shownLabel : button.dataset.hiddenLabel;
  note();
}

function note() {
  for (const place of document.querySelectorAll("[data-reveal-note]"))
    place.textContent = shown ? `hides in ${shown.left} s` : "for 30 seconds, after your password";
}

async function copyOut(value) {
  try {
    await navigator.clipboard.writeText(value);
    toast("Copied");
  } catch {
    toast("This browser lets nothing be copied here: mark it by hand.", "bad");
  }
}

// --- verify ---

let kept = null; // the lines of the last answer, drawn again when the page fetches its part afresh

async function verifyNow(button) {
  button.disabled = true;
  button.classList.add("busy");
  try {
    const answer = await send(button.dataset.verify, {}, freshKey());
    kept = answer.checks;
    drawLines();
    document.body.dispatchEvent(new CustomEvent("tandem:wrote"));
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    toast(failure.message, "bad");
  } finally {
    button.disabled = false;
    button.classList.remove("busy");
  }
}

// What was not asked for the same reason is one line.
function gathered(checks) {
  const lines = [];
  for (const check of checks) {
    const label = NAMES[check.name] ?? check.name;
    const same = check.ok === null && lines.find((line) => line.ok === null && line.says === check.says && line.remedy === check.remedy);
    if (same) same.label += `, ${label.charAt(0).toLowerCase()}${label.slice(1)}`;
    else lines.push({ ...check, label });
  }
  return lines;
}

function drawLines() {
  const box = document.querySelector("[data-verify-box]");
  if (!box || !kept) return;
  const list = box.querySelector("[data-verify-lines]");
  list.replaceChildren(
    ...gathered(kept).map((check) => {
      const line = box.querySelector("[data-verify-line]").content.firstElementChild.cloneNode(true);
      const tone = check.ok === true ? "ok" : check.ok === false ? "bad" : "unknown";
      line.className = `is-${tone}`;
      line.querySelector(".verify-mark").replaceChildren(box.querySelector(`[data-verify-icon=${tone}]`).content.cloneNode(true));
      line.querySelector("strong").textContent = check.label;
      line.querySelector(".verify-says").textContent = check.says;
      line.querySelector(".verify-remedy").textContent = check.remedy;
      return line;
    }),
  );
  box.hidden = false;
}
