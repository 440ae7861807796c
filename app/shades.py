"""Everything that follows from one colour of a person's own: for the pages' ground all that stands on it, for a header or navbar what is written there.

Pure. A derived colour is Tandem's own with as little black or white in it as makes it readable. What tells paper from real money is never derived.
"""

from __future__ import annotations

from functools import lru_cache

from app.colours import BLACK, READABLE, VISIBLE, WHITE, contrast, ink, mix, over, readable, worst

SCHEMES = ("dark", "light")
PALETTES = ("green", "blue")
MOST_CHANGE = 0.5
"""How much of black or white a body may force into green, red and the like before they no longer look like themselves."""
TEXT_NEED = 7.0
"""What text gets where the ground lets it (AAA); black or white where it does not."""
LEG_WASH = "1f"

TOKENS: dict[str, dict[str, str]] = {
    "dark": {
        "bg": "#0b0f16",
        "panel": "#121821",
        "raised": "#1a222e",
        "sunken": "#0e141c",
        "text": "#e2e8f2",
        "muted": "#97a4b8",
        "accent": "#6aa5ff",
        "accent-fill": "#2f6fe0",
        "warn": "#f6bd58",
        "danger": "#ff7a7f",
        "danger-fill": "#d4313f",
        "replay": "#4fd0d6",
        "up-wash": "#3fce9226",
        "down-wash": "#ff7a7f26",
        "warn-wash": "#f6bd581f",
        "accent-wash": "#6aa5ff1f",
        "muted-wash": "#97a4b81a",
        "replay-wash": "#4fd0d61c",
        "shade": "#00000080",
    },
    "light": {
        "bg": "#f3f5f9",
        "panel": "#ffffff",
        "raised": "#eef1f6",
        "sunken": "#f7f9fc",
        "text": "#151d2a",
        "muted": "#546074",
        "accent": "#1858c4",
        "accent-fill": "#2362d3",
        "warn": "#845300",
        "danger": "#bf2434",
        "danger-fill": "#cf2b3a",
        "replay": "#0a6a73",
        "up-wash": "#06704614",
        "down-wash": "#bf243414",
        "warn-wash": "#ffb02029",
        "accent-wash": "#1858c414",
        "muted-wash": "#54607414",
        "replay-wash": "#0a6a7314",
        "shade": "#10182833",
    },
}
"""What own colours are derived from: the same values as in static/css/tokens.css and replay.css (a test compares them)."""
PROFIT: dict[tuple[str, str], tuple[str, str]] = {
    ("green", "dark"): ("#3fce92", "#ff7a7f"),
    ("green", "light"): ("#067046", "#bf2434"),
    ("blue", "dark"): ("#62b0ff", "#ffa45c"),
    ("blue", "light"): ("#0a5cb0", "#9a4600"),
}
"""(palette, scheme) → the colours of profit and loss."""

Tokens = dict[str, str]
Reached = dict[str, float]
"""Token → its contrast on the worst of its grounds."""


def is_light(ground: str) -> bool:
    """Whether one writes dark on it."""
    return ink(ground) == BLACK


def _of(ground: str) -> tuple[str, str]:
    """The scheme whose colours come nearest on this ground, and what makes them more readable there."""
    return ("light", BLACK) if is_light(ground) else ("dark", WHITE)


# --- the body --------------------------------------------------------------------------------------------------------


@lru_cache(512)
def grounds(body: str) -> Tokens:
    """What pages, panels, raised and sunken parts lie on."""
    if is_light(body):
        return {"bg": body, "panel": mix(body, WHITE, 0.7), "raised": mix(body, BLACK, 0.035), "sunken": mix(body, WHITE, 0.35)}
    return {"bg": body, "panel": mix(body, WHITE, 0.035), "raised": mix(body, WHITE, 0.08), "sunken": mix(body, WHITE, 0.015)}


@lru_cache(512)
def body_tokens(body: str) -> tuple[Tokens, Reached]:
    """All that the pages' ground decides but profit and loss, and what each of the signals reaches."""
    scheme, pole = _of(body)
    light, base = scheme == "light", TOKENS[scheme]
    made = dict(grounds(body))
    panel = made["panel"]
    made["field"] = mix(body, WHITE, 0.85) if light else made["sunken"]
    made["hover"] = mix(panel, body, 0.6) if light else mix(panel, WHITE, 0.03)
    made["line"] = mix(panel, pole, 0.13 if light else 0.1)
    made["line-strong"] = mix(panel, pole, 0.28 if light else 0.2)
    made["edge"] = readable(mix(panel, pole, 0.4), (made["sunken"], made["field"], panel), pole, VISIBLE)[0]
    made["text"] = readable(base["text"], tuple(grounds(body).values()), pole, TEXT_NEED)[0]
    made["shade"] = base["shade"]
    reached: Reached = {}
    for name in ("muted", "accent", "warn", "danger", "replay"):
        wash = base.get(f"{name}-wash", "")
        own = wash.startswith(base[name])  # of the colour itself, and so it follows it
        made[name], reached[name] = _signal(base[name], wash[7:] if own else wash, body)
        if wash:
            made[f"{name}-wash"] = made[name] + wash[7:] if own else wash
    return made, reached


@lru_cache(512)
def profit(body: str, palette: str) -> tuple[Tokens, Reached]:
    """Profit and loss on a body of this colour."""
    scheme, _ = _of(body)
    made: Tokens = {}
    reached: Reached = {}
    for name, colour in zip(("up", "down"), PROFIT[palette, scheme], strict=True):
        wash = TOKENS[scheme][f"{name}-wash"][7:]
        made[name], reached[name] = _signal(colour, wash, body)
        made[f"{name}-wash"] = made[name] + wash
    return made, reached


def weakest(body: str) -> tuple[str, float]:
    """The signal that can least be read on a body of this colour, and what it reaches."""
    reached = dict(body_tokens(body)[1])
    for palette in PALETTES:
        for name, ratio in profit(body, palette)[1].items():
            reached[name] = min(ratio, reached.get(name, ratio))
    return min(reached.items(), key=lambda one: one[1])


def _signal(colour: str, wash: str, body: str) -> tuple[str, float]:
    """`wash`: a colour with its alpha, the alpha alone (a wash of the colour itself), or nothing."""
    under = grounds(body)
    plain = tuple(under.values())

    def places(one: str) -> tuple[str, ...]:
        return (*plain, over(wash if len(wash) > 2 else one + wash, under["panel"])) if wash else plain

    return readable(colour, places, _of(body)[1], READABLE, MOST_CHANGE)


# --- legs ------------------------------------------------------------------------------------------------------------


def leg_ratio(leg: str, body: str) -> float:
    return worst(leg, _leg_places(leg, body))


def leg_near(leg: str, body: str) -> str | None:
    """The least change of it that can be read."""
    found, reached = readable(leg, lambda one: _leg_places(one, body), _of(body)[1])
    return found if reached >= READABLE else None


def _leg_places(leg: str, body: str) -> tuple[str, ...]:
    under = own_grounds(body)
    return (under["bg"], under["panel"], under["sunken"], over(leg + LEG_WASH, under["panel"]))


def own_grounds(body: str) -> Tokens:
    """`grounds`, but Tandem's own for Tandem's own bodies."""
    for tokens in TOKENS.values():
        if tokens["bg"] == body:
            return tokens
    return grounds(body)


# --- header and navbar -----------------------------------------------------------------------------------------------


@lru_cache(512)
def bar_tokens(ground: str) -> Tokens:
    """What stands on a bar. Any colour does: what cannot keep its own colour there becomes black or white."""
    scheme, pole = _of(ground)
    base = TOKENS[scheme]
    away = WHITE if pole == BLACK else BLACK
    raised = mix(ground, pole if contrast(pole, ground) >= TEXT_NEED + 1 else away, 0.13)
    both = (ground, raised)
    made = {"bg": ground, "panel": ground, "raised": raised, "sunken": ground}
    made["line"], made["line-strong"] = mix(ground, pole, 0.16), mix(ground, pole, 0.3)
    made["text"] = readable(base["text"], both, pole, TEXT_NEED)[0]
    made["muted"] = readable(mix(made["text"], ground, 0.3), both, pole)[0]
    for name in ("accent", "warn", "danger"):
        made[name] = readable(base[name], both, pole)[0]
    return made | dict.fromkeys(("accent-wash", "muted-wash", "warn-wash"), raised)


@lru_cache(512)
def bar_profit(ground: str, palette: str) -> Tokens:
    scheme, pole = _of(ground)
    up, down = PROFIT[palette, scheme]
    return {"up": readable(up, (ground,), pole)[0], "down": readable(down, (ground,), pole)[0]}


def lamps(palette: str) -> Tokens:
    """The lamps of the header keep their colours on any ground: they stand in a dark ring."""
    up, down = PROFIT[palette, "dark"]
    return {"up": up, "down": down, **{name: TOKENS["dark"][name] for name in ("warn", "danger", "muted")}}
