"""What the desk saw of the market: instruments, settled bars, regimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import cast

import psycopg
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from storage.memory.part import Part
from storage.models import Bar, Instrument, RegimeReading


@dataclass(frozen=True, kw_only=True)
class StoredBar:
    """A settled daily bar: prices in dollars (points for an index), None where the source had none."""

    symbol: str
    session: date
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: int | None


class MarketMemory(Part):
    async def store_instruments(self, instruments: Sequence[Instrument]) -> None:
        """Keep the universe; a symbol already known is left as it is."""
        if instruments:
            rows = [
                {
                    "symbol": row.symbol,
                    "name": row.name,
                    "sector": row.sector,
                    "industry": row.industry,
                    "asset_type": row.asset_type,
                }
                for row in instruments
            ]
            await self._session.execute(insert(Instrument).values(rows).on_conflict_do_nothing())

    async def describe_instruments(self, instruments: Sequence[Instrument]) -> None:
        """Keep what a source says of symbols now, in place of what was known of them."""
        for row in instruments:
            new = insert(Instrument).values(
                symbol=row.symbol,
                name=row.name,
                sector=row.sector,
                industry=row.industry,
                asset_type=row.asset_type,
            )
            said = {name: new.excluded[name] for name in ("name", "sector", "industry", "asset_type")}
            await self._session.execute(new.on_conflict_do_update(index_elements=["symbol"], set_=said))

    async def store_bars(self, bars: Sequence[StoredBar]) -> None:
        """COPY settled bars in; psycopg.errors.UniqueViolation when one is there already."""
        pooled = await (await self._session.connection()).get_raw_connection()
        connection = cast("psycopg.AsyncConnection[object]", pooled.driver_connection)
        async with (
            connection.cursor() as cursor,
            cursor.copy("copy bars (symbol, session, open, high, low, close, volume) from stdin") as copy,
        ):
            for bar in bars:
                await copy.write_row(
                    (bar.symbol, bar.session, bar.open, bar.high, bar.low, bar.close, bar.volume)
                )

    async def symbols_with_bar(self, session: date) -> frozenset[str]:
        """The symbols whose bar of a session is stored."""
        return frozenset(await self._session.scalars(select(Bar.symbol).where(Bar.session == session)))

    async def store_regime(self, reading: RegimeReading) -> None:
        self._session.add(reading)

    async def regime(self, session: date) -> RegimeReading | None:
        """The regime as last read at or before a session."""
        rows = await self._session.scalars(
            select(RegimeReading)
            .where(RegimeReading.session <= session)
            .order_by(RegimeReading.session.desc())
            .limit(1)
        )
        return rows.one_or_none()
