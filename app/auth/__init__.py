"""Who is asking: sign-in by cookie for people, bearer tokens for programs, and how often one may guess. It never decides about trading."""

from app.auth.identity import (
    NoCsrf,
    NotSignedIn,
    SignedIn,
    actor,
    guard_password,
    identify,
    init_app,
    only_reads,
    person,
    refuse_who_has_changed,
    remember,
    still_welcome,
    this_sign_in,
)

__all__ = [
    "NoCsrf",
    "NotSignedIn",
    "SignedIn",
    "actor",
    "guard_password",
    "identify",
    "init_app",
    "only_reads",
    "person",
    "refuse_who_has_changed",
    "remember",
    "still_welcome",
    "this_sign_in",
]
