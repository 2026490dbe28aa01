"""The market as a desk's own database holds it: settled bars, brought to the basis of one session."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from decimal import Decimal

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from agents.market.bars import (
    BENCHMARK_FUND,
    BENCHMARK_INDEX,
    VOLATILITY_INDEX,
    AssetType,
    Bars,
    Instrument,
    MarketView,
)
from storage import models
from storage.records import ActionKind

INDICES = (BENCHMARK_FUND, BENCHMARK_INDEX, VOLATILITY_INDEX)
BELIEVABLE = (Decimal("0.01"), Decimal(100))  # ratios of a split


async def stored_view(database: AsyncSession, session: date, symbols: Collection[str]) -> MarketView:
    """What the desk has stored of these symbols and of the indices by the close of `session`."""
    wanted = [*dict.fromkeys((*symbols, *INDICES))]
    known = await database.scalars(select(models.Instrument).where(models.Instrument.symbol.in_(wanted)))
    instruments = {
        row.symbol: Instrument(row.symbol, row.name, row.sector, row.industry, AssetType(row.asset_type))
        for row in known
    }
    return MarketView(session, instruments, await _bars(database, session, wanted))


async def _bars(database: AsyncSession, session: date, symbols: list[str]) -> dict[str, Bars]:
    bar, action = models.Bar, models.CorporateActionRow
    rows = await database.execute(
        select(bar.symbol, bar.session, bar.open, bar.high, bar.low, bar.close, bar.volume)
        .where(bar.symbol.in_(symbols), bar.session <= session)
        .order_by(bar.symbol, bar.session)
    )
    found: dict[str, list[tuple[object, ...]]] = {}
    for symbol, *values in rows:
        found.setdefault(symbol, []).append(tuple(values))
    splits = await database.execute(
        select(action.symbol, action.ex_date, action.value).where(
            action.symbol.in_(symbols),
            action.kind == ActionKind.SPLIT,
            action.ex_date <= session,
            action.value.between(*BELIEVABLE),
        )
    )
    ratios: dict[str, list[tuple[date, float]]] = {}
    for symbol, ex_date, value in splits:
        ratios.setdefault(symbol, []).append((ex_date, float(value or 1)))
    return {symbol: _series(symbol, values, ratios.get(symbol, [])) for symbol, values in found.items()}


def _series(symbol: str, rows: list[tuple[object, ...]], splits: list[tuple[date, float]]) -> Bars:
    sessions = np.array([row[0] for row in rows], "datetime64[D]")
    opened, high, low, close, volume = np.array([row[1:] for row in rows], np.float64).T
    before = np.ones(len(rows))  # by what prices are divided: the ratios of the splits still to come
    for ex_date, ratio in splits:
        before[sessions < np.datetime64(ex_date, "D")] *= ratio
    return Bars(
        symbol, sessions, opened / before, high / before, low / before, close / before, volume * before
    )
