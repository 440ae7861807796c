"""The HTML of Kite's log-in: both steps in one document with the ids that scripts look for, the consent page, and two pages that break scripts."""

from __future__ import annotations

from html import escape

_SCRIPT = """
const next = document.body.dataset.next, box = document.getElementById('box');
const say = text => { document.getElementById('error').textContent = text; };
async function send(path, fields) {
  const answer = await fetch(path, {method: 'POST', body: new URLSearchParams(fields)});
  return answer.json();
}
let request = null, user = null, busy = false;
async function second(code) {
  if (busy || code.length !== 6) return;
  busy = true;
  const body = await send('/api/twofa', {user_id: user, request_id: request, twofa_value: code, twofa_type: 'totp', skip_session: 'true'});
  busy = false;
  if (body.status === 'success') { location.href = next; return; }
  say(body.message);
  const field = document.querySelector('.twofa-form input');
  if (field) field.value = '';
}
document.getElementById('login').addEventListener('submit', async event => {
  event.preventDefault();
  user = document.getElementById('userid').value.trim();
  const body = await send('/api/login', {user_id: user, password: document.getElementById('password').value, type: 'user_id'});
  if (body.status !== 'success') { say(body.message); return; }
  say('');
  request = body.data.request_id;
  box.innerHTML = document.getElementById('second').innerHTML;
  const form = box.querySelector('form'), field = form.querySelector('input');
  field.addEventListener('input', () => second(field.value));
  form.addEventListener('submit', event => { event.preventDefault(); second(field.value); });
  field.focus();
});
"""

_SECOND = """<form class="twofa-form"><label for="userid">External TOTP</label>
<input id="userid" type="number" minlength="6" maxlength="6" placeholder="&bull;&bull;&bull;&bull;&bull;&bull;" autocomplete="off" required>
<button type="submit" class="button-orange wide">Continue</button></form>"""

_FIRST = """<form id="login" class="login-form"><input id="userid" type="text" placeholder="User ID" autocapitalize="off" required>
<input id="password" type="password" placeholder="Password" required>
<button type="submit" class="button-orange wide">Login</button></form>"""

_CAPTCHA = """<form id="login" class="login-form"><input id="userid" type="text" placeholder="User ID" required>
<input id="password" type="password" placeholder="Password" required>
<div class="captcha"><img class="captcha-image" alt="captcha" src="data:,"><input id="captcha" type="text" placeholder="Type the characters" required></div>
<button type="submit" class="button-orange wide">Login</button></form>"""

_CHANGED = """<section class="signin"><label>Phone number or user ID <input name="identity" type="text"></label>
<a role="button" class="continue">Continue</a></section>"""


def login_page(variant: str, next_url: str) -> str:
    body = {"normal": _FIRST, "captcha": _CAPTCHA, "changed": _CHANGED}[variant]
    script = "" if variant == "changed" else f"<script>{_SCRIPT}</script>"
    return _page(
        "Login to Kite",
        f'<div id="box">{body}</div><p id="error" class="error" role="alert"></p><template id="second">{_SECOND}</template>{script}',
        next_url,
    )


def consent_page(next_url: str, app: str) -> str:
    return _page(
        "Authorize",
        f"<h2>{escape(app)} asks for access to your account</h2>"
        f'<form action="/connect/authorize" method="post"><input type="hidden" name="next" value="{escape(next_url)}">'
        '<button type="submit" class="button-blue">Authorize</button></form>',
        next_url,
    )


def message_page(text: str) -> str:
    return _page("Kite", f'<p class="error">{escape(text)}</p>', "")


def _page(title: str, body: str, next_url: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><link rel="icon" href="data:,"></head>'
        f'<body data-next="{escape(next_url)}"><main class="container">{body}</main></body></html>'
    )
