"""The vendor as the market of a desk: plan what a slot may ask, ask it, tell what is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.market.bars import BENCHMARK_FUND, Bars, MarketView
from agents.market.bars import Instrument as Described
from agents.market.calendar import LAST_DAY
from agents.market.clock import Clock
from agents.market.fmp.cache import Aged
from agents.market.fmp.caller import Errand
from agents.market.fmp.keeping import Asker
from agents.market.fmp.models import SOURCE
from agents.market.fmp.vendor import MarketVendor
from agents.market.news.config import NewsConfig
from agents.market.news.sources import News, NewsSources
from agents.market.planner import Ask
from agents.market.volatility import VolatilitySource, VolatilitySources
from agents.market.volatility_config import VolatilityConfig
from app.runtime.market import reading
from app.runtime.market.fetching import Failures, Fetching, NotingAsker
from app.runtime.market.names import read_names
from app.runtime.market.shelf import Shelf
from app.runtime.market.telling import Telling
from app.runtime.market.wants import NEEDED, Names, job_of, plan_for
from app.runtime.slots import SLOTS
from app.runtime.sources import Market
from storage.calls import CallFault, Priority
from storage.memory import AgentMemory
from storage.models import Instrument
from storage.quota import QuotaLedger
from storage.quota_plans import keep_plan
from storage.quota_rules import BLOCK_WORDS, QuotaRules
from storage.quota_standing import Standing, read_standing
from storage.records import Slot
from storage.vendor_cache import VendorCache
from storage.vendor_series import VendorSeries

STOPS_CALLS = (CallFault.INVALID_KEY, CallFault.SUSPENDED)  # until a human has seen to it
TOLD_BY = {
    VolatilitySource.CBOE: "Cboe",
    VolatilitySource.FRED: "FRED",
    VolatilitySource.FMP: "FMP",
    VolatilitySource.REALISED: "realised",
}


class VendorMarket:
    """The market of the one desk that asks the vendor, in one process; close it when done."""

    last = LAST_DAY

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        asker: Asker,
        ledger: QuotaLedger,
        rules: QuotaRules,
        clock: Clock,
        volatility: VolatilityConfig,
        news: NewsConfig,
    ) -> None:
        """`asker` counts every call by `ledger` before it is made."""
        cache = VendorCache(engine)
        noting = NotingAsker(asker)
        self._engine = engine
        self._cache = cache
        self._series = VendorSeries(engine)
        self._ledger = ledger
        self._rules = rules
        self._clock = clock
        self._asking = MarketVendor(noting, cache, clock)
        self._telling = Telling(engine, cache, self._series, clock)
        self._fetching = Fetching(ledger, noting, self._fetch, clock)
        self._volatility = VolatilitySources(volatility, self._asking, cache, clock)
        self._news = NewsSources(news, self._asking, cache, clock)

    async def aclose(self) -> None:
        """Close the connections to public sources."""
        await self._volatility.aclose()
        await self._news.aclose()

    async def put_in_force(self) -> None:
        await self._ledger.put_in_force()

    async def gap(self, slot: Slot) -> str:
        standing = await self._standing()
        if standing.blocked_by in STOPS_CALLS and slot in NEEDED:
            return f"{BLOCK_WORDS[standing.blocked_by]}; correct it, or `quorum fmp unblock`"
        for endpoint in NEEDED.get(slot, ()):
            until = standing.refused.get((endpoint, ""))
            if until is not None:
                return f"FMP refuses {endpoint} to this key; asked again from {until:%Y-%m-%d}"
        return ""

    async def ready(self, slot: Slot, session: date) -> Market:
        reads_what_is_kept = slot is Slot.CUTOFF
        if SLOTS[slot].needs is None and not reads_what_is_kept:
            return Market(view=MarketView(session, {}, {}))
        names = await read_names(self._engine, session)
        failures = await self._ask_for(slot, session, names)
        news = await self._read_news(slot, session, names, failures)
        if slot is Slot.REGIME:
            failures |= await self._read_volatility(session)
        return await self._telling.market(slot, session, names, failures, news, await self._shelf())

    # -- asking ----------------------------------------------------------------------------------------------

    async def _ask_for(self, slot: Slot, session: date, names: Names) -> Failures:
        """Plan from here to the end of the next session, keep the plan for screens, ask this slot's part."""
        now = self._clock.now()
        plan = plan_for(slot, session, names, await self._shelf(), await self._standing(), now)
        await keep_plan(
            self._engine, self._ledger.fingerprint, made_at=now, dry_at=plan.dry_at, slots=plan.rows()
        )
        job = job_of(slot, session)
        mine = [part for part in plan.slots if part.job == job and part.due_at <= now]
        if slot is Slot.NEWS:  # its sources ask by themselves
            return {}
        return await self._fetching.fetch(job, mine)

    async def _standing(self) -> Standing:
        return await read_standing(self._engine, self._ledger.fingerprint, self._clock.now(), self._rules)

    async def _shelf(self) -> Shelf:
        return Shelf(await self._cache.ages(), await self._series.ages(), self._clock.now())

    async def _fetch(self, ask: Ask, errand: Errand) -> Aged[object] | None:
        """Ask one question; what comes is kept."""
        vendor, symbol = self._asking, ask.symbol
        match ask.endpoint:
            case "historical-price-eod/full":
                return await self._fetch_bars(symbol, errand)
            case "quote":
                return (await vendor.get_quote(symbol, errand)).map(_whole)
            case "aftermarket-quote":
                return (await vendor.get_aftermarket_quote(symbol, errand)).map(_whole)
            case "dividends":
                return (await vendor.get_dividends(symbol, errand)).map(_whole)
            case "splits":
                return (await vendor.get_splits(symbol, errand)).map(_whole)
            case "earnings":
                return (await vendor.get_earnings(symbol, errand)).map(_whole)
            case "profile":
                told = await vendor.get_profile(symbol, errand)
                if told.value is not None:
                    await self._describe([reading.instrument_of(symbol, told.value)])
                return told.map(_whole)
            case "key-metrics-ttm":
                return (await vendor.get_key_metrics(symbol, errand=errand)).map(_whole)
            case "ratios-ttm":
                return (await vendor.get_financial_ratios(symbol, errand=errand)).map(_whole)
        raise ValueError(f"nothing is known of {ask.endpoint}")

    async def _fetch_bars(self, symbol: str, errand: Errand) -> Aged[object]:
        held = (await self._series.get([symbol])).get(symbol)
        stored = Bars.empty(symbol) if held is None else reading.bars_of(held)
        update = await self._asking.update_bars(symbol, stored, errand)
        bars = update.value.bars
        if len(bars) and bars is not stored:
            await self._series.put(reading.series_of(bars, SOURCE, self._clock.now()))
        if update.value.rewritten:  # by a split, most likely: bars of before it must be shown as they were
            await self._asking.get_splits(symbol, errand)
        return update.map(_whole)

    async def _read_volatility(self, session: date) -> Failures:
        """Keep the volatility index of whoever tells it; why the better sources were passed over."""
        held = (await self._series.get([BENCHMARK_FUND])).get(BENCHMARK_FUND)
        index = Bars.empty(BENCHMARK_FUND) if held is None else reading.bars_of(held)
        errand = Errand(priority=Priority.WATCHLIST, job=job_of(Slot.REGIME, session))
        found = await self._volatility.read(session, index, errand)
        if len(found.bars):
            told_by = TOLD_BY[found.source]
            await self._series.put(reading.series_of(found.bars, told_by, self._clock.now()))
        return {("VIX", TOLD_BY[passed.source]): passed.why for passed in found.passed_over}

    async def _read_news(self, slot: Slot, session: date, names: Names, failures: Failures) -> News | None:
        if slot is not Slot.NEWS:
            return None
        known = await self._telling.instruments(names.all)
        news = await self._news.read(
            {symbol: instrument.name for symbol, instrument in known.items()},
            Errand(priority=Priority.WATCHLIST, job=job_of(slot, session)),
        )
        failures.update({("news", failed.source): failed.why for failed in news.failed})
        return news

    async def _describe(self, found: Iterable[Described]) -> None:
        """What the vendor says of symbols, for every screen."""
        rows = [Instrument(**vars(known)) for known in found]
        async with AsyncSession(self._engine) as database, database.begin():
            await AgentMemory(database).describe_instruments(rows)


def _whole(value: object) -> object:
    """What was asked matters no more: it is kept, and told from there."""
    return value
