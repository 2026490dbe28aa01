"""What a slot asks is planned with what comes after it: exits first, nothing twice, within the limit."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.market.fmp.free_plan import FREE_UNIVERSE
from app.runtime.market.wants import BARS, EARNINGS, SLOW, Kept, Names, job_of, plan_for, wanted
from app.runtime.slots import due_at
from storage.calls import CallFault, Priority
from storage.quota_rules import QuotaRules
from storage.quota_standing import NOBODY_KNOWS, Standing
from storage.records import Slot
from tests.runtime.live_stage import MONDAY

RULES = QuotaRules(daily_calls=250, exits_reserve=15, bandwidth_bytes=500_000_000)
SETTLE = due_at(MONDAY, Slot.SETTLE)


def nothing_kept(endpoint: str, symbol: str) -> Kept | None:
    return None


def standing(**changes: object) -> Standing:
    values: dict[str, object] = {
        "rules": RULES,
        "past": (),
        "refused": {},
        "blocked_by": None,
        "blocked_until": None,
    }
    return Standing(**values | changes)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(
    held=st.integers(0, 12),
    waiting=st.integers(0, 6),
    watched=st.integers(0, 60),
    used=st.integers(0, 250),
    ago_h=st.integers(1, 23),
)
def test_what_is_held_is_never_put_off_for_what_is_watched(
    held: int, waiting: int, watched: int, used: int, ago_h: int
) -> None:
    names = Names(
        held=FREE_UNIVERSE[:held],
        waiting=FREE_UNIVERSE[12 : 12 + waiting],
        watched=FREE_UNIVERSE[18 : 18 + watched],
    )
    past = tuple((SETTLE - timedelta(hours=ago_h), Priority.WATCHLIST) for _ in range(used))
    plan = plan_for(Slot.SETTLE, MONDAY, names, nothing_kept, standing(past=past), SETTLE)
    now = [part for part in plan.slots if part.job == job_of(Slot.SETTLE, MONDAY)]
    asked = sum(len(part.calls) for part in now)
    assert used + asked <= RULES.daily_calls
    for part in now:
        if part.deferred and part.priority is Priority.EXITS:  # then even their own reserve is used up
            assert used + asked == RULES.daily_calls
        if part.calls and part.priority is Priority.WATCHLIST:
            assert not any(other.deferred for other in now if other.priority < part.priority)
            assert used + asked <= RULES.daily_calls - RULES.exits_reserve + held


def test_no_question_that_is_good_for_days_is_planned_twice() -> None:
    names = Names(held=FREE_UNIVERSE[:5], waiting=(), watched=FREE_UNIVERSE[5:50])
    plan = plan_for(Slot.SETTLE, MONDAY, names, nothing_kept, standing(), SETTLE)
    slow = Counter(
        (ask.endpoint, ask.symbol) for part in plan.slots for ask in part.calls if ask.endpoint in SLOW
    )
    assert slow and max(slow.values()) == 1
    bars = Counter(
        (ask.symbol, part.job) for part in plan.slots for ask in part.calls if ask.endpoint == BARS
    )
    assert max(bars.values()) == 1
    assert {job for _, job in bars} == {f"settle of {MONDAY}", "settle of 2026-03-10"}


def test_what_the_vendor_refuses_is_not_planned_and_a_blocked_key_plans_nothing() -> None:
    names = Names(held=(), waiting=(), watched=("AAPL", "KO"))
    until = SETTLE + timedelta(days=7)
    refused = plan_for(
        Slot.SETTLE, MONDAY, names, nothing_kept, standing(refused={(BARS, "KO"): until}), SETTLE
    )
    assert {ask.symbol for part in refused.slots for ask in part.calls if ask.endpoint == BARS} == {
        "AAPL",
        "SPY",
    }
    blocked = standing(blocked_by=CallFault.INVALID_KEY, blocked_until=NOBODY_KNOWS)
    plan = plan_for(Slot.SETTLE, MONDAY, names, nothing_kept, blocked, SETTLE)
    assert not any(part.calls for part in plan.slots)


def test_what_is_fresh_costs_nothing_and_is_planned_for_when_it_expires() -> None:
    names = Names(held=(), waiting=(), watched=("AAPL",))
    tomorrow = due_at(datetime(2026, 3, 10, tzinfo=UTC).date(), Slot.SCREEN)
    kept = Kept(fetched_at=SETTLE - timedelta(days=4), expires_at=tomorrow - timedelta(hours=12))

    def shelf(endpoint: str, symbol: str) -> Kept | None:
        return kept

    plan = plan_for(Slot.SCREEN, MONDAY, names, shelf, standing(), due_at(MONDAY, Slot.SCREEN))
    tonight = [part for part in plan.slots if part.job == job_of(Slot.SCREEN, MONDAY)]
    assert not any(part.calls for part in tonight) and any(part.served for part in tonight)
    later = [part.job for part in plan.slots for ask in part.calls if ask.endpoint == EARNINGS]
    assert later == ["screen of 2026-03-10"]


def test_an_open_is_asked_of_quotes_until_the_bars_tell_it_better() -> None:
    names = Names(held=("AAPL",), waiting=("KO",), watched=())
    early = [(endpoint, symbol) for _, endpoint, symbol in wanted(Slot.OPEN, names)]
    assert early == [("quote", "KO"), ("quote", "AAPL")]
    late = {endpoint for _, endpoint, _ in wanted(Slot.OPEN, names, settled=True)}
    assert late == {BARS}
    nobody = Names(held=("AAPL",), waiting=(), watched=())
    assert not list(wanted(Slot.OPEN, nobody))
