// Recovery codes: shown once, in place of the form that asked for them, to be copied or saved. They are kept nowhere else, also not by this page.

import { toast } from "./toast.js";

export function startCodes() {
  document.addEventListener("tandem:done", ({ target, detail }) => {
    if (!target.dataset.codes) return;
    const asked = target.closest("[data-codes-hide]") ?? target;
    const box = asked.parentElement.querySelector("[data-codes-box]");
    box.querySelector("[data-codes-list]").replaceChildren(...detail[target.dataset.codes].map(line));
    asked.hidden = true;
    box.hidden = false;
    const badge = target.closest(".panel").querySelector(".panel-head .badge");
    badge.className = "badge ok";
    badge.textContent = "on";
    box.scrollIntoView({ block: "nearest", behavior: "smooth" });
    box.querySelector("[data-codes-copy]").focus({ preventScroll: true });
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-codes-copy], [data-codes-save]");
    if (!button) return;
    const codes = [...button.closest("[data-codes-box]").querySelectorAll("li")].map((item) => item.textContent);
    if (button.dataset.codesSave) save(button.dataset.codesSave, button.dataset.codesFor, codes);
    else copy(codes);
  });
}

function line(code) {
  const item = document.createElement("li");
  item.textContent = code;
  return item;
}

async function copy(codes) {
  try {
    await navigator.clipboard.writeText(codes.join("\n"));
    toast("Copied");
  } catch {
    toast("This browser lets nothing be copied here: mark them, or save the file", "bad"); // no clipboard on plain http
  }
}

function save(name, whose, codes) {
  const text = [`Recovery codes of Tandem for ${whose} (${location.host})`, "Each is good once.", "", ...codes, ""].join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
