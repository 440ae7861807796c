"""Every page for every role, full, empty and halted: it is drawn, its markup is sound, and every link on it leads somewhere."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.api.wire import Page as WirePage
from app.pages import STATIC
from tests.pages.addresses import DENIED_ORDER, FILES, FORMS, OPEN_ORDER, ORDER, ROOMS, THINGS, WAYS_OUT
from tests.pages.happenings import ORDERS, SIGNALS
from tests.pages.preview import create_preview
from tests.pages.sample import Sample
from tests.pages.things import ACCOUNTS, POSITIONS

ROLES = ("owner", "trader", "viewer")


class Page(HTMLParser):
    """What a page links to, names and labels."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: Counter[str] = Counter()
        self.labelled: set[str] = set()
        self.fields: list[dict[str, str | None]] = []
        self.bare_buttons = 0
        self.inline: list[str] = []
        self.symbols: set[str] = set()
        self._template = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        its = dict(attrs)
        self._template += tag == "template"
        if self._template:
            return
        if its.get("id"):
            self.ids[str(its["id"])] += 1
        if tag == "a" and its.get("href"):
            self.links.append(str(its["href"]))
        if tag == "label" and its.get("for"):
            self.labelled.add(str(its["for"]))
        if tag in ("input", "select", "textarea") and its.get("type") != "hidden":
            self.fields.append(its)
        if tag == "use":
            self.symbols.add(str(its["href"]).partition("#")[2])
        if "style" in its or any(name.startswith("on") for name in its) or (tag == "script" and not its.get("src")) or tag == "style":
            self.inline.append(f"{tag} {its}")

    def handle_endtag(self, tag: str) -> None:
        self._template -= tag == "template"


class Reader:
    """Somebody who only looks, at a book that never changes: each page is drawn once and then looked at by as many tests as there are."""

    def __init__(self, role: str, book: str) -> None:
        self._client: FlaskClient = create_preview(role, book).test_client()
        self._drawn: dict[str, TestResponse] = {}
        self._read: dict[str, Page] = {}

    def get(self, address: str, headers: dict[str, str] | None = None) -> TestResponse:
        if headers is not None:
            return self._client.get(address, headers=headers)
        if address not in self._drawn:
            self._drawn[address] = self._client.get(address)
        return self._drawn[address]

    def page(self, address: str) -> Page:
        if address not in self._read:
            self._read[address] = Page(self.get(address).text)
        return self._read[address]

    def links(self, address: str) -> list[str]:
        """What `page(address).links` has, found without taking the rest of the page apart."""
        return [unescape(link) for link in re.findall(r'<a\s[^>]*?\bhref="([^"]+)"', self._shown(address))]

    def symbols(self, address: str) -> set[str]:
        """As `links`, of `page(address).symbols`."""
        return set(re.findall(r'<use\s[^>]*?\bhref="[^"#]*#([^"]*)"', self._shown(address)))

    def _shown(self, address: str) -> str:
        return re.sub(r"<template\b.*?</template>", "", self.get(address).text, flags=re.DOTALL)


Readers = dict[tuple[str, str], Reader]


@pytest.fixture(scope="module")
def clients() -> Readers:
    return {(role, book): Reader(role, book) for role in ROLES for book in ("full", "empty", "halted")}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("book", ["full", "empty", "halted"])
def test_every_room_is_drawn(clients: Readers, role: str, book: str) -> None:
    client = clients[role, book]
    for address in (*ROOMS, *(THINGS if book == "full" else ()), *(["/people"] if role == "owner" else []), *FILES):
        answer = client.get(address)
        refused = role == "viewer" and (address in FORMS or (address in WAYS_OUT and book == "empty"))
        assert answer.status_code == (403 if refused else 200), address


@pytest.mark.parametrize("address", FORMS)
def test_a_viewer_is_told_kindly_that_a_form_is_not_theirs(clients: Readers, address: str) -> None:
    text = clients["viewer", "full"].get(address).get_data(as_text=True)
    assert "This form is for traders" in text
    assert "A trader or the owner can do this for you" in text
    assert "data-ticket" not in text


def test_a_viewer_s_settings_have_what_is_their_own_and_nothing_that_is_refused(clients: Readers) -> None:
    def writes(address: str) -> list[str]:
        found = re.findall(r'data-api="([^"]+)"', clients["viewer", "full"].get(address).get_data(as_text=True))
        return [write for write in found if write != "POST /api/system/emergency-stop"]  # of their own accounts

    assert writes("/settings") == ["PATCH /api/me"]
    assert writes("/settings/tokens") == []
    assert all("/api/me/" in write for write in writes("/settings/security"))


@pytest.mark.parametrize(
    ("address", "says", "never"),
    [
        ("/", "You look on", "Add an account"),
        ("/accounts", "You look on: no accounts", "Begin with a paper account"),
        ("/mappings", "You look on: nothing to map", "First an account"),
        ("/strategies", "No strategy is shared with you", "Pick a kind"),
        ("/settings/messages", "You are told here", "Nobody is told yet"),
        ("/messages", "What is shared with you", "Each order with its last word"),
        ("/order", "you see the strategies that are shared with you", "everything of this workspace"),
        ("/replay", "A replay runs strategies of one", "everything of this workspace"),
    ],
)
def test_a_viewer_is_told_what_there_is_for_them(clients: Readers, address: str, says: str, never: str) -> None:
    text = clients["viewer", "empty"].get(address).get_data(as_text=True)
    assert says in text
    assert never not in text
    assert all(link not in text for link in ('href="/accounts/new"', 'href="/strategies/new"', 'href="/settings/messages/new'))


def test_a_viewer_reads_of_a_shared_strategy_that_it_is_to_look_at(clients: Readers) -> None:
    texts = {role: clients[role, "full"].get("/strategies/S6").get_data(as_text=True) for role in ("trader", "viewer")}
    assert "map it to accounts of yours" in texts["trader"]
    assert "map it" not in texts["viewer"]
    leave = 'data-api="DELETE /api/strategies/S6/shares/'
    for role, text in texts.items():
        assert [leave in page for page in (text, clients[role, "full"].get("/strategies").get_data(as_text=True))] == [True, True]
    assert "/shares/" not in clients["viewer", "full"].get("/strategies/S1").get_data(as_text=True), (
        "of one's own there is nothing to leave"
    )


@pytest.mark.parametrize("address", ["/mappings", "/mappings/M8/edit", "/accounts/A5", "/positions", "/orders"])
def test_what_is_no_longer_shared_keeps_its_name(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held, sent = ([each[0].model_copy(update={"strategy_id": "S9"})] for each in (POSITIONS, ORDERS))
    monkeypatch.setattr(Sample, "positions", lambda self, **_: held)
    monkeypatch.setattr(Sample, "orders", lambda self, *_: WirePage(items=sent, next=None))
    text = create_preview("owner").test_client().get(address).get_data(as_text=True)
    assert "Meera&#39;s pairs (no longer shared)" in text
    assert not re.search(r">\s*(no longer here|archived)\s*<", text)


def test_the_overview_says_what_is_shared_by_whom_and_with_how_many(clients: Readers) -> None:
    text = clients["trader", "full"].get("/").get_data(as_text=True)
    assert "shared by Ben Mathew" in text
    assert "shared with 2" in text


def test_on_a_phone_too_the_owner_clears_a_second_factor(clients: Readers) -> None:
    cells = re.findall(r'<div class="phone-only">.*?</div>', clients["owner", "full"].get("/people").get_data(as_text=True), re.DOTALL)
    assert any("clear-second-factor" in cell for cell in cells)


@pytest.mark.parametrize("address", [*ROOMS, *THINGS, "/people"])
def test_markup_is_sound(clients: Readers, address: str) -> None:
    text = clients["owner", "full"].get(address).get_data(as_text=True)
    page = clients["owner", "full"].page(address)
    assert (clients["owner", "full"].links(address), clients["owner", "full"].symbols(address)) == (page.links, page.symbols)
    assert page.inline == []
    assert [name for name, count in page.ids.items() if count > 1] == []
    unlabelled = [
        f for f in page.fields if not (f.get("aria-label") or f.get("id") in page.labelled or f.get("type") in ("checkbox", "radio"))
    ]
    assert unlabelled == []
    assert len(re.findall(r"<h1[ >]", text)) <= 1
    assert text.count("<main") == 1


def test_every_link_leads_somewhere(clients: Readers) -> None:
    client = clients["owner", "full"]
    seen: set[str] = set()
    waiting = ["/"]
    while waiting:
        address = waiting.pop()
        where = address.partition("#")[0]
        if where in seen or where.startswith(("http", "/static/", "/api/", "/login", "/zerodha/")):
            continue
        seen.add(where)
        answer = client.get(where)
        assert answer.status_code == 200, where
        if answer.mimetype == "text/html" and len(seen) < 400:
            waiting.extend(link for link in client.links(where) if link.startswith("/"))
    assert len(seen) > 60


def test_every_icon_of_a_page_is_in_the_sprite(clients: Readers) -> None:
    drawn = [STATIC / "vendor/bootstrap-icons/icons.svg", STATIC / "img/devices.svg"]
    sprite = set(re.findall(r'symbol id="([^"]+)"', "".join(file.read_text("utf-8") for file in drawn)))
    shown: set[str] = set()
    for book in ("full", "empty", "halted"):
        client = clients["owner", book]
        for address in (*ROOMS, *(THINGS if book == "full" else ()), "/people"):
            shown |= client.symbols(address)
    assert len(shown) > 35
    assert shown <= sprite


def test_anchors_of_the_same_page_exist(clients: Readers) -> None:
    page, other = clients["owner", "full"].page("/accounts/A1"), clients["owner", "full"].page("/accounts/A1/edit")
    anchors = [link.partition("#")[2] for link in page.links if link.startswith("/accounts/A1/edit#")]
    assert anchors
    assert all(anchor in other.ids for anchor in anchors)


@pytest.mark.parametrize(
    "address", ["/", "/orders", "/positions", "/accounts", "/strategies", "/signals", "/mappings", "/pnl", "/trades", "/backtests"]
)
def test_an_empty_page_says_what_to_do_next(clients: Readers, address: str) -> None:
    text = clients["owner", "empty"].get(address).get_data(as_text=True)
    found = re.search(r'<div class="empty.*?</div>', text, re.DOTALL)
    assert found
    assert "<strong>" in found.group(0)
    if address != "/pnl":
        assert "btn-primary" in text


@pytest.mark.parametrize("address", ["/", "/orders", "/positions", "/accounts", "/settings"])
def test_a_viewer_without_accounts_gets_no_button_that_writes(clients: Readers, address: str) -> None:
    text = clients["viewer", "empty"].get(address).get_data(as_text=True)
    assert 'data-open="estop"' not in text
    assert 'data-dialog="/order' not in text
    assert not re.findall(r'data-api="POST /api/(?:positions|orders|accounts|system)', text)


@pytest.mark.parametrize(
    ("address", "out", "no_more"),
    [
        ("/positions", ("POST /api/positions/close-all", 'href="/positions/P1/close"'), ("/plan",)),
        ("/orders", (f"POST /api/orders/{OPEN_ORDER}/cancel",), ("/change", '"/order"')),
        (f"/orders/{OPEN_ORDER}", ("/cancel",), ("/change", '"/order"')),
        ("/accounts/A1", ("/square-off", "/kill-switch"), ("/edit", '"/order?', "DELETE ")),
        ("/", ('data-open="estop"', "POST /api/system/emergency-stop"), ('href="/order"',)),
        ("/positions/P4/close", ("POST /api/positions/P4/close",), ()),
    ],
)
def test_a_viewer_who_still_has_accounts_gets_the_way_out_and_no_other_button(
    clients: Readers, address: str, out: tuple[str, ...], no_more: tuple[str, ...]
) -> None:
    text = clients["viewer", "full"].get(address).get_data(as_text=True)
    for way in out:
        assert way in text
    for other in no_more:
        assert other not in text


def test_an_owner_reads_before_it_is_done_what_a_change_means_for_somebody_with_accounts(clients: Readers) -> None:
    text = clients["owner", "full"].get("/people").get_data(as_text=True)
    rows = {name: text.split(f'id="{name}"')[1].split("</tr>")[0] for name in ("u-U2", "u-U3")}
    for words in ("they can still close what is open", 'data-ask-when="viewer"', "make them a viewer first"):
        assert [words in rows[name] for name in ("u-U2", "u-U3")] == [False, True]


@pytest.mark.parametrize("role", ["owner", "trader"])
def test_the_emergency_stop_is_on_every_page(clients: Readers, role: str) -> None:
    for address in (*ROOMS, *THINGS):
        text = clients[role, "full"].get(address).get_data(as_text=True)
        assert 'href="/emergency-stop" data-open="estop"' in text, address
        assert 'data-api="POST /api/system/emergency-stop"' in text, address


def test_halts_are_shown_on_every_page(clients: Readers) -> None:
    for address in ROOMS:
        assert "Nothing that raises exposure leaves" in clients["trader", "halted"].get(address).get_data(as_text=True), address


def test_strategies_do_not_run_while_nothing_may_enter() -> None:
    halted = create_preview(book="halted").test_client()
    for address in ("/", "/strategies", "/strategies/S1", "/mappings"):
        text = halted.get(address).get_data(as_text=True)
        assert ">running</span>" not in text, address
        assert '<span class="badge bad" >halted</span>' in text, address
    off = create_preview(book="off").test_client()
    text = off.get("/strategies").get_data(as_text=True)
    assert "waiting: engines off" in text
    assert ">running</span>" not in text
    assert '0<span class="muted">/6</span></a><small>waiting: engines off' in off.get("/").get_data(as_text=True)


def test_the_ticket_says_at_the_top_that_entries_will_be_denied() -> None:
    ticket = {book: create_preview(book=book).test_client().get("/order").get_data(as_text=True) for book in ("full", "halted", "off")}
    assert "entries will be denied" not in ticket["full"]
    assert "A halt holds: entries will be denied" in ticket["halted"]
    assert "The engines are off: entries will be denied" in ticket["off"]
    assert ["data-held" in ticket[book] for book in ("full", "halted", "off")] == [False, True, True]


def test_an_account_that_its_day_s_limit_closed_says_so(clients: Readers) -> None:
    for address in ("/", "/accounts", "/accounts/A5"):
        assert ">closed for the day</span>" in clients["owner", "full"].get(address).get_data(as_text=True), address
    assert "daily loss limit" in clients["owner", "full"].get("/accounts").get_data(as_text=True)
    assert "does not reopen the account today" in clients["owner", "full"].get("/accounts/A5/edit").get_data(as_text=True)
    assert "raising a limit does not reopen it today" in clients["owner", "full"].get("/accounts/A1/edit").get_data(as_text=True)


@pytest.mark.parametrize("address", ["/", "/accounts", "/mappings", "/order", "/health", "/pnl"])
def test_accounts_stand_in_the_same_order_everywhere(clients: Readers, address: str) -> None:
    text = clients["owner", "full"].get(address).get_data(as_text=True)
    table = next(part for part in re.findall(r"<table.*?</table>", text, re.DOTALL) if "Zerodha main" in part)
    known = ["Aggressive paper", "Careful paper", "Family paper", "Zerodha HUF", "Zerodha main"]
    assert list(dict.fromkeys(re.findall("|".join(known), table))) == known


def test_no_account_is_chosen_for_an_order_unless_there_is_but_one(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = r'name="account_ids\[\]" value="(\w+)"[^>]* checked'
    client = create_preview().test_client()
    assert re.findall(chosen, client.get("/order").get_data(as_text=True)) == []
    assert re.findall(chosen, client.get("/order?account=A2").get_data(as_text=True)) == ["A2"]
    monkeypatch.setattr(Sample, "accounts", lambda self: ACCOUNTS[:1])
    assert re.findall(chosen, client.get("/order").get_data(as_text=True)) == ["A1"]


def test_the_curve_of_the_day_is_read_once_however_often_the_overview_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    read = Sample.equity
    monkeypatch.setattr(Sample, "equity", lambda self, args: asked.append(args) or read(self, args))
    client = create_preview().test_client()
    drawn = [client.get("/").get_data(as_text=True) for _ in range(3)]
    assert [args["limit"] for args in asked] == ["60"]
    assert all('class="spark"' in text for text in drawn)


def test_an_average_is_rounded_for_the_eye_and_whole_in_its_title(monkeypatch: pytest.MonkeyPatch) -> None:
    bought = POSITIONS[0].model_copy(update={"average_price": Decimal("806.14666667")})
    monkeypatch.setattr(Sample, "positions", lambda self, **_: [bought])
    text = create_preview().test_client().get("/positions").get_data(as_text=True)
    assert re.search(r'title="806.14666667"\s*data-value="806.14666667">806.15<', text)


def test_checks_are_named_by_what_was_asked(clients: Readers) -> None:
    text = clients["owner", "full"].get(f"/orders/{DENIED_ORDER}").get_data(as_text=True)
    assert "<span>Day&#39;s loss</span>" in text
    assert "<span>Order value</span>" in text


def test_studies_speak_of_figures_and_parameters_as_people_do(clients: Readers) -> None:
    reader = clients["owner", "full"]
    sweep = reader.get("/backtests/B4").get_data(as_text=True)
    assert ">Equity at the end</option>" in sweep
    assert not re.search(r"<option[^>]*>[a-z][a-z_ ]+</option>", sweep.partition('name="figure"')[2].partition("</select>")[0])
    assert "it has no rows</small>" in reader.get("/backtests").get_data(as_text=True)  # why the one that failed did


def test_a_long_id_is_shown_by_its_ends(clients: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "idem-" + "0123456789abcdef" * 4
    monkeypatch.setattr(Sample, "signal", lambda self, _: SIGNALS[0].model_copy(update={"signal_id": long}))
    text = create_preview().test_client().get(f"/signals/{long}").get_data(as_text=True)
    assert f'title="{long}">idem-012345…cdef<' in text
    assert f'data-copy="{long}"' in text


def test_lanes_are_called_by_their_account(clients: Readers) -> None:
    assert "The lane of Zerodha HUF is dead" in clients["owner", "full"].get("/").get_data(as_text=True)
    text = clients["owner", "full"].get("/health").get_data(as_text=True)
    assert "lane A4" not in text
    assert "Market prices" in text
    assert len(re.findall(r"<h2>Lanes</h2>", text)) == 1


def test_a_password_is_asked_for_beside_the_name_that_it_belongs_to(clients: Readers) -> None:
    text = clients["owner", "full"].get("/settings/security").get_data(as_text=True)
    beside = re.findall(r'<input type="text" name="username" value="asha@example.com" autocomplete="username"[^>]* hidden', text)
    assert len(beside) == len(re.findall(r'autocomplete="current-password"', text)) == 4


def test_paper_and_live_are_told_apart_by_words(clients: Readers) -> None:
    for address in ("/", "/accounts", "/positions", "/orders", "/order", "/mappings", "/health"):
        text = clients["owner", "full"].get(address).get_data(as_text=True)
        assert ">PAPER<" in text, address
        assert ">LIVE<" in text, address
    assert 'data-mode="live"' in clients["owner", "full"].get("/").get_data(as_text=True)
    assert 'data-mode="none"' in clients["owner", "empty"].get("/").get_data(as_text=True)


def test_only_the_owner_sees_people(clients: Readers) -> None:
    assert clients["trader", "full"].get("/people").status_code == 403
    assert 'href="/people"' not in clients["trader", "full"].get("/").get_data(as_text=True)


@pytest.mark.parametrize(
    "address",
    [
        "/accounts/nobody",
        "/orders/nothing",
        "/signals/none",
        "/halts/none",
        "/mappings/none/edit",
        "/nowhere",
        "/strategies/S1?symbol=NSE:TCS",
        f"/orders/{ORDER}/change",
    ],
)
def test_what_is_not_there_is_a_page_inside_the_frame(clients: Readers, address: str) -> None:
    answer = clients["owner", "full"].get(address)
    assert answer.status_code == 404
    text = answer.get_data(as_text=True)
    assert 'class="rail"' in text
    assert "To the overview" in text


def test_nobody_signed_in_is_asked_to_sign_in() -> None:
    client = create_preview(role=None).test_client()
    for address in ROOMS:
        answer = client.get(address)
        assert answer.status_code == 302, address
        assert answer.location.startswith("/login")


def test_a_failure_of_ours_is_a_plain_page_without_a_trace() -> None:
    app = create_preview()

    def broken(_user: object) -> object:
        raise RuntimeError("secret inside")

    app.extensions["tandem_pages"]["reads"] = broken
    answer = app.test_client().get("/orders")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "secret inside" not in text
    assert "Traceback" not in text
    assert "Something broke" in text


def test_the_emergency_stop_works_without_scripts() -> None:
    client = create_preview().test_client()
    text = client.get("/emergency-stop").get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', text)
    assert token
    refused = client.post("/emergency-stop", data={"reason": "x"})
    assert refused.status_code == 400
    done = client.post("/emergency-stop", data={"csrf_token": token.group(1), "reason": "fire", "flatten": "true"})
    assert done.status_code == 303
    assert done.location == "/halts/H1"


def test_a_viewer_cannot_stop_without_scripts_either() -> None:
    for book, status in (("empty", 403), ("full", 400)):  # whoever has accounts may, with the token of the form
        assert create_preview(role="viewer", book=book).test_client().post("/emergency-stop").status_code == status


def test_pages_travel_compressed_and_are_never_stored(clients: Readers) -> None:
    answer = clients["owner", "full"].get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert len(answer.data) < 14_000


def test_a_preference_is_in_the_first_byte(clients: Readers) -> None:
    client = create_preview().test_client()
    client.patch("/api/me/look", json={"theme": "light", "palette": "<script>"})
    text = client.get("/").get_data(as_text=True)
    assert 'data-bs-theme="light" data-theme="light" data-palette="green"' in text


def test_attributes_stand_apart(clients: Readers) -> None:
    for address in (*ROOMS, *THINGS):
        text = clients["owner", "full"].get(address).get_data(as_text=True)
        for tag in re.findall(r"<[a-z][^<>]*>", re.sub(r"<!doctype html>", "", text)):
            assert not re.search(r'="[^"]*"[a-z]', tag), tag
            assert not re.search(r"\sdata-\w+data-", tag), tag


def test_whoever_trades_is_not_welcomed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sample, "strategies", lambda self: [])
    client = create_preview().test_client()
    assert "steps done" not in client.get("/").text
    monkeypatch.setattr(Sample, "positions", lambda self, **filters: [])
    monkeypatch.setattr(Sample, "signals", lambda self, args: SimpleNamespace(items=[]))
    assert "steps done" in client.get("/").text
