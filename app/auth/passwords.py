"""A forgotten password: a link that is sent by mail, good once. It never says whether an address is known."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("passwords", __name__)
