"""A log-in page like the broker's, small enough to be bent: it asks for a captcha, has been rebuilt, wants consent, or leads nowhere."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
USER, PASSWORD = "AB1234", "canary-password-5521"

FORM = """<!doctype html><title>Kite</title><div id="box"><form id="one">
<input id="userid" type="text"><input id="password" type="password"><p class="error" id="said"></p><button type="submit">Login</button></form></div>
<script>
const said = (text) => (document.getElementById("said").textContent = text);
const post = (path, body) => fetch(path, { method: "POST", body: new URLSearchParams(body) }).then((r) => r.json());
document.getElementById("one").onsubmit = async (event) => {
  event.preventDefault();
  const user = document.getElementById("userid").value;
  const answer = await post("/api/login", { user_id: user, password: document.getElementById("password").value });
  if (answer.status !== "success") return said(answer.message);
  document.getElementById("box").innerHTML = `<form class="twofa-form"><label>External TOTP</label>
    <input id="userid" type="number" minlength="6" maxlength="6" placeholder="••••••"><p class="error" id="said"></p><button type="submit">Continue</button></form>`;
  const form = document.querySelector("form");
  const send = async () => {
    const answer = await post("/api/twofa", { user_id: user, twofa_value: form.querySelector("input").value });
    if (answer.status !== "success") return said(answer.message);
    location.assign("/connect/finish" + location.search);
  };
  form.onsubmit = (event) => (event.preventDefault(), send());
  if (AUTOSUBMIT) form.querySelector("input").oninput = (event) => event.target.value.length === 6 && send();
};
</script>"""
PAGES = {
    "captcha": FORM.replace("<button", '<img alt="captcha" src="/c.png" width="90" height="30"><button'),
    "changed": "<!doctype html><title>Kite</title><main><h1>Welcome back</h1><input placeholder='Mobile number'></main>",
    "silent": "",
}


class KitePage:
    """`mode`: normal, manual (no auto-submit), captcha, changed, consent, blocked, silent (never answers)."""

    def __init__(self) -> None:
        self.mode = "normal"
        self.codes: list[str] = []
        self.passwords: list[str] = []
        self.called_back: list[str] = []
        self.closing = threading.Event()
        self.url = ""

    @property
    def address(self) -> str:
        return f"{self.url}/connect/login?v=3&api_key=key"

    def get(self, path: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        if path == "/connect/login":
            if self.mode == "silent":
                self.closing.wait(20)
            page = PAGES.get(self.mode, FORM)
            return 200, page.replace("AUTOSUBMIT", "false" if self.mode == "manual" else "true"), {}
        if path == "/connect/finish":
            if self.mode == "consent":
                return 200, "<!doctype html><form action='/connect/authorize'><button type='submit'>Authorize</button></form>", {}
            return 302, "", {"Location": f"{self.url}/callback?action=login&status=success&request_token=T0k3n"}
        if path == "/callback":
            self.called_back.append(query["request_token"])
            return 302, "", {"Location": f"{self.url}/login"}  # nobody is signed in at this system in that browser
        return 404, "", {}

    def post(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        if path == "/api/login":
            self.passwords.append(form["password"])
            if self.mode == "blocked":
                return {"status": "error", "message": "Your account has been locked for today."}
            if (form["user_id"], form["password"]) != (USER, PASSWORD):
                return {"status": "error", "message": "Invalid username or password."}
            return {"status": "success"}
        self.codes.append(form["twofa_value"])
        if pyotp.TOTP(SECRET).verify(form["twofa_value"], valid_window=1):
            return {"status": "success"}
        return {"status": "error", "message": "Invalid TOTP."}


@contextmanager
def served() -> Iterator[KitePage]:
    page = KitePage()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, body, headers = page.get(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()})
            self.answer(status, body, "text/html; charset=utf-8", headers)

        def do_POST(self) -> None:
            said = self.rfile.read(int(self.headers["Content-Length"])).decode()
            answer = page.post(self.path, {k: v[0] for k, v in parse_qs(said, keep_blank_values=True).items()})
            self.answer(200, json.dumps(answer), "application/json", {})

        def answer(self, status: int, body: str, kind: str, headers: dict[str, str]) -> None:
            data = body.encode()
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    page.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield page
    finally:
        page.closing.set()
        server.shutdown()
        thread.join(timeout=5)
        server.server_close()


def now_step() -> int:
    return int(time.time() // 30)
