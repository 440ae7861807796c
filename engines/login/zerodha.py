"""From the request token that Zerodha's log-in page handed out to an account that trades: exchange, look who signed in, keep the session, connect.

The same for a person who came back from the page and for the automated log-in. It never keeps a session of another person than the account's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engines.brokers.tools import KiteEndpoints
from engines.login.memory import Memory
from engines.login.reasons import LoginFailed, Reason
from engines.ports import Clock, Session, Sessions

Exchange = Callable[[str, str, str, str | None], Session]
"""(api key, api secret, request token, source address) → session. Raises Refused, Retry, Unknown or NeedsLogin."""


def exchange_at(endpoints: KiteEndpoints, clock: Clock) -> Exchange:
    def exchange(api_key: str, api_secret: str, request_token: str, source_address: str | None) -> Session:
        from engines.brokers.zerodha.login import generate_session

        return generate_session(api_key, api_secret, request_token, endpoints=endpoints, clock=clock, source_address=source_address)

    return exchange


def login_url(endpoints: KiteEndpoints, api_key: str, params: Mapping[str, str]) -> str:
    """Where a person signs in. `params` come back with them."""
    from engines.brokers.zerodha.login import login_url as address

    return address(api_key, params, endpoints)


@dataclass(frozen=True, slots=True)
class ZerodhaSignIn:
    """`remember` changes stored credentials (None takes one away); `connect` starts the account's connection anew."""

    exchange: Exchange
    source_address: Callable[[str], str | None]
    credentials: Callable[[str], Mapping[str, str]]
    remember: Callable[[str, Mapping[str, str | None]], None]
    sessions: Sessions
    memory: Memory
    connect: Callable[[str], object]

    def finish(self, account_id: str, request_token: str) -> Session:
        """Raises LoginFailed for the wrong person, and what the exchange raises; then nothing was kept."""
        own = self.credentials(account_id)
        session = self.exchange(own.get("api_key", ""), own.get("api_secret", ""), request_token, self.source_address(account_id))
        expected = own.get("user_id", "").strip()
        if not session.user_id or (expected and session.user_id.casefold() != expected.casefold()):
            raise LoginFailed(Reason.WRONG_USER)
        learnt: dict[str, str | None] = {}
        if not expected:
            learnt["user_id"] = session.user_id
        if "access_token" in own:
            learnt["access_token"] = None  # a token that was pasted would go before the session
        if learnt:
            self.remember(account_id, learnt)
        self.sessions.save(account_id, session)
        self.memory.forgive(account_id)
        self.connect(account_id)
        return session
