"""Where log lines go: warnings to the terminal, everything to a rotating file in the data folder.

Secrets never reach a record in the first place; what this adds is a last net under it for the shapes that secrets have.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
from pathlib import Path

# Bearer tokens, `key=value` pairs and JSON members whose name says that the value is secret.
_SECRET = re.compile(
    r"(?i)(bearer\s+|[\"']?(?:password|passwd|pin|secret|api_secret|totp_secret|access_token|api_key|token|credential_keys|secret_key)[\"']?\s*[=:]\s*[\"']?)"
    r"([^\s\"',}&]+)"
)


def redact(text: str) -> str:
    return _SECRET.sub(r"\1…", text)


class JsonLines(logging.Formatter):
    """One JSON object a line: easy to read by eye, by `grep` and by a program."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"at": round(record.created, 6), "level": record.levelname, "from": record.name, "thread": record.threadName}
        line["text"] = redact(record.getMessage())
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"tandem: {record.levelname.lower()}: {redact(record.getMessage())}"


def set_up(data_dir: Path, level: str) -> None:
    """Once, by the process that serves."""
    folder = data_dir / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    to_file = logging.handlers.RotatingFileHandler(folder / "tandem.log", maxBytes=10_000_000, backupCount=5, encoding="utf-8", delay=True)
    to_file.setFormatter(JsonLines())
    to_terminal = logging.StreamHandler()
    to_terminal.setFormatter(Plain())
    to_terminal.setLevel(logging.WARNING)
    logging.basicConfig(level=level, handlers=[to_file, to_terminal], force=True)
    logging.captureWarnings(True)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a short queue is not news: the latency figures tell
