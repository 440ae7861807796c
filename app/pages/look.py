"""How Tandem looks to the person: the editor, and the style sheet of their own colours under an address made from what is in it."""

from __future__ import annotations

from flask import Response, abort

from app import look
from app.pages.room import page, reads, room

routes = room("look")
FOREVER = "private, max-age=31536000, immutable"

THEMES = (
    ("dark", "Dark", "quiet for the eye"),
    ("light", "Light", "for a bright room"),
    ("system", "As the device", "follows it at once"),
)
PALETTES = (("green", "Green and red", "as most screens"), ("blue", "Blue and orange", "for eyes that mix up red and green"))
PARTS = (
    ("header", "Header", "the bar on top"),
    ("navbar", "Navbar", "the rooms at the side, the bar below on a phone"),
    ("body", "Body", "what panels and tables lie on"),
    ("targets", "Legs: targets", "T1, T2 … on charts and plans"),
    ("stops", "Legs: stops", "Y1, Y2 … on charts and plans"),
)
SCHEMES = (("dark", "in the dark"), ("light", "in the light"))


@routes.get("/settings/look")
def index() -> Response:
    presets = [(name, {"dark": look.parts(dark), "light": look.parts(light)}) for name, dark, light in look.PRESETS]
    return page(
        "look/index.html",
        look=reads().look(),
        themes=THEMES,
        palettes=PALETTES,
        parts=PARTS,
        schemes=SCHEMES,
        presets=presets,
        usual=look.usual,
    )


@routes.get("/theme/<name>.css")
def sheet(name: str) -> Response:
    """Of whoever asks; its name changes with its content, so it is kept for ever."""
    own = look.read(reads().look().model_dump())
    if not name or name != look.named(own):
        abort(404)
    return Response(look.css(own), content_type="text/css; charset=utf-8", headers={"Cache-Control": FOREVER})
