"""Past trades by what they had in common: typed filters, and the trades taken in the most similar state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute

from storage.memory.part import Part
from storage.models import Instrument, Position, TradeOutcome
from storage.records import Direction, ExitReason, SetupType, Volatility

AnySelect = TypeVar("AnySelect", bound=Select[*tuple[Any, ...]])


class RsiBucket(StrEnum):
    """RSI(14) at the signal: from the first number, below the second."""

    TO_30 = "0-30"
    TO_40 = "30-40"
    TO_60 = "40-60"
    TO_70 = "60-70"
    TO_100 = "70-101"


class VixBucket(StrEnum):
    """The VIX at the signal's close: from the first number, below the second."""

    TO_13 = "0-13"
    TO_20 = "13-20"
    TO_30 = "20-30"
    TO_1000 = "30-1000"


@dataclass(frozen=True, kw_only=True)
class PatternFilter:
    """Which past trades are meant; None leaves a property open. Days are those of the entry."""

    setup: SetupType | None = None
    regime: Direction | None = None
    volatility: Volatility | None = None
    sector: str | None = None
    rsi: RsiBucket | None = None
    vix: VixBucket | None = None
    exit_reason: ExitReason | None = None
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, kw_only=True)
class PastTrade:
    """A closed trade as an example; `distance` to the state asked about, 0 is the same."""

    symbol: str
    setup_type: SetupType
    market_regime: Direction
    entry_session: date
    exit_session: date
    exit_reason: ExitReason
    pnl: Decimal
    r_multiple: float
    distance: float | None


@dataclass(frozen=True, kw_only=True)
class PastResults:
    """What the trades of a filter came to; `r` in the order they closed."""

    trades: int
    wins: int
    r: tuple[float, ...]


class PatternMemory(Part):
    """Asks about trades closed before an instant only: nothing here is later than the decision it serves."""

    async def past_results(self, wanted: PatternFilter, *, before: datetime) -> PastResults:
        """How the trades of a filter ended."""
        rows = await self._session.execute(
            _matching(select(TradeOutcome.pnl, TradeOutcome.r_multiple), wanted, before).order_by(
                TradeOutcome.exit_time, TradeOutcome.symbol
            )
        )
        found = rows.all()
        return PastResults(
            trades=len(found),
            wins=sum(row.pnl > 0 for row in found),
            r=tuple(row.r_multiple for row in found),
        )

    async def past_trades(
        self,
        wanted: PatternFilter,
        *,
        before: datetime,
        most: int,
        like: Sequence[float] | None = None,
    ) -> Sequence[PastTrade]:
        """Trades of a filter: the latest, or those nearest to the state `like` by exact distance."""
        state = TradeOutcome.state_vector
        distance = literal(None) if like is None else state.l2_distance(list(like))
        order = TradeOutcome.exit_time.desc() if like is None else distance.asc()
        statement = _matching(
            select(
                TradeOutcome.symbol,
                TradeOutcome.setup_type,
                TradeOutcome.market_regime,
                Position.entry_session,
                Position.closed_session.label("exit_session"),
                TradeOutcome.exit_reason,
                TradeOutcome.pnl,
                TradeOutcome.r_multiple,
                distance.label("distance"),
            ),
            wanted,
            before,
        )
        if like is not None:
            statement = statement.where(state.is_not(None))
        rows = await self._session.execute(statement.order_by(order, TradeOutcome.symbol).limit(most))
        return [PastTrade(**row._mapping) for row in rows]


def _matching(statement: AnySelect, wanted: PatternFilter, before: datetime) -> AnySelect:
    return (
        statement.join(Position, Position.id == TradeOutcome.position_id)
        .outerjoin(Instrument, Instrument.symbol == TradeOutcome.symbol)
        .where(TradeOutcome.exit_time < before, *_conditions(wanted))
    )


def _conditions(wanted: PatternFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    equal: tuple[tuple[InstrumentedAttribute[Any], object], ...] = (
        (TradeOutcome.setup_type, wanted.setup),
        (TradeOutcome.market_regime, wanted.regime),
        (TradeOutcome.volatility, wanted.volatility),
        (TradeOutcome.exit_reason, wanted.exit_reason),
    )
    conditions += [column == value for column, value in equal if value is not None]
    if wanted.sector is not None:
        conditions.append(func.lower(Instrument.sector) == wanted.sector.lower())
    for column, bucket in ((TradeOutcome.rsi_at_entry, wanted.rsi), (TradeOutcome.vix_at_entry, wanted.vix)):
        if bucket is not None:
            low, high = (float(edge) for edge in bucket.value.split("-"))
            conditions += [column >= low, column < high]
    if wanted.first is not None:
        conditions.append(Position.entry_session >= wanted.first)
    if wanted.last is not None:
        conditions.append(Position.entry_session <= wanted.last)
    return conditions
