// What is shown once: a new token or address appears below its form, to be copied; and small forms that send themselves or empty themselves.

import { ask } from "./dialogs.js";
import { toast } from "./toast.js";

export function startSecrets() {
  document.addEventListener("tandem:done", ({ target, detail }) => {
    if (target.dataset.secret) {
      const box = target.querySelector("[data-secret-box]");
      const value = detail[target.dataset.secret] ?? "";
      box.querySelector("input").value = value.startsWith("/") ? location.origin + value : value;
      box.hidden = false;
      box.querySelector("input").select();
    }
    if ("reset" in target.dataset) target.reset();
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const input = button.dataset.copy ? null : button.parentElement.querySelector("input");
    input?.select();
    try {
      await navigator.clipboard.writeText(button.dataset.copy || input.value);
      toast("Copied");
    } catch {
      if (input) document.execCommand("copy");
      else toast(button.dataset.copy); // no clipboard on plain http: there it is, to be marked
    }
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-auto]");
    if (form) save(form, event.target.value);
  });
}

// A field that saves itself, and asks first where it says of which value.
async function save(form, value) {
  const { ask: title, askWhen, text, confirm } = form.dataset;
  if (title && value === askWhen && !(await ask({ title, text, confirm, tone: "danger" }))) form.reset();
  else form.requestSubmit();
}
