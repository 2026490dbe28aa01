"""What a run may know of the market, made of what is kept: nothing is asked here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.market.actions import Actions, CorporateAction
from agents.market.bars import VOLATILITY_INDEX, AssetType, Bars, Instrument, MarketView
from agents.market.calendar import previous_session, sessions_between
from agents.market.clock import Clock
from agents.market.earnings import Announcement
from agents.market.fmp.cache import Aged, CacheStore
from agents.market.fmp.caller import Answer, Errand
from agents.market.fmp.keeping import Refused
from agents.market.fmp.lifetimes import last_settled, new_york_day
from agents.market.fmp.queries import Query, RowT
from agents.market.fmp.vendor import MarketVendor
from agents.market.news.sources import News
from app.runtime.market import reading
from app.runtime.market.fetching import Failures
from app.runtime.market.shelf import Shelf
from app.runtime.market.wants import (
    BARS,
    BEFORE_OPEN,
    DIVIDENDS,
    EARNINGS,
    METRICS,
    QUOTE,
    RATIOS,
    SPLITS,
    Names,
)
from app.runtime.sources import Market, MarketNotReady, PriceNow
from storage import models
from storage.calls import QuotaRefused
from storage.models.base import Json
from storage.plain import shortened
from storage.records import Slot
from storage.vendor_series import StoredSeries, VendorSeries

Value = TypeVar("Value")

AFTER_THE_CLOSE = (
    Slot.SETTLE,
    Slot.REGIME,
    Slot.SCREEN,
    Slot.DELIBERATE,
    Slot.DIGEST,
    Slot.SETTLE_EVENING,
    Slot.SETTLE_MORNING,
)
MARKS = (Slot.MARK_NOON, Slot.MARK_LATE)
BEFORE_CLOSE = (Slot.CUTOFF, Slot.OPEN)  # they read the bars up to the session before
KNOWS_REPORTS = (*BEFORE_CLOSE, Slot.SETTLE, Slot.REGIME, Slot.DELIBERATE)
LIVES_THROUGH = (Slot.CORPORATE_ACTIONS, Slot.SETTLE, Slot.SETTLE_EVENING)
NAMES_SAID = 60  # characters of the symbols a sentence names


class NobodyAsked:
    """Answers nothing: what is kept is all there is."""

    async def ask(self, query: Query[RowT], errand: Errand) -> Answer[RowT]:
        raise QuotaRefused(f"{query.asked} is past its lifetime", datetime.max.replace(tzinfo=UTC))


@dataclass
class _Run:
    """What one run is told, while it is put together."""

    slot: Slot
    session: date
    names: Names
    failures: Failures
    shelf: Shelf
    missing: list[str] = field(default_factory=list)
    lacking: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    data: dict[str, dict[str, object]] = field(default_factory=dict)

    def used(self, endpoint: str, symbol: str) -> None:
        """A value is told: keep how old the oldest is, and until when all of them are good."""
        kept = self.shelf(endpoint, symbol)
        assert kept is not None  # it was read from there
        row = self.data.setdefault(endpoint, {"symbols": 0, "oldest": "9999", "good_until": "9999"})
        row["symbols"] = int(str(row["symbols"])) + 1
        row["oldest"] = min(str(row["oldest"]), kept.fetched_at.isoformat())
        row["good_until"] = min(str(row["good_until"]), kept.expires_at.isoformat())


class Telling:
    """Reads what is kept for the runs of one process."""

    def __init__(self, engine: AsyncEngine, cache: CacheStore, series: VendorSeries, clock: Clock) -> None:
        self._engine = engine
        self._kept = MarketVendor(NobodyAsked(), cache, clock)
        self._series = series
        self._clock = clock

    async def instruments(self, symbols: Iterable[str]) -> dict[str, Instrument]:
        """The lines of the universe as they were described last."""
        row = models.Instrument
        wanted = list(symbols)
        async with AsyncSession(self._engine) as database:
            known = {
                found.symbol: found
                for found in await database.scalars(select(row).where(row.symbol.in_(wanted)))
            }
        return {symbol: _instrument(symbol, known.get(symbol)) for symbol in wanted}

    async def market(
        self, slot: Slot, session: date, names: Names, failures: Failures, news: News | None, shelf: Shelf
    ) -> Market:
        """Raises MarketNotReady where a run must not go without what is missing."""
        run = _Run(slot, session, names, failures, shelf)
        began = self._clock.now()  # everything told was good then, or later
        reads_bars = slot in AFTER_THE_CLOSE or slot in BEFORE_CLOSE
        actions: Actions | None = None
        splits: dict[str, list[CorporateAction]] = {}
        if reads_bars or slot in LIVES_THROUGH:
            actions, splits = await self._actions(run)
        prices = await self._prices(run)
        view = MarketView(session, {}, {})
        if reads_bars:
            view = await self._view(run, splits)
        earnings = await self._earnings(run) if slot in KNOWS_REPORTS else None
        fundamentals = await self._fundamentals(run, view) if slot is Slot.SCREEN else {}
        for what, symbols in run.lacking.items():
            run.missing.append(f"{what}: {shortened(' '.join(sorted(symbols)), NAMES_SAID)}")
        return Market(
            view=view,
            actions=actions,
            earnings=earnings,
            prices=prices,
            news=news,
            fundamentals=fundamentals,
            missing=(*run.missing, *_why(failures)),
            figures={"at": began.isoformat(), "told": run.data},
        )

    # -- bars ------------------------------------------------------------------------------------------------

    async def _view(self, run: _Run, splits: Mapping[str, list[CorporateAction]]) -> MarketView:
        """The bars that reach the session, or the one before while it still trades; others are left out."""
        after_close = run.slot in AFTER_THE_CLOSE
        need = run.session if after_close else previous_session(run.session)
        stored = await self._series.get((*run.names.all, VOLATILITY_INDEX))
        history: dict[str, Bars] = {}
        for symbol in run.names.all:
            bars = reading.bars_of(stored[symbol]) if symbol in stored else Bars.empty(symbol)
            bars = reading.as_traded(bars, splits.get(symbol, ()), run.session)
            if not reading.usable(bars, need):
                run.lacking[f"no bar of {need}"].append(symbol)
                continue
            history[symbol] = await self._opened(run, bars) if run.slot is Slot.OPEN else bars
            run.used(BARS, symbol)
        self._must_be_there(run, history, need)
        told_by = ""
        if VOLATILITY_INDEX in stored:
            told_by = _add_volatility(history, stored[VOLATILITY_INDEX], need)
        instruments = await self.instruments(run.names.all)
        return MarketView(run.session, instruments, history, told_by)

    async def _opened(self, run: _Run, bars: Bars) -> Bars:
        """With the session's own bar where it has settled, else with its open from a quote."""
        if reading.usable(bars, run.session):
            return bars
        quote = await self._value(self._kept.get_quote(bars.symbol))
        found = None
        if quote is not None and quote.value is not None and not quote.stale:
            found = reading.opened(bars, quote.value, run.session)
        if found is None:
            run.lacking[f"no open of {run.session}"].append(bars.symbol)
            return bars
        run.used(QUOTE, bars.symbol)
        return found

    def _must_be_there(self, run: _Run, history: Mapping[str, Bars], need: date) -> None:
        """What a run would get wrong without: the exits of a session, the fills of an open."""
        if run.slot is Slot.SETTLE:
            unasked = [
                name for name in run.names.held if name not in history and (BARS, name) in run.failures
            ]
            newest = last_settled(self._clock.now()) <= need
            if unasked and not all(_is_late(run.failures[BARS, name]) for name in unasked):
                raise MarketNotReady(_sentence("the exits wait for bars", run, unasked))
            if not history and newest:
                raise MarketNotReady(_sentence(f"there is no bar of {need} yet", run, run.names.all))
        if run.slot is Slot.OPEN and last_settled(self._clock.now()) < run.session:
            unknown = [
                name
                for name in run.names.waiting
                if name in history and not reading.usable(history[name], run.session)
            ]
            if unknown:
                raise MarketNotReady(_sentence("the entries wait for the open", run, unknown))

    # -- everything else -------------------------------------------------------------------------------------

    async def _actions(self, run: _Run) -> tuple[Actions | None, dict[str, list[CorporateAction]]]:
        """The actions of what is held and waits, and every symbol's splits.

        Without fresh splits of all that is held nobody may say that a fall was none: then there are no
        actions but in the morning's look at them, which lives through those that are known.
        """
        rows: list[CorporateAction] = []
        splits: dict[str, list[CorporateAction]] = {}
        unsure: list[str] = []
        for symbol in run.names.all:
            owned = symbol in run.names.held or symbol in run.names.waiting
            if not owned and run.shelf(SPLITS, symbol) is None:
                continue
            told = await self._value(self._kept.get_splits(symbol))
            splits[symbol] = [row.action for row in told.value] if told else []
            if not owned or run.slot not in LIVES_THROUGH:
                continue
            paid = await self._value(self._kept.get_dividends(symbol))
            rows += splits[symbol] + ([row.action for row in paid.value] if paid else [])
            for endpoint, answer in ((SPLITS, told), (DIVIDENDS, paid)):
                if answer is None or answer.stale:
                    run.lacking[f"no fresh {endpoint}"].append(symbol)
                    unsure += [symbol] if symbol in run.names.held else []
                else:
                    run.used(endpoint, symbol)
        if run.slot not in LIVES_THROUGH or (unsure and run.slot is not Slot.CORPORATE_ACTIONS):
            return None, splits
        return reading.actions_of(rows), splits

    async def _earnings(self, run: _Run) -> reading.EarningsKnown:
        today = new_york_day(self._clock.now())
        dates: dict[str, Announcement] = {}
        names = run.names.all if run.slot is Slot.DELIBERATE else (*run.names.held, *run.names.waiting)
        for symbol in names:
            told = await self._value(self._kept.get_earnings(symbol))
            if told is None or told.stale:
                run.lacking["no fresh earnings date"].append(symbol)
                continue
            run.used(EARNINGS, symbol)
            found = reading.announcement_of(told.value, today)
            if found is not None:
                dates[symbol] = found
        return reading.EarningsKnown(dates)

    async def _prices(self, run: _Run) -> dict[str, PriceNow]:
        prices: dict[str, PriceNow | None] = {}
        if run.slot is Slot.RECHECK:
            for symbol in run.names.waiting:
                offered = await self._value(self._kept.get_aftermarket_quote(symbol))
                prices[symbol] = reading.bid_and_ask(offered) if offered else None
        if run.slot in MARKS:
            for symbol in run.names.held:
                quote = await self._value(self._kept.get_quote(symbol))
                prices[symbol] = reading.last_trade(quote) if quote else None
        for symbol, price in prices.items():
            if price is None:
                run.lacking["no price of now"].append(symbol)
            else:
                run.used(BEFORE_OPEN if run.slot is Slot.RECHECK else QUOTE, symbol)
        return {symbol: price for symbol, price in prices.items() if price is not None}

    async def _fundamentals(self, run: _Run, view: MarketView) -> dict[str, Json]:
        """Key metrics and ratios of each symbol that has both, within their lifetime; ratios at its close."""
        found: dict[str, Json] = {}
        for symbol in run.names.all:
            bar = view.bars(symbol).on(run.session)
            close = bar.close if bar else None
            metrics = await self._value(self._kept.get_key_metrics(symbol))
            ratios = await self._value(self._kept.get_financial_ratios(symbol, close))
            if not metrics or not ratios or metrics.stale or ratios.stale:
                continue
            if metrics.value is None or ratios.value is None:
                continue
            run.used(METRICS, symbol)
            run.used(RATIOS, symbol)
            found[symbol] = {
                "metrics": metrics.value.model_dump(mode="json"),
                "ratios": ratios.value.model_dump(mode="json"),
                "fetched_at": min(metrics.fetched_at, ratios.fetched_at).isoformat(),
            }
        return found

    async def _value(self, asked: Awaitable[Aged[Value]]) -> Aged[Value] | None:
        """What is kept, fresh or stale; None when there is nothing."""
        try:
            return await asked
        except Refused:
            return None


def _add_volatility(history: dict[str, Bars], series: StoredSeries, session: date) -> str:
    """Take the volatility index in where it is near enough; who told it, and how far behind."""
    bars = reading.bars_of(series)
    if not reading.usable(bars, session):
        return ""
    history[VOLATILITY_INDEX] = bars
    behind = sessions_between(bars.upto(session).sessions[-1].item(), session)
    return f"{series.source}, {behind} session{'s' if behind > 1 else ''} behind" if behind else series.source


def _instrument(symbol: str, known: models.Instrument | None) -> Instrument:
    if known is None:
        return reading.instrument_of(symbol, None)
    return Instrument(
        symbol=symbol,
        name=known.name,
        sector=known.sector,
        industry=known.industry,
        asset_type=AssetType(known.asset_type),
    )


def _is_late(why: str) -> bool:
    """The vendor answered, and the bar was not there: it is for the next look."""
    return why.endswith("is not there yet")


def _sentence(what: str, run: _Run, names: Iterable[str]) -> str:
    named = sorted(names)
    why = next((run.failures[key] for key in run.failures if key[1] in named), "")
    return f"{what} of {shortened(' '.join(named), NAMES_SAID)}{f': {why}' if why else ''}"


def _why(failures: Failures) -> list[str]:
    """Each reason once, with what it is about."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for (endpoint, symbol), why in failures.items():
        reasons[why].append(f"{endpoint} {symbol}".strip())
    return [f"{shortened(', '.join(what), NAMES_SAID)}: {why}" for why, what in reasons.items()]
