// Buttons that write: `<button data-api="POST /api/…" data-body='{"on":true}' data-ask="Question?">`.

import { Failure, freshKey, send } from "./api.js";
import { ask } from "./dialogs.js";
import { done } from "./forms.js";
import { toast } from "./toast.js";

export function startActions() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-api]");
    if (button && !button.disabled) act(button);
  });
  document.addEventListener("change", (event) => {
    const toggle = event.target.closest("input[data-switch]");
    if (toggle) flip(toggle);
  });
}

function bodyOf(button, given) {
  const body = JSON.parse(button.dataset.body || "{}");
  if (button.dataset.typeIn) body.confirm = given.typed;
  if ("password" in button.dataset) body.password = given.password;
  return body;
}

async function act(button) {
  const { api, ask: title, text, confirm, tone, typeIn } = button.dataset;
  const key = freshKey();
  let data;
  const attempt = async (given) => {
    data = await send(api, bodyOf(button, given), key);
  };
  if (title) {
    if (!(await ask({ title, text, confirm, tone, word: typeIn, password: "password" in button.dataset, attempt }))) return;
  } else {
    button.disabled = true;
    try {
      await attempt({});
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      toast(failure.message, "bad");
      return;
    } finally {
      button.disabled = false;
    }
  }
  done(button, data);
}

// A switch in a table: it moves at once, goes back when the API refuses, and asks first where real money is meant: on the way that
// `data-guard` names (on unless it says off), with a word to type where one is given.
async function flip(toggle) {
  const on = toggle.checked;
  const name = toggle.dataset.switch;
  const asks = toggle.dataset.ask && on === (toggle.dataset.guard !== "off");
  const word = toggle.dataset.typeIn;
  const body = { [name]: on };
  try {
    if (asks) {
      const given = await ask({
        title: toggle.dataset.ask,
        text: toggle.dataset.text,
        confirm: on ? "Switch on" : "Switch off",
        tone: "danger",
        word,
        attempt: (typed) => send(toggle.dataset.target, word ? { ...body, confirm: typed.typed } : body, freshKey()),
      });
      if (!given) {
        toggle.checked = !on;
        return;
      }
    } else await send(toggle.dataset.target, body, freshKey());
    if (toggle.dataset.said) toast(`${toggle.dataset.said} ${on ? "on" : "off"}`);
    document.body.dispatchEvent(new CustomEvent("tandem:wrote"));
  } catch (failure) {
    toggle.checked = !on;
    toast(failure.message, "bad");
  }
}
