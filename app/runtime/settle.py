"""After the close: bars settle, positions meet their exits, trades become outcomes, equity is marked."""

from __future__ import annotations

from collections.abc import Sequence

from agents.market.bars import Bar as MarketBar
from agents.trading.book import OpenPosition, mark
from agents.trading.broker import is_usable
from agents.trading.holding import split_check
from agents.trading.limits import cash_on, proceeds
from app.runtime.actions import live_through_actions
from app.runtime.book import index_now, ladder_at, return_over
from app.runtime.booking import Booked, take_fills
from app.runtime.protection import protect_all
from app.runtime.requests import see_to_the_ended
from app.runtime.step import Step, StepResult, held, stored
from storage.memory import StoredBar
from storage.models import Equity, LadderReading, Position
from storage.records import PositionState, Rung


async def settle(step: Step) -> StepResult:
    """Store the session's bars, book every exit, mark the account at the close.

    Actions the morning did not get to are lived through first: its bar must not meet a stop on another basis.
    """
    notes = (await live_through_actions(step)).sentences
    bars = [_bar_row(step, symbol) for symbol in step.view.instruments]
    settled = [bar for bar in bars if bar is not None]
    await step.memory.store_bars(settled)
    notes += await protect_all(step)  # nobody protected what a desk of an older version holds
    booked = await _meet_bars(step, list(await step.ledger.open_positions()))
    notes += booked.notes
    await see_to_the_ended(step)
    equity, ladder = await _mark(step, [held(row) for row in await step.ledger.open_positions()])
    if ladder.rung is not Rung.FULL:
        notes.append(f"ladder: {ladder.rung}")
    exits = ", ".join(booked.closed) or "no exits"
    return StepResult(
        "; ".join([f"{len(settled)} bars", exits, *notes, f"equity {equity.equity:,.2f}"]),
        {"bars": len(settled), "exits": list(booked.closed), "equity": str(equity.equity), "notes": notes},
    )


async def settle_evening(step: Step) -> StepResult:
    """Store the bars that came late, and book the exits of what was held without one; prices settled stay.

    The account was marked without these exits; the next close marks what they left.
    """
    known = await step.memory.symbols_with_bar(step.session)
    stored = await settle_late(step)
    came = [
        row
        for row in await step.ledger.open_positions()
        if row.symbol not in known
        and row.entry_session <= step.session
        and row.last_session <= step.session
        and step.view.bars(row.symbol).on(step.session) is not None
    ]
    booked = await _meet_bars(step, came)
    told = [*booked.closed, *booked.notes]
    figures = {**stored.figures, "exits": list(booked.closed), "notes": list(booked.notes)}
    return StepResult("; ".join([stored.summary, *told]), figures)


async def _meet_bars(step: Step, rows: Sequence[Position]) -> Booked:
    """Book what the broker executed in this session, and let what is left of `rows` live through its bar."""
    holds = {row.id: split_check(held(row), _bar(step, row), step.session, step.actions) for row in rows}
    doubted = {name for name, hold in holds.items() if hold is not None and not hold.is_released}
    booked = await take_fills(step, doubted)
    told = []
    for row in rows:
        hold, bar = holds[row.id], _bar(step, row)
        if hold is not None:
            told.append(f"{row.symbol} {'' if hold.is_released else 'stop held, '}{hold.reason}")
        if row.state is PositionState.OPEN and row.id not in doubted and bar is not None:
            lived = held(row).survive(bar)
            row.low_since, row.high_since = lived.low_since, lived.high_since
            row.last_close, row.last_session = lived.last_close, lived.last_session
    booked.notes[:0] = told
    return booked


def _bar(step: Step, row: Position) -> MarketBar | None:
    bar = step.view.bars(row.symbol).on(step.session)
    return bar if bar is not None and is_usable(bar) else None


async def settle_late(step: Step) -> StepResult:
    """Store the session's bars that were not there when it settled; settled prices stay."""
    known = await step.memory.symbols_with_bar(step.session)
    found = (_bar_row(step, symbol) for symbol in step.view.instruments if symbol not in known)
    late = [bar for bar in found if bar is not None]
    await step.memory.store_bars(late)
    return StepResult(f"{len(late)} late bars" if late else "no bar came late", {"bars": len(late)})


def _bar_row(step: Step, symbol: str) -> StoredBar | None:
    bar = step.view.bars(symbol).on(step.session)
    return None if bar is None else stored(bar)


async def _mark(step: Step, positions: list[OpenPosition]) -> tuple[Equity, LadderReading]:
    """The account at the close and where its ladder stands; what is paid in is no gain."""
    await step.ledger.hold_ladder()  # before the cash is counted: what is paid in is in both or in neither
    marked = mark(positions, await step.ledger.cash(), {})
    sales = await step.ledger.sales_since(step.session)
    cash = cash_on([proceeds(amount, session) for session, amount in sales], step.session)
    index = await index_now(step, marked.equity)
    high = max(point.index for point in index)
    equity = Equity(
        session=step.session,
        cash=marked.cash,
        positions_value=marked.positions_value,
        equity=marked.equity,
        heat=marked.heat,
        day_return=return_over(index, 1),
        drawdown=float(1 - index[-1].index / high),
        unsettled=cash.unsettled,
        settles_on=cash.next_settles,
    )
    step.ledger.mark(equity)
    limits, state = step.parts.limits, await ladder_at(step, index)
    reading = LadderReading(
        session=step.session,
        rung=state.rung(limits),
        drawdown=float(state.drawdown),
        halted_since=state.halted_since,
        probation_left=state.probation_left,
    )
    step.ledger.mark_ladder(reading)
    return equity, reading
