// Writing: JSON to the API with the CSRF header. A retry after a lost answer carries the same Idempotency-Key, so nothing is done twice.

import { back, signedOut } from "./signed_out.js";

const OVER = "You are signed out. What you typed is still here: sign in again, then send it once more.";

export class Failure extends Error {
  constructor(problem, status) {
    super(problem.detail || problem.title || "The request failed.");
    this.status = status;
    this.errors = problem.errors || {};
  }
}

export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function send(target, body, key) {
  const [method, address] = target.split(" ");
  if (!(await back())) {
    signedOut(method !== "GET");
    throw new Failure({ detail: OVER }, 401);
  }
  const headers = { Accept: "application/json", "X-CSRFToken": document.querySelector("meta[name=csrf-token]").content };
  if (method !== "GET" && method !== "DELETE") headers["Content-Type"] = "application/json";
  if (key && method !== "GET") headers["Idempotency-Key"] = key;
  let answer;
  try {
    answer = await fetch(address, { method, headers, body: headers["Content-Type"] ? JSON.stringify(body ?? {}) : undefined });
  } catch {
    throw new Failure({ detail: "No answer from the server. What you typed is still here; try again." }, 0);
  }
  if (answer.status === 401) {
    signedOut();
    throw new Failure({ detail: OVER }, 401);
  }
  if (answer.status === 204) return {};
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failure(data, answer.status);
  return data;
}

// "/halts/{halt_id}" with the answer's own values.
export function filled(template, data) {
  return template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(data[name] ?? ""));
}
