"""Closed trades with the state of the market they were taken in, and how many of them won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Float, Select, and_, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from storage.memory.part import Part
from storage.models import (
    Approval,
    CashEvent,
    Fill,
    LlmInteraction,
    ParameterVersion,
    Position,
    TradeOutcome,
)
from storage.records import (
    CashKind,
    Direction,
    ExitReason,
    OrderSide,
    SetupType,
    Volatility,
)


@dataclass(frozen=True, kw_only=True)
class TradeRecord:
    """A closed trade and what it cost. Dollars, prices a share as traded on their day, the rest in R or bps.

    `decision_close` is the close it was proposed on, the references are what the market showed before
    slippage. `pnl` is net of fees; `dividends` came beside it. `model_usd` are the model calls about this
    symbol on the evening it was proposed.
    """

    position_id: UUID
    symbol: str
    setup_type: SetupType
    market_regime: Direction
    volatility: Volatility
    entry_session: date
    exit_session: date
    exit_reason: ExitReason
    shares: int  # bought
    decision_close: Decimal
    entry_reference: Decimal
    entry_fill: Decimal
    exit_reference: Decimal | None  # None: it ended without a sale
    exit_fill: Decimal | None
    market_bps: float | None  # assumed slippage at the open or close
    pnl: Decimal
    fees: Decimal
    dividends: Decimal
    model_usd: Decimal
    r_multiple: float
    mae_r: float
    mfe_r: float
    desk_kind: str
    parameters_version: int

    @property
    def net(self) -> Decimal:
        """What is left of it after the models were paid, dividends included."""
        return self.pnl + self.dividends - self.model_usd

    @property
    def tags(self) -> tuple[str, ...]:
        """The words by which it is grouped."""
        return (
            self.setup_type,
            self.market_regime,
            self.volatility,
            self.exit_reason,
            self.desk_kind,
            f"v{self.parameters_version}",
        )


@dataclass(frozen=True)
class ClosedPosition:
    """What the limits ask of a trade that is over; `r` as a multiple of its risk."""

    symbol: str
    entry_session: date
    exit_session: date
    reason: ExitReason
    r: float


class TradeMemory(Part):
    def store_trade(self, outcome: TradeOutcome) -> None:
        self._session.add(outcome)

    async def trade_counts(
        self, *, before: datetime
    ) -> Mapping[tuple[SetupType, Direction], tuple[int, int]]:
        """Trades closed before an instant by setup and regime: how many, and how many of them won."""
        rows = await self._session.execute(
            select(
                TradeOutcome.setup_type,
                TradeOutcome.market_regime,
                func.count(),
                func.count().filter(TradeOutcome.pnl > 0),
            )
            .where(TradeOutcome.exit_time < before)
            .group_by(TradeOutcome.setup_type, TradeOutcome.market_regime)
        )
        return {(setup, regime): (trades, wins) for setup, regime, trades, wins in rows}

    async def setup_results(self, *, before: datetime) -> dict[SetupType, list[float]]:
        """The results in R of the trades closed before an instant, by setup, in the order of their exits."""
        rows = await self._session.execute(
            select(TradeOutcome.setup_type, TradeOutcome.r_multiple)
            .where(TradeOutcome.exit_time < before)
            .order_by(TradeOutcome.exit_time, TradeOutcome.symbol)
        )
        results: dict[SetupType, list[float]] = {}
        for setup, r in rows:
            results.setdefault(setup, []).append(r)
        return results

    async def trades_closed_since(self, first: date) -> Sequence[ClosedPosition]:
        """Every trade closed from the session `first` on."""
        rows = await self._session.execute(
            select(
                TradeOutcome.symbol,
                Position.entry_session,
                Position.closed_session,
                TradeOutcome.exit_reason,
                TradeOutcome.r_multiple,
            )
            .join(TradeOutcome, TradeOutcome.position_id == Position.id)
            .where(Position.closed_session >= first)
        )
        return [
            ClosedPosition(symbol, entered, closed, reason, r)
            for symbol, entered, closed, reason, r in rows
            if closed is not None
        ]

    async def trade_records(self, *, most: int) -> Sequence[TradeRecord]:
        """The last closed trades, latest first."""
        bought, sold = aliased(Fill), aliased(Fill)
        rows = await self._session.execute(
            select(
                TradeOutcome.position_id,
                TradeOutcome.symbol,
                TradeOutcome.setup_type,
                TradeOutcome.market_regime,
                TradeOutcome.volatility,
                Position.entry_session,
                Position.closed_session.label("exit_session"),
                TradeOutcome.exit_reason,
                bought.shares,
                Approval.close.label("decision_close"),
                bought.reference_price.label("entry_reference"),
                bought.price.label("entry_fill"),
                sold.reference_price.label("exit_reference"),
                sold.price.label("exit_fill"),
                cast(ParameterVersion.costs["market_bps"].astext, Float).label("market_bps"),
                TradeOutcome.pnl,
                TradeOutcome.fees,
                _total(CashEvent.amount)
                .where(CashEvent.position_id == Position.id, CashEvent.kind == CashKind.DIVIDEND)
                .scalar_subquery()
                .label("dividends"),
                _total(LlmInteraction.cost_usd)
                .where(
                    LlmInteraction.symbol == Approval.symbol,
                    LlmInteraction.session == Approval.created_session,
                )
                .scalar_subquery()
                .label("model_usd"),
                TradeOutcome.r_multiple,
                TradeOutcome.mae_r,
                TradeOutcome.mfe_r,
                TradeOutcome.desk_kind,
                TradeOutcome.parameters_version,
            )
            .join(Position, Position.id == TradeOutcome.position_id)
            .join(Approval, Approval.id == Position.approval_id)
            .join(ParameterVersion, ParameterVersion.version == TradeOutcome.parameters_version)
            .join(bought, and_(bought.position_id == Position.id, bought.side == OrderSide.BUY))
            .outerjoin(
                sold,  # the last sale alone: a part may have been sold on a session before
                and_(
                    sold.position_id == Position.id,
                    sold.side == OrderSide.SELL,
                    sold.session == Position.closed_session,
                ),
            )
            .order_by(TradeOutcome.exit_time.desc(), TradeOutcome.symbol)
            .limit(most)
        )
        return [TradeRecord(**row._mapping) for row in rows]


def _total(column: InstrumentedAttribute[Decimal]) -> Select[tuple[Decimal]]:
    """The sum of a column, 0 where there is nothing to add."""
    return select(func.coalesce(func.sum(column), 0))
