// Light or dark, and the colours of profit and loss: switched at once, kept for the person by the server. A theme that follows the device does so
// while the page is open, too.

import { Failure, freshKey, send } from "./api.js";
import { toast } from "./toast.js";

const root = document.documentElement;
const light = matchMedia("(prefers-color-scheme: light)");

export function startPreferences() {
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-toggle]")) keep({ theme: root.dataset.bsTheme === "dark" ? "light" : "dark" });
    if (event.target.closest("[data-palette-toggle]")) keep({ palette: root.dataset.palette === "green" ? "blue" : "green" });
  });
  light.addEventListener("change", () => root.dataset.theme === "system" && wear({ theme: "system" }));
  for (const clock of document.querySelectorAll("[data-clock]")) {
    const write = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Kolkata", hour: "2-digit", minute: "2-digit", second: "2-digit" });
    setInterval(() => (clock.textContent = write.format(new Date())), 1000);
  }
}

// The page as it would look; nothing is kept.
export function wear({ theme, palette }) {
  if (theme) {
    root.dataset.theme = theme;
    root.dataset.bsTheme = theme === "system" ? (light.matches ? "light" : "dark") : theme;
  }
  if (palette) root.dataset.palette = palette;
  document.dispatchEvent(new CustomEvent("tandem-theme"));
}

async function keep(change) {
  wear(change);
  try {
    await send("PATCH /api/me/look", change, freshKey());
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    toast("Shown, but not kept: " + failure.message, "bad");
  }
}
