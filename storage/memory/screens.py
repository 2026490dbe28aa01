"""Screens, the theses on their symbols, and what the symbols did afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import bindparam, select, union_all, update
from sqlalchemy import literal as value_of

from storage.memory.part import Part
from storage.models import ScreenerResult
from storage.models.base import Json
from storage.records import SetupType, ThesisKind


class Horizon(StrEnum):
    """When a screened symbol is looked at again, by the column that keeps what it did.

    SESSIONS_5 and SESSIONS_21 are in excess of the index over the same span, the others the symbol's own.
    """

    SESSIONS_5 = "outcome_5s"
    SESSIONS_21 = "outcome_21s"
    DAYS_7 = "outcome_7d"
    DAYS_30 = "outcome_30d"


@dataclass(frozen=True, kw_only=True)
class StoredThesis:
    """What research said of one symbol; confidence 0-100."""

    symbol: str
    thesis: ThesisKind
    confidence: float
    source: str
    reasoning: str


@dataclass(frozen=True, kw_only=True)
class Unmeasured:
    """A screened symbol whose outcome over a horizon is not on record yet."""

    id: UUID
    session: date
    symbol: str
    horizon: Horizon


@dataclass(frozen=True, kw_only=True)
class ScreenOutcome:
    """What a screened symbol did from the next open on, as fractions; None while it is not known."""

    session: date
    symbol: str
    setup_type: SetupType | None  # None: screened before the setup was kept
    score: float
    selected: bool
    outcome_5s: float | None
    outcome_21s: float | None
    outcome_7d: float | None
    outcome_30d: float | None


class ScreenMemory(Part):
    def store_screen(self, rows: Sequence[ScreenerResult]) -> None:
        self._session.add_all(rows)

    async def fundamentals(self, session: date, symbols: Collection[str]) -> dict[str, Json]:
        """What the screen of a session knew of the companies, by symbol; empty where it knew nothing."""
        rows = await self._session.execute(
            select(ScreenerResult.symbol, ScreenerResult.fundamental_snapshot).where(
                ScreenerResult.session == session, ScreenerResult.symbol.in_(symbols)
            )
        )
        return {row.symbol: row.fundamental_snapshot for row in rows}

    async def store_theses(self, session: date, theses: Sequence[StoredThesis]) -> None:
        """Add what research said to the symbols' rows of the evening's screen."""
        if theses:
            statement = update(ScreenerResult).where(
                ScreenerResult.session == session, ScreenerResult.symbol == bindparam("of_symbol")
            )
            await (await self._session.connection()).execute(
                statement,
                [
                    {
                        "of_symbol": said.symbol,
                        "thesis": said.thesis,
                        "confidence": Decimal(str(said.confidence)),
                        "source": said.source,
                        "reasoning": said.reasoning,
                    }
                    for said in theses
                ],
            )

    async def selected(self, session: date) -> frozenset[str]:
        """The symbols that an evening's screen handed to the agents."""
        rows = await self._session.scalars(
            select(ScreenerResult.symbol).where(
                ScreenerResult.session == session, ScreenerResult.selected_for_watchlist
            )
        )
        return frozenset(rows)

    async def unmeasured_screens(self, due: Mapping[Horizon, Sequence[date]]) -> Sequence[Unmeasured]:
        """The rows of these evenings that lack the outcome their horizon would give."""
        wanted = [
            select(
                ScreenerResult.id,
                ScreenerResult.session,
                ScreenerResult.symbol,
                value_of(horizon.value).label("horizon"),
            ).where(ScreenerResult.session.in_(evenings), getattr(ScreenerResult, horizon.value).is_(None))
            for horizon, evenings in due.items()
            if evenings
        ]
        if not wanted:
            return []
        rows = await self._session.execute(union_all(*wanted))
        return [
            Unmeasured(id=row.id, session=row.session, symbol=row.symbol, horizon=Horizon(row.horizon))
            for row in rows
        ]

    async def store_screen_outcomes(self, outcomes: Mapping[UUID, Mapping[Horizon, float]]) -> None:
        """Write down what screened symbols did, by row, as fractions; what is known already stays."""
        if not outcomes:
            return
        # One statement for all of them: ten years of a replay write a quarter of a million.
        columns = {horizon.value: [known.get(horizon) for known in outcomes.values()] for horizon in Horizon}
        connection = await self._session.connection()
        await connection.exec_driver_sql(_OUTCOMES, {"ids": list(outcomes), **columns})

    async def screen_outcomes(
        self, *, first: date | None = None, last: date | None = None
    ) -> Sequence[ScreenOutcome]:
        """Every screened symbol of these evenings with what became of it, oldest first."""
        rows = await self._session.execute(
            select(
                ScreenerResult.session,
                ScreenerResult.symbol,
                ScreenerResult.setup_type,
                ScreenerResult.composite_score,
                ScreenerResult.selected_for_watchlist,
                *(getattr(ScreenerResult, horizon.value) for horizon in Horizon),
            )
            .where(
                *([ScreenerResult.session >= first] if first else []),
                *([ScreenerResult.session <= last] if last else []),
            )
            .order_by(ScreenerResult.session, ScreenerResult.symbol)
        )
        return [
            ScreenOutcome(
                session=row.session,
                symbol=row.symbol,
                setup_type=row.setup_type,
                score=float(row.composite_score),
                selected=row.selected_for_watchlist,
                outcome_5s=row.outcome_5s,
                outcome_21s=row.outcome_21s,
                outcome_7d=row.outcome_7d,
                outcome_30d=row.outcome_30d,
            )
            for row in rows
        ]


_OUTCOMES = """
    update screener_results s
       set outcome_5s = coalesce(s.outcome_5s, v.outcome_5s),
           outcome_21s = coalesce(s.outcome_21s, v.outcome_21s),
           outcome_7d = coalesce(s.outcome_7d, v.outcome_7d),
           outcome_30d = coalesce(s.outcome_30d, v.outcome_30d)
      from unnest(%(ids)s::uuid[], %(outcome_5s)s::float8[], %(outcome_21s)s::float8[],
                  %(outcome_7d)s::float8[], %(outcome_30d)s::float8[])
           as v (id, outcome_5s, outcome_21s, outcome_7d, outcome_30d)
     where s.id = v.id
"""
