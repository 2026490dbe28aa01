"""What can be asked of the vendor: one function an endpoint, each giving a `Query` whose rows are typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from agents.market.fmp.errors import FmpError
from agents.market.fmp.fields import Row, SymbolRow
from agents.market.fmp.fundamentals import (
    FinancialRatios,
    FinancialRatiosTtm,
    IncomeStatement,
    KeyMetrics,
    KeyMetricsTtm,
)
from agents.market.fmp.models import (
    AftermarketQuote,
    Dividend,
    Earnings,
    EodBar,
    EodClose,
    FmpArticle,
    Mover,
    Profile,
    Quote,
    ScreenerRow,
    SectorChange,
    Split,
    StockNews,
    SymbolMatch,
)
from storage.calls import CallFault
from storage.plain import shortened

RowT = TypeVar("RowT", bound=Row)

PLAN_LIMIT = 5  # most rows of a statement that the free plan gives
NOTE_LENGTH = 160

_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.^-]{0,14}")


class StatementPeriod(StrEnum):
    """Which periods a statement is asked for; quarters are not in every plan."""

    ANNUAL = "annual"
    QUARTER = "quarter"


class Movers(StrEnum):
    """The day's lists of the whole market; each value is the endpoint's path."""

    GAINERS = "biggest-gainers"
    LOSERS = "biggest-losers"
    ACTIVE = "most-actives"


class Screener(BaseModel):
    """What the vendor's screener looks for; None asks for nothing. Caps in dollars, volume in shares."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    market_cap_more_than: float | None = None
    market_cap_lower_than: float | None = None
    price_more_than: float | None = None
    price_lower_than: float | None = None
    beta_more_than: float | None = None
    beta_lower_than: float | None = None
    volume_more_than: float | None = None
    volume_lower_than: float | None = None
    dividend_more_than: float | None = None
    sector: str | None = None
    industry: str | None = None
    exchange: str | None = None
    country: str | None = None
    is_etf: bool | None = None
    is_fund: bool | None = None
    is_actively_trading: bool | None = True
    limit: int = 100


@dataclass(frozen=True, kw_only=True)
class Query(Generic[RowT]):
    """One question: the endpoint's path, the symbol it is about, and the other parameters by name.

    `check` looks at the rows before the answer counts as good, and says what is wrong with them.
    """

    endpoint: str
    row: type[RowT]
    symbol: str | None = None
    params: tuple[tuple[str, str], ...] = ()
    symbol_param: str = "symbol"
    check: Callable[[tuple[RowT, ...]], str | None] | None = None

    def __post_init__(self) -> None:
        if self.symbol is not None and not _SYMBOL.fullmatch(self.symbol):
            raise FmpError(CallFault.BAD_REQUEST, self.asked, note="that is no symbol; nothing was sent")
        object.__setattr__(self, "params", tuple(sorted(self.params)))

    @property
    def asked(self) -> str:
        """The question in a few words, for messages."""
        return self.endpoint if self.symbol is None else f"{self.endpoint} {shortened(self.symbol, 20)}"

    @property
    def sent(self) -> dict[str, str]:
        """All parameters as they are sent."""
        own = {} if self.symbol is None else {self.symbol_param: self.symbol}
        return {**own, **dict(self.params)}

    @property
    def key(self) -> str:
        """The parameters but the symbol, in order, as the cache knows them."""
        return "&".join(f"{name}={value}" for name, value in self.params)

    def clamped(self) -> Query[RowT]:
        """The same question for no more rows than the free plan gives."""
        return replace(self, params=tuple({**dict(self.params), "limit": str(PLAN_LIMIT)}.items()))

    def rows(self, body: list[object]) -> tuple[RowT, ...]:
        """The answer's rows, typed and checked. Raises FmpError GARBLED or WRONG_SYMBOL."""
        try:
            rows = tuple(_adapter(self.row).validate_python(body))
        except ValidationError as invalid:
            first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise self.refused(CallFault.GARBLED, f"row {where}: {first['msg']}") from None
        for row in rows:
            if self.symbol is not None and isinstance(row, SymbolRow) and row.symbol != self.symbol:
                raise self.refused(CallFault.WRONG_SYMBOL, f"a row of {row.symbol}")
        wrong = self.check(rows) if self.check else None
        if wrong is not None:
            raise self.refused(CallFault.GARBLED, wrong)
        return rows

    def refused(self, fault: CallFault, note: str, *, status: int = 200) -> FmpError:
        """The answer to this question is not used."""
        return FmpError(fault, self.asked, status=status, note=shortened(note, NOTE_LENGTH))


@lru_cache(maxsize=64)
def _adapter(row: type[Row]) -> TypeAdapter[list[Any]]:
    return TypeAdapter(list[row])  # type: ignore[valid-type]


def quote(symbol: str) -> Query[Quote]:
    return Query(endpoint="quote", row=Quote, symbol=symbol)


def aftermarket_quote(symbol: str) -> Query[AftermarketQuote]:
    return Query(endpoint="aftermarket-quote", row=AftermarketQuote, symbol=symbol)


def profile(symbol: str) -> Query[Profile]:
    return Query(endpoint="profile", row=Profile, symbol=symbol)


def bars(symbol: str, start: date | None) -> Query[EodBar]:
    """Without a start the vendor's default window: five years."""
    params = () if start is None else (("from", start.isoformat()),)
    return Query(endpoint="historical-price-eod/full", row=EodBar, symbol=symbol, params=params)


def closes(symbol: str, start: date | None) -> Query[EodClose]:
    params = () if start is None else (("from", start.isoformat()),)
    return Query(endpoint="historical-price-eod/light", row=EodClose, symbol=symbol, params=params)


def key_metrics_ttm(symbol: str) -> Query[KeyMetricsTtm]:
    return Query(endpoint="key-metrics-ttm", row=KeyMetricsTtm, symbol=symbol)


def ratios_ttm(symbol: str) -> Query[FinancialRatiosTtm]:
    return Query(endpoint="ratios-ttm", row=FinancialRatiosTtm, symbol=symbol)


def key_metrics(symbol: str, period: StatementPeriod, limit: int) -> Query[KeyMetrics]:
    return Query(endpoint="key-metrics", row=KeyMetrics, symbol=symbol, params=_periods(period, limit))


def ratios(symbol: str, period: StatementPeriod, limit: int) -> Query[FinancialRatios]:
    return Query(endpoint="ratios", row=FinancialRatios, symbol=symbol, params=_periods(period, limit))


def income_statement(symbol: str, period: StatementPeriod, limit: int) -> Query[IncomeStatement]:
    return Query(
        endpoint="income-statement", row=IncomeStatement, symbol=symbol, params=_periods(period, limit)
    )


def dividends(symbol: str) -> Query[Dividend]:
    return Query(endpoint="dividends", row=Dividend, symbol=symbol)


def splits(symbol: str) -> Query[Split]:
    return Query(endpoint="splits", row=Split, symbol=symbol)


def earnings(symbol: str) -> Query[Earnings]:
    return Query(endpoint="earnings", row=Earnings, symbol=symbol)


def screener(criteria: Screener) -> Query[ScreenerRow]:
    chosen = criteria.model_dump(mode="json", by_alias=True, exclude_none=True)
    params = tuple(
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in chosen.items()
    )
    return Query(endpoint="company-screener", row=ScreenerRow, params=params)


def stock_news(symbol: str, limit: int) -> Query[StockNews]:
    return Query(
        endpoint="news/stock",
        row=StockNews,
        symbol=symbol,
        symbol_param="symbols",
        params=(("limit", str(limit)),),
    )


def articles(limit: int) -> Query[FmpArticle]:
    return Query(endpoint="fmp-articles", row=FmpArticle, params=(("page", "0"), ("limit", str(limit))))


def movers(which: Movers) -> Query[Mover]:
    return Query(endpoint=which.value, row=Mover)


def sectors(day: date) -> Query[SectorChange]:
    return Query(
        endpoint="sector-performance-snapshot", row=SectorChange, params=(("date", day.isoformat()),)
    )


def search(words: str, *, by_name: bool, limit: int) -> Query[SymbolMatch]:
    endpoint = "search-name" if by_name else "search-symbol"
    return Query(endpoint=endpoint, row=SymbolMatch, params=(("query", words), ("limit", str(limit))))


def _periods(period: StatementPeriod, limit: int) -> tuple[tuple[str, str], ...]:
    return (("period", period.value), ("limit", str(limit)))
