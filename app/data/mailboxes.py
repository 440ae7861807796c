"""Which mailbox an e-mail address is: in either case of its letters, and of an international domain as such or in punycode, it is the same one.

An address is kept as it was typed; whose it is, is found by its key. Rows from before international domains had one key are found by either form.
"""

from __future__ import annotations

BY_EMAIL = "SELECT * FROM users WHERE email_key IN (?1, ?2, ?3) ORDER BY email_key = ?3 DESC LIMIT 1"
"""With `email_keys`."""


def email_key(email: str) -> str:
    """One for each mailbox; what cannot be an address has one that nobody has."""
    name, at, domain = email.strip().rpartition("@")
    return f"{name.casefold()}{at}{ascii_domain(domain) or domain.casefold()}"


def email_keys(email: str) -> tuple[str, str, str]:
    """Under which somebody may be on record: by the key of today, by the domain as it is read, and as it was typed."""
    key = email_key(email)
    name, at, domain = key.rpartition("@")
    return key, f"{name}{at}{_read(domain).casefold()}", email.strip().casefold()


def ascii_domain(domain: str) -> str | None:
    """As it goes over the wire, in small letters; None: no domain can be called so."""
    if domain.isascii() and "xn--" not in domain.lower():
        return domain.lower() if all(0 < len(label) < 64 for label in domain.split(".")) else None
    import idna

    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return None


def _read(domain: str) -> str:
    if "xn--" not in domain:
        return domain
    import idna

    try:
        return idna.decode(domain)
    except UnicodeError:
        return domain
