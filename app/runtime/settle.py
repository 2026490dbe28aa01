"""After the close: bars settle, positions meet their exits, trades become outcomes, equity is marked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from agents.market.bars import Bar as MarketBar
from agents.market.calendar import close_time, open_time, sessions_between
from agents.market.indicators import Technicals
from agents.trading.book import OpenPosition, mark
from agents.trading.broker import ExitFill, exit_on_bar, exit_without_bar
from agents.trading.outcomes import outcome, state_vector
from app.runtime.step import Step, StepResult, held, technicals_from_json
from storage.models import Bar, Equity, Fill, Order, Position, TradeOutcome
from storage.records import (
    OrderSide,
    OrderState,
    PositionState,
    to_price,
    uuid7,
)


async def settle(step: Step) -> StepResult:
    """Store the session's bars, run every exit, mark the account at the close."""
    bars = [_bar_row(step, symbol) for symbol in step.view.instruments]
    settled = [bar for bar in bars if bar is not None]
    await step.memory.store_bars(settled)
    closed: list[str] = []
    alive: list[OpenPosition] = []
    for row in await step.ledger.open_positions():
        position = held(row)
        bar = step.view.bars(row.symbol).on(step.session)
        leaving = _exit_of(step, position, bar)
        if leaving is not None:
            await _leave(step, row, position, leaving)
            closed.append(f"{row.symbol} {leaving.reason.replace('_', ' ')}")
            continue
        if bar is not None:
            position = position.survive(bar)
            row.low_since, row.high_since = position.low_since, position.high_since
            row.last_close, row.last_session = position.last_close, position.last_session
        alive.append(position)
    equity = await _mark(step, alive)
    exits = ", ".join(closed) or "no exits"
    return StepResult(
        f"{len(settled)} bars; {exits}; equity {equity.equity:,.2f}",
        {"bars": len(settled), "exits": list(closed), "equity": str(equity.equity)},
    )


async def settle_late(step: Step) -> StepResult:
    """Store the session's bars that were not there when it settled; settled prices stay."""
    stored = await step.memory.symbols_with_bar(step.session)
    found = (_bar_row(step, symbol) for symbol in step.view.instruments if symbol not in stored)
    late = [bar for bar in found if bar is not None]
    await step.memory.store_bars(late)
    return StepResult(f"{len(late)} late bars" if late else "no bar came late", {"bars": len(late)})


def _exit_of(step: Step, position: OpenPosition, bar: MarketBar | None) -> ExitFill | None:
    held_for = sessions_between(position.entry_session, step.session)
    costs = step.parts.costs
    if bar is None:
        return exit_without_bar(position, step.session, sessions_held=held_for, costs=costs)
    entered_today = position.entry_session == step.session
    return exit_on_bar(position, bar, entered_today=entered_today, sessions_held=held_for, costs=costs)


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
    row.state = PositionState.CLOSED
    row.closed_session = step.session
    step.memory.store_trade(await _outcome(step, row, position, leaving))


async def _outcome(step: Step, row: Position, position: OpenPosition, leaving: ExitFill) -> TradeOutcome:
    approval = await step.ledger.approval(row.approval_id)
    argument = await step.memory.deliberation(approval)
    signal: Technicals = technicals_from_json(argument.technical_snapshot)
    regime = await step.memory.regime(approval.created_session)
    assert regime is not None  # no proposal is made before the regime has been read
    result = outcome(position, leaving)
    version = await step.journal.parameters(approval.parameters_version)
    return TradeOutcome(
        position_id=row.id,
        symbol=row.symbol,
        entry_time=open_time(row.entry_session),
        entry_price=row.entry_price,
        exit_time=close_time(step.session),  # a daily bar does not tell the hour
        exit_price=leaving.price,
        quantity=leaving.shares,
        pnl=result.pnl,
        fees=result.fees,
        return_pct=result.return_pct,
        r_multiple=result.r_multiple,
        mae_r=result.mae_r,
        mfe_r=result.mfe_r,
        setup_type=row.setup_type,
        entry_reason=approval.reasoning,
        exit_reason=leaving.reason,
        market_regime=regime.direction,
        volatility=regime.volatility,
        vix_at_entry=_vix_at(step, approval.created_session),
        rsi_at_entry=signal.rsi14,
        volume_ratio=signal.volume_ratio,
        strategy_params=version.parameters,
        parameters_version=approval.parameters_version,
        state_vector=list(state_vector(signal)),
        desk_kind=step.parts.kind,
        created_at=step.now,
    )


def _vix_at(step: Step, session: date) -> Decimal | None:
    """The VIX at the signal's close, where the market data have one."""
    symbol = step.view.volatility_symbol
    bar = step.view.bars(symbol).on(session) if symbol else None
    return Decimal(str(round(bar.close, 2))) if bar else None
