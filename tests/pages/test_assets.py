"""What the browser loads: joined, compressed, cached for ever under the hash of its content, and exactly what was vendored."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from app.pages import STATIC
from app.pages.assets import CLASSIC, KINDS, STYLES, Assets
from app.pages.attention import _ORDER
from app.pages.keys import GO, GROUPS
from tests.pages.preview import create_preview

VENDOR = json.loads((STATIC / "vendor" / "VENDOR.json").read_text("utf-8"))


@pytest.mark.parametrize("row", VENDOR, ids=lambda row: row["file"])
def test_vendored_files_are_those_that_were_written_down(row: dict[str, str]) -> None:
    path = STATIC / "vendor" / row["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
    assert (path.parent / "LICENSE.txt").stat().st_size > 100
    assert row["licence"]
    assert row["version"]


def test_nothing_is_vendored_that_is_not_written_down() -> None:
    known = {row["file"] for row in VENDOR}
    found = {path.relative_to(STATIC / "vendor").as_posix() for path in (STATIC / "vendor").rglob("*") if path.is_file()}
    assert {name for name in found if not name.endswith((".txt", "VENDOR.json"))} == known


def test_the_address_changes_with_the_content(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{}")
    before = Assets(tmp_path).version
    (tmp_path / "a.css").write_text("b{}")
    assert Assets(tmp_path).version != before


def test_files_are_compressed_and_kept_for_ever() -> None:
    client = create_preview().test_client()
    version = Assets(STATIC).version
    for name in ("tandem.css", "tandem.js", "vendor/bootstrap-icons/icons.svg", "js/charts.js"):
        answer = client.get(f"/static/{version}/{name}", headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, name
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "immutable" in answer.headers["Cache-Control"]
        assert gzip.decompress(answer.data) == client.get(f"/static/{version}/{name}").data
    font = client.get(f"/static/{version}/vendor/inter-ui/inter.woff2", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in font.headers
    assert client.get("/static/older/tandem.css").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name",
    [
        "../config.py",
        "%2e%2e/config.py",
        "frontend/package.json",
        "frontend/vendor.mjs",
        "vendor/VENDOR.json",
        "nothing.css",
        "css",
        "css/",
    ],
)
def test_nothing_else_is_served(name: str) -> None:
    assert create_preview().test_client().get(f"/static/x/{name}").status_code == 404


def test_parts_exist_and_every_style_sheet_is_joined() -> None:
    assert all((STATIC / part).is_file() for part in (*STYLES, *CLASSIC))
    assert {f"css/{path.name}" for path in (STATIC / "css").iterdir()} == {part for part in STYLES if part.startswith("css/")}
    assert ".js" in KINDS


def test_every_module_is_joined_once_and_after_what_it_imports() -> None:
    joined = Assets(STATIC).joined("js/main.js")
    order = re.findall(r'^modules\["(js/[a-z_]+\.js)"\]', joined, re.MULTILINE)
    assert len(order) == len(set(order))
    pages = "".join(path.read_text("utf-8") for path in (STATIC.parent / "templates").rglob("*.html"))
    alone = set(re.findall(r"asset\('(js/[a-z_]+\.js)'\)", pages))  # fetched by the pages that need them
    of_pages = {
        name for entry in alone for name in re.findall(r'^modules\["(js/[a-z_]+\.js)"\]', Assets(STATIC).joined(entry), re.MULTILINE)
    }
    assert "js/charts.js" in alone
    assert set(order) | of_pages == {f"js/{path.name}" for path in (STATIC / "js").iterdir()}
    assert order[-1] == "js/main.js"
    assert order.index("js/format.js") < order.index("js/cells.js") < order.index("js/live.js")
    assert not re.search(r"^(import|export) ", joined, re.MULTILINE)


def test_the_shortcuts_that_are_shown_are_those_that_work() -> None:
    script = (STATIC / "js" / "keys.js").read_text("utf-8")
    written = dict(re.findall(r'(\w): "(/\w*)"', script))
    assert written == GO
    shown = {keys[1].lower() for group in GROUPS for keys, _ in group.entries if keys[0] == "G"}
    assert shown == set(GO)


def test_tones_of_the_attention_list_have_an_order() -> None:
    assert list(_ORDER) == ["bad", "warn", "info"]


# --- contrast -------------------------------------------------------------------------------------------------------------

TEXT_ON = [("text", "bg"), ("text", "panel"), ("text", "raised"), ("text", "sunken")]
TEXT_ON += [(name, place) for name in ("muted", "accent", "up", "down", "warn", "danger", "paper", "live") for place in ("bg", "panel")]
TEXT_ON += [("muted", "raised"), ("muted", "sunken"), ("on-accent", "accent-fill"), ("on-danger", "danger-fill"), ("on-live", "live-fill")]
TEXT_ON += [("paper", "paper-ground"), ("live", "live-ground"), ("text", "field"), ("text", "hover")]
WASHED = [
    ("up", "up-wash"),
    ("down", "down-wash"),
    ("warn", "warn-wash"),
    ("accent", "accent-wash"),
    ("muted", "muted-wash"),
]


def tokens(*selectors: str) -> dict[str, str]:
    text = (STATIC / "css" / "tokens.css").read_text("utf-8")
    found: dict[str, str] = {}
    for selector in selectors:
        block = re.search(re.escape(selector) + r" \{(.*?)\}", text, re.DOTALL)
        assert block, selector
        found |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6}(?:[0-9a-f]{2})?);", block.group(1)))
    return found


def rgb(colour: str) -> tuple[float, float, float]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]


def over(wash: str, ground: str) -> str:
    alpha = int(wash[7:9], 16) / 255
    mixed = (round(255 * (alpha * a + (1 - alpha) * b)) for a, b in zip(rgb(wash), rgb(ground), strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def luminance(colour: str) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


DARK, LIGHT = '[data-bs-theme="dark"]', '[data-bs-theme="light"]'
THEMES = {
    "dark": (DARK,),
    "light": (LIGHT,),
    "dark, blue": (DARK, '[data-palette="blue"][data-bs-theme="dark"]'),
    "light, blue": (LIGHT, '[data-palette="blue"][data-bs-theme="light"]'),
}


@pytest.mark.parametrize("theme", THEMES)
def test_contrast_is_aa_in_every_theme_and_palette(theme: str) -> None:
    colours = tokens(*THEMES[theme])
    weak = {f"{a} on {b}": round(contrast(colours[a], colours[b]), 2) for a, b in TEXT_ON if contrast(colours[a], colours[b]) < 4.5}
    weak |= {
        f"{a} on {b} over panel": round(ratio, 2)
        for a, b in WASHED
        if (ratio := contrast(colours[a], over(colours[b], colours["panel"]))) < 4.5
    }
    assert weak == {}
    assert contrast(colours["edge"], colours["sunken"]) >= 3  # the outline of a field
