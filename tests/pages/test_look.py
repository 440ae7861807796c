"""The look: whatever colours a person takes, everything on them can be read, and paper and live stay what they are."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import look, shades
from app.colours import READABLE, VISIBLE, contrast, is_colour, over
from app.look import Colours, Look
from tests.pages.preview import create_preview
from tests.pages.sample import Sample
from tests.pages.test_assets import tokens
from tests.support.browser import Browser
from tests.support.hands import becomes, click, one, until

HEX = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
OWN = st.none() | HEX
COLOURS = st.builds(Colours, OWN, OWN, OWN, OWN, OWN)
SCHEME = st.sampled_from(shades.SCHEMES)
PALETTE = st.sampled_from(shades.PALETTES)
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
DECLARED = re.compile(r"(--[a-z-]+|[a-z-]+):([^;]+);?")
ALLOWED = re.compile(r"#[0-9a-f]{6}(?:[0-9a-f]{2})?|dark|light|0 0 0 2px #[0-9a-f]{6}")
KEPT = ("paper", "paper-ground", "live", "live-ground", "live-fill", "on-live", "on-accent", "accent-fill", "danger-fill", "on-danger")
SIGNALS = ("muted", "accent", "up", "down", "warn", "danger")


@cache
def base(scheme: str, palette: str) -> dict[str, str]:
    """Tandem's own, read from the style sheet itself."""
    found = tokens(f'[data-bs-theme="{scheme}"]')
    return found | (tokens(f'[data-palette="blue"][data-bs-theme="{scheme}"]') if palette == "blue" else {})


def worn(sheet: str, scheme: str, palette: str, place: str = "") -> dict[str, str]:
    """The tokens that hold at a place of the page ("" is its root), with what is inherited from the root."""
    roots = (f'[data-bs-theme="{scheme}"]', f'[data-bs-theme="{scheme}"][data-palette="{palette}"]')
    found = dict(base(scheme, palette))
    for wanted in ("", place) if place else ("",):
        for selectors, body in RULE.findall(sheet):
            for selector in selectors.strip().split(","):
                root, _, rest = selector.partition(" ")
                if root in roots and rest == wanted:
                    found |= {name[2:]: value for name, value in DECLARED.findall(body) if name.startswith("--")}
    found.setdefault("leg-target", found["up"])
    found.setdefault("leg-stop", found["down"])
    return found


def weak(colours: dict[str, str], pairs: list[tuple[str, str]], need: float) -> dict[str, float]:
    return {f"{a} on {b}": round(r, 2) for a, b in pairs if (r := contrast(colours[a], colours[b])) < need}


def test_own_colours_start_from_the_style_sheet_s() -> None:
    for scheme in shades.SCHEMES:
        shown = base(scheme, "green") | {"replay": "", "replay-wash": ""}
        for name, value in shades.TOKENS[scheme].items():
            assert shown[name] in ("", value), (scheme, name)
        for palette in shades.PALETTES:
            found = base(scheme, palette)
            assert (found["up"], found["down"]) == shades.PROFIT[palette, scheme]


@settings(max_examples=80, deadline=None)
@given(COLOURS, SCHEME, PALETTE)
@example(Colours(*["#757575"] * 5), "dark", "green")  # as far from black as from white
@example(Colours(*["#0f0a24"] * 3), "dark", "green")  # the ground of the paper badge
@example(Colours(*["#ffb020"] * 3), "light", "blue")  # the colour of real money
def test_whatever_is_taken_can_be_read(colours: Colours, scheme: str, palette: str) -> None:
    sheet = look.css(Look("dark", palette, **{scheme: colours}))
    page = worn(sheet, scheme, palette)
    grounds = ["bg", "panel", "raised", "sunken"]
    assert weak(page, [("text", ground) for ground in (*grounds, "field", "hover")], READABLE) == {}
    own_body = page["bg"] != base(scheme, palette)["bg"]
    assert weak(page, [(name, ground) for name in SIGNALS for ground in (grounds if own_body else grounds[:2])], READABLE) == {}
    for name in SIGNALS:
        if f"{name}-wash" in page:
            assert contrast(page[name], over(page[f"{name}-wash"], page["panel"])) >= READABLE, name
    assert weak(page, [("edge", "field"), ("edge", "sunken")], VISIBLE) == {}
    assert weak(page, [(leg, ground) for leg in ("leg-target", "leg-stop") for ground in ("bg", "panel")], READABLE) == {}
    for place in (".top>.strip", ".rail", ".tabbar"):
        bar = worn(sheet, scheme, palette, place)
        ground = "bg" if place.startswith(".top") else "panel"
        assert weak(bar, [(name, ground) for name in ("text", *SIGNALS)], READABLE) == {}, place
        assert weak(bar, [(name, "raised") for name in ("text", "muted")], READABLE) == {}, place
        _paper_and_live_are_unmistakable(bar, bar[ground])
    _paper_and_live_are_unmistakable(page, page["panel"])


def _paper_and_live_are_unmistakable(colours: dict[str, str], ground: str) -> None:
    """Words that can be read on grounds of their own, and of the two tones of badge and stripe at least one stands out from any ground."""
    for ink, own in (("paper", "paper-ground"), ("live", "live-ground"), ("on-live", "live-fill")):
        assert contrast(colours[ink], colours[own]) >= READABLE
    for one_tone, other in (("paper", "paper-ground"), ("on-live", "live-fill")):
        assert max(contrast(colours[one_tone], ground), contrast(colours[other], ground)) >= VISIBLE


@settings(max_examples=80, deadline=None)
@given(COLOURS, COLOURS)
def test_the_sheet_says_nothing_but_colours_and_never_what_is_paper_or_live(dark: Colours, light: Colours) -> None:
    sheet = look.css(Look("system", "green", dark, light))
    for _, body in RULE.findall(sheet):
        for name, value in DECLARED.findall(body):
            assert ALLOWED.fullmatch(value), value
            assert name.removeprefix("--") not in KEPT
    assert RULE.sub("", sheet).strip() == ""


@pytest.mark.parametrize(
    "colour", ["", "red", "#fff", "#FFFFFF", "#12345g", "#1234567", "#123456\n", "#١٢٣٤٥٦", "}body{x", "#000000;}", None, 7, ["#000000"]]
)
def test_nothing_but_six_digits_is_a_colour(colour: object) -> None:
    assert not is_colour(colour)
    stored = {"theme": "light", "dark": {"header": colour, "body": "#101010", "else": "#101010"}, "light": "x"}
    assert look.read(stored) == Look("light", "green", Colours(body="#101010"))


@pytest.mark.parametrize("stored", [None, "dark", [], {}, {"theme": "<b>", "palette": 3}])
def test_what_is_not_understood_is_as_usual(stored: object) -> None:
    assert look.read(stored) == look.USUAL
    assert look.css(look.read(stored)) == look.named(look.read(stored)) == ""


@given(COLOURS, COLOURS)
@settings(max_examples=50, deadline=None)
def test_what_is_kept_is_read_back(dark: Colours, light: Colours) -> None:
    kept = Look("system", "blue", dark, light)
    assert look.read(look.plain(kept)) == look.read(asdict(kept)) == kept


@pytest.mark.parametrize(
    ("part", "colour", "said"),
    [
        ("body", "#6b6b6b", "Loss would stand at 2.5 : 1 on it, and 4.5 : 1 is needed"),
        ("body", "#8a8a8a", "would stand at 3.5 : 1"),
        ("targets", "#1d5c2f", "would stand at 2.0 : 1 on the charts"),
        ("stops", "#44ff9a", "It looks like that of the targets"),
    ],
)
def test_a_colour_on_which_something_cannot_be_read_is_refused_with_the_number(part: str, colour: str, said: str) -> None:
    colours = Colours(**{"targets": "#44ff99" if part == "stops" else None, part: colour})
    [told] = look.problems(Look(dark=colours)).items()
    assert told[0] == f"dark.{part}"
    assert said in told[1][0]
    offered = re.findall(r"The nearest colour that does: (#[0-9a-f]{6})\.$", told[1][0])
    assert offered == [check.nearest for check in look.checks(colours, "dark") if check.nearest]
    assert len(offered) == (part != "stops" and 1)  # what looks like the other one has no nearest


@pytest.mark.parametrize("scheme", shades.SCHEMES)
@pytest.mark.parametrize("palette", shades.PALETTES)
@pytest.mark.parametrize("body", [None, "own"])
def test_a_leg_is_compared_with_the_colour_that_the_other_really_has(scheme: str, palette: str, body: str | None) -> None:
    """Its own, else profit or loss of the palette on that body."""
    ground = {"dark": "#0a1a15", "light": "#f3faf6"}[scheme] if body else shades.TOKENS[scheme]["bg"]
    usual = shades.profit(ground, palette)[0]
    mine = ground if body else None
    for colours, part, other in (
        (Colours(body=mine, stops=usual["up"]), "stops", "targets"),
        (Colours(body=mine, targets=usual["down"]), "targets", "stops"),
        (Colours(body=mine, targets=usual["down"], stops=ground), "targets", "stops"),  # nobody wears stops that cannot be read
    ):
        told = {check.part: check.refused for check in look.checks(colours, scheme, palette)}
        assert told[part].startswith(f"It looks like that of the {other}")
        assert f"--leg-{part[:-1]}:" not in look.css(Look("system", palette, **{scheme: colours}))
    swapped = Colours(body=mine, targets=usual["down"], stops=usual["up"])  # odd, but told apart
    assert look.problems(Look("system", palette, **{scheme: swapped})) == {}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["body", "targets", "stops"]), HEX, SCHEME)
def test_what_is_offered_instead_does(part: str, colour: str, scheme: str) -> None:
    for check in look.checks(Colours(**{part: colour}), scheme):
        if check.nearest:
            assert look.problems(Look(**{scheme: Colours(**{part: check.nearest})})) == {}
        assert check.refused or not check.nearest
        assert bool(check.refused) == bool(check.nearest) or part != "body"  # what looks like the other leg has no nearest


@given(HEX)
@settings(max_examples=60, deadline=None)
def test_a_header_takes_any_colour_and_says_what_is_written_on_it(colour: str) -> None:
    [check] = look.checks(Colours(header=colour), "dark")
    assert check.refused == ""
    assert check.ratio >= READABLE
    assert contrast({"white": "#ffffff", "black": "#000000"}[check.ink], colour) >= READABLE


@pytest.mark.parametrize("preset", look.PRESETS, ids=lambda preset: preset[0])
def test_what_is_ready_made_can_be_read(preset: tuple[str, Colours, Colours]) -> None:
    assert look.problems(Look("system", "green", *preset[1:])) == {}


# --- pages -----------------------------------------------------------------------------------------------------------

MIDNIGHT = {"dark": {"header": "#10204a", "body": "#0a1230"}, "light": {"navbar": "#e3eaff"}}


def test_the_sheet_is_kept_for_ever_and_found_only_by_its_name() -> None:
    client = create_preview().test_client()
    assert "data-own-look" not in client.get("/").text
    client.put("/api/me/look", json=MIDNIGHT)
    [address] = re.findall(r'href="(/theme/[0-9a-f]{16}\.css)" data-own-look', client.get("/").text)
    answer = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.mimetype, answer.headers["Content-Encoding"]) == (200, "text/css", "gzip")
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    for other in ("/theme/0123456789abcdef.css", "/theme/.css", "/theme/x}.css", "/theme/../config.css"):
        assert client.get(other).status_code == 404
    client.put("/api/me/look", json={"dark": {"header": "#800000"}})
    assert client.get(address).status_code == 404
    assert address not in client.get("/").text


def test_a_theme_that_follows_the_device_is_decided_before_the_first_paint() -> None:
    client = create_preview().test_client()
    assert "early.js" not in client.get("/").text
    client.patch("/api/me/look", json={"theme": "system"})
    text = client.get("/").text
    assert '<meta name="color-scheme" content="dark light">' in text
    assert text.index("early.js") < text.index("tandem.css")


def test_before_sign_in_the_look_is_tandem_s_own() -> None:
    client = create_preview(role=None).test_client()
    with client.session_transaction() as session:
        session["look"] = {"theme": "light", **MIDNIGHT}
    assert client.get("/theme/0123456789abcdef.css").status_code in (302, 401)
    text = client.get("/nothing-here").text
    assert 'data-bs-theme="dark"' in text
    assert "data-own-look" not in text


# --- in the browser --------------------------------------------------------------------------------------------------


def grounded(chrome: Browser, css: str, colour: str) -> None:
    """It comes to stand on this colour."""
    rgb = ", ".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    becomes(chrome, "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor", f"rgb({rgb})", css)


def device(chrome: Browser, scheme: str) -> None:
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def test_colours_are_worn_while_one_types_and_kept_when_saved(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/settings/look")
    until(chrome, "document.querySelector('[data-look-preset][aria-pressed=true]')")
    header = one(chrome, "[id='f-dark.header']")
    header.send_keys("1D3A8A")
    grounded(chrome, ".top", "#1d3a8a")
    one(chrome, "[id='c-dark.header']", "white text, 10.1 : 1")
    body = one(chrome, "[id='f-dark.body']")
    body.send_keys("#6b6b6b")
    until(chrome, "document.querySelector('[id=\"e-dark.body\"]').textContent.includes('4.5 : 1 is needed')")
    grounded(chrome, "body", "#0b0f16")  # what cannot be read is not worn
    click(chrome, "[id='e-dark.body'] button")
    until(chrome, "!document.querySelector('[id=\"e-dark.body\"]').textContent")
    taken = body.get_attribute("value") or ""
    grounded(chrome, "body", taken)
    grounded(chrome, ".top .mode.live", "#ffb020")
    click(chrome, "form[data-look] [type=submit]")
    until(chrome, "document.querySelector('link[data-own-look]') && document.readyState === 'complete'")
    chrome.get(f"{preview}/positions")
    grounded(chrome, ".top", "#1d3a8a")
    grounded(chrome, "body", taken)
    chrome.get(f"{preview}/settings/look")
    click(chrome, "[data-look-reset]")
    grounded(chrome, ".top", "#0b0f16")
    chrome.delete_all_cookies()


def test_the_device_decides_also_while_the_page_is_open(chrome: Browser, preview: str) -> None:
    try:
        device(chrome, "light")
        chrome.get(f"{preview}/settings/look")
        click(chrome, "[name=theme][value=system] + span")
        click(chrome, "form[data-look] [type=submit]")
        until(chrome, "document.querySelector('script[src*=\"early.js\"]') && document.readyState === 'complete'")
        until(chrome, "document.documentElement.dataset.bsTheme === 'light'")
        device(chrome, "dark")
        until(chrome, "document.documentElement.dataset.bsTheme === 'dark'")
    finally:
        device(chrome, "")
        chrome.delete_all_cookies()


def test_a_first_page_in_own_colours_is_small_and_asks_little() -> None:
    """Compressed bytes and requests of the overview with everything that a look adds."""
    client = create_preview().test_client()
    client.put("/api/me/look", json={"theme": "system", **MIDNIGHT})
    text = client.get("/").text
    files = {*re.findall(r'(?:href|src)="(/(?:static|theme)/[^"#]+)', text)}
    sizes = [len(client.get(address, headers={"Accept-Encoding": "gzip"}).data) for address in ("/", *files)]
    assert len(sizes) + 1 <= 12  # and the stream
    assert sum(sizes) <= 120 * 1024


def test_a_page_is_drawn_whatever_became_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_self: Sample) -> None:
        raise OSError("disk")

    monkeypatch.setattr(Sample, "look", lost)
    answer = create_preview().test_client().get("/help")
    assert answer.status_code == 200
    assert 'data-bs-theme="dark"' in answer.text
