// Messages: a test that shows what came of it, and the chats that a Telegram bot has been written from. Both wait for somebody else, and say so.
// And how many are unread, on every page.

import { Failure, send } from "./api.js";
import { patch } from "./cells.js";
import { PREPARE } from "./forms.js";

const PATIENCE = 45_000;
const STEP = 700;

PREPARE.destination = ({ quiet_on: on, quiet, ...body }) => ({ ...body, quiet: on ? quiet : null });

const outcomes = new Map(); // panel of a destination → what came of its newest test, and its tone

export function startMessages() {
  document.body.addEventListener("htmx:afterSettle", () => outcomes.forEach((_, panel) => show(panel)));
  keepOpen();
  countUnread();
  document.addEventListener("click", (event) => {
    const tried = event.target.closest("[data-try]");
    if (tried) attempt(tried);
    const finder = event.target.closest("[data-find-chats]");
    if (finder) findChats(finder);
    const chat = event.target.closest("[data-chat]");
    if (chat) choose(chat);
  });
}

// Whoever looks at the messages has read them; anywhere else a new one counts.
function countUnread() {
  const badge = document.querySelector("[data-key=unread]");
  if (!badge) return;
  const looked = () => !document.hidden && Boolean(document.getElementById("messages"));
  const count = async () => {
    try {
      if (looked()) await send("POST /api/me/messages/read");
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure; // it is asked again with the next one
    }
    const answer = await fetch("/api/me/messages").catch(() => null); // not `send`: nobody is led to the sign-in by a count
    if (answer?.ok) patch("unread", (await answer.json()).unread);
  };
  const look = () => looked() && badge.dataset.value !== "0" && count();
  document.body.addEventListener("tandem:message", count);
  document.addEventListener("visibilitychange", look);
  look();
}

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Asks again until `over` finds an answer in what came back.
async function until(address, over) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    const found = await over(await send(`GET ${address}`));
    if (found) return found;
    await later(STEP);
  }
  return null;
}

// A list that fetches itself afresh leaves open what its reader has opened, and closed what they have closed.
function keepOpen() {
  let before = new Map();
  const all = () => [...document.querySelectorAll("#messages .message")].map((item) => [item.id, item.querySelector("details")]);
  document.body.addEventListener("htmx:beforeSwap", () => (before = new Map(all().map(([id, details]) => [id, details.open]))));
  document.body.addEventListener("htmx:afterSwap", () => all().forEach(([id, details]) => before.has(id) && (details.open = before.get(id))));
}

function show(panel) {
  const box = document.getElementById(panel)?.querySelector("[data-tried]");
  if (!box) return;
  const [text, tone] = outcomes.get(panel);
  box.textContent = text;
  box.className = `tried small ${tone}`;
}

async function attempt(button) {
  const panel = button.closest(".panel").id;
  const say = (text, tone = "muted") => {
    outcomes.set(panel, [text, tone]);
    show(panel);
  };
  // The panel shows afresh how the destination stands; what came of the test stays beside it.
  const ended = (text, tone) => {
    say(text, tone);
    document.body.dispatchEvent(new CustomEvent("tandem:wrote"));
  };
  button.disabled = true;
  say("Sending …");
  try {
    const { message_id: id } = await send(`POST ${button.dataset.try}`, {});
    const way = await until(`/api/messages/${id}`, async ({ deliveries: [first] }) => {
      if (["sent", "dead"].includes(first?.status)) return first;
      if (!first?.error) return null;
      say(`Not yet: ${first.error}`, "warn");
      const place = await send(`GET ${button.dataset.try.replace(/\/test$/, "")}`);
      return place.state === "refused" ? { status: "dead", error: place.detail } : null;
    });
    if (!way) ended("Still on its way: it will stand under Messages.", "warn");
    else if (way.status === "sent") ended("Sent: look there.", "ok");
    else ended(`Not delivered: ${way.error}`, "bad");
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    say(failure.message, "bad");
  } finally {
    button.disabled = false;
  }
}

async function findChats(button) {
  const field = button.closest("[data-field]");
  const box = field.querySelector("[data-chats]");
  const error = field.querySelector(".error");
  error.textContent = "";
  box.replaceChildren("Asking Telegram …");
  button.disabled = true;
  try {
    const asked = await send("POST /api/telegram/chats", { token: field.querySelector("input").value.trim() });
    const found = await until(`/api/telegram/chats/${asked.id}`, (answer) => answer.done && answer);
    if (!found || found.problem) box.replaceChildren(found?.problem || "Telegram has not answered yet: try again in a moment.");
    else box.replaceChildren("Found: ", ...found.chats.map(chip));
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    box.replaceChildren();
    error.textContent = failure.errors.token ? `The token ${failure.errors.token[0]}` : failure.message;
  } finally {
    button.disabled = false;
  }
}

function chip({ chat, name, kind }) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "chip", textContent: `${name} (${kind})` });
  button.dataset.chat = chat;
  return button;
}

function choose(chip) {
  const input = chip.closest("form").elements.chat;
  input.value = chip.dataset.chat;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.focus();
}
