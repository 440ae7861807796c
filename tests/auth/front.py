"""In front of the door: visitors with an address of their own, the mails that wait in the outbox, and time that can be let pass."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.data import UserRole
from tests.api.rig import MACHINE, Rig
from tests.support import canaries

PASSWORD = "a password of one's own"
_numbers = itertools.count(1)


def csrf(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page) or re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert found, page[:2000]
    return found[1]


def seen(page: TestResponse) -> tuple[int, str]:
    """An answer without the token of its form, which is another for each visitor."""
    return page.status_code, re.sub(r'(value|content)="[\w.-]{60,}"', "", page.text)


def new_email() -> str:
    return f"person{next(_numbers)}@example.com"


@dataclass
class Visitor:
    """A browser at an address that nobody else has."""

    client: FlaskClient
    address: str

    def get(self, path: str) -> TestResponse:
        answer = self.client.get(path, environ_base={"REMOTE_ADDR": self.address})
        canaries.saw(answer.data)
        return answer

    def send(self, path: str, form: dict[str, str] | None = None, *, page: str = "") -> TestResponse:
        """Fills in the form of `page` (default: of the same address) and sends it; what was refused is read on the page that says so, any other redirect
        is the caller's to follow."""
        token = csrf(self.get(page or path).text)
        answer = self.client.post(path, data={**(form or {}), "csrf_token": token}, environ_base={"REMOTE_ADDR": self.address})
        return self.get(answer.location) if answer.status_code == 303 else answer

    def json(self, method: str, path: str, body: Any = None) -> TestResponse:
        headers = {"X-CSRFToken": csrf(self.get("/settings").text)}
        return self.client.open(path, method=method, json=body, headers=headers, environ_base={"REMOTE_ADDR": self.address})

    def sign_up(self, email: str, password: str = PASSWORD, name: str = "") -> TestResponse:
        return self.send("/sign-up", {"email": email, "password": password, "confirm": password, "name": name})

    def sign_in(self, email: str, password: str = PASSWORD) -> TestResponse:
        return self.send("/login", {"email": email, "password": password})

    def me(self) -> dict[str, Any] | None:
        answer = self.get("/api/me")
        return answer.json if answer.status_code == 200 else None


class Front:
    """One workspace with an owner, seen from outside; `mailing` also sends mail (into the outbox, where it stays)."""

    def __init__(self, rig: Rig) -> None:
        assert rig.owner.user
        self.rig, self.data, self.silent = rig, rig.data, rig.app
        settings = replace(rig.settings, mail_server="mail.example.com", mail_default_sender="tandem@example.com", port=5000)
        self.mailing: Flask = create_app(rig.system, rig.data, settings, live=rig.hub)
        self.open(True)

    def open(self, on: bool) -> None:
        self.data.settings.set("open_sign_up", on, by=MACHINE)

    def visitor(self, app: Flask | None = None) -> Visitor:
        number = next(_numbers)
        return Visitor((app or self.mailing).test_client(), f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")

    def person(self, role: UserRole = UserRole.TRADER) -> str:
        """The e-mail of somebody who is here, with PASSWORD."""
        email = new_email()
        self.data.users.add(email, PASSWORD, role=role, by=MACHINE)
        return email

    def mails(self, email: str) -> list[dict[str, str]]:
        """What waits to be sent to this address, oldest first, opened as only the sender does it; word of sign-ins from new addresses is another
        matter."""
        rows = self.data._store.readers.all("SELECT sealed FROM deliveries WHERE sealed IS NOT NULL ORDER BY delivery_id")
        opened = [self.data.box.open(row["sealed"]) for row in rows]
        return [
            {name.removeprefix("field."): value for name, value in mail.items()}
            for mail in opened
            if mail["to"] == email and mail["kind"] != "new_sign_in"
        ]

    def later(self, seconds: float) -> None:
        """As if this long had passed since every code and link was sent."""
        moved = round(seconds * 1_000_000)
        sql = "UPDATE codes SET sent_at = sent_at - ?, created_at = created_at - ?, expires_at = expires_at - ?"
        self.data.journal.run(lambda db: db.execute(sql, (moved, moved, moved)))

    def audited(self, action: str) -> list[Any]:
        self.data.journal.run(lambda _: None)
        return list(self.data.audit.list(None, action=action, limit=500).items)
