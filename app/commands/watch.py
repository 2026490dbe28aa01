"""`quorum watch`: the symbols the desk follows, and a warning before a call is wasted on one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import typer

from agents.market.fmp.errors import FmpError
from agents.market.fmp.free_plan import FREE_FUNDS, FREE_SYMBOLS, NO_LONGER_LISTED
from agents.market.fmp.queries import profile
from agents.market.quota import FmpPlan
from app.commands.desks import open_desk
from app.operator import this_operator
from app.settings import load_settings
from storage.errors import OperatorError
from storage.plain import as_json, clean
from storage.quota_rules import EntitlementState
from storage.quota_snapshot import EntitlementRow
from storage.watchlist import WatchRow


def print_watchlist(desk: str | None, *, as_object: bool) -> None:
    """One line a symbol: what it is, how far its bars reach, what the vendor refuses of it."""
    with open_desk(desk) as opened:
        rows = opened.desk.watchlist()
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "watchlist": as_json(rows)}))
        return
    for row in rows:
        typer.echo(clean(_line(row)))
    typer.echo(f"{len(rows)} watched")


def add_symbols(symbols: Sequence[str], desk: str | None, *, anyway: bool) -> None:
    """Follow symbols. One that would waste calls is refused with the reason, unless asked for all the same.

    Raises OperatorError when any was not added; the others are.
    """
    plan, refusals = load_settings().fmp.plan, []
    with open_desk(desk) as opened:
        entitlements = opened.desk.entitlements()
        for symbol in map(str.upper, symbols):
            doubts = list(doubts_of(symbol, plan, entitlements))
            if doubts and (not anyway or not _is_symbol(symbol)):
                refusals.append(f"{symbol}: {'; '.join(doubts)}")
                continue
            receipt = opened.desk.watch(symbol, operator=this_operator())
            if not receipt.accepted:
                refusals.append(receipt.message)
                continue
            warned = f" (though {'; '.join(doubts)})" if doubts else ""
            typer.echo(clean(f"{receipt.message}{warned}"))
    _raise(refusals, "add them all the same with --anyway, where they are symbols at all")


def remove_symbols(symbols: Sequence[str], desk: str | None) -> None:
    """Follow symbols no longer. Raises OperatorError when any was not on the list."""
    refusals = []
    with open_desk(desk) as opened:
        for symbol in map(str.upper, symbols):
            receipt = opened.desk.unwatch(symbol, operator=this_operator())
            if receipt.accepted:
                typer.echo(clean(receipt.message))
            else:
                refusals.append(receipt.message.partition(";")[0])
    _raise(refusals, "`quorum watch list` names those that are watched")


def doubts_of(symbol: str, plan: FmpPlan, entitlements: Sequence[EntitlementRow]) -> Iterator[str]:
    """Why calls for a symbol would be wasted."""
    if not _is_symbol(symbol):
        yield "that is no symbol"
        return
    if symbol in NO_LONGER_LISTED:
        yield "it is no longer listed"
    if symbol in FREE_FUNDS:
        yield "it is a fund, which the desk never buys"
    if plan is FmpPlan.FREE and symbol not in FREE_SYMBOLS:
        yield "it is not among the symbols of the free plan"
    for row in entitlements:
        if row.symbol == symbol and row.state is EntitlementState.REFUSED and row.ask_again_at is not None:
            yield f"FMP refused its {row.endpoint}, asked again from {row.ask_again_at:%Y-%m-%d}"


def _is_symbol(symbol: str) -> bool:
    try:
        profile(symbol)
    except FmpError:
        return False
    return True


def _raise(refusals: list[str], remedy: str) -> None:
    if refusals:
        raise OperatorError(clean(" | ".join(refusals)), remedy)


def _line(row: WatchRow) -> str:
    reach = f"bars to {row.newest_bar}" if row.newest_bar else "no bars yet"
    refused = ""
    if row.refused and row.refused_until:
        refused = f"; {row.refused} refused until {row.refused_until:%Y-%m-%d}"
    return f"{row.symbol:<8}{row.name or '-':<28.27}{row.sector or '-':<24.23}{reach}{refused}"
