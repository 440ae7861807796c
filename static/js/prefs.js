// What a browser chooses for itself: light or dark, and the colours of profit and loss. Kept in a cookie, so that the server draws it right at once.

export function startPreferences() {
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-toggle]")) flip("theme", "bsTheme", "dark", "light");
    if (event.target.closest("[data-palette-toggle]")) flip("palette", "palette", "green", "blue");
  });
  for (const clock of document.querySelectorAll("[data-clock]")) {
    const write = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Kolkata", hour: "2-digit", minute: "2-digit", second: "2-digit" });
    setInterval(() => (clock.textContent = write.format(new Date())), 1000);
  }
}

function flip(cookie, name, one, other) {
  const root = document.documentElement;
  root.dataset[name] = root.dataset[name] === one ? other : one;
  document.cookie = `${cookie}=${root.dataset[name]};path=/;max-age=31536000;samesite=lax`;
  document.dispatchEvent(new CustomEvent("tandem-theme"));
}
