"""After the close: bars settle, positions meet their exits, trades become outcomes, equity is marked."""

from __future__ import annotations

from agents.trading.book import OpenPosition, mark
from agents.trading.broker import ExitFill
from agents.trading.holding import meet_bar
from app.runtime.actions import live_through_actions
from app.runtime.closing import close_trade
from app.runtime.step import Step, StepResult, held
from storage.models import Bar, Equity, Fill, Order, Position
from storage.records import OrderSide, OrderState, to_price, uuid7


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
        position = held(row)
        bar = step.view.bars(row.symbol).on(step.session)
        met = meet_bar(position, bar, step.session, actions=step.actions, costs=step.parts.costs)
        if met.hold is not None:
            notes.append(f"{row.symbol} {'' if met.hold.is_released else 'stop held, '}{met.hold.reason}")
        if met.leaving is not None:
            await _leave(step, row, position, met.leaving)
            closed.append(f"{row.symbol} {met.leaving.reason.replace('_', ' ')}")
            continue
        if met.position is not position:
            position = met.position
            row.low_since, row.high_since = position.low_since, position.high_since
            row.last_close, row.last_session = position.last_close, position.last_session
        alive.append(position)
    equity = await _mark(step, alive)
    exits = ", ".join(closed) or "no exits"
    return StepResult(
        "; ".join([f"{len(settled)} bars", exits, *notes, f"equity {equity.equity:,.2f}"]),
        {"bars": len(settled), "exits": list(closed), "equity": str(equity.equity), "notes": notes},
    )


async def settle_late(step: Step) -> StepResult:
    """Store the session's bars that were not there when it settled; settled prices stay."""
    stored = await step.memory.symbols_with_bar(step.session)
    found = (_bar_row(step, symbol) for symbol in step.view.instruments if symbol not in stored)
    late = [bar for bar in found if bar is not None]
    await step.memory.store_bars(late)
    return StepResult(f"{len(late)} late bars" if late else "no bar came late", {"bars": len(late)})


def _bar_row(step: Step, symbol: str) -> Bar | None:
    bar = step.view.bars(symbol).on(step.session)
    if bar is None:
        return None
    return Bar(
        symbol=symbol,
        session=bar.session,
        open=to_price(bar.open),
        high=to_price(bar.high),
        low=to_price(bar.low),
        close=to_price(bar.close),
        volume=bar.volume,
    )


async def _mark(step: Step, positions: list[OpenPosition]) -> Equity:
    """The account at the close, beside the last one and the highest one."""
    marked = mark(positions, await step.ledger.cash(), {})
    last = await step.ledger.last_equity()
    peak = max(await step.ledger.peak_equity() or marked.equity, marked.equity)
    equity = Equity(
        session=step.session,
        cash=marked.cash,
        positions_value=marked.positions_value,
        equity=marked.equity,
        heat=marked.heat,
        day_return=float(marked.equity / last.equity - 1) if last is not None else 0.0,
        drawdown=float(1 - marked.equity / peak),
    )
    step.ledger.mark(equity)
    return equity


async def _leave(step: Step, row: Position, position: OpenPosition, leaving: ExitFill) -> None:
    """Order, fill, cash and outcome of an exit, in one go."""
    order = Order(
        id=uuid7(),
        client_order_id=f"exit-{row.id}",
        position_id=row.id,
        symbol=row.symbol,
        side=OrderSide.SELL,
        shares=leaving.shares,
        session=step.session,
        state=OrderState.FILLED,
        note=leaving.reason,
        created_at=step.now,
    )
    step.ledger.place(order)
    await step.database.flush()
    await step.ledger.book_fill(
        Fill(
            id=uuid7(),
            order_id=order.id,
            position_id=row.id,
            symbol=row.symbol,
            side=OrderSide.SELL,
            shares=leaving.shares,
            price=leaving.price,
            reference_price=leaving.reference,
            fee=leaving.fee,
            session=step.session,
            created_at=step.now,
        ),
        note=f"sold {leaving.shares} {row.symbol}: {leaving.reason.replace('_', ' ')}",
    )
    await close_trade(step, row, position, leaving)
