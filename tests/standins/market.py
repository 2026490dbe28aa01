"""A market for stand-ins: the sample pack's prices under other names and on the sessions of today.

A symbol's session has the same prices whatever the clock shows, until a split or a correction is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from zlib import crc32

import numpy as np

from agents.market.bars import Bars
from agents.market.calendar import (
    NEW_YORK,
    add_sessions,
    close_time,
    is_session,
    open_time,
    previous_session,
    sessions,
    sessions_between,
)
from agents.market.history import SAMPLE_FOLDER, HistoryPack, load_pack

EPOCH = date(2019, 1, 2)  # shows the first prices of the pack; they last until 2029
STOCKS = ("AAPL", "AMZN", "IBM", "MSFT", "NVDA")  # those of the pack that trade over all its years
FUNDS = frozenset({"SPY", "SPYG", "VWO"})
LARGEST_OFFSET = 500
BAR_DELAY = timedelta(minutes=10)  # after the close
REPORT_EVERY = 63  # sessions
SHARES = 1_000_000_000
FIVE_YEARS = 1257  # sessions

Json = dict[str, object]


@cache
def _sample() -> HistoryPack:
    return load_pack(SAMPLE_FOLDER)


@dataclass
class StandInMarket:
    """Prices of any symbol; `splits` and `corrections` may be added while it runs."""

    splits: dict[str, list[tuple[date, float]]] = field(default_factory=dict)
    corrections: dict[tuple[str, date], float] = field(default_factory=dict)  # times the close
    partial_bars: bool = False  # whether the session that trades already has a bar

    def __post_init__(self) -> None:
        pack = _sample()
        self._bases = {name: pack.bars(name) for name in (*STOCKS, "^GSPC")}
        index = self._bases["^GSPC"]
        returns = np.diff(np.log(index.close), prepend=np.log(index.close[0]))
        windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.zeros(20), returns]), 21)
        self._volatility = np.maximum(9.0, windows.std(axis=1) * np.sqrt(252) * 110)

    def last_session(self, now: datetime) -> date:
        """The newest session that has begun."""
        today = now.astimezone(NEW_YORK).date()
        return today if is_session(today) and now >= open_time(today) else previous_session(today)

    def last_bar(self, now: datetime) -> date:
        """The newest session that has a daily bar."""
        newest = self.last_session(now)
        if self.partial_bars or now >= close_time(newest) + BAR_DELAY:
            return newest
        return previous_session(newest)

    def bar(self, symbol: str, session: date, now: datetime) -> tuple[float, float, float, float, int]:
        """Open, high, low, close and volume of a session as the vendor shows them at `now`."""
        at = sessions_between(EPOCH, session)
        if symbol == "^VIX":
            close, before = float(self._volatility[at]), float(self._volatility[max(at - 1, 0)])
            top, bottom = max(close, before) * 1.02, min(close, before) * 0.98
            return round(before, 2), round(top, 2), round(bottom, 2), round(close, 2), 0
        base, offset, scale = self._make(symbol)
        at += offset
        prices = [float(getattr(base, name)[at]) * scale for name in ("open", "high", "low", "close")]
        volume = float(base.volume[at])
        today = now.astimezone(NEW_YORK).date()
        for ex_date, ratio in self.splits.get(symbol, ()):
            if today >= ex_date:
                prices, volume = [price / ratio for price in prices], volume * ratio
        opened, top, bottom, close = prices
        close *= self.corrections.get((symbol, session), 1.0)
        top, bottom = max(top, close, opened), min(bottom, close, opened)
        return round(opened, 4), round(top, 4), round(bottom, 4), round(close, 4), int(volume)

    def bars(self, symbol: str, first: date | None, last: date | None, now: datetime) -> list[Json]:
        """Daily rows, newest first, five years of them unless `first` says otherwise."""
        newest = min(last or date.max, self.last_bar(now))
        oldest = max(first or add_sessions(newest, -FIVE_YEARS), EPOCH)
        rows: list[Json] = []
        before: float | None = None
        for session in sessions(oldest, newest) if oldest <= newest else []:
            opened, top, bottom, close, volume = self.bar(symbol, session, now)
            change = 0.0 if before is None else close - before
            rows.append(
                {
                    "symbol": symbol,
                    "date": session.isoformat(),
                    "open": opened,
                    "high": top,
                    "low": bottom,
                    "close": close,
                    "volume": volume,
                    "change": round(change, 4),
                    "changePercent": 0 if not before else round(change / before * 100, 5),
                    "vwap": round((top + bottom + close) / 3, 4),
                }
            )
            before = close
        return rows[::-1]

    def price(self, symbol: str, now: datetime) -> tuple[float, datetime]:
        """The last trade and when it was: along open, low, high and close while the session runs."""
        session = self.last_session(now)
        opened, top, bottom, close, _ = self.bar(symbol, session, now)
        begins, ends = open_time(session), close_time(session)
        if now >= ends:
            return close, ends + timedelta(seconds=1)
        passed = (now - begins) / (ends - begins)
        return round(float(np.interp(passed, (0, 0.35, 0.7, 1), (opened, bottom, top, close))), 4), now

    def quote(self, symbol: str, now: datetime) -> Json:
        price, traded = self.price(symbol, now)
        session = self.last_session(now)
        opened, top, bottom, _, volume = self.bar(symbol, session, now)
        before = self.bar(symbol, previous_session(session), now)[3]
        index = symbol.startswith("^")
        return {
            "symbol": symbol,
            "name": f"{symbol} of the stand-in",
            "price": price,
            "changePercentage": round((price / before - 1) * 100, 5),
            "change": round(price - before, 4),
            "volume": volume,
            "dayLow": min(bottom, price),
            "dayHigh": max(top, price),
            "yearHigh": round(top * 1.2, 2),
            "yearLow": round(bottom * 0.7, 2),
            "marketCap": 0 if index else round(price * SHARES),
            "priceAvg50": round(price, 4),
            "priceAvg200": round(price * 0.95, 4),
            "exchange": "INDEX" if index else "NASDAQ",
            "open": opened,
            "previousClose": before,
            "timestamp": int(traded.timestamp()),
        }

    def report_days(self, symbol: str, now: datetime) -> list[date]:
        """Days of earnings reports, newest first: the expected one and the five before."""
        today = now.astimezone(NEW_YORK).date()
        phase = crc32(symbol.encode()) % REPORT_EVERY
        passed = (sessions_between(EPOCH, today) - phase) // REPORT_EVERY
        following = add_sessions(EPOCH, phase + (passed + 1) * REPORT_EVERY)
        return [add_sessions(following, -REPORT_EVERY * back) for back in range(6)]

    def _make(self, symbol: str) -> tuple[Bars, int, float]:
        """Which series of the pack a symbol is, from which place on, and times what."""
        mark = crc32(symbol.encode())
        if symbol.startswith("^") or symbol in FUNDS:
            return self._bases["^GSPC"], 0, 0.1 if symbol in FUNDS else 1.0
        base = self._bases[STOCKS[mark % len(STOCKS)]]
        offset = mark // 7 % LARGEST_OFFSET
        return base, offset, 60.0 / float(base.close[sessions_between(EPOCH, date(2024, 1, 2)) + offset])
