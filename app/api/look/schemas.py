"""How Tandem looks to the caller, on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, StringConstraints, model_validator

from app.api.wire import Body, Out
from app.problems import wrong

Scheme = Literal["dark", "light"]
Theme = Literal["dark", "light", "system"]
Palette = Literal["green", "blue"]


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Colour = Annotated[str, BeforeValidator(_lower), StringConstraints(pattern=r"^#[0-9a-f]{6}$", max_length=7)]


class ColoursIn(Body):
    """Own colours in one scheme; null is Tandem's own."""

    header: Colour | None = None
    navbar: Colour | None = None
    body: Colour | None = None
    targets: Colour | None = None
    stops: Colour | None = None


class LookIn(Body):
    """The whole look: what is left out is as usual."""

    theme: Theme = "dark"
    palette: Palette = "green"
    dark: ColoursIn = ColoursIn()
    light: ColoursIn = ColoursIn()


class LookPatch(Body):
    """Only what is sent changes; the colours of a scheme are replaced as a whole."""

    theme: Theme | None = None
    palette: Palette | None = None
    dark: ColoursIn | None = None
    light: ColoursIn | None = None

    @model_validator(mode="after")
    def not_null(self) -> LookPatch:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise wrong(name, "cannot be null")
        return self


class PreviewQuery(Body):
    """Own colours of one scheme, to be tried."""

    scheme: Scheme
    header: Colour | None = None
    navbar: Colour | None = None
    body: Colour | None = None
    targets: Colour | None = None
    stops: Colour | None = None


class ColoursOut(Out):
    header: str | None
    navbar: str | None
    body: str | None
    targets: str | None
    stops: str | None


class LookOut(Out):
    theme: str
    palette: str
    dark: ColoursOut
    light: ColoursOut
    css: str | None  # address of the style sheet with the own colours, null without any


class ContrastOut(Out):
    part: str  # header, navbar, body, targets, stops
    contrast: float  # of what is written on it, or of it on the charts; 4.5 is needed
    ink: str  # "black" or "white": what is written on it; "" for legs
    refused: str  # why it cannot be, "" when it can
    nearest: str | None  # the nearest colour that would do


class TriedOut(Out):
    css: str
    checks: list[ContrastOut]
