// The form that starts a replay: only days with data, accounts that a chosen strategy is mapped to, how long it will take.

const SESSION_SECONDS = 375 * 60;
const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const form = document.querySelector("[data-replay-form]");
if (form) start(form);

function start() {
  const day = form.querySelector("[name=day]");
  const last = form.querySelector("[name=last_day]");
  const days = day.dataset.days.split(" ").filter(Boolean);

  function choose(text) {
    day.value = text;
    if (last.value && last.value < text) last.value = "";
    say();
  }

  function say() {
    const at = days.indexOf(day.value);
    const following = days.find((each) => each > day.value);
    const name = WEEKDAYS[new Date(`${day.value}T00:00:00Z`).getUTCDay()] ?? "";
    form.querySelector("[data-day-said]").textContent = !day.value ? "" : at < 0 ? `No data on that ${name}${following ? `; the next with data is ${following}` : ""}` : `${name}, ${at} day${at === 1 ? "" : "s"} of data before it to warm up on`;
    takes();
  }

  function takes() {
    const speed = Number(form.querySelector("[name=speed]:checked")?.value ?? 60);
    const count = last.value ? Math.max(1, days.filter((each) => each >= day.value && each <= last.value).length) : 1;
    const seconds = speed ? (count * SESSION_SECONDS) / speed : 0;
    const text = !speed ? "as fast as the engines take it: a day in seconds" : seconds < 90 ? `about ${Math.round(seconds)} seconds` : seconds < 5400 ? `about ${Math.round(seconds / 60)} minutes` : `about ${(seconds / 3600).toFixed(1)} hours`;
    form.querySelector("[data-speed-said]").textContent = `${count > 1 ? `${count} days` : "The day"}: ${text}. It can be changed while it runs.`;
  }

  // An account that none of the chosen strategies is mapped to has nothing to do.
  function seats() {
    const chosen = new Set([...form.querySelectorAll("[name='strategy_ids[]']:checked")].map((box) => box.value));
    for (const seat of form.querySelectorAll("[data-seat]")) {
      let mapped = false;
      for (const map of seat.querySelectorAll("[data-map]")) {
        const on = chosen.has(map.dataset.map);
        map.hidden = !on;
        mapped ||= on;
      }
      seat.classList.toggle("off", !mapped);
      seat.querySelector("input").disabled = !mapped;
    }
    const count = (name) => form.querySelectorAll(`[name='${name}']:checked:enabled`).length;
    const many = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
    form.querySelector("[data-chosen-said]").textContent = `${many(chosen.size, "strategy").replace("strategys", "strategies")} on ${many(count("account_ids[]"), "account")}`;
  }

  form.addEventListener("click", (event) => {
    const step = event.target.closest("[data-day-step]");
    if (step) {
      const forward = Number(step.dataset.dayStep) > 0;
      const next = forward ? days.find((each) => each > day.value) : days.findLast((each) => each < day.value);
      if (next) choose(next);
    } else if (event.target.closest("[data-day-any]") && days.length) {
      choose(days[Math.floor(Math.random() * days.length)]);
    }
  });
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-go]")) location.assign(event.target.dataset.go + encodeURIComponent(event.target.value));
    seats();
    say();
  });
  seats();
  say();
}
