// Files to the API: `<form data-upload="/api/datasets" data-done="/data/{id}">`. The file is the body, the fields are the query. What is sent shows
// its progress; lines that refuse the file are listed beside it, and what was chosen stays.

import { Failure, filled } from "./api.js";
import { clearErrors, showErrors } from "./forms.js";
import { signedOut } from "./signed_out.js";

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-upload]");
  if (!form) return;
  event.preventDefault();
  send(form);
});

document.addEventListener("change", (event) => {
  if (event.target.matches("form[data-upload] input[type=file]")) named(event.target);
});

for (const [kind, on] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(kind, (event) => {
    const place = event.target.closest?.("form[data-upload] .dropzone");
    if (!place) return;
    event.preventDefault();
    place.classList.toggle("over", on);
    if (kind !== "drop" || !event.dataTransfer.files.length) return;
    const input = place.querySelector("input[type=file]");
    input.files = event.dataTransfer.files;
    named(input);
  });
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function named(input) {
  const form = input.form;
  const [file] = input.files;
  if (!file) return;
  clearErrors(form);
  form.querySelector("[data-lines]").hidden = true;
  form.querySelector("[data-file-name]").textContent = `${file.name} · ${size(file.size)}`;
  const name = form.elements.name;
  if (name && !name.value) name.placeholder = file.name.replace(/(\.(gz|csv|txt|tsv|parquet|pq))+$/i, "");
}

function query(form, file) {
  const said = new URLSearchParams({ filename: file.name });
  for (const [name, value] of new FormData(form)) if (typeof value === "string" && value.trim() && name !== "leave_out_bad") said.set(name, value.trim());
  if (form.elements.leave_out_bad.checked) said.set("leave_out_bad", "true");
  return said;
}

function send(form) {
  clearErrors(form);
  const [file] = form.elements.file.files;
  if (!file) {
    showErrors(form, new Failure({ errors: { file: ["Choose a file first"] } }, 422));
    return;
  }
  const button = form.querySelector("[type=submit]");
  const bar = form.querySelector("[data-progress]");
  const [line, said] = [bar.querySelector("progress"), bar.querySelector("span")];
  form.querySelector("[data-lines]").hidden = true;
  const asked = new XMLHttpRequest(); // fetch cannot tell how much was sent
  asked.open("POST", `${form.dataset.upload}?${query(form, file)}`);
  asked.setRequestHeader("Content-Type", "application/octet-stream");
  asked.setRequestHeader("Accept", "application/json");
  asked.setRequestHeader("X-CSRFToken", document.querySelector("meta[name=csrf-token]").content);
  asked.upload.onprogress = (event) => {
    line.value = (100 * event.loaded) / event.total;
    said.textContent = `${size(event.loaded)} of ${size(event.total)} sent`;
  };
  asked.upload.onload = () => {
    line.removeAttribute("value"); // how long reading takes is not known
    said.textContent = "Reading and checking every row …";
  };
  const over = () => {
    button.disabled = false;
    button.ariaBusy = null;
    bar.hidden = true;
    line.value = 0;
  };
  asked.onerror = () => {
    over();
    showErrors(form, new Failure({ detail: "No answer from the server. The file is still chosen; try again." }, 0));
  };
  asked.onload = () => {
    over();
    answered(form, asked);
  };
  button.disabled = true;
  button.ariaBusy = "true";
  bar.hidden = false;
  asked.send(file);
}

function answered(form, asked) {
  let told = {};
  try {
    told = JSON.parse(asked.responseText);
  } catch {
    told = { detail: "The answer cannot be read." };
  }
  if (asked.status === 201) {
    location.assign(filled(form.dataset.done, told));
    return;
  }
  if (asked.status === 401) {
    signedOut(true);
    return;
  }
  const lines = told.errors?.file ?? [];
  if (lines.some((text) => text.startsWith("line "))) {
    const box = form.querySelector("[data-lines]");
    const { file, ...others } = told.errors;
    box.querySelector("ul").replaceChildren(...lines.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    box.hidden = false;
    box.scrollIntoView({ block: "nearest" });
    told.errors = others;
    told.detail = "Mend the file, or leave these rows out.";
    form.elements.leave_out_bad.closest(".field").classList.add("asked");
  }
  showErrors(form, new Failure(told, asked.status));
}
