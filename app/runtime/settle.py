"""After the close: bars settle, positions meet their exits, trades become outcomes, equity is marked."""

from __future__ import annotations

from agents.market.bars import Bar as MarketBar
from agents.trading.book import OpenPosition, mark
from agents.trading.broker import ExitFill, sale_before_earnings
from agents.trading.holding import meet_bar
from agents.trading.limits import HoldAction, cash_on, halved_for, held_into_earnings, proceeds
from app.runtime.actions import live_through_actions
from app.runtime.book import earnings_date, index_now, ladder_at, return_over
from app.runtime.closing import close_trade, sell, sold_part
from app.runtime.step import Step, StepResult, held, stored
from storage.memory import StoredBar
from storage.models import Equity, LadderReading, Position
from storage.records import Rung


async def settle(step: Step) -> StepResult:
    """Store the session's bars, run every exit, mark the account at the close.

    Actions the morning did not get to are lived through first: its bar must not meet a stop on another basis.
    """
    notes = (await live_through_actions(step)).sentences
    bars = [_bar_row(step, symbol) for symbol in step.view.instruments]
    settled = [bar for bar in bars if bar is not None]
    await step.memory.store_bars(settled)
    closed: list[str] = []
    alive: list[OpenPosition] = []
    for row in await step.ledger.open_positions():
        left = await _meet(step, row, closed, notes)
        alive += [] if left is None else [left]
    equity, ladder = await _mark(step, alive)
    if ladder.rung is not Rung.FULL:
        notes.append(f"ladder: {ladder.rung}")
    exits = ", ".join(closed) or "no exits"
    return StepResult(
        "; ".join([f"{len(settled)} bars", exits, *notes, f"equity {equity.equity:,.2f}"]),
        {"bars": len(settled), "exits": list(closed), "equity": str(equity.equity), "notes": notes},
    )


async def settle_evening(step: Step) -> StepResult:
    """Store the bars that came late, and run the exits of what was held without one; prices settled stay.

    The account was marked without these exits; the next close marks what they left.
    """
    known = await step.memory.symbols_with_bar(step.session)
    stored = await settle_late(step)
    closed: list[str] = []
    notes: list[str] = []
    for row in await step.ledger.open_positions():
        came = row.symbol not in known and step.view.bars(row.symbol).on(step.session) is not None
        if came and row.entry_session <= step.session and row.last_session <= step.session:
            await _meet(step, row, closed, notes)
    told = [*closed, *notes]
    return StepResult("; ".join([stored.summary, *told]), {**stored.figures, "exits": closed, "notes": notes})


async def settle_late(step: Step) -> StepResult:
    """Store the session's bars that were not there when it settled; settled prices stay."""
    known = await step.memory.symbols_with_bar(step.session)
    found = (_bar_row(step, symbol) for symbol in step.view.instruments if symbol not in known)
    late = [bar for bar in found if bar is not None]
    await step.memory.store_bars(late)
    return StepResult(f"{len(late)} late bars" if late else "no bar came late", {"bars": len(late)})


async def _meet(step: Step, row: Position, closed: list[str], notes: list[str]) -> OpenPosition | None:
    """Let a position meet the session's bar: what is left of it, None when it was sold."""
    position = held(row)
    bar = step.view.bars(row.symbol).on(step.session)
    met = meet_bar(position, bar, step.session, actions=step.actions, costs=step.parts.costs)
    if met.hold is not None:
        notes.append(f"{row.symbol} {'' if met.hold.is_released else 'stop held, '}{met.hold.reason}")
    leaving = met.leaving
    if met.lived_through:
        leaving = await _before_earnings(step, position, bar)
    if leaving is not None and leaving.shares == position.shares:
        await sell(step, row, leaving, f"exit-{row.id}")
        await close_trade(step, row, position, leaving)
        closed.append(f"{row.symbol} {leaving.reason.replace('_', ' ')}")
        return None
    position = met.position
    if leaving is not None:
        await sell(step, row, leaving, f"part-{row.id}-{step.session}")
        position = sold_part(row, position, leaving)
        notes.append(f"{row.symbol} sold {leaving.shares} of {leaving.shares + position.shares}: earnings")
    if met.lived_through:
        row.low_since, row.high_since = position.low_since, position.high_since
        row.last_close, row.last_session = position.last_close, position.last_session
    return position


async def _before_earnings(step: Step, position: OpenPosition, bar: MarketBar | None) -> ExitFill | None:
    """What is sold at this close because the company reports; a part is sold once for one announcement."""
    date_known, limits = earnings_date(step, position.symbol), step.parts.limits
    action = held_into_earnings(date_known, step.session, limits)
    if action is HoldAction.HALVE:
        last = await step.ledger.last_sale(position.id)
        halved = halved_for(date_known, last)
        action = held_into_earnings(date_known, step.session, limits, halved=halved)
    return sale_before_earnings(position, bar, action, step.parts.costs)


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
