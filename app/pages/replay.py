"""Replay: choose a day of a dataset, accounts, strategies and a speed, then watch the whole product trade it.

The watching page is drawn once and kept up by `static/js/replay.js` from what the API tells; nothing here is of the accounts' own books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from flask import Response, request
from flask_login import current_user

from app.pages import format as fmt
from app.pages.room import accounts, page, price_shape, reads, room, strategy_names
from engines.core.model import Timeframe

routes = room("replay")

SPEEDS = (("1", "1×"), ("10", "10×"), ("60", "60×"), ("600", "600×"), ("0", "max"))
USUAL_SPEED = "600"
SAMPLE_SYMBOLS = 4


@routes.app_template_filter("weekday")
def weekday(day: str) -> str:
    """Tue 23 Jan 2024."""
    found = date.fromisoformat(day)
    return f"{found:%a} {found.day} {found:%b %Y}"


@routes.get("/replay")
def index() -> Response:
    """The form beside the replays so far. `from`: begin with the choice of that one; `dataset`: with this data."""
    read = reads()
    datasets = read.datasets({"limit": "200"}).items
    replays = read.replays()
    before = next((each for each in replays if each.id == request.args.get("from")), None)
    wanted = request.args.get("dataset") or (before.dataset_id if before else None)
    strategies, mappings = read.own_strategies(), read.mappings()
    lacking: dict[str, list[str]] = {dataset.id: [lacks(strategy, dataset) for strategy in strategies] for dataset in datasets}
    likely = max(datasets, key=lambda dataset: ("" in lacking[dataset.id], dataset.created_at), default=None)
    dataset = next((each for each in datasets if each.id == wanted), likely)
    days = read.dataset(dataset.id).report.days if dataset else []
    offered: list[dict[str, Any]] = [
        {"strategy": strategy, "lacks": why, "mappings": [m for m in mappings if m.strategy_id == strategy.id and m.enabled]}
        for strategy, why in zip(strategies, lacking[dataset.id] if dataset else [], strict=False)
    ]
    offered.sort(key=lambda each: (bool(each["lacks"]), not each["mappings"]))
    fitting = {each["strategy"].id for each in offered if not each["lacks"]}
    return page(
        "replay/index.html",
        datasets=datasets,
        dataset=dataset,
        days=days,
        day=before.day if before and before.dataset_id == wanted and request.args.get("dataset") is None else (days[-1] if days else ""),
        offered=offered,
        seats=seats(accounts(), [m for m in mappings if m.enabled and m.strategy_id in fitting]),
        names=strategy_names(),
        replays=replays,
        before=before,
        speeds=SPEEDS,
        usual=f"{before.speed:g}" if before and f"{before.speed:g}" in dict(SPEEDS) else USUAL_SPEED,
        sample=sample_symbols(strategies),
        may=str(current_user.role) != "viewer",
    )


@routes.get("/replay/<replay_id>")
def show(replay_id: str) -> Response:
    read = reads()
    one = read.replay(replay_id)
    chosen = [strategy for strategy in read.strategies() if strategy.id in one.strategy_ids]
    book = {account.id: account for account in accounts()}
    return page(
        "replay/show.html",
        replay=one,
        again=again(one),
        speeds=SPEEDS,
        told={
            "id": one.id,
            "state": one.state,
            "first": one.day,
            "last": one.last_day,
            "shapes": {symbol: price_shape(symbol) for strategy in chosen for symbol in strategy.instruments},
            "strategies": [
                {
                    "id": strategy.id,
                    "name": strategy.name,
                    "timeframe": strategy.timeframe,
                    "seconds": Timeframe(strategy.timeframe).seconds,
                    "symbols": list(strategy.instruments),
                }
                for strategy in chosen
            ],
            "accounts": [
                {
                    "id": account_id,
                    "name": book[account_id].name if account_id in book else "archived",
                    "currency": book[account_id].currency if account_id in book else "INR",
                    "capital": str(book[account_id].capital) if account_id in book else "0",
                }
                for account_id in one.account_ids
            ],
        },
    )


def lacks(strategy: Any, dataset: Any) -> str:
    """Why this data cannot play the strategy, in words; empty when it can."""
    if not set(strategy.instruments) & set(dataset.symbols):
        named = ", ".join(map(fmt.short_symbol, strategy.instruments[:3]))
        return f"the data has no {named}"
    if dataset.seconds and Timeframe(strategy.timeframe).seconds % dataset.seconds:
        return f"{strategy.timeframe} candles cannot be made of {dataset.timeframe} candles"
    return ""


def seats(book: Sequence[Any], mappings: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """The accounts that one of these mappings is for, each with its mappings."""
    found = [(account, [m for m in mappings if m.account_id == account.id]) for account in book]
    return [(account, its) for account, its in found if its]


def sample_symbols(strategies: Sequence[Any]) -> list[str]:
    """Instruments for a sample of one's own: what one's strategies trade at NSE, most of all."""
    wanted = list(dict.fromkeys(symbol for strategy in strategies for symbol in strategy.instruments if symbol.startswith("NSE:")))
    return wanted[:SAMPLE_SYMBOLS]


def again(one: Any) -> Mapping[str, Any]:
    """The request that started it, to start it once more."""
    return {
        "dataset_id": one.dataset_id,
        "day": one.day,
        "last_day": one.last_day,
        "strategy_ids": list(one.strategy_ids),
        "account_ids": list(one.account_ids),
        "speed": one.speed,
        "name": one.name,
    }
