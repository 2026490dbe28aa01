"""The market of one run, from what is kept: nothing is asked here, and nothing past its lifetime is told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np

from agents.market.actions import ActionKind, Actions, CorporateAction
from agents.market.bars import BENCHMARK_FUND, VOLATILITY_INDEX, AssetType, Bars, Instrument
from agents.market.calendar import FIRST_DAY, LAST_DAY, NEW_YORK, is_session, next_session, sessions_between
from agents.market.earnings import Announcement
from agents.market.fmp.cache import Aged
from agents.market.fmp.free_plan import FREE_FUNDS
from agents.market.fmp.models import AftermarketQuote, Earnings, Profile, Quote
from agents.market.volatility import MOST_BEHIND
from app.runtime.sources import PriceNow
from storage.models import VendorSeriesRow
from storage.records import to_price
from storage.vendor_series import StoredSeries

REPORT_TELLS = timedelta(days=45)  # half a quarter: after it the next report is the nearer one

PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class EarningsKnown:
    """The reports the vendor tells of, by symbol; each nearest to today."""

    dates: Mapping[str, Announcement]

    def of(self, symbol: str) -> Announcement | None:
        return self.dates.get(symbol)


def bars_of(series: StoredSeries | VendorSeriesRow) -> Bars:
    """A stored series as bars."""
    columns = (np.array(getattr(series, name), np.float64) for name in PRICES)
    return Bars(series.symbol, np.array(series.sessions, "datetime64[D]"), *columns)


def series_of(bars: Bars, source: str, fetched_at: datetime) -> StoredSeries:
    """Bars as they are stored."""
    return StoredSeries(
        symbol=bars.symbol,
        source=source,
        fetched_at=fetched_at,
        sessions=bars.sessions.tolist(),
        **{name: getattr(bars, name).tolist() for name in PRICES},
    )


def as_traded(bars: Bars, splits: Iterable[CorporateAction], session: date) -> Bars:
    """The bars on the basis of `session`: a split after it has divided what the vendor shows of it now."""
    if not len(bars):
        return bars
    newest = bars.sessions[-1].item()
    ratio = Fraction(1)
    for split in splits:
        if split.kind is ActionKind.SPLIT and session < split.ex_date <= newest:
            ratio *= split.ratio
    return bars.scaled(float(ratio))


def usable(bars: Bars, session: date) -> bool:
    """Whether a decision may rest on the series: it reaches the session itself, not only one before it."""
    if bars.symbol == VOLATILITY_INDEX:
        newest = bars.upto(session).sessions[-1:].tolist()
        return bool(newest) and sessions_between(newest[0], session) <= MOST_BEHIND
    return bool(np.isin(np.datetime64(session, "D"), bars.sessions))


def opened(bars: Bars, quote: Quote, session: date) -> Bars | None:
    """The bars with the running session's first prices, from a quote of it; None when it has not traded.

    Only its open is what the session's own bar will say.
    """
    if quote.open is None or quote.timestamp.astimezone(NEW_YORK).date() != session:
        return None
    start, price = float(quote.open), float(quote.price)
    row = (start, max(start, price), min(start, price), price, float(quote.volume or 0))
    before = bars.upto(session)
    if len(before) and before.sessions[-1].item() == session:
        return bars
    return Bars(
        bars.symbol,
        np.append(before.sessions, np.datetime64(session, "D")),
        *(np.append(getattr(before, name), value) for name, value in zip(PRICES, row, strict=True)),
    )


def instrument_of(symbol: str, profile: Profile | None) -> Instrument:
    """A line of the universe; by its symbol alone until its profile is there."""
    if profile is not None:
        return profile.instrument
    kind = AssetType.ETF if symbol in FREE_FUNDS or symbol == BENCHMARK_FUND else AssetType.STOCK
    return Instrument(symbol=symbol, name=symbol, sector=None, industry=None, asset_type=kind)


def announcement_of(rows: Iterable[Earnings], today: date) -> Announcement | None:
    """The report nearest to today; the vendor does not say whether a company has confirmed it.

    One of more than 45 days ago says nothing of the next, which may come any day: then none is known.
    """
    told = (row.date for row in rows if FIRST_DAY <= row.date < LAST_DAY)
    telling = (day for day in told if today - day <= REPORT_TELLS)
    nearest = min(telling, key=lambda day: (abs(day - today), day), default=None)
    if nearest is None:
        return None
    session = nearest if is_session(nearest) else next_session(nearest)
    return Announcement(session=session, confirmed=False)


def last_trade(quote: Aged[Quote | None]) -> PriceNow | None:
    """The last trade of a session, unless it is too old to say anything."""
    if quote.value is None or quote.stale:
        return None
    return PriceNow(as_of=quote.as_of, last=to_price(quote.value.price))


def bid_and_ask(quote: Aged[AftermarketQuote | None]) -> PriceNow | None:
    """What is bid and asked before the open, unless it is too old."""
    if quote.value is None or quote.stale:
        return None
    sides = (quote.value.bid_price, quote.value.ask_price)
    bid, ask = (_price(side) for side in sides)
    return PriceNow(as_of=quote.as_of, bid=bid, ask=ask) if bid or ask else None


def actions_of(rows: Iterable[CorporateAction]) -> Actions:
    """What the vendor tells, each action once."""
    return Actions({row.key: row for row in rows}.values())


def _price(value: Decimal | float | None) -> Decimal | None:
    if value is None or not math.isfinite(value) or value <= 0:
        return None
    return to_price(value)
