"""What is sold of a position, and the end of a trade: it is closed and what it was worth is written down."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from agents.brokers.port import BrokerFill
from agents.market.calendar import close_time, open_time
from agents.market.indicators import Technicals
from agents.trading.book import OpenPosition
from agents.trading.broker import ExitFill
from agents.trading.outcomes import outcome, realised_by, state_vector
from app.runtime.step import Step, technicals_from_json
from storage.models import Fill, Order, Position, TradeOutcome
from storage.records import OrderSide, OrderState, PositionState, uuid7

AT_OPEN = "-open"  # how the ids of exits at an open end


async def sell(step: Step, row: Position, leaving: ExitFill, fill: BrokerFill, order: Order | None) -> None:
    """Fill and cash of a sale; its order too, where it was what protected the position."""
    if order is None:
        order = Order(
            id=uuid7(),
            client_order_id=fill.client_order_id,
            position_id=row.id,
            symbol=row.symbol,
            side=OrderSide.SELL,
            shares=fill.shares,
            session=fill.session,
            state=OrderState.FILLED,
            note=leaving.reason,
            created_at=step.now,
        )
        step.ledger.place(order)
        await step.database.flush()
    order.state, order.note = OrderState.FILLED, leaving.reason
    note = f"sold {leaving.shares} {row.symbol}: {leaving.reason.replace('_', ' ')}"
    await step.ledger.book_fill(fill_row(fill, order, row, step), note=note)


def fill_row(fill: BrokerFill, order: Order, position: Position, step: Step) -> Fill:
    """A fill as the book keeps it."""
    return Fill(
        id=uuid7(),
        order_id=order.id,
        position_id=position.id,
        broker_fill_id=fill.id,
        symbol=fill.symbol,
        side=fill.side,
        shares=fill.shares,
        price=fill.price,
        reference_price=fill.reference,
        fee=fill.fee,
        session=fill.session,
        created_at=step.now,
    )


def sold_part(row: Position, position: OpenPosition, part: ExitFill) -> OpenPosition:
    """The same position after a part of it was sold: what that earned is realised, the rest goes on."""
    rest = position.without(part.shares, part.fee)
    row.realised += realised_by(position, part)
    row.shares, row.sold_shares, row.sold_fees = rest.shares, rest.sold_shares, rest.sold_fees
    return rest


async def close_trade(step: Step, row: Position, position: OpenPosition, leaving: ExitFill) -> None:
    """The position is closed, and its outcome is on record."""
    row.state = PositionState.CLOSED
    row.protected_by = row.unprotected_since = row.alarmed_at = None
    row.closed_session = step.session
    step.memory.store_trade(await _outcome(step, row, position, leaving))


async def _outcome(step: Step, row: Position, position: OpenPosition, leaving: ExitFill) -> TradeOutcome:
    approval = await step.ledger.approval(row.approval_id)
    argument = await step.memory.deliberation(approval)
    signal: Technicals = technicals_from_json(argument.technical_snapshot)
    regime = await step.memory.regime(approval.created_session)
    assert regime is not None  # no proposal is made before the regime has been read
    result = outcome(position, leaving, realised=row.realised)
    version = await step.journal.parameters(approval.parameters_version)
    known = step.view.instruments.get(row.symbol)
    return TradeOutcome(
        position_id=row.id,
        symbol=row.symbol,
        entry_time=open_time(row.entry_session),
        entry_price=row.entry_price,
        exit_time=close_time(step.session),  # a daily bar does not tell the hour
        exit_price=leaving.price,
        quantity=leaving.shares + int(position.sold_shares),
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
        sector=known.sector if known is not None else None,
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
