// A sign-in that ends while a page is open. Where nothing was typed the browser goes to the sign-in page. Where something was, the page stays as it
// is: nothing is kept anywhere else, nothing is sent by itself, and secrets are emptied. Somebody else who signs in meanwhile sees none of it.

import { open } from "./dialogs.js";
import { toast } from "./toast.js";

const SECRETS = "input[type=password], [name^='credentials.'], [name=token]";
const away = () => "signedOut" in document.body.dataset;

export function startSignedOut() {
  // A part that fetches itself is sent to the sign-in page: it stays as it was, instead of being replaced by nothing.
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (!isSignIn(event.detail.xhr.responseURL)) return;
    event.detail.shouldSwap = false;
    signedOut();
  });
  document.addEventListener("visibilitychange", async () => {
    if (document.hidden || !away() || !(await back())) return;
    document.getElementById("signed-out").close();
    toast("You are signed in again: what you typed is still here");
  });
}

const isSignIn = (address) => Boolean(address) && new URL(address).pathname === "/login";
const typed = () => [...document.querySelectorAll("form[data-typed]")].filter((form) => form.checkVisibility());

// `stay`: something would be lost that is no form's, such as a chosen file.
export function signedOut(stay = false) {
  document.querySelectorAll(SECRETS).forEach((field) => (field.value = ""));
  if (!stay && !away() && !typed().length) {
    location.assign(`/login?said=ended&next=${encodeURIComponent(location.pathname + location.search)}`);
    return;
  }
  if (!away() || stay) open("signed-out");
  document.body.dataset.signedOut = "";
}

// Whether the same person is signed in again, with the token for forms of the new sign-in. The page goes when it is another one.
export async function back() {
  if (!away()) return true;
  const answer = await fetch("/settings", { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok || isSignIn(answer.url)) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (page.body.dataset.user !== document.body.dataset.user) {
    document.querySelectorAll("form").forEach((form) => form.reset());
    location.replace("/");
    return false;
  }
  const token = page.querySelector("meta[name=csrf-token]").content;
  document.querySelector("meta[name=csrf-token]").content = token;
  document.querySelectorAll("input[name=csrf_token]").forEach((field) => (field.value = token));
  delete document.body.dataset.signedOut;
  return true;
}
