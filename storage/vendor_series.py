"""The vendor's daily bars of each symbol, kept whole and on one basis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.models import VendorSeriesRow

COLUMNS = ("source", "fetched_at", "sessions", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, kw_only=True)
class StoredSeries:
    """Bars oldest first, as lists of one length; NaN for a price its source has not."""

    symbol: str
    source: str
    fetched_at: datetime
    sessions: list[date]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]


@dataclass(frozen=True, kw_only=True)
class SeriesAge:
    """How far a series reaches and since when it does."""

    symbol: str
    newest: date
    fetched_at: datetime


class VendorSeries:
    """One row a symbol; what was overtaken by a later fetch changes nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, symbols: Iterable[str]) -> dict[str, StoredSeries]:
        """The series there are of these symbols."""
        columns = [getattr(VendorSeriesRow, name) for name in COLUMNS]
        asked = select(VendorSeriesRow.symbol, *columns).where(VendorSeriesRow.symbol.in_(list(symbols)))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(asked)).all()
        return {row.symbol: StoredSeries(**row._mapping) for row in rows}

    async def ages(self) -> dict[str, SeriesAge]:
        """How far each series reaches."""
        newest = VendorSeriesRow.sessions[func.cardinality(VendorSeriesRow.sessions)]
        asked = select(VendorSeriesRow.symbol, newest, VendorSeriesRow.fetched_at)
        async with self._engine.connect() as connection:
            rows = (
                await connection.execute(asked.where(func.cardinality(VendorSeriesRow.sessions) > 0))
            ).all()
        return {row[0]: SeriesAge(symbol=row[0], newest=row[1], fetched_at=row[2]) for row in rows}

    async def put(self, series: StoredSeries) -> None:
        """Keep a series in place of the one before."""
        new = insert(VendorSeriesRow).values(**vars(series))
        async with self._engine.begin() as connection:
            await connection.execute(
                new.on_conflict_do_update(
                    index_elements=["symbol"],
                    set_={name: new.excluded[name] for name in COLUMNS},
                    where=VendorSeriesRow.fetched_at <= new.excluded.fetched_at,
                )
            )
