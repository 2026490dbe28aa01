"""Rows of the vendor's answers but the fundamentals: quotes, bars, actions, companies, news.

Prices in the symbol's currency, percentages as percent (4.3 is 4.3%), volumes in shares.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from agents.market.actions import ActionKind, CorporateAction
from agents.market.bars import AssetType, Instrument
from agents.market.calendar import LAST_DAY
from agents.market.fmp.fields import (
    Article,
    Day,
    Instant,
    Line,
    MaybeDay,
    MaybeLine,
    MaybePrice,
    Money,
    Number,
    Paragraph,
    Positive,
    Price,
    Row,
    Shares,
    SymbolRow,
)

SOURCE = "fmp"

# As for the history packs: vendors round each price of a bar on its own after adjusting it.
RANGE_TOLERANCE_SHARE = 0.005
RANGE_TOLERANCE_DOLLARS = 0.01


class Quote(SymbolRow):
    """The last trade of a symbol; `timestamp` is when it was."""

    name: MaybeLine = None
    price: Price
    change_percentage: Number = None
    change: Number = None
    volume: Shares = None
    day_low: MaybePrice = None
    day_high: MaybePrice = None
    year_high: MaybePrice = None
    year_low: MaybePrice = None
    market_cap: Shares = None  # dollars; 0 for an index
    price_avg50: MaybePrice = Field(None, alias="priceAvg50")
    price_avg200: MaybePrice = Field(None, alias="priceAvg200")
    exchange: MaybeLine = None
    open: MaybePrice = None
    previous_close: MaybePrice = None
    timestamp: Instant


class AftermarketQuote(SymbolRow):
    """Bid and ask outside the session; a side nobody offers is None."""

    bid_size: Shares = None
    bid_price: MaybePrice = None
    ask_size: Shares = None
    ask_price: MaybePrice = None
    volume: Shares = None
    timestamp: Instant


class EodBar(SymbolRow):
    """One session's bar, split-adjusted, not dividend-adjusted; a price the vendor lacks is None."""

    date: Day
    open: MaybePrice = None
    high: MaybePrice = None
    low: MaybePrice = None
    close: MaybePrice = None
    volume: Shares = None
    vwap: Number = None

    @model_validator(mode="after")
    def _within_its_range(self) -> Self:
        prices = [price for price in (self.open, self.close) if price is not None]
        if self.high is None or self.low is None or not prices:
            return self
        slack = max(RANGE_TOLERANCE_SHARE * self.high, RANGE_TOLERANCE_DOLLARS)
        if self.low > self.high + slack or max(prices) > self.high + slack or min(prices) < self.low - slack:
            raise ValueError(f"the prices of {self.date} lie outside the day's range")
        return self


class EodClose(SymbolRow):
    """One session's close."""

    date: Day
    price: MaybePrice = None
    volume: Shares = None


class Dividend(SymbolRow):
    """A cash dividend; `date` is its ex-date, `dividend` dollars a share as paid."""

    date: Day
    record_date: MaybeDay = None
    payment_date: MaybeDay = None
    declaration_date: MaybeDay = None
    adj_dividend: Number = None
    dividend: Money
    yield_percent: Number = Field(None, alias="yield")
    frequency: MaybeLine = None

    @property
    def action(self) -> CorporateAction:
        """The dividend as the desk's rules take it."""
        return CorporateAction(
            symbol=self.symbol,
            ex_date=self.date,
            kind=ActionKind.DIVIDEND,
            value=self.dividend,
            source=SOURCE,
        )


class Split(SymbolRow):
    """A split: `numerator` new shares for `denominator` old ones."""

    date: Day
    numerator: Positive
    denominator: Positive
    split_type: MaybeLine = None

    @property
    def action(self) -> CorporateAction:
        """The split as the desk's rules take it."""
        return CorporateAction(
            symbol=self.symbol,
            ex_date=self.date,
            kind=ActionKind.SPLIT,
            value=Decimal(self.numerator) / Decimal(self.denominator),
            source=SOURCE,
        )


class Earnings(SymbolRow):
    """One report, past or expected; what is not reported yet has no actual figures."""

    date: Day
    eps_actual: Number = None
    eps_estimated: Number = None
    revenue_actual: Number = None
    revenue_estimated: Number = None
    last_updated: MaybeDay = None


def next_report(rows: tuple[Earnings, ...], today: date) -> date | None:
    """The day of the next expected report, today or later; None when the vendor names none
    that the calendar knows."""
    return min(
        (row.date for row in rows if row.eps_actual is None and today <= row.date <= LAST_DAY), default=None
    )


class Profile(SymbolRow):
    """A company and its last price: the one endpoint that answers for any symbol on every plan."""

    price: MaybePrice = None
    market_cap: Shares = None
    beta: Number = None
    last_dividend: Number = None
    change: Number = None
    change_percentage: Number = None
    volume: Shares = None
    average_volume: Shares = None
    company_name: MaybeLine = None
    currency: MaybeLine = None
    exchange: MaybeLine = None
    exchange_full_name: MaybeLine = None
    industry: MaybeLine = None
    sector: MaybeLine = None
    country: MaybeLine = None
    description: Paragraph = None
    ipo_date: MaybeDay = None
    is_etf: bool | None = None
    is_actively_trading: bool | None = None
    is_adr: bool | None = None
    is_fund: bool | None = None

    @property
    def instrument(self) -> Instrument:
        """The company as a line of the universe."""
        return Instrument(
            symbol=self.symbol,
            name=self.company_name or self.symbol,
            sector=self.sector or None,
            industry=self.industry or None,
            asset_type=AssetType.ETF if self.is_etf or self.is_fund else AssetType.STOCK,
        )


class ScreenerRow(SymbolRow):
    """A company the vendor's screener found."""

    company_name: MaybeLine = None
    market_cap: Shares = None
    sector: MaybeLine = None
    industry: MaybeLine = None
    beta: Number = None
    price: MaybePrice = None
    last_annual_dividend: Number = None
    volume: Shares = None
    exchange: MaybeLine = None
    exchange_short_name: MaybeLine = None
    country: MaybeLine = None
    is_etf: bool | None = None
    is_fund: bool | None = None
    is_actively_trading: bool | None = None


class StockNews(Row):
    """A headline about a symbol; `published_date` as the vendor writes it, New York time without a zone."""

    symbol: MaybeLine = None
    published_date: Line
    publisher: MaybeLine = None
    title: Article
    site: MaybeLine = None
    text: Article = ""
    url: MaybeLine = None


class FmpArticle(Row):
    """One of the vendor's own articles, as plain text; `tickers` like "NYSE:MRK"."""

    title: Article
    date: Line
    content: Article = ""
    tickers: MaybeLine = None
    link: MaybeLine = None
    author: MaybeLine = None
    site: MaybeLine = None


class Mover(SymbolRow):
    """A symbol among the day's gainers, losers or most active."""

    price: MaybePrice = None
    name: MaybeLine = None
    change: Number = None
    changes_percentage: Number = None  # the old spelling, on this endpoint alone
    exchange: MaybeLine = None


class SectorChange(Row):
    """A sector's mean change on a day, percent."""

    date: Day
    sector: Line
    exchange: MaybeLine = None
    average_change: Number = None


class SymbolMatch(SymbolRow):
    """A symbol or name the search found."""

    name: MaybeLine = None
    currency: MaybeLine = None
    exchange: MaybeLine = None
    exchange_full_name: MaybeLine = None
