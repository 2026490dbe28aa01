"""The market as the vendor tells it: every value from the cache while it is good, with its age and source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from agents.market.bars import Bars
from agents.market.calendar import close_time
from agents.market.clock import Clock
from agents.market.fmp import lifetimes, queries
from agents.market.fmp.cache import Aged, CacheStore
from agents.market.fmp.caller import UNSAID, Errand
from agents.market.fmp.errors import FmpError
from agents.market.fmp.fundamentals import FinancialRatiosTtm, IncomeStatement, KeyMetricsTtm
from agents.market.fmp.keeping import Asker, Keeper, Refused
from agents.market.fmp.models import (
    SOURCE,
    AftermarketQuote,
    Dividend,
    Earnings,
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
    next_report,
)
from agents.market.fmp.queries import Movers, RowT, Screener, StatementPeriod
from agents.market.fmp.series import bars_of_rows, joined, overlap_start
from storage.calls import CallFault

CLOCKS_APART = timedelta(minutes=5)  # how far the vendor's clock may be ahead of ours
OLD_TRADE = timedelta(minutes=30)  # in a session, a last trade as old as this is no price of now


@dataclass(frozen=True, kw_only=True)
class BarsUpdate:
    """A symbol's bars up to the newest session that is known.

    `rewritten` says that stored bars were changed: these replace all of them, what is older too.
    """

    bars: Bars
    rewritten: bool


class MarketVendor:
    """What the desk may know of the market; see `Keeper.kept` for what each method raises.

    A symbol the vendor has nothing of gives None or no rows.
    """

    def __init__(self, asker: Asker, cache: CacheStore, clock: Clock) -> None:
        self._asker = asker
        self._keeper = Keeper(asker, cache, clock)
        self._clock = clock

    async def get_quote(self, symbol: str, errand: Errand = UNSAID) -> Aged[Quote | None]:
        """The last trade, never one from before the session that is on, or the last one that was."""
        kept = await self._keeper.kept(
            queries.quote(symbol),
            errand,
            lambda _, now: lifetimes.quote(now),
            as_of=_last_trade,
            doubt=self._doubt_quote,
        )
        quote = _first(kept)
        now = self._clock.now()
        if quote.value is None or quote.stale or not lifetimes.running_session(now):
            return quote
        if now - quote.as_of <= OLD_TRADE:
            return quote
        return quote.past(f"the last trade was {int((now - quote.as_of).total_seconds() // 60)} minutes ago")

    async def get_aftermarket_quote(
        self, symbol: str, errand: Errand = UNSAID
    ) -> Aged[AftermarketQuote | None]:
        """Bid and ask outside the session."""
        return _first(
            await self._keeper.kept(
                queries.aftermarket_quote(symbol),
                errand,
                lambda _, now: now + lifetimes.QUOTE_IN_SESSION,
                as_of=lambda rows, fetched: max((row.timestamp for row in rows), default=fetched),
            )
        )

    async def get_profile(self, symbol: str, errand: Errand = UNSAID) -> Aged[Profile | None]:
        """The company."""
        query = queries.profile(symbol)
        return _first(
            await self._keeper.kept(query, errand, lambda _, now: lifetimes.profile(query.asked, now))
        )

    async def get_key_metrics(
        self, symbol: str, market_cap: float | None = None, errand: Errand = UNSAID
    ) -> Aged[KeyMetricsTtm | None]:
        """Key metrics of the trailing twelve months, brought to `market_cap` (of a quote) if given."""
        report = await self._next_report(symbol)
        query = queries.key_metrics_ttm(symbol)
        kept = _first(
            await self._keeper.kept(query, errand, lambda _, now: lifetimes.metrics(query.asked, now, report))
        )
        if kept.value is None or not market_cap:
            return kept
        moved = kept.value.at_market_cap(market_cap)
        return kept.noted("not brought to today's price") if moved is None else kept.map(lambda _: moved)

    async def get_financial_ratios(
        self, symbol: str, price: float | None = None, errand: Errand = UNSAID
    ) -> Aged[FinancialRatiosTtm | None]:
        """Ratios of the trailing twelve months, brought to `price` where it is given."""
        report = await self._next_report(symbol)
        query = queries.ratios_ttm(symbol)
        kept = _first(
            await self._keeper.kept(query, errand, lambda _, now: lifetimes.metrics(query.asked, now, report))
        )
        if kept.value is None or not price:
            return kept
        moved = kept.value.at_price(price)
        return kept.noted("not brought to today's price") if moved is None else kept.map(lambda _: moved)

    async def get_income_statement(
        self, symbol: str, period: StatementPeriod = StatementPeriod.ANNUAL, errand: Errand = UNSAID
    ) -> Aged[tuple[IncomeStatement, ...]]:
        """Income statements of the last five periods, newest first."""
        report = await self._next_report(symbol)
        query = queries.income_statement(symbol, period, queries.PLAN_LIMIT)
        return await self._keeper.kept(query, errand, lambda _, now: lifetimes.statements(now, report))

    async def get_earnings(self, symbol: str, errand: Errand = UNSAID) -> Aged[tuple[Earnings, ...]]:
        """Reports, past and expected."""

        query = queries.earnings(symbol)

        def until(rows: tuple[Earnings, ...], now: datetime) -> datetime:
            return lifetimes.earnings(query.asked, now, next_report(rows, lifetimes.new_york_day(now)))

        return await self._keeper.kept(query, errand, until)

    async def get_dividends(self, symbol: str, errand: Errand = UNSAID) -> Aged[tuple[Dividend, ...]]:
        """Cash dividends, announced ones too; each has its `action`."""
        query = queries.dividends(symbol)
        return await self._keeper.kept(
            query, errand, lambda _, now: lifetimes.actions(now), until_empty=lifetimes.actions
        )

    async def get_splits(self, symbol: str, errand: Errand = UNSAID) -> Aged[tuple[Split, ...]]:
        """Splits; each has its `action`."""
        query = queries.splits(symbol)
        return await self._keeper.kept(
            query, errand, lambda _, now: lifetimes.actions(now), until_empty=lifetimes.actions
        )

    async def get_closes(
        self, symbol: str, start: date, errand: Errand = UNSAID
    ) -> Aged[tuple[EodClose, ...]]:
        """Daily closes from `start` up to the newest settled session, newest first."""
        kept = await self._keeper.kept(
            queries.closes(symbol, start),
            errand,
            lambda rows, now: lifetimes.bars(max(row.date for row in rows), now),
        )
        settled = lifetimes.last_settled(self._clock.now())
        closes = kept.map(lambda rows: tuple(row for row in rows if row.date <= settled))
        return closes.at(close_time(closes.value[0].date)) if closes.value else closes

    async def get_articles(self, limit: int = 20, errand: Errand = UNSAID) -> Aged[tuple[FmpArticle, ...]]:
        """The vendor's own articles."""
        query = queries.articles(limit)
        return await self._keeper.kept(query, errand, lambda _, now: now + lifetimes.NEWS)

    async def get_stock_news(
        self, symbol: str, limit: int = 20, errand: Errand = UNSAID
    ) -> Aged[tuple[StockNews, ...]]:
        """Headlines about a symbol; not in the free plan."""
        query = queries.stock_news(symbol, limit)
        return await self._keeper.kept(query, errand, lambda _, now: now + lifetimes.NEWS)

    async def get_movers(self, which: Movers, errand: Errand = UNSAID) -> Aged[tuple[Mover, ...]]:
        """The day's gainers, losers or most active."""
        query = queries.movers(which)
        return await self._keeper.kept(query, errand, lambda _, now: lifetimes.whole_market(now))

    async def get_sectors(self, day: date, errand: Errand = UNSAID) -> Aged[tuple[SectorChange, ...]]:
        """How the sectors moved on a day."""
        query = queries.sectors(day)
        return await self._keeper.kept(query, errand, lambda _, now: lifetimes.whole_market(now))

    async def get_screener(
        self, criteria: Screener, errand: Errand = UNSAID
    ) -> Aged[tuple[ScreenerRow, ...]]:
        """Companies that meet the criteria; not in the free plan."""
        query = queries.screener(criteria)
        return await self._keeper.kept(query, errand, lambda _, now: now + lifetimes.SCREENER)

    async def search(
        self, words: str, *, by_name: bool = False, errand: Errand = UNSAID
    ) -> Aged[tuple[SymbolMatch, ...]]:
        """Symbols that look like the words, or companies named like them."""
        query = queries.search(words, by_name=by_name, limit=10)
        return await self._keeper.kept(query, errand, lambda _, now: now + lifetimes.SEARCH)

    async def update_bars(self, symbol: str, stored: Bars, errand: Errand = UNSAID) -> Aged[BarsUpdate]:
        """The stored bars and what has settled since, asked for with as few rows as will do.

        Nothing is asked while nothing new can have settled. When the vendor has changed what is stored (a
        split, a correction), everything is fetched anew; when that fails the stored bars are given alone, as
        stale: bars of two bases never stand in one series. Raises `Refused` when nothing is stored.
        Stored bars that were not asked for say `as_of` for `fetched_at`: it was no earlier.
        """
        settled = lifetimes.last_settled(self._clock.now())
        start = overlap_start(stored)
        if start is None:
            return await self._all_bars(symbol, settled, errand)
        if stored.sessions[-1].item() >= settled:
            return self._update(stored)
        try:
            kept = await self._keeper.kept(
                queries.bars(symbol, start),
                errand,
                lambda rows, now: lifetimes.bars(max(row.date for row in rows), now),
            )
        except Refused as refused:
            if not (isinstance(refused, FmpError) and refused.fault is CallFault.PARAMETER_NOT_IN_PLAN):
                return self._update(stored).past(str(refused))
            why = str(refused)
        else:
            together = joined(stored, bars_of_rows(symbol, kept.value, settled), start)
            if isinstance(together, Bars):
                update = self._update(together, kept.fetched_at, from_cache=kept.from_cache)
                if together.sessions[-1].item() < settled:
                    update = update.past(kept.note or f"the bar of {settled} is not there yet")
                return update
            why = together.why
        try:
            return await self._all_bars(symbol, settled, errand, least=stored)
        except Refused as refused:
            return self._update(stored).past(f"{why}; {refused}")

    async def _all_bars(
        self, symbol: str, settled: date, errand: Errand, *, least: Bars | None = None
    ) -> Aged[BarsUpdate]:
        """Everything the vendor has. With `least`, an answer that ends before those bars is refused."""
        query = queries.bars(symbol, None)
        answer = await self._asker.ask(query, errand)
        bars = bars_of_rows(symbol, answer.rows, settled)
        if least is not None and (not len(bars) or bars.sessions[-1] < least.sessions[-1]):
            raise query.refused(CallFault.GARBLED, "fewer bars than are stored")
        now = self._clock.now()
        update = self._update(bars, now, from_cache=False, rewritten=least is not None)
        if len(bars) and bars.sessions[-1].item() < settled:
            return update.past(f"the bar of {settled} is not there yet")
        return update

    def _update(
        self,
        bars: Bars,
        fetched: datetime | None = None,
        *,
        from_cache: bool = True,
        rewritten: bool = False,
    ) -> Aged[BarsUpdate]:
        as_of = close_time(bars.sessions[-1].item()) if len(bars) else self._clock.now()
        return Aged(
            value=BarsUpdate(bars=bars, rewritten=rewritten),
            as_of=as_of,
            fetched_at=fetched or as_of,
            stale=False,
            from_cache=from_cache,
            source=SOURCE,
        )

    async def _next_report(self, symbol: str) -> date | None:
        """The expected report as far as it is kept; asks nobody."""
        rows = await self._keeper.held(queries.earnings(symbol))
        return next_report(rows, lifetimes.new_york_day(self._clock.now()))

    def _doubt_quote(self, rows: tuple[Quote, ...], held: tuple[Quote, ...]) -> str | None:
        now = self._clock.now()
        oldest = max([lifetimes.oldest_quote(now), *(row.timestamp for row in held)])
        for row in rows:
            if row.timestamp > now + CLOCKS_APART:
                return f"its last trade lies ahead, at {row.timestamp.isoformat()}"
            if row.timestamp < oldest:
                return f"its last trade is old, of {row.timestamp.isoformat()}"
        return None


def _first(kept: Aged[tuple[RowT, ...]]) -> Aged[RowT | None]:
    return kept.map(lambda rows: rows[0] if rows else None)


def _last_trade(rows: tuple[Quote, ...], fetched: datetime) -> datetime:
    return max((row.timestamp for row in rows), default=fetched)
