"""`Idempotency-Key`: the second of two equal requests gets the first one's answer, also after a restart, and nothing is done twice.

Only what was done is remembered: a request that was refused changed nothing and may be corrected under the same key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from flask import Response, g, request

from app.data import StoredAnswer, User
from app.problems import field_problem
from app.workspace import workspace

MOST_KEY = 255


def answer_once(user: User, key: str, said: dict[str, Any], do: Callable[[], Response]) -> Response:
    if not 1 <= len(key) <= MOST_KEY or not key.isascii() or not key.isprintable():
        raise field_problem("Idempotency-Key", f"must be 1 to {MOST_KEY} visible characters")
    kept = workspace().data.idempotency
    route = f"{request.method} {request.full_path.rstrip('?')}"
    body = json.dumps(said, sort_keys=True, default=str).encode()
    stored = kept.begin(user.user_id, route, key, body)
    if stored is not None:
        answer = Response(stored.body, stored.status, headers=dict(stored.headers))
        answer.headers["Idempotency-Replayed"] = "true"
        return answer
    g.idempotency_name = hashlib.sha256(f"{route}\n{key}".encode()).hexdigest()[:40]
    try:
        answer = do()
    except BaseException:
        kept.abandon(user.user_id, route, key)
        raise
    kept.finish(
        user.user_id, route, key, StoredAnswer(answer.status_code, answer.get_data(as_text=True), {"Content-Type": answer.mimetype or ""})
    )
    return answer


def derived_name() -> str | None:
    """A signal id that is the same for every try under the same key, so that even a crash between doing and remembering sends nothing twice."""
    name = g.get("idempotency_name")
    return f"idem-{name}" if name else None
