"""`user add`, `user password`, `user reset-second-factor` and `token add`: people and API tokens from the command line, before the first start or while it runs.

A password comes only from standard input and is never echoed; a token is printed once, alone on standard output.
"""

from __future__ import annotations

import argparse
import sys

from app.data import Conflict, Data, User, UserRole
from app.launch.common import CLI, opened, settings_for
from app.launch.errors import CannotRun


def run(args: argparse.Namespace) -> int:
    commands = {
        ("user", "add"): add_user,
        ("user", "password"): set_password,
        ("user", "reset-second-factor"): reset_second_factor,
        ("token", "add"): add_token,
    }
    return commands[args.command, args.action](args)


def add_user(args: argparse.Namespace) -> int:
    password = read_password()
    role = UserRole(args.role) if args.role else None
    with opened(settings_for(args)) as data:
        user = data.users.add(args.email, password, role=role, by=CLI)
    print(f"added {user.email} ({user.role})")
    return 0


def set_password(args: argparse.Namespace) -> int:
    """For whoever has the machine and no other way in: every sign-in of that person ends."""
    password = read_password()
    settings = settings_for(args)
    with opened(settings) as data:
        user = _person(data, args.email)
        data.users.set_password(user.user_id, password, by=CLI, mail=settings.mail_ready)
    print(f"{user.email} has a new password; every browser is signed out")
    return 0


def reset_second_factor(args: argparse.Namespace) -> int:
    settings = settings_for(args)
    with opened(settings) as data:
        user = _person(data, args.email)
        try:
            data.second_factor.clear(user.user_id, by=CLI, mail=settings.mail_ready)
        except Conflict:
            raise CannotRun(f"{user.email} has no second factor") from None
    print(f"{user.email} signs in with the password alone")
    return 0


def add_token(args: argparse.Namespace) -> int:
    with opened(settings_for(args)) as data:
        user = _person(data, args.email)
        _, token = data.tokens.create(user.user_id, args.name, by=CLI)
    print(token)
    return 0


def _person(data: Data, email: str) -> User:
    user = data.users.find(email)
    if user is None:
        raise CannotRun(f"there is no {email}; add them with: run_strategy_system.py user add {email} --password-stdin")
    return user


def read_password() -> str:
    """Everything on standard input but one newline at its end."""
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise CannotRun("the password is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")
