// Forms that write through the API: `<form data-api="POST /api/accounts" data-done="/accounts/{id}">`. Names are paths (`sizing.mode`,
// `instruments[]`, `targets[0].price`); a problem's messages appear beside their fields and what was typed stays.

import { Failure, filled, freshKey, send } from "./api.js";
import { closeDialog } from "./dialogs.js";
import { words } from "./format.js";
import { mistyped, plain } from "./numbers.js";
import { toast } from "./toast.js";

export function startForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-api]");
    if (!form) return;
    event.preventDefault();
    submit(form, event.submitter);
  });
  document.addEventListener("input", (event) => {
    clearField(event.target.closest("[data-field]"));
    const form = event.target.closest("form[data-api]");
    if (!form) return;
    delete form.dataset.key;
    form.dataset.typed = "";
  });
  document.addEventListener("change", (event) => showParts(event.target.closest("form")));
  document.addEventListener("htmx:load", (event) => event.detail.elt.parentElement?.querySelectorAll("form").forEach(showForm));
  document.addEventListener("tandem:shown", (event) => event.target.querySelectorAll("form").forEach(showForm));
}

// What a form that changes something was shown with. It sends only what the person changed of that: the rest may have been saved elsewhere
// since. Read from a copy with the server's own values, because browsers fill in what was typed before a reload.
const shown = new WeakMap();

export function showForm(form) {
  showParts(form);
  if (shown.has(form) || !form.dataset.api?.startsWith("PATCH ")) return;
  const copy = form.cloneNode(true);
  copy.reset();
  showParts(copy);
  shown.set(form, asked(copy));
}

// Whole top-level fields: a recipe, a size or the day's rules belong together.
function changedOf(form, body) {
  const before = shown.get(form);
  return before ? Object.fromEntries(Object.entries(body).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]))) : body;
}

// A part of a form with `data-when="mode=risk,kelly"` is there only while the field says so; hidden parts are not sent.
export function showParts(form) {
  if (!form) return;
  const data = new FormData(form);
  for (const part of form.querySelectorAll("[data-when]")) {
    const [name, values] = part.dataset.when.split("=");
    const on = values.split(",").includes(String(data.get(name) ?? ""));
    part.hidden = !on;
    for (const field of part.querySelectorAll("input, select, textarea")) field.disabled = !on;
  }
}

// The form as the JSON it stands for.
export function bodyOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || "skip" in field.dataset || field.matches("fieldset, button, output")) continue;
    if (field.type === "radio" && !field.checked) continue;
    if (field.type === "checkbox" && field.dataset.type !== "flag" && !field.checked) continue;
    const value = valueOf(field);
    if (value !== undefined) put(body, field.name, value);
  }
  for (const list of form.querySelectorAll("[data-list]")) if (!(list.dataset.list in body)) body[list.dataset.list] = [];
  return body;
}

const NUMBERS = new Set(["decimal", "integer", "number"]);

function valueOf(field) {
  const text = field.value.trim();
  if (field.dataset.type === "flag") return field.checked;
  if (text === "") return "empty" in field.dataset && field.dataset.empty === "omit" ? undefined : field.dataset.type ? null : "";
  if (field.dataset.type === "decimal") return plain(text);
  if (field.dataset.type === "integer" || field.dataset.type === "number") return /^-?\d+(\.\d+)?$/.test(plain(text)) ? Number(plain(text)) : text;
  if (field.dataset.type === "json") {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return field.type === "password" ? field.value : text;
}

// The fields whose number cannot be taken as it was typed, with what is wrong.
export function mistypedIn(form) {
  const numbers = [...form.elements].filter((field) => NUMBERS.has(field.dataset.type) && !field.disabled && !("skip" in field.dataset));
  return numbers.map((field) => [field, mistyped(field.value)]).filter(([, why]) => why);
}

function put(body, path, value) {
  const steps = path.replace(/\[(\d+)\]/g, ".$1").split(".");
  let place = body;
  steps.forEach((step, index) => {
    const many = step.endsWith("[]");
    const name = many ? step.slice(0, -2) : step;
    if (index === steps.length - 1) {
      if (many) (place[name] ??= []).push(value);
      else place[name] = value;
    } else {
      place[name] ??= /^\d+$/.test(steps[index + 1]) ? [] : {};
      place = place[name];
    }
  });
}

// Rows of a list that were taken away leave holes, fields left empty mean "not said": both go before sending.
function tidy(value) {
  if (Array.isArray(value)) return value.filter((item) => item !== undefined && item !== null).map(tidy);
  return value;
}

// What the form's fields ask of the API.
function asked(form) {
  const body = (form.dataset.prepare && PREPARE[form.dataset.prepare]?.(bodyOf(form))) || bodyOf(form);
  for (const name of Object.keys(body)) body[name] = tidy(body[name]);
  return body;
}

async function submit(form, button) {
  clearErrors(form);
  if (refusedHere(form)) return;
  const whole = asked(form);
  const body = changedOf(form, whole);
  if (shown.has(form) && !Object.keys(body).length) {
    unchanged(form);
    return;
  }
  form.dataset.key ||= freshKey();
  busy(form, button, true);
  try {
    const target = filled(form.dataset.api, Object.fromEntries(new FormData(form)));
    const data = await send(target, body, form.dataset.key);
    delete form.dataset.key;
    delete form.dataset.typed;
    if (shown.has(form)) shown.set(form, whole);
    done(form, data);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.status && error.status !== 503) delete form.dataset.key;
    showErrors(form, error);
  } finally {
    busy(form, button, false);
  }
}

// Nothing is sent while a number could be read in two ways: by ten or a hundred times too much is how that ends.
function refusedHere(form) {
  const wrong = mistypedIn(form);
  for (const [field, why] of wrong) mark(field, why);
  wrong[0]?.[0].scrollIntoView({ block: "center", behavior: "smooth" });
  wrong[0]?.[0].focus({ preventScroll: true });
  return wrong.length > 0;
}

function mark(field, why) {
  const place = field.closest("[data-field]")?.querySelector(".error") ?? field.form.querySelector("[data-form-error]");
  if (place) place.textContent = why;
  for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  field.setAttribute("aria-invalid", "true");
}

function busy(form, button, on) {
  for (const each of button ? [button] : form.querySelectorAll("[type=submit]")) {
    each.ariaBusy = on ? "true" : null;
    each.disabled = on;
  }
}

const NOT_WELL = ["needs_login", "error"];

// "{state} {detail}" in words, for a message.
function told(template, data) {
  const text = template.replace(/\{(\w+)\}/g, (_, name) => words(data[name])).trim();
  return text.replace(/^(.+?) \1$/, "$1"); // state and its detail may be one word
}

function unchanged(form) {
  if (form.dataset.done) {
    location.assign(form.dataset.done);
    return;
  }
  toast("Nothing was changed");
  if (!("stay" in form.dataset)) closeDialog(form);
}

// What happens after a write went through: a message, a place to go, lists to fetch again.
export function done(from, data) {
  const { done: place, said, follow } = from.dataset;
  announce(from, data);
  if (follow && data[follow]) {
    location.assign(data[follow]); // to a page of the broker's own
    return;
  }
  if (place) {
    location.assign(filled(place, data));
    return;
  }
  if (said) toast(told(said, data), NOT_WELL.includes(data.state) || data.ok === false ? "bad" : undefined);
  if ("stay" in from.dataset) return;
  closeDialog(from);
  document.body.dispatchEvent(new CustomEvent("tandem:wrote"));
}

function announce(from, data) {
  from.dispatchEvent(new CustomEvent("tandem:done", { bubbles: true, detail: data }));
}

export const PREPARE = {};

// --- messages beside fields -------------------------------------------------------------------------------------------

export function clearErrors(form) {
  form.querySelectorAll("[data-form-error]").forEach((box) => (box.textContent = ""));
  form.querySelectorAll("[data-field]").forEach(clearField);
}

function clearField(field) {
  if (!field) return;
  field.querySelectorAll(".error").forEach((box) => (box.textContent = ""));
  field.querySelectorAll("[aria-invalid]").forEach((input) => input.removeAttribute("aria-invalid"));
}

export function showErrors(form, failure) {
  const rest = [];
  const wrong = [];
  for (const [name, messages] of Object.entries(failure.errors)) {
    const field = fieldOf(form, name);
    if (!field) {
      rest.push(name === "body" ? messages.join(", ") : `${name.replaceAll("_", " ")}: ${messages.join(", ")}`);
      continue;
    }
    const own = (each) => each.closest("[data-field]") === field; // of a group: not those of its first field
    const place = [...field.querySelectorAll(".error")].find(own) ?? field.querySelector(".error");
    place.textContent = sentence(messages.join(", "));
    const input = [...field.querySelectorAll("input, select, textarea")].find(own);
    input?.setAttribute("aria-invalid", "true");
    wrong.push(input ?? place);
  }
  const [first] = wrong.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
  const box = form.querySelector("[data-form-error]");
  if (box) box.textContent = rest.length ? sentence(rest.join("; ")) : wrong.length ? "" : failure.message;
  (first ?? box)?.scrollIntoView({ block: "center", behavior: "smooth" });
  first?.focus({ preventScroll: true });
}

// The field of a dotted path, or of the nearest path above it: `targets.0.share_pct` → itself, else `targets.0`, else `targets`. A form may have
// another name for a part of the request: data-alias='{"accounts.0.": "made."}'.
function fieldOf(form, path) {
  const named = (name) => [...form.querySelectorAll(`[data-field="${CSS.escape(name)}"]`)].find((each) => !each.closest("[hidden]"));
  for (const [part, own] of Object.entries(JSON.parse(form.dataset.alias ?? "{}"))) {
    const field = path.startsWith(part) && named(own + path.slice(part.length));
    if (field) return field;
  }
  for (let name = path; name; name = name.slice(0, Math.max(name.lastIndexOf("."), 0))) {
    const field = named(name);
    if (field) return field;
  }
  return null;
}

function sentence(text) {
  const named = /^[^:]*\.[a-z]\w{0,7}(:| cannot be read)/i.test(text ?? ""); // begins with a file's name, which keeps its spelling
  return text && !named ? text[0].toUpperCase() + text.slice(1) : text;
}
