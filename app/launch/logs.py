"""Where log lines go: warnings to the terminal, everything to a rotating file in the data folder, never to standard output.

Secrets do not reach a record in the first place; what this adds is a last net for the shapes and names that secrets have.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

_NAMES = r"password|passwd|pin|totp|totp_secret|secret|api_secret|secret_key|api_key|access_token|refresh_token|token|authorization|credentials?|credential_keys?"
_NAME = re.compile(rf"(?i)^(?:{_NAMES})$")
# A bearer token, `name=value`, or a JSON member, where the name says that the value is secret.
_PAIR = re.compile(rf"(?i)(bearer\s+|[\"']?\b(?:{_NAMES})[\"']?\s*[=:]\s*[\"']?)(?!bearer\b)([^\s\"',;}}&]+)")
# The addresses of a Telegram bot and of a Discord webhook, whose path is the secret.
_PATH = re.compile(r"(?i)(/bot)\d+:[\w-]+|(/webhooks/)\d+/[\w-]+")


def redact(text: str) -> str:
    """The text with whatever looks like the value of a secret taken out."""
    return _PATH.sub(r"\1\2…", _PAIR.sub(r"\1…", text))


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last processor before rendering."""
    for name, value in event.items():
        if _NAME.match(name):
            event[name] = "…"
        elif isinstance(value, str):
            event[name] = redact(value)
    return event


_COMMON: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.format_exc_info,
]


def _formatter(renderer: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_COMMON, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact_event, renderer]
    )


def _one_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    words = " ".join(
        f"{name}={value}" for name, value in event.items() if name not in {"event", "level", "logger", "timestamp", "exception"}
    )
    line = f"tandem: {event['level']}: {event['event']} {words}".rstrip()
    return f"{line}\n{event['exception']}" if "exception" in event else line


class _ByKind(logging.Handler):
    """A line that cannot be written (a full disk, a terminal that is gone) is told by its kind. The standard library would print the error that the line
    was about as well, with its words: a key or the address of a webhook may be among them."""

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        with contextlib.suppress(Exception):  # there may be nobody left to tell
            print(f"tandem: a log line could not be written: {type(sys.exception()).__name__}", file=sys.stderr)


class _Terminal(_ByKind, logging.StreamHandler[TextIO]):
    pass


class _File(_ByKind, logging.handlers.RotatingFileHandler):
    pass


def to_terminal() -> None:
    """Warnings and worse, on standard error, for every command."""
    handler = _Terminal()
    handler.setFormatter(_formatter(_one_line))
    handler.setLevel(logging.WARNING)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a short queue is not news: the latency figures tell
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_COMMON, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def to_file(data_dir: Path, level: str) -> None:
    """Everything from `level` up, one JSON object a line, for the process that serves."""
    folder = data_dir / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    handler = _File(folder / "tandem.log", maxBytes=10_000_000, backupCount=5, encoding="utf-8", delay=True)
    handler.setFormatter(_formatter(structlog.processors.JSONRenderer(ensure_ascii=False)))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(level)
