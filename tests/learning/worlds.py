"""Made-up markets, small and seeded: one where patience after weakness pays, one where nothing does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np

from agents.market.actions import Actions
from agents.market.bars import AssetType, Bars, FloatArray, Instrument, MarketView
from agents.market.calendar import sessions

FIRST, LAST = date(2009, 1, 2), date(2012, 12, 31)
SECTORS = ("Energy", "Health Care", "Industrials", "Utilities")


@dataclass(frozen=True, eq=False)
class World:
    """A history in memory, as the simulator wants it."""

    bars: Mapping[str, Bars]
    actions: Actions = field(default_factory=Actions)

    @cached_property
    def instruments(self) -> dict[str, Instrument]:
        return {
            symbol: Instrument(
                symbol,
                symbol,
                None if symbol.startswith("^") else SECTORS[place % len(SECTORS)],
                None,
                AssetType.INDEX if symbol.startswith("^") else AssetType.STOCK,
            )
            for place, symbol in enumerate(self.bars)
        }

    @cached_property
    def days(self) -> list[date]:
        return sorted({day for series in self.bars.values() for day in series.sessions.tolist()})

    def sessions(self, first: date, last: date) -> list[date]:
        return [day for day in self.days if first <= day <= last]

    def view(self, session: date) -> MarketView:
        return MarketView(session, self.instruments, self.bars)


def world(seed: int, *, pull: float, stocks: int = 10, trend: float = 0.0008, length: int = 760) -> World:
    """Stocks that rise by `trend` a day and are drawn back to it by the share `pull` of the distance.

    With a pull weakness is made good over the following weeks; without one the past says nothing.
    """
    days = sessions(FIRST, LAST)[:length]
    generator = np.random.default_rng(seed)
    made = {
        f"S{number:02d}": _stock(f"S{number:02d}", days, generator, pull, trend) for number in range(stocks)
    }
    index = 1000 * np.exp(trend * np.arange(len(days)) + generator.normal(0, 0.004, len(days)))
    return World({**made, "^GSPC": _bars("^GSPC", days, index, index, index, index)})


def _stock(symbol: str, days: list[date], generator: np.random.Generator, pull: float, trend: float) -> Bars:
    count = len(days)
    shocks = generator.normal(0, 0.014, count)
    distance = np.zeros(count)
    for day in range(1, count):
        distance[day] = (1 - pull) * distance[day - 1] + shocks[day]
    close = 50 * np.exp(trend * np.arange(count) + distance)
    opened = np.concatenate(([close[0]], close[:-1])) * np.exp(generator.normal(0, 0.002, count))
    reach = np.abs(generator.normal(0, 0.006, (2, count)))
    high = np.maximum(opened, close) * np.exp(reach[0])
    low = np.minimum(opened, close) * np.exp(-reach[1])
    return _bars(symbol, days, opened, high, low, close)


def _bars(
    symbol: str, days: list[date], opened: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray
) -> Bars:
    volume = np.full(len(days), 2e6)
    return Bars(symbol, np.array(days, "datetime64[D]"), opened, high, low, close, volume)
