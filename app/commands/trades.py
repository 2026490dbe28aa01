"""`quorum trades`: closed trades with what each made, what it cost, and the words it is grouped by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

import psycopg
import typer

from agents.trading.slippage import SlippageRecord, measure, summarise
from app.commands.desks import open_desk, recall
from storage.memory import TradeRecord
from storage.notes import read_notes, tags_of
from storage.plain import as_json, clean
from storage.records import DeskKind, ExitReason, OrderSide

EVERY = 100_000  # trades: more than any desk has


def print_trades(desk: str | None, most: int, *, tag: str | None = None, as_object: bool) -> None:
    """The last closed trades, latest first, and what they came to together; with a tag only those that
    a human has tagged so.
    """
    name, trades = recall(desk, lambda memory: memory.trade_records(most=most if tag is None else EVERY))
    marks = _marks(desk, [trade.position_id for trade in trades])
    if tag is not None:
        trades = [trade for trade in trades if tag in marks[trade.position_id]][:most]
    slippage = summarise(entry for trade in trades if (entry := entry_slippage(trade)) is not None)
    if as_object:
        rows = [
            {
                **_as_object(as_json(trade)),
                "net": as_json(trade.net),
                "tags": [*trade.tags, *marks[trade.position_id]],
                "entry_slippage": as_json(entry_slippage(trade)),
                "exit_slippage_bps": exit_bps(trade),
            }
            for trade in trades
        ]
        typer.echo(json.dumps({"desk": name, "trades": rows, "slippage": as_json(slippage)}))
        return
    if not trades:
        what = "has closed no trade yet" if tag is None else f"has no closed trade tagged {clean(tag)[:40]}"
        typer.echo(f"desk {name} {what}")
        return
    for line in _lines(trades, marks):
        typer.echo(clean(line))
    typer.echo(slippage.verdict)


def _marks(desk: str | None, position_ids: Sequence[UUID]) -> dict[UUID, tuple[str, ...]]:
    """The tags that humans have put on each trade."""
    with open_desk(desk) as opened:
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
            notes = read_notes(connection, position_ids)
    return {
        position_id: tags_of(note for note in notes if note.position_id == position_id)
        for position_id in position_ids
    }


def entry_slippage(trade: TradeRecord) -> SlippageRecord | None:
    """The entry from the proposal's close to the fill; None where the assumption was not kept."""
    if trade.market_bps is None:
        return None
    return measure(
        symbol=trade.symbol,
        session=trade.entry_session,
        side=OrderSide.BUY,
        shares=trade.shares,
        decision_close=trade.decision_close,
        reference=trade.entry_reference,
        fill=trade.entry_fill,
        assumed_bps=trade.market_bps,
        simulated=trade.desk_kind != DeskKind.LIVE,
    )


def exit_bps(trade: TradeRecord) -> float | None:
    """What the exit gave away against the market's price, in basis points; None without a sale."""
    if trade.exit_fill is None or not trade.exit_reference:
        return None
    return float((trade.exit_reference - trade.exit_fill) / trade.exit_reference * 10_000)


def _lines(trades: Sequence[TradeRecord], marks: Mapping[UUID, tuple[str, ...]]) -> Iterator[str]:
    yield (
        f"{'symbol':<8}{'entry':<12}{'exit':<12}{'shares':>7}{'pnl':>11}{'R':>7}{'fees':>8}{'divs':>8}"
        f"{'models':>8}{'net':>11}{'close':>9}{'open':>9}{'fill':>9}"
        f"{'bps':>6}{'given':>7}{'assumed':>8}  tags"
    )
    for trade in trades:
        cost = entry_slippage(trade)
        bps = (
            f"{cost.shortfall_bps:>+6.0f}{cost.auction_bps:>7.1f}{cost.assumed_bps:>8.1f}"
            if cost
            else f"{'-':>21}"
        )
        yield (
            f"{trade.symbol:<8}{trade.entry_session!s:<12}{trade.exit_session!s:<12}{trade.shares:>7,}"
            f"{trade.pnl:>11,.2f}{trade.r_multiple:>+7.2f}{trade.fees:>8,.2f}{trade.dividends:>8,.2f}"
            f"{trade.model_usd:>8,.2f}{trade.net:>11,.2f}{trade.decision_close:>9,.2f}"
            f"{trade.entry_reference:>9,.2f}{trade.entry_fill:>9,.2f}{bps}  "
            f"{', '.join((*trade.tags, *marks[trade.position_id]))}"
        )
    none = Decimal(0)
    stops = sum(trade.exit_reason is ExitReason.STOP_LOSS for trade in trades)
    yield (
        f"{len(trades)} trades, {sum(trade.pnl > 0 for trade in trades)} won, {stops} stopped out; "
        f"{sum((trade.pnl for trade in trades), none):,.2f} dollars net of fees, "
        f"{sum((trade.dividends for trade in trades), none):,.2f} dividends, "
        f"{sum((trade.model_usd for trade in trades), none):,.2f} to models: "
        f"{sum((trade.net for trade in trades), none):,.2f} in all"
    )


def _as_object(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value
