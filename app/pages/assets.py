"""Static files under one versioned root: `/static/<hash of the whole tree>/<path>`, cached for ever, compressed once.

The page loads one style sheet and one script; both are joined here from the small files a person edits, in the order of `STYLES` and by
following the scripts' imports. It never minifies what it joins; of our scripts only lines that are comments stay here. It sends nothing but the
served kinds of file.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cached_property
from pathlib import Path

from flask import Blueprint, Response, abort, request

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
STYLES = (
    "vendor/bootstrap/bootstrap.css",
    "css/tokens.css",
    "css/layout.css",
    "css/parts.css",
    "css/acts.css",
    "css/tables.css",
    "css/forms.css",
    "css/trading.css",
    "css/levels.css",
    "css/rooms.css",
    "css/data.css",
    "css/studies.css",
    "css/limits.css",
    "css/groups.css",
    "css/ladder.css",
    "css/day.css",
    "css/watch.css",
    "css/security.css",
    "css/log.css",
    "css/people.css",
    "css/messages.css",
    "css/replay.css",
    "css/look.css",
)
CLASSIC = ("vendor/htmx.org/htmx.js", "vendor/idiomorph/idiomorph-ext.js")
ENTRY = "js/main.js"
FOREVER = "public, max-age=31536000, immutable"

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\./[^"]+)";\n', re.MULTILINE)
_COMMENT = re.compile(r"^ *//.*\n", re.MULTILINE)  # a fifth of the compressed script
_EXPORT = re.compile(r"^export ((?:async )?function|class|const) (\w+)", re.MULTILINE)


class Assets:
    """The static tree as it is on disk when first asked; `reload` forgets it (a person who edits a style sheet)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._packed: dict[str, tuple[bytes, bytes | None]] = {}

    @cached_property
    def version(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            if path.suffix in KINDS and "node_modules" not in path.parts:
                digest.update(path.relative_to(self.root).as_posix().encode())
                digest.update(path.read_bytes())
        return digest.hexdigest()[:12]

    def reload(self) -> None:
        self.__dict__.pop("version", None)
        self._packed.clear()

    def url(self, name: str) -> str:
        return f"/static/{self.version}/{name}"

    def get(self, name: str) -> tuple[bytes, bytes | None] | None:
        """The file's bytes, plain and compressed (None where that saves nothing), or None when it is not served."""
        if name not in self._packed:
            content = self._read(name)
            if content is None:
                return None
            packed = None if name.endswith(".woff2") else gzip.compress(content, 9, mtime=0)
            self._packed[name] = (content, packed if packed and len(packed) < len(content) else None)
        return self._packed[name]

    def _read(self, name: str) -> bytes | None:
        if name == "tandem.css":
            return "\n".join((self.root / part).read_text("utf-8") for part in STYLES).encode()
        if name == "tandem.js":
            classic = [(self.root / part).read_text("utf-8") for part in CLASSIC]
            return ("\n;\n".join(classic) + "\n;(function () {\n" + self.joined(ENTRY) + "\n})();\n").encode()
        path = (self.root / name).resolve()
        if path.suffix not in KINDS or "frontend" in path.parts or not path.is_relative_to(self.root.resolve()) or not path.is_file():
            return None
        return path.read_bytes()

    def joined(self, entry: str) -> str:
        """The module and all it imports as one text: each in a function of its own that gives what it exports, imported ones first."""
        done: list[str] = []
        order: list[str] = []

        def follow(name: str) -> None:
            if name in order:
                return
            order.append(name)
            text = (self.root / name).read_text("utf-8")
            for found in _IMPORT.finditer(text):
                follow(beside(name, found.group(2)))
            done.append(self._scoped(name, text))

        follow(entry)
        return "\n".join(["const modules = {};", *done])

    @staticmethod
    def _scoped(name: str, text: str) -> str:
        def imported(found: re.Match[str]) -> str:
            return f'const {{{found.group(1).replace(" as ", ": ")}}} = modules["{beside(name, found.group(2))}"];\n'

        exports = ", ".join(found.group(2) for found in _EXPORT.finditer(text))
        body = _COMMENT.sub("", _EXPORT.sub(r"\1 \2", _IMPORT.sub(imported, text)))
        return f'modules["{name}"] = (function () {{\n{body}\nreturn {{ {exports} }};\n}})();'


def beside(name: str, relative: str) -> str:
    return (Path(name).parent / relative).as_posix()


def blueprint(assets: Assets) -> Blueprint:
    routes = Blueprint("assets", __name__)

    @routes.get("/static/<version>/<path:name>")
    def file(version: str, name: str) -> Response:
        found = assets.get(name)
        if found is None:
            abort(404)
        content, packed = found
        answer = Response(content, content_type=KINDS[Path(name).suffix])
        answer.headers["Vary"] = "Accept-Encoding"
        answer.headers["Cache-Control"] = FOREVER if version == assets.version else "no-cache"
        if packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            answer.set_data(packed)
            answer.headers["Content-Encoding"] = "gzip"
        return answer

    @routes.get("/favicon.ico")
    def favicon() -> Response:
        return file(assets.version, "img/favicon.svg")

    return routes
