"""The market as a desk's own database holds it: settled bars, brought to the basis of one session."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Self

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from agents.market.actions import Actions, CorporateAction
from agents.market.bars import (
    BENCHMARK_FUND,
    BENCHMARK_INDEX,
    VOLATILITY_INDEX,
    AssetType,
    Bars,
    Instrument,
    MarketView,
)
from app.runtime.market.reading import as_traded, bars_of, instrument_of, usable
from storage import models
from storage.records import ActionKind

INDICES = (BENCHMARK_FUND, BENCHMARK_INDEX, VOLATILITY_INDEX)
BELIEVABLE = (Decimal("0.01"), Decimal(100))  # ratios of a split


async def stored_view(database: AsyncSession, session: date, symbols: Collection[str]) -> MarketView:
    """What the desk has stored of these symbols and of the indices by the close of `session`.

    Where the vendor's series reaches that session it is read, as in the evening: the desk's own bars begin
    with the desk.
    """
    wanted = [*dict.fromkeys((*symbols, *INDICES))]
    known = await database.scalars(select(models.Instrument).where(models.Instrument.symbol.in_(wanted)))
    instruments = {
        row.symbol: Instrument(row.symbol, row.name, row.sector, row.industry, AssetType(row.asset_type))
        for row in known
    }
    told = await _told_by_the_vendor(database, session, wanted)
    instruments = {symbol: instrument_of(symbol, None) for symbol in told} | instruments
    return MarketView(session, instruments, await _bars(database, session, wanted) | told)


async def _told_by_the_vendor(database: AsyncSession, session: date, symbols: list[str]) -> dict[str, Bars]:
    """The vendor's whole series that reach the session, on its basis."""
    row, action = models.VendorSeriesRow, models.CorporateActionRow
    since = await database.scalars(
        select(action).where(
            action.symbol.in_(symbols),
            action.kind == ActionKind.SPLIT,
            action.ex_date > session,
            action.value.between(*BELIEVABLE),
        )
    )
    splits: dict[str, list[CorporateAction]] = {}
    for split in since:
        splits.setdefault(split.symbol, []).append(_action(split))
    found = {}
    for series in await database.scalars(select(row).where(row.symbol.in_(symbols))):
        bars = bars_of(series)
        if usable(bars, session):
            found[series.symbol] = as_traded(bars, splits.get(series.symbol, ()), session)
    return found


def _action(row: models.CorporateActionRow) -> CorporateAction:
    return CorporateAction(
        symbol=row.symbol, ex_date=row.ex_date, kind=row.kind, value=row.value, source=row.source
    )


async def _bars(database: AsyncSession, session: date, symbols: list[str]) -> dict[str, Bars]:
    action = models.CorporateActionRow
    found = await _rows(database, session, symbols)
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


async def _rows(
    database: AsyncSession, session: date, symbols: list[str]
) -> dict[str, list[tuple[object, ...]]]:
    """Session, prices and volume of every stored bar by symbol, oldest first."""
    bar = models.Bar
    rows = await database.execute(
        select(bar.symbol, bar.session, bar.open, bar.high, bar.low, bar.close, bar.volume)
        .where(bar.symbol.in_(symbols), bar.session <= session)
        .order_by(bar.symbol, bar.session)
    )
    found: dict[str, list[tuple[object, ...]]] = {}
    for symbol, *values in rows:
        found.setdefault(symbol, []).append(tuple(values))
    return found


def _series(symbol: str, rows: list[tuple[object, ...]], splits: list[tuple[date, float]]) -> Bars:
    sessions = np.array([row[0] for row in rows], "datetime64[D]")
    opened, high, low, close, volume = np.array([row[1:] for row in rows], np.float64).T
    before = np.ones(len(rows))  # by what prices are divided: the ratios of the splits still to come
    for ex_date, ratio in splits:
        before[sessions < np.datetime64(ex_date, "D")] *= ratio
    return Bars(
        symbol, sessions, opened / before, high / before, low / before, close / before, volume * before
    )


class StoredHistory:
    """Everything a desk has stored of its market up to a session, as evidence is run over it.

    Each day is seen as it was: a later split changes no bar of before.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        rows: Mapping[str, list[tuple[object, ...]]],
        actions: Actions,
    ) -> None:
        self._instruments = instruments
        self._rows = rows
        self.actions = actions
        self.days = sorted({day for found in rows.values() for day, *_ in found if isinstance(day, date)})
        self._splits = [action for action in actions if action.kind is ActionKind.SPLIT]
        self._bases: dict[int, Mapping[str, Bars]] = {}

    @classmethod
    async def of(cls, database: AsyncSession, session: date) -> Self:
        """What is stored by the close of `session`; nothing later is read."""
        known = await database.scalars(select(models.Instrument))
        instruments = {
            row.symbol: Instrument(row.symbol, row.name, row.sector, row.industry, AssetType(row.asset_type))
            for row in known
        }
        action = models.CorporateActionRow
        told = await database.scalars(
            select(action).where(
                action.ex_date <= session,
                action.kind.in_((ActionKind.SPLIT, ActionKind.DIVIDEND)),
                (action.kind != ActionKind.SPLIT) | action.value.between(*BELIEVABLE),
            )
        )
        actions = Actions(map(_action, told))
        return cls(instruments, await _rows(database, session, list(instruments)), actions)

    def sessions(self, first: date, last: date) -> list[date]:
        return [day for day in self.days if first <= day <= last]

    def view(self, session: date) -> MarketView:
        known = [split for split in self._splits if split.ex_date <= session]
        if len(known) not in self._bases:
            ratios: dict[str, list[tuple[date, float]]] = {}
            for split in known:
                ratios.setdefault(split.symbol, []).append((split.ex_date, float(split.amount)))
            self._bases = {
                len(known): {
                    symbol: _series(symbol, values, ratios.get(symbol, []))
                    for symbol, values in self._rows.items()
                }
            }
        return MarketView(session, self._instruments, self._bases[len(known)])
