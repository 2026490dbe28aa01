"""A week of a desk on the free plan: how many calls it makes, and that nothing it reads is past its lifetime.

The desk of the design: 50 symbols watched, 5 of them held, SPY beside them, its slots of a session. What
is asked here is what the slots need; the order of who may ask first is the ledger's.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from agents.market.bars import Bars
from agents.market.calendar import NEW_YORK, sessions
from agents.market.fmp.cache import Aged
from agents.market.fmp.caller import Errand
from agents.market.fmp.free_plan import FREE_UNIVERSE
from storage.calls import Priority
from tests.market.fmp.kit import Bench

WATCHED = FREE_UNIVERSE[:50]
HELD = WATCHED[:5]
PENDING = WATCHED[5:8]
FIRST, LAST = date(2026, 3, 9), date(2026, 3, 17)
BACKFILL = 2  # sessions over which the first fetches are spread
MOST_A_DAY = 130
NAIVE_LOOKS = 3  # of every symbol, at two calls each

POSITIONS = Errand(priority=Priority.POSITIONS, job="positions")
WATCHLIST = Errand(priority=Priority.WATCHLIST, job="watchlist")


class Week:
    """The desk's questions of each slot, and what it read."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.market = bench.market
        self.bars: dict[str, Bars] = {}
        self.read = 0

    def at(self, day: date, time: str) -> None:
        self.bench.clock.shown = datetime.fromisoformat(f"{day} {time}").replace(tzinfo=NEW_YORK)

    def used(self, value: Aged) -> None:  # type: ignore[type-arg]
        """A decision may rest on this: good, and saying since when."""
        assert not value.stale, value.note
        assert value.as_of <= self.bench.clock.now() and value.source == "fmp"
        self.read += 1

    async def session(self, day: date, watched: tuple[str, ...]) -> None:
        self.at(day, "07:00")
        for symbol in HELD:
            self.used(await self.market.get_dividends(symbol, POSITIONS))
            self.used(await self.market.get_splits(symbol, POSITIONS))
        self.at(day, "08:45")
        self.used(await self.market.get_articles(errand=WATCHLIST))
        self.at(day, "09:10")
        for symbol in PENDING:
            self.used(await self.market.get_aftermarket_quote(symbol, POSITIONS))
        for time in ("10:05", "12:30", "15:30"):
            self.at(day, time)
            for symbol in HELD:
                self.used(await self.market.get_quote(symbol, POSITIONS))
        self.at(day, "17:30")
        for symbol in (*watched, "SPY"):
            update = await self.market.update_bars(
                symbol, self.bars.get(symbol, Bars.empty(symbol)), WATCHLIST
            )
            self.used(update)
            self.bars[symbol] = update.value.bars
            assert update.value.bars.sessions[-1].item() == day
        self.at(day, "18:05")
        for symbol in watched:
            close = float(self.bars[symbol].close[-1])
            self.used(await self.market.get_earnings(symbol, WATCHLIST))
            self.used(await self.market.get_key_metrics(symbol, errand=WATCHLIST))
            self.used(await self.market.get_financial_ratios(symbol, close, WATCHLIST))
            self.used(await self.market.get_profile(symbol, WATCHLIST))


@pytest.mark.long
async def test_a_week_after_the_backfill_costs_at_most_130_calls_a_day_on_good_data(bench: Bench) -> None:
    bench.vendor.reset_hour = 4  # midnight in New York's summer time
    week = Week(bench)
    days = sessions(FIRST, LAST)
    for number, day in enumerate(days, 1):
        begun = len(WATCHED) * min(number, BACKFILL) // BACKFILL
        await week.session(day, WATCHED[:begun])
    calls = Counter(call.at.astimezone(NEW_YORK).date() for call in bench.vendor.served)
    times = [call.at for call in bench.vendor.served]
    fullest = max(sum(at - timedelta(days=1) < other <= at for other in times) for at in set(times))
    assert len(days) == 7 and fullest <= 250
    assert all(calls[day] <= MOST_A_DAY for day in days[BACKFILL:]), calls
    assert bench.ledger.faults == [None] * bench.calls
    assert week.read > 7 * 200
    megabytes = sum(end.received_bytes for end in bench.ledger.ends.values()) / 1e6
    print(f"\ncalls a session {[calls[day] for day in days]}; {megabytes:.1f} MB over the wire")  # noqa: T201
    print(f"fullest 24 hours: {fullest}; naive: {2 * NAIVE_LOOKS * len(WATCHED)} a session")  # noqa: T201
    assert bench.vendor.bytes_served() / 1e6 < 500 / 30 * (timedelta(days=7).days + BACKFILL)
