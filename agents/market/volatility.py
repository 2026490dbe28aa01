"""The volatility index from whoever tells it: Cboe's file, FRED's, the vendor; else what the index realised.

Each source that was passed over says why, so that the screen can show which step the reading stands on.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol

import numpy as np

from agents.market import web
from agents.market.bars import VOLATILITY_INDEX, Bars
from agents.market.calendar import is_session, sessions_between
from agents.market.clock import Clock
from agents.market.fmp import lifetimes
from agents.market.fmp.cache import Aged, CacheStore
from agents.market.fmp.caller import Errand
from agents.market.fmp.keeping import Refused
from agents.market.fmp.models import EodClose
from agents.market.indicators import technicals
from agents.market.volatility_config import VolatilityConfig
from storage.calls import CachedAnswer
from storage.plain import shortened

KEPT_CLOSES = 300  # of the decades in a file
WINDOW = timedelta(days=95)  # what the vendor is asked for: twice the sessions a reading needs
MOST_BEHIND = 2  # sessions a source may lag and still be better than no volatility index
LOWEST, HIGHEST = 1.0, 500.0  # outside them a figure is a defect


class VolatilitySource(StrEnum):
    """Who told the reading, best first."""

    CBOE = "cboe"
    FRED = "fred"
    FMP = "fmp"
    REALISED = "realised"


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """A source that gave nothing to use, and why."""

    source: VolatilitySource
    why: str


@dataclass(frozen=True, kw_only=True)
class VolatilityReading:
    """How nervous the market was at the close of a session.

    `bars` are the volatility index's up to `as_of`, empty when it is not known; sources that tell closes
    alone leave the other prices missing. `value` is the newest close, or the realised volatility of the
    index: annualised percent, None when not even that is there.
    """

    source: VolatilitySource
    as_of: date
    value: float | None
    bars: Bars
    behind: int  # sessions between `as_of` and the session asked for
    passed_over: tuple[PassedOver, ...]


class Closes(Protocol):
    """What tells a symbol's daily closes; `MarketVendor` does."""

    async def get_closes(self, symbol: str, start: date, errand: Errand) -> Aged[tuple[EodClose, ...]]:
        """Closes from `start`, newest first."""


class VolatilitySources:
    """Reads the volatility index. A file is fetched once a session; close it when done."""

    def __init__(self, config: VolatilityConfig, vendor: Closes, cache: CacheStore, clock: Clock) -> None:
        self._config = config
        self._vendor = vendor
        self._cache = cache
        self._clock = clock
        self._http = web.plain_client()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def read(self, session: date, index: Bars, errand: Errand) -> VolatilityReading:
        """The reading at the close of `session`; `index` are the bars of the index that stands in (SPY).

        The first source that has the session counts; where none has, the newest one not too far behind.
        """
        passed: list[PassedOver] = []
        late: list[tuple[int, VolatilitySource, Bars]] = []
        for source in (VolatilitySource.CBOE, VolatilitySource.FRED, VolatilitySource.FMP):
            try:
                bars = (await self._bars(source, session, errand)).upto(session)
            except (web.NoAnswer, ValueError, *Refused) as failed:
                passed.append(PassedOver(source=source, why=shortened(str(failed), 200)))
                continue
            newest = bars.sessions[-1].item() if len(bars) else None
            if newest == session:
                return _reading(source, bars, 0, passed)
            passed.append(PassedOver(source=source, why=f"its newest close is of {newest or 'no session'}"))
            if newest is not None:
                late.append((sessions_between(newest, session), source, bars))
        if late:
            behind, source, bars = min(late, key=lambda found: found[0])
            if behind <= MOST_BEHIND:
                return _reading(source, bars, behind, passed)
        return _realised(session, index.upto(session), passed)

    async def _bars(self, source: VolatilitySource, session: date, errand: Errand) -> Bars:
        match source:
            case VolatilitySource.CBOE:
                return await self._file(source, self._config.cboe_url, parse_cboe)
            case VolatilitySource.FRED:
                return await self._file(source, self._config.fred_url, parse_fred)
        # From the first of a month, so that the question stays the same for weeks.
        start = (session - WINDOW).replace(day=1)
        closes = await self._vendor.get_closes(VOLATILITY_INDEX, start, errand)
        rows = [(row.date, (math.nan, math.nan, math.nan, row.price or math.nan)) for row in closes.value]
        return _series(rows)

    async def _file(self, source: VolatilitySource, url: str, parse: Callable[[str], Bars]) -> Bars:
        """The file's bars, from the cache until the next session has settled."""
        held = await self._cache.get(source.value, "", "")
        now = self._clock.now()
        if held is not None and held.body is not None and now < held.expires_at:
            return _from_json(held.body)
        received = await web.get(
            self._http, url, timeout_s=self._config.timeout_s, max_bytes=self._config.max_bytes
        )
        if received.status != 200:
            raise web.NoAnswer(f"it answered {received.status}")
        bars = parse(received.body.decode("utf-8", errors="replace"))
        await self._keep(source, bars, now)
        return bars

    async def _keep(self, source: VolatilitySource, bars: Bars, now: datetime) -> None:
        expires = lifetimes.bars(bars.sessions[-1].item(), now)
        body = _to_json(bars)
        await self._cache.put(CachedAnswer(source.value, "", "", body, fetched_at=now, expires_at=expires))


def parse_cboe(text: str) -> Bars:
    """DATE,OPEN,HIGH,LOW,CLOSE with days as MM/DD/YYYY. Raises ValueError."""
    rows: list[tuple[date, Sequence[float]]] = []
    for row in _table(text, ("DATE", "OPEN", "HIGH", "LOW", "CLOSE")):
        month, day, year = row[0].split("/")
        rows.append((date(int(year), int(month), int(day)), [_points(cell) for cell in row[1:]]))
    return _series(rows[-KEPT_CLOSES:])


def parse_fred(text: str) -> Bars:
    """observation_date,VIXCLS with days as YYYY-MM-DD and "." or nothing on holidays. Raises ValueError."""
    rows: list[tuple[date, Sequence[float]]] = []
    for row in _table(text, (None, "VIXCLS")):
        if row[1] not in ("", "."):
            rows.append((date.fromisoformat(row[0]), (math.nan, math.nan, math.nan, _points(row[1]))))
    return _series(rows[-KEPT_CLOSES:])


def _table(text: str, header: Sequence[str | None]) -> list[list[str]]:
    """The rows below a header whose named columns are these; ValueError where it is another file."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error:
        raise ValueError("it is not the table expected") from None
    if not rows or len(rows[0]) != len(header):
        raise ValueError("it is not the table expected")
    for found, expected in zip(rows[0], header, strict=True):
        if expected is not None and found.strip().lstrip("\ufeff").upper() != expected:
            raise ValueError("it is not the table expected")
    if len(rows) == 1 or any(len(row) != len(header) for row in rows):
        raise ValueError("it is cut off")
    return rows[1:]


def _points(text: str) -> float:
    value = float(text)
    if not LOWEST <= value <= HIGHEST:
        raise ValueError(f"{value:g} is no level of the volatility index")
    return value


def _series(rows: Sequence[tuple[date, Sequence[float]]]) -> Bars:
    """Rows of day and four prices as bars; days without a session or a close are left out."""
    days = {day: prices for day, prices in rows if is_session(day) and not math.isnan(prices[3])}
    if not days:
        raise ValueError("it has no closes")
    ordered = sorted(days.items())
    columns = [np.array([prices[column] for _, prices in ordered], np.float64) for column in range(4)]
    columns.append(np.zeros(len(ordered)))
    sessions = np.array([day for day, _ in ordered], "datetime64[D]")
    return Bars(VOLATILITY_INDEX, sessions, *columns)


def _to_json(bars: Bars) -> list[object]:
    columns = (bars.open, bars.high, bars.low, bars.close)
    return [
        [
            day.isoformat(),
            *(None if math.isnan(column[index]) else float(column[index]) for column in columns),
        ]
        for index, day in enumerate(bars.sessions.tolist())
    ]


def _from_json(body: list[object]) -> Bars:
    rows: list[tuple[date, Sequence[float]]] = []
    for row in body:
        if not isinstance(row, list) or len(row) != 5:
            raise ValueError("what is kept of it cannot be read")
        day, *prices = row
        rows.append((date.fromisoformat(day), [math.nan if price is None else price for price in prices]))
    return _series(rows)


def _reading(
    source: VolatilitySource, bars: Bars, behind: int, passed: list[PassedOver]
) -> VolatilityReading:
    return VolatilityReading(
        source=source,
        as_of=bars.sessions[-1].item(),
        value=float(bars.close[-1]),
        bars=bars,
        behind=behind,
        passed_over=tuple(one for one in passed if one.source is not source),
    )


def _realised(session: date, index: Bars, passed: list[PassedOver]) -> VolatilityReading:
    readings = technicals(index)
    as_of = session if readings is None else readings.session
    return VolatilityReading(
        source=VolatilitySource.REALISED,
        as_of=as_of,
        value=None if readings is None else readings.realised_vol_21d,
        bars=Bars.empty(VOLATILITY_INDEX),
        behind=sessions_between(as_of, session),
        passed_over=tuple(passed),
    )
