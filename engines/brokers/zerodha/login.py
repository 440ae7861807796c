"""Signing in at Zerodha: the page a person is sent to, and the exchange of what comes back for a session.

A session ends at six in the morning, India's time. Nothing here is stored, shown or logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from engines.brokers.tools import KiteEndpoints, Timing
from engines.brokers.zerodha import rows
from engines.brokers.zerodha.client import KiteClient
from engines.core.model import Timestamp
from engines.core.sessions import DAY, IST
from engines.ports import Clock, Retry, Session, SystemClock, Unknown

ENDS_AT = 6 * 3600
"""Seconds after midnight IST at which the exchanges' rules end every API session."""


def login_url(api_key: str, redirect_params: Mapping[str, str] | None = None, endpoints: KiteEndpoints = KiteEndpoints()) -> str:  # noqa: B008 - frozen
    """Where a person signs in. `redirect_params` come back with the redirect: a state that says which account it was for."""
    query = {"api_key": api_key, "v": "3"}
    if redirect_params:
        query["redirect_params"] = urlencode(redirect_params)
    return f"{endpoints.login_root.rstrip('/')}/connect/login?{urlencode(query)}"


def generate_session(
    api_key: str,
    api_secret: str,
    request_token: str,
    *,
    endpoints: KiteEndpoints = KiteEndpoints(),  # noqa: B008 - frozen
    clock: Clock | None = None,
    timing: Timing = Timing(),  # noqa: B008 - frozen
    source_address: str | None = None,
) -> Session:
    """Exchange a request token (once, within minutes of the redirect). Raises NeedsLogin (token used or too old, wrong secret), Refused (unknown key)
    or Retry. Whose session it is stands in `user_id`: compare it before keeping the session."""
    clock = clock or SystemClock()
    secrets = (api_secret, request_token)
    client = KiteClient(api_key, None, endpoints.api_root, timing=timing, source_address=source_address, secrets=secrets)
    try:
        answer = client.call("login", lambda: client.sdk.generate_session(request_token, api_secret=api_secret))
    except Unknown:
        raise Retry("Zerodha's answer to the log-in was lost on its way: log in once more") from None
    finally:
        client.wire.close()
    tokens = {name: answer[name] for name in ("access_token", "public_token") if isinstance(answer.get(name), str) and answer[name]}
    user_id = rows.text(answer, "user_id")
    if "access_token" not in tokens or not user_id:
        raise Retry("Zerodha's answer to the log-in has no session in it: try again", after=2.0)
    return session(user_id, tokens, clock.now())


def session(user_id: str, tokens: Mapping[str, str], now: Timestamp) -> Session:
    return Session(user_id, dict(tokens), now, session_end(now))


def session_end(began: Timestamp) -> Timestamp:
    """The next six o'clock in the morning, India's time."""
    midnight = (began + IST) // DAY * DAY - IST
    end = midnight + ENDS_AT
    return end if began < end else end + DAY
