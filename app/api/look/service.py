"""One's own look: kept in the settings of each person, refused where something could not be read. It writes nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app import look
from app.api.look.schemas import ColoursIn, ColoursOut, ContrastOut, LookIn, LookOut, LookPatch, PreviewQuery, TriedOut
from app.data import Actor, Invalid, User
from app.shades import SCHEMES
from app.workspace import workspace

NAME = "look"


def own(user: User) -> look.Look:
    """As it is kept; for pages."""
    return look.read(workspace().data.settings.get(NAME, user_id=user.user_id))


def get_look(user: User) -> LookOut:
    return _out(own(user))


def set_look(user: User, body: LookIn, by: Actor) -> LookOut:
    return _keep(user, look.Look(body.theme, body.palette, _colours(body.dark), _colours(body.light)), by)


def change_look(user: User, body: LookPatch, by: Actor) -> LookOut:
    changes: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    for scheme in SCHEMES:
        if scheme in changes:
            changes[scheme] = _colours(changes[scheme])
    return _keep(user, replace(own(user), **changes), by)


def preview(user: User, query: PreviewQuery) -> TriedOut:
    """What these colours would look like, and which of them cannot be read. Nothing is kept."""
    return tried_on(own(user).palette, query)


def tried_on(palette: str, query: PreviewQuery) -> TriedOut:
    tried = look.Colours(**{part: getattr(query, part) for part in look.PARTS})
    whole = look.Look(palette=palette, dark=tried) if query.scheme == "dark" else look.Look(palette=palette, light=tried)
    checks = [
        ContrastOut(part=c.part, contrast=round(c.ratio, 2), ink=c.ink, refused=c.refused, nearest=c.nearest)
        for c in look.checks(tried, query.scheme, palette)
    ]
    return TriedOut(css=look.css(whole), checks=checks)


def _keep(user: User, wanted: look.Look, by: Actor) -> LookOut:
    found = look.problems(wanted)
    if found:
        raise Invalid(found)
    workspace().data.settings.set(NAME, look.plain(wanted), user_id=user.user_id, by=by)
    return _out(wanted)


def _colours(body: ColoursIn) -> look.Colours:
    return look.Colours(**body.model_dump())


def _out(shown: look.Look) -> LookOut:
    name = look.named(shown)
    dark, light = (ColoursOut(**{part: getattr(each, part) for part in look.PARTS}) for each in (shown.dark, shown.light))
    return LookOut(theme=shown.theme, palette=shown.palette, dark=dark, light=light, css=f"/theme/{name}.css" if name else None)
