// A file chosen beside a text field (`<input type="file" data-into="f-csv">`) is read into it; what is sent is the text.
export function startTextFiles() {
  document.addEventListener("change", async (event) => {
    const chooser = event.target.closest("input[type=file][data-into]");
    const field = chooser && document.getElementById(chooser.dataset.into);
    if (!field || !chooser.files.length) return;
    field.value = await chooser.files[0].text();
    chooser.value = "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
