"""The end of a trade: its position is closed and what it was worth is written down."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from agents.market.calendar import close_time, open_time
from agents.market.indicators import Technicals
from agents.trading.book import OpenPosition
from agents.trading.broker import ExitFill
from agents.trading.outcomes import outcome, state_vector
from app.runtime.step import Step, technicals_from_json
from storage.models import Position, TradeOutcome
from storage.records import PositionState


async def close_trade(step: Step, row: Position, position: OpenPosition, leaving: ExitFill) -> None:
    """The position is closed, and its outcome is on record."""
    row.state = PositionState.CLOSED
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
