// Presets of a strategy's parameters: choosing one fills every field of the form; as soon as a field says otherwise, the choice is "own".

export function startPresets() {
  document.addEventListener("change", (event) => {
    const select = event.target.closest("select[data-presets]");
    if (select) fill(select);
    else recognise(event.target);
  });
  document.addEventListener("input", (event) => recognise(event.target));
}

function paramsOf(option) {
  return option.dataset.params ? JSON.parse(option.dataset.params) : null;
}

function fieldsOf(form) {
  return [...form.elements].filter((field) => field.name?.startsWith("params."));
}

function fill(select) {
  const params = paramsOf(select.selectedOptions[0]);
  for (const field of params ? fieldsOf(select.form) : []) {
    const value = params[field.name.slice("params.".length)];
    if (value === undefined) continue;
    if (field.type === "checkbox") field.checked = value;
    else field.value = field.dataset.type === "json" ? JSON.stringify(value) : String(value);
    field.dispatchEvent(new Event("input", { bubbles: true })); // messages beside it go
  }
  tell(select);
}

function recognise(target) {
  const select = target.matches?.("[name^='params.']") && target.form?.querySelector("select[data-presets]");
  if (!select) return;
  const fields = fieldsOf(target.form);
  const found = [...select.options].find((option) => {
    const params = paramsOf(option);
    return params && fields.every((field) => says(field, params[field.name.slice("params.".length)]));
  });
  select.value = found?.value ?? "";
  tell(select);
}

function says(field, value) {
  if (field.type === "checkbox") return field.checked === value;
  if (typeof value === "number") return field.value.trim() !== "" && Number(field.value) === value;
  return field.value.trim() === (typeof value === "string" ? value : JSON.stringify(value));
}

function tell(select) {
  const about = select.closest(".presets")?.querySelector("[data-preset-about]");
  if (about) about.textContent = select.selectedOptions[0]?.dataset.about ?? "";
}
