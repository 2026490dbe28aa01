"""Financial Modeling Prep's endpoints, typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from agents.market.fmp import queries
from agents.market.fmp.caller import UNSAID, Caller, Errand
from agents.market.fmp.errors import ENDS_THE_DAY, FmpError
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
from agents.market.fmp.queries import Movers, Query, RowT, Screener, StatementPeriod
from storage.calls import NotEntitled, QuotaRefused

CALLS_TO_ENRICH = 2  # key metrics and ratios


@dataclass(frozen=True, kw_only=True)
class Enriched:
    """Fundamentals of one symbol; what the vendor has none of is None."""

    metrics: KeyMetricsTtm | None
    ratios: FinancialRatiosTtm | None


@dataclass(frozen=True, kw_only=True)
class Enrichment:
    """What a batch brought: the symbols it has figures of, and why each other one has none."""

    found: Mapping[str, Enriched]
    skipped: Mapping[str, str]
    calls: int  # attempts, each counted by the ledger


class FMPClient(Caller):
    """The vendor's free and paid endpoints, one method each.

    Every method raises what `Caller` does. A symbol the vendor has nothing of gives None or no rows.
    """

    async def get_quote(self, symbol: str, errand: Errand = UNSAID) -> Quote | None:
        """The last trade."""
        return await self._one(queries.quote(symbol), errand)

    async def get_aftermarket_quote(self, symbol: str, errand: Errand = UNSAID) -> AftermarketQuote | None:
        """Bid and ask outside the session."""
        return await self._one(queries.aftermarket_quote(symbol), errand)

    async def get_profile(self, symbol: str, errand: Errand = UNSAID) -> Profile | None:
        """The company; the only endpoint that answers for any symbol on every plan."""
        return await self._one(queries.profile(symbol), errand)

    async def get_key_metrics(self, symbol: str, errand: Errand = UNSAID) -> KeyMetricsTtm | None:
        """Key metrics of the trailing twelve months."""
        return await self._one(queries.key_metrics_ttm(symbol), errand)

    async def get_financial_ratios(self, symbol: str, errand: Errand = UNSAID) -> FinancialRatiosTtm | None:
        """Ratios of the trailing twelve months."""
        return await self._one(queries.ratios_ttm(symbol), errand)

    async def get_key_metrics_by_period(
        self,
        symbol: str,
        period: StatementPeriod = StatementPeriod.ANNUAL,
        limit: int = queries.PLAN_LIMIT,
        errand: Errand = UNSAID,
    ) -> tuple[KeyMetrics, ...]:
        """Key metrics of the last periods, newest first."""
        return await self._all(queries.key_metrics(symbol, period, limit), errand)

    async def get_financial_ratios_by_period(
        self,
        symbol: str,
        period: StatementPeriod = StatementPeriod.ANNUAL,
        limit: int = queries.PLAN_LIMIT,
        errand: Errand = UNSAID,
    ) -> tuple[FinancialRatios, ...]:
        """Ratios of the last periods, newest first."""
        return await self._all(queries.ratios(symbol, period, limit), errand)

    async def get_income_statement(
        self,
        symbol: str,
        period: StatementPeriod = StatementPeriod.ANNUAL,
        limit: int = queries.PLAN_LIMIT,
        errand: Errand = UNSAID,
    ) -> tuple[IncomeStatement, ...]:
        """Income statements of the last periods, newest first."""
        return await self._all(queries.income_statement(symbol, period, limit), errand)

    async def get_bars(
        self, symbol: str, start: date | None = None, errand: Errand = UNSAID
    ) -> tuple[EodBar, ...]:
        """Daily bars from `start` (else five years), newest first as the vendor gives them."""
        return await self._all(queries.bars(symbol, start), errand)

    async def get_closes(
        self, symbol: str, start: date | None = None, errand: Errand = UNSAID
    ) -> tuple[EodClose, ...]:
        """Daily closes from `start` (else five years), newest first."""
        return await self._all(queries.closes(symbol, start), errand)

    async def get_dividends(self, symbol: str, errand: Errand = UNSAID) -> tuple[Dividend, ...]:
        """Cash dividends, announced ones too, newest first."""
        return await self._all(queries.dividends(symbol), errand)

    async def get_splits(self, symbol: str, errand: Errand = UNSAID) -> tuple[Split, ...]:
        """Splits, newest first."""
        return await self._all(queries.splits(symbol), errand)

    async def get_earnings(self, symbol: str, errand: Errand = UNSAID) -> tuple[Earnings, ...]:
        """Reports, the expected one first."""
        return await self._all(queries.earnings(symbol), errand)

    async def get_screener(
        self, criteria: Screener | None = None, errand: Errand = UNSAID
    ) -> tuple[ScreenerRow, ...]:
        """Companies that meet the criteria; not in the free plan."""
        return await self._all(queries.screener(criteria or Screener()), errand)

    async def get_stock_news(
        self, symbol: str, limit: int = 20, errand: Errand = UNSAID
    ) -> tuple[StockNews, ...]:
        """Headlines about a symbol; not in the free plan."""
        return await self._all(queries.stock_news(symbol, limit), errand)

    async def get_articles(self, limit: int = 20, errand: Errand = UNSAID) -> tuple[FmpArticle, ...]:
        """The vendor's own articles: the only news of the free plan."""
        return await self._all(queries.articles(limit), errand)

    async def get_movers(self, which: Movers, errand: Errand = UNSAID) -> tuple[Mover, ...]:
        """The day's gainers, losers or most active of the whole market."""
        return await self._all(queries.movers(which), errand)

    async def get_sectors(self, day: date, errand: Errand = UNSAID) -> tuple[SectorChange, ...]:
        """How the sectors moved on a day."""
        return await self._all(queries.sectors(day), errand)

    async def search(
        self, words: str, *, by_name: bool = False, limit: int = 10, errand: Errand = UNSAID
    ) -> tuple[SymbolMatch, ...]:
        """Symbols that look like the words, or companies named like them."""
        return await self._all(queries.search(words, by_name=by_name, limit=limit), errand)

    async def batch_enrich_symbols(
        self, symbols: Iterable[str], max_calls: int, errand: Errand = UNSAID
    ) -> Enrichment:
        """Key metrics and ratios of the symbols in their order, with at most `max_calls` calls.

        A symbol is begun only when both its calls fit, and nothing is tried twice. What ends the day
        for every call ends the batch.
        """
        found: dict[str, Enriched] = {}
        skipped: dict[str, str] = {}
        calls, over = 0, ""
        for symbol in dict.fromkeys(symbols):
            if not over and calls + CALLS_TO_ENRICH > max_calls:
                over = f"the {max_calls} calls allowed are used"
            if over:
                skipped[symbol] = over
                continue
            try:
                both = queries.key_metrics_ttm(symbol), queries.ratios_ttm(symbol)
                calls += 1
                metrics = await self.ask(both[0], errand, retries=0)
                calls += 1
                ratios = await self.ask(both[1], errand, retries=0)
            except FmpError as refused:
                skipped[symbol] = str(refused)
                over = str(refused) if refused.fault in ENDS_THE_DAY else ""
            except (NotEntitled, QuotaRefused) as refused:
                calls -= 1  # it was not made
                skipped[symbol] = str(refused)
                over = str(refused) if isinstance(refused, QuotaRefused) else ""
            else:
                found[symbol] = Enriched(metrics=_first(metrics.rows), ratios=_first(ratios.rows))
        return Enrichment(found=found, skipped=skipped, calls=calls)

    async def _one(self, query: Query[RowT], errand: Errand) -> RowT | None:
        return _first(await self._all(query, errand))

    async def _all(self, query: Query[RowT], errand: Errand) -> tuple[RowT, ...]:
        return (await self.ask(query, errand)).rows


def _first(rows: tuple[RowT, ...]) -> RowT | None:
    return rows[0] if rows else None
