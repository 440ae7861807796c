// Dialogs: native, so that focus and Esc behave. `data-open="id"` opens one of the page, `data-dialog="/address"` fetches a page and shows its
// `[data-dialog-body]` in the sheet; without scripts, or with the middle button, the same address is a page of its own.

import { toast } from "./toast.js";

export function startDialogs() {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const opener = event.target.closest("[data-open]");
    if (opener && document.getElementById(opener.dataset.open)) {
      event.preventDefault();
      open(opener.dataset.open);
      return;
    }
    const link = event.target.closest("[data-dialog]");
    if (link) {
      event.preventDefault();
      openSheet(link.dataset.dialog || link.href);
      return;
    }
    const closer = event.target.closest("[data-close]");
    if (closer?.closest("dialog")) {
      event.preventDefault();
      closer.closest("dialog").close();
      return;
    }
    const menu = event.target.closest("[data-menu]");
    const rail = document.getElementById("rail");
    if (menu) {
      const on = rail.classList.toggle("open");
      menu.ariaExpanded = String(on);
    } else if (!event.target.closest("#rail")) rail?.classList.remove("open");
    for (const drop of document.querySelectorAll("details.who[open]")) if (!drop.contains(event.target)) drop.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.getElementById("rail")?.classList.remove("open");
    for (const drop of document.querySelectorAll("details.who[open]")) drop.open = false;
  });
}

export function open(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  dialog.querySelector("[data-stop-form]")?.reset(); // a stop begins as a whole one, whatever was chosen and left before
  dialog.showModal();
}

export function closeDialog(inside) {
  inside.closest?.("dialog[open]")?.close();
}

export async function openSheet(address) {
  const sheet = document.getElementById("sheet");
  let text;
  try {
    const answer = await fetch(address, { headers: { "X-Dialog": "true" } });
    if (!answer.ok || answer.redirected) throw new Error("not a form");
    text = await answer.text();
  } catch {
    location.assign(address);
    return;
  }
  const body = new DOMParser().parseFromString(text, "text/html").querySelector("[data-dialog-body]");
  if (!body) {
    location.assign(address);
    return;
  }
  sheet.className = body.dataset.dialogBody;
  sheet.replaceChildren(document.importNode(body, true));
  window.htmx?.process(sheet);
  if (!sheet.open) sheet.showModal();
  sheet.querySelectorAll("form").forEach((form) => form.dispatchEvent(new Event("change", { bubbles: true })));
  sheet.querySelector("[autofocus]")?.focus();
  sheet.dispatchEvent(new CustomEvent("tandem:shown", { bubbles: true }));
}

// Asks before something is done. Resolves to {typed, password} or null; `attempt` runs while the dialog is still open and may throw. Enter says
// yes (the only button that submits). While `attempt` runs the dialog cannot be left: what is on its way would be done without a word.
export function ask({ title, text, confirm, tone, word, password, attempt }) {
  const dialog = document.getElementById("ask");
  const yes = dialog.querySelector("[data-ask-yes]");
  const error = dialog.querySelector("[data-ask-error]");
  const typed = dialog.querySelector("#ask-type");
  const secret = dialog.querySelector("#ask-password");
  dialog.querySelector("#ask-title").textContent = title;
  dialog.querySelector("[data-ask-text]").textContent = text || "";
  dialog.querySelector("[data-ask-word]").textContent = word || "";
  dialog.querySelector("[data-ask-type]").hidden = !word;
  dialog.querySelector("[data-ask-password]").hidden = !password;
  typed.value = secret.value = error.textContent = "";
  yes.textContent = confirm;
  yes.className = `btn ${tone === "danger" ? "btn-stop" : "btn-primary"}`;
  const ready = () => (yes.disabled = Boolean(word) && typed.value.trim() !== word);
  ready();
  typed.oninput = ready;
  return new Promise((resolve) => {
    let answer = null;
    let busy = false;
    const hold = (on) => {
      busy = yes.disabled = on;
      for (const each of dialog.querySelectorAll("[data-close]")) each.disabled = on;
    };
    yes.onclick = async (event) => {
      event.preventDefault();
      if (busy) return;
      hold(true);
      error.textContent = "";
      const given = { typed: typed.value.trim(), password: secret.value };
      try {
        await attempt?.(given);
        answer = given;
        dialog.close();
      } catch (failure) {
        error.textContent = failure.message;
      } finally {
        hold(false);
        ready();
      }
    };
    dialog.oncancel = (event) => {
      if (busy) event.preventDefault();
    };
    dialog.onclose = () => resolve(answer);
    dialog.showModal();
    (word ? typed : password ? secret : yes).focus();
  });
}

export function said(text, tone) {
  toast(text, tone);
}
