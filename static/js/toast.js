// Short messages over the strip of the header; they never take the focus.

export function toast(text, tone = "ok") {
  const box = document.getElementById("toasts");
  if (!box) return;
  const note = document.createElement("div");
  note.className = `toast ${tone}`;
  const body = document.createElement("div");
  body.textContent = text;
  const close = document.createElement("button");
  close.className = "x";
  close.type = "button";
  close.ariaLabel = "Dismiss";
  close.textContent = "×";
  close.onclick = () => drop(box, note);
  note.append(body, close);
  box.append(note);
  while (box.children.length > 4) box.firstChild.remove();
  if (box.showPopover) {
    if (box.matches(":popover-open")) box.hidePopover();
    box.showPopover(); // above any open dialog
  }
  setTimeout(drop, tone === "bad" ? 12000 : 5000, box, note);
}

function drop(box, note) {
  note.remove();
  if (!box.children.length && box.hidePopover && box.matches(":popover-open")) box.hidePopover();
}
