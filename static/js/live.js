// Live numbers: one stream for each browser, however many tabs are open. The tab that holds the lock reads the stream and passes every
// event on; when it closes another takes over. Where there are no locks (plain http on a network address) or no stream, it asks every few seconds.

import { leave, patch, sums, tally } from "./cells.js";
import { toast } from "./toast.js";

const POLL_MS = 3000;
const KINDS = ["pnl", "order", "position", "signal", "engine", "halt", "incident", "job", "message", "price", "study", "reset"];
const MISSED = ["order", "signal", "halt", "incident", "message"]; // what lists fetch afresh when they may not have been told
const user = () => document.body.dataset.user;

let channel = null;
let source = null;
let wanted = new Set();
let waiting = null;
let polling = null;
let drawn = 0; // the last event that the page knows of as it was drawn
let heard = 0; // the last that it was told of
let missable = 0; // the last of those that a list needs to be told of

export function startLive() {
  if (!user()) return;
  drawn = heard = Number(document.body.dataset.heard);
  wanted = symbolsHere();
  if (!navigator.locks || !window.BroadcastChannel || !window.EventSource) {
    startPolling();
    return;
  }
  channel = new BroadcastChannel(`tandem-${user()}`);
  channel.onmessage = ({ data }) => {
    if (data.want) {
      addSymbols(data.want);
      if (source && data.drawn < missable) channel.postMessage({ missed: data.drawn });
    } else if (data.missed) {
      if (data.missed === drawn) MISSED.forEach(announce); // told before this tab listened
    } else if (data.ask) channel.postMessage({ want: [...wanted] }); // a new leader asks what everybody needs
    else if (data.offline !== undefined) showOffline(data.offline);
    else handle(data.kind, data.payload, data.id);
  };
  channel.postMessage({ want: [...wanted], drawn });
  navigator.locks.request(`tandem-live-${user()}`, () => new Promise(lead));
  document.body.addEventListener("htmx:afterSettle", () => want(symbolsHere()));
}

// Ask for the prices of further symbols (a chart, a ticket).
export function want(symbols) {
  const fresh = [...symbols].filter((symbol) => symbol && !wanted.has(symbol));
  if (!fresh.length) return;
  if (source) addSymbols(fresh);
  else {
    fresh.forEach((symbol) => wanted.add(symbol));
    channel?.postMessage({ want: fresh });
  }
}

function symbolsHere() {
  return new Set([...document.querySelectorAll("[data-symbol]")].map((node) => node.dataset.symbol).filter(Boolean));
}

function lead() {
  open();
  channel.postMessage({ ask: true });
}

function addSymbols(symbols) {
  const size = wanted.size;
  symbols.forEach((symbol) => wanted.add(symbol));
  if (!source || wanted.size === size) return;
  clearTimeout(waiting);
  waiting = setTimeout(open, 150);
}

function open() {
  source?.close();
  const query = new URLSearchParams({ symbols: [...wanted].slice(0, 200).join() });
  if (heard) query.set("last_event_id", heard); // and whatever has happened since
  source = new EventSource(`/api/stream?${query}`);
  source.onopen = () => tell({ offline: false });
  source.onerror = () => {
    tell({ offline: true });
    if (source.readyState === EventSource.CLOSED) setTimeout(open, 5000);
  };
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      let payload;
      try {
        payload = JSON.parse(event.data);
      } catch {
        return;
      }
      const id = Number(event.lastEventId);
      channel.postMessage({ kind, payload, id });
      handle(kind, payload, id);
    });
  }
}

function tell(message) {
  channel.postMessage(message);
  showOffline(message.offline);
}

function showOffline(off) {
  document.getElementById("offline")?.toggleAttribute("hidden", !off);
  if (off) startPolling();
  else if (polling) {
    clearInterval(polling);
    polling = null;
  }
}

// --- what an event changes on the page --------------------------------------------------------------------------------

const HANDLERS = {
  pnl(event) {
    // Live and paper are never one figure: a page from before there were both shows real money where it showed the sum.
    const both = Object.keys(event.live ?? {}).length && Object.keys(event.paper ?? {}).length;
    const totals = (both ? event.live : event.totals) ?? {};
    const parts = ["realised", "unrealised", "charges", "net"];
    for (const [currency, row] of Object.entries(totals)) for (const name of parts) patch(`pnl.${currency}.${name}`, row[name]);
    if (totals[event.currency]) for (const name of parts) patch(`pnl.${name}`, totals[event.currency][name]);
    for (const kind of ["live", "paper"]) for (const [currency, row] of Object.entries(event[kind] ?? {})) for (const name of parts) patch(`pnl.${kind}.${currency}.${name}`, row[name]);
    let held = null;
    for (const row of event.by_account ?? []) {
      for (const name of ["realised", "unrealised", "charges", "net", "equity", "day_pnl", "day_loss_used_pct", "open_positions", "available", "used_margin"]) {
        if (name in row) patch(`account:${row.account_id}.${name}`, row[name]);
      }
      if (row.open_positions !== null && row.open_positions !== undefined) held = (held ?? 0) + row.open_positions;
    }
    sums();
    if (held !== null) patch("open_positions", held);
    for (const row of [...(event.by_strategy ?? [])].sort((one, other) => one.live - other.live)) {
      for (const name of ["realised", "unrealised", "net"]) {
        patch(`strategy:${row.strategy_id}.${row.currency}.${name}`, row[name]); // of both kinds the live one, which comes last
        patch(`strategy:${row.strategy_id}.${row.live ? "live" : "paper"}.${row.currency}.${name}`, row[name]);
      }
    }
  },
  position(event) {
    for (const name of ["quantity", "average_price", "last_price", "unrealised", "realised", "charges"]) if (name in event) patch(`position:${event.id}.${name}`, event[name]);
    if (Number(event.quantity) === 0) {
      leave(`position:${event.id}.quantity`);
      announce("order"); // counts and sums that leave it out
    }
  },
  order(event) {
    for (const name of ["state", "filled_quantity", "average_price"]) if (name in event) patch(`order:${event.order_id}.${name}`, event[name]);
    tally();
  },
  price(event) {
    for (const name of ["last_price", "bid", "ask"]) patch(`price:${event.symbol}.${name}`, event[name]);
  },
  engine(event) {
    if ("on" in event) {
      patch("engines.on", event.on);
      patch("engines.lamp", event.on ? "ok" : "bad");
      document.body.toggleAttribute("data-held", !event.on);
    }
    if (event.feed) {
      const age = event.feed.last_tick_age_ms;
      patch("feed.age", age);
      patch("feed.words", event.feed.trouble || sourced(event.feed.source));
      patch("feed.lamp", event.feed.trouble || age === null || age > 15000 ? "bad" : age > 3000 ? "warn" : "ok");
    }
    for (const [name, engine] of Object.entries(event.engines ?? {})) {
      patch(`engine:${name}.state`, engine.state);
      patch(`engine:${name}.heartbeat`, engine.heartbeat_age_ms);
      patch(`engine:${name}.queue`, engine.queue_depth);
    }
  },
  incident(event) {
    if (!event.until && event.severity !== "info") toast(event.message, event.severity === "critical" ? "bad" : "warn");
  },
};

// "live + simulated" as the header says it.
const sourced = (source) => (source ? source[0].toUpperCase() + source.slice(1) : "Feed");

const announced = new Map();

function handle(kind, payload, id) {
  heard = id || heard;
  if (MISSED.includes(kind)) missable = heard;
  HANDLERS[kind]?.(payload);
  document.dispatchEvent(new CustomEvent(`tandem-${kind}`, { detail: payload }));
  if (kind === "pnl" || kind === "price" || (kind === "study" && "doing" in payload) || (kind === "position" && !changed(payload))) return;
  (kind === "reset" ? MISSED : [kind]).forEach(announce);
  if (kind === "engine" && "on" in payload && announced.get("on") !== payload.on) {
    if (announced.has("on")) announce("halt");
    announced.set("on", payload.on);
  }
}

// A position is told four times a second for its mark; lists care only when what is held, or its plan, is another.
const positions = new Map();

function changed({ id, quantity, exit_plan: plan }) {
  const now = `${quantity} ${plan?.updated_at ?? ""} ${plan?.stop ?? ""}`;
  const same = positions.get(id) === now;
  positions.set(id, now);
  return !same;
}

// Lists that listen to `tandem:<kind>` fetch themselves afresh, at most once a second and never while nobody looks.
const due = new Map();

function announce(kind) {
  if (due.has(kind)) return;
  due.set(kind, setTimeout(fire, 700, kind));
}

function fire(kind) {
  due.delete(kind);
  if (document.hidden) {
    document.addEventListener("visibilitychange", () => fire(kind), { once: true });
    return;
  }
  document.body.dispatchEvent(new CustomEvent(`tandem:${kind}`));
}

// --- without a stream -------------------------------------------------------------------------------------------------

function startPolling() {
  if (polling) return;
  polling = setInterval(poll, POLL_MS);
}

async function poll() {
  if (document.hidden) return;
  try {
    const [pnl, status, positions] = await Promise.all(["/api/pnl/realtime", "/api/system/status", "/api/positions?limit=500"].map((address) => fetch(address).then((answer) => answer.json())));
    HANDLERS.pnl(pnl);
    HANDLERS.engine(status);
    (positions.items ?? []).forEach(HANDLERS.position);
    MISSED.forEach(announce);
  } catch {
    document.getElementById("offline")?.removeAttribute("hidden");
  }
}
