"""How Tandem looks to one person: dark, light or as the device says, the colours of profit and loss, and own colours for header, navbar, body and legs.

Pure: reads what was stored, says which colours cannot be read and with which contrast, and writes the style sheet. What tells paper from real money is
not among what a person can change, and only `#rrggbb` ever reaches the style sheet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import Any

from app.colours import BLACK, READABLE, VISIBLE, WHITE, apart, contrast, ink, is_colour, mix
from app.shades import (
    LEG_WASH,
    PALETTES,
    PROFIT,
    SCHEMES,
    TOKENS,
    bar_profit,
    bar_tokens,
    body_tokens,
    is_light,
    lamps,
    leg_near,
    leg_ratio,
    profit,
    weakest,
)

THEMES = ("dark", "light", "system")
ALIKE = 90.0
"""Targets and stops nearer to each other than this (see colours.apart) look alike."""
SIGNALS = {
    "muted": "Small print",
    "accent": "Links",
    "up": "Profit",
    "down": "Loss",
    "warn": "Warnings",
    "danger": "Failures",
    "replay": "Replays",
}


@dataclass(frozen=True, slots=True)
class Colours:
    """Own colours in one scheme; None is Tandem's own."""

    header: str | None = None
    navbar: str | None = None
    body: str | None = None
    targets: str | None = None  # legs T1 … Tn of a ladder, on charts and plans
    stops: str | None = None  # legs Y1 … Yn


@dataclass(frozen=True, slots=True)
class Look:
    theme: str = "dark"  # or light, or system: as the device says, also when it changes its mind
    palette: str = "green"  # or blue: blue and orange for those who cannot tell green from red
    dark: Colours = field(default_factory=Colours)
    light: Colours = field(default_factory=Colours)

    def colours(self, scheme: str) -> Colours:
        return self.dark if scheme == "dark" else self.light


PARTS = tuple(each.name for each in fields(Colours))
USUAL = Look()


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one colour: what is written on it ("black" or "white"), how well that is read, and, when refused, why and what would do."""

    part: str
    ratio: float
    ink: str
    refused: str = ""
    nearest: str | None = None


PRESETS: tuple[tuple[str, Colours, Colours], ...] = (
    ("Tandem", Colours(), Colours()),
    ("Midnight", Colours("#10204a", "#0c1736", "#0a1230"), Colours("#1d3a8a", "#e3eaff", "#f4f6ff")),
    ("Graphite", Colours("#2a2a2c", "#1f1f21", "#18181a"), Colours("#3a3a3d", "#ececed", "#f6f6f7")),
    ("Forest", Colours("#0f3a2c", "#0c2a21", "#0a1a15"), Colours("#0f5a41", "#e0f0e8", "#f3faf6")),
    ("Sand", Colours("#4a3418", "#2c2114", "#1a1510"), Colours("#7a5220", "#f6ead6", "#fdf8ef")),
    ("Black and white", Colours("#000000", "#000000", "#000000"), Colours("#ffffff", "#ffffff", "#ffffff")),
)
"""Name, in the dark, in the light."""


# --- what is stored --------------------------------------------------------------------------------------------------


def read(stored: Any) -> Look:
    """What the settings hold; whatever in it is not understood is as usual."""
    if not isinstance(stored, Mapping):
        return USUAL
    theme, palette = stored.get("theme"), stored.get("palette")
    return Look(
        theme if theme in THEMES else USUAL.theme,
        palette if palette in PALETTES else USUAL.palette,
        _colours(stored.get("dark")),
        _colours(stored.get("light")),
    )


def _colours(stored: Any) -> Colours:
    if not isinstance(stored, Mapping):
        return Colours()
    return Colours(**{part: stored[part] for part in PARTS if is_colour(stored.get(part))})


def plain(look: Look) -> dict[str, Any]:
    """For the settings and the audit log: only what is not as usual."""
    own = {scheme: {part: value for part, value in asdict(look.colours(scheme)).items() if value} for scheme in SCHEMES}
    return {"theme": look.theme, "palette": look.palette, **{scheme: chosen for scheme, chosen in own.items() if chosen}}


def parts(colours: Colours) -> dict[str, str | None]:
    return asdict(colours)


def usual(part: str, scheme: str) -> str:
    """Tandem's own colour of a part."""
    base = TOKENS[scheme]
    up, down = PROFIT["green", scheme]
    return {"header": base["bg"], "navbar": base["panel"], "body": base["bg"], "targets": up, "stops": down}[part]


# --- what can be read ------------------------------------------------------------------------------------------------


def problems(look: Look) -> dict[str, list[str]]:
    """`dark.body` → what is wrong with it, and the nearest colour that would do; empty when everything can be read."""
    each = ((scheme, check) for scheme in SCHEMES for check in checks(look.colours(scheme), scheme, look.palette))
    return {f"{scheme}.{check.part}": [_with_remedy(check)] for scheme, check in each if check.refused}


def _with_remedy(check: Check) -> str:
    return f"{check.refused} The nearest colour that does: {check.nearest}." if check.nearest else check.refused


@lru_cache(512)
def checks(colours: Colours, scheme: str, palette: str = USUAL.palette) -> tuple[Check, ...]:
    """One for each own colour, in the order of PARTS. `palette`: whose profit and loss a leg without an own colour has."""
    found = [_check_bar(part, ground) for part in ("header", "navbar") if (ground := getattr(colours, part))]
    body = TOKENS[scheme]["bg"]
    if colours.body:
        found.append(_check_body(colours.body))
        body = body if found[-1].refused else colours.body  # what is refused is not worn, and legs do not stand on it
    return (*found, *(_check_leg(part, colours, body, palette) for part in ("targets", "stops") if getattr(colours, part)))


def _check_bar(part: str, ground: str) -> Check:
    """Black or white can be read on any colour, and everything else there is derived from it."""
    return Check(part, contrast(bar_tokens(ground)["text"], ground), _written(ground))


def _check_body(body: str) -> Check:
    name, ratio = weakest(body)
    if ratio >= READABLE:
        tokens, _ = body_tokens(body)
        return Check("body", min(contrast(tokens["text"], tokens[place]) for place in ("bg", "panel", "raised", "sunken")), _written(body))
    said = f"{SIGNALS[name]} would stand at {_said(ratio)} : 1 on it, and {READABLE:g} : 1 is needed. Take it darker or lighter."
    return Check("body", ratio, _written(body), said, _near(body, lambda one: weakest(one)[1] >= READABLE))


def _check_leg(part: str, colours: Colours, body: str, palette: str) -> Check:
    leg, other = getattr(colours, part), "targets" if part == "stops" else "stops"
    ratio, beside = leg_ratio(leg, body), _worn(other, colours, body, palette)
    if ratio < READABLE:
        said = f"It would stand at {_said(ratio)} : 1 on the charts, and {READABLE:g} : 1 is needed."
        near = leg_near(leg, body)
        return Check(part, ratio, "", said, near if near and apart(near, beside) >= ALIKE else None)
    told_there = part == "targets" and beside == colours.stops  # of two own colours the stops' is the one that is refused
    if apart(leg, beside) < ALIKE and not told_there:
        return Check(part, ratio, "", f"It looks like that of the {other}: the two must be told apart at a glance.")
    return Check(part, ratio, "")


def _worn(part: str, colours: Colours, body: str, palette: str) -> str:
    """The colour that a leg really has there: its own where that can be read, else that of profit or loss."""
    own: str | None = getattr(colours, part)
    if own and leg_ratio(own, body) >= READABLE:
        return own
    return profit(body, palette)[0]["up" if part == "targets" else "down"]


def _written(ground: str) -> str:
    return "white" if ink(ground) == WHITE else "black"


def _said(ratio: float) -> str:
    """One digit, never rounded up to what would do."""
    return f"{int(ratio * 10) / 10:.1f}"


def _near(colour: str, does: Callable[[str], bool]) -> str | None:
    """The least change towards black or white that does."""
    tries = (mix(colour, pole, step / 32) for step in range(1, 33) for pole in (BLACK, WHITE))
    return next((found for found in tries if does(found)), None)


# --- the style sheet -------------------------------------------------------------------------------------------------


def named(look: Look) -> str:
    """The name of this look's style sheet, from what is in it; "" when all is Tandem's own."""
    text = css(look)
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


@lru_cache(256)
def css(look: Look) -> str:
    """Rules for both schemes and both palettes, so that switching between them needs no other sheet. Refused colours are left out."""
    return "".join(rule for scheme in SCHEMES for rule in _rules(look.colours(scheme), scheme, look.palette))


def _rules(colours: Colours, scheme: str, palette: str) -> list[str]:
    refused = {check.part for check in checks(colours, scheme, palette) if check.refused}
    own = {part: value for part in PARTS if is_colour(value := getattr(colours, part)) and part not in refused}
    root = f'[data-bs-theme="{scheme}"]'
    rules = _body(own["body"], root) if "body" in own else []
    names = {"targets": "leg-target", "stops": "leg-stop"}
    legs = {token: own[part] for part, token in names.items() if part in own}
    if legs:
        rules.append(_rule(root, legs | {f"{token}-wash": value + LEG_WASH for token, value in legs.items()}))
    if "header" in own:
        rules += _header(own["header"], root, scheme)
    if "navbar" in own:
        rules += _bar(own["navbar"], root, (".rail", ".tabbar"))
    return rules


def _body(body: str, root: str) -> list[str]:
    page = _rule(root, body_tokens(body)[0], f"color-scheme:{'light' if is_light(body) else 'dark'};")
    return [page, *(_rule(f'{root}[data-palette="{palette}"]', profit(body, palette)[0]) for palette in PALETTES)]


def _bar(ground: str, root: str, places: tuple[str, ...]) -> list[str]:
    bar = _rule(_each(root, places), bar_tokens(ground))
    return [bar, *(_rule(_each(f'{root}[data-palette="{palette}"]', places), bar_profit(ground, palette)) for palette in PALETTES)]


def _header(ground: str, root: str, scheme: str) -> list[str]:
    """The strip and the menu's button; what hangs from the menu keeps the colours of the page."""
    tokens = bar_tokens(ground)
    rules = [f"{root} .top{{background:{ground};border-bottom-color:{tokens['line']}}}\n"]
    rules += _bar(ground, root, (".top>.strip", ".top>.who>summary"))
    ring = f"box-shadow:0 0 0 2px {TOKENS['dark']['bg']};"
    rules += [_rule(f'{root}[data-palette="{palette}"] .strip .lamp', lamps(palette), ring) for palette in PALETTES]
    for button, fill in ((".btn-primary", "accent-fill"), (".btn-stop", "danger-fill")):
        if contrast(TOKENS[scheme][fill], ground) < VISIBLE:  # an outline where the button would melt into the header
            rules.append(f"{root} .top>{button}{{border-color:{tokens['text']}}}\n")
    return rules


def _each(root: str, places: tuple[str, ...]) -> str:
    return ",".join(f"{root} {place}" for place in places)


def _rule(selector: str, tokens: Mapping[str, str], more: str = "") -> str:
    return f"{selector}{{{more}{''.join(f'--{name}:{value};' for name, value in tokens.items())}}}\n"
