"""The plan of calls: inside the limit at every instant, the more urgent first, the reserve for exits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.planner import Ask, CallPlan, PastCall, SlotWant, plan_calls
from storage.calls import Priority
from storage.quota_rules import WINDOW, QuotaRules

NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)  # a Monday, 09:00 in New York
RULES = QuotaRules(daily_calls=12, exits_reserve=4, bandwidth_bytes=500_000_000)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def ask(symbol: str, endpoint: str = "quote", size: int = 500, **cached: datetime) -> Ask:
    return Ask(endpoint=endpoint, symbol=symbol, typical_bytes=size, **cached)


def want(slot: str, after: float, priority: Priority, *asks: Ask) -> SlotWant:
    return SlotWant(
        slot=slot, job=f"{slot} {after}", due_at=NOW + hours(after), priority=priority, asks=tuple(asks)
    )


def many(count: int, endpoint: str = "quote") -> tuple[Ask, ...]:
    return tuple(ask(f"S{index:02}", endpoint) for index in range(count))


def past(count: int, ago: float, priority: Priority = Priority.WATCHLIST) -> list[PastCall]:
    return [PastCall(at=NOW - hours(ago), priority=priority)] * count


def called(plan: CallPlan, slot: str) -> list[str]:
    return [item.symbol for row in plan.slots if row.slot == slot for item in row.calls]


def test_what_fits_is_called_and_the_rest_is_named_with_its_reason() -> None:
    plan = plan_calls(NOW, [], [want("mark_noon", 3, Priority.WATCHLIST, *many(10))], RULES)
    (slot,) = plan.slots
    assert called(plan, "mark_noon") == [f"S{index:02}" for index in range(8)]
    assert [item.ask.symbol for item in slot.deferred] == ["S08", "S09"]
    assert slot.deferred[0].why == "8 of 8 calls of 24 h are taken by then, 4 more are for exits"
    assert plan.forecast == "dry at 12:00 New York"


def test_the_cheapest_of_equals_is_called_first_and_ties_go_by_symbol() -> None:
    asks = (ask("B", "eod", 50_000), ask("C", "quote"), ask("A", "quote"), ask("A", "eod", 50_000))
    (slot,) = plan_calls(NOW, past(5, 1), [want("settle", 1, Priority.WATCHLIST, *asks)], RULES).slots
    assert [(item.symbol, item.endpoint) for item in slot.calls] == [
        ("A", "quote"),
        ("C", "quote"),
        ("A", "eod"),
    ]


def test_a_later_slot_of_higher_priority_keeps_its_room() -> None:
    wants = [
        want("mark_noon", 3, Priority.WATCHLIST, *many(8)),
        want("settle", 8, Priority.POSITIONS, *many(5)),
    ]
    plan = plan_calls(NOW, [], wants, RULES)
    assert len(called(plan, "settle")) == 5
    assert len(called(plan, "mark_noon")) == 3
    assert plan.slots[0].deferred[0].why == "the room is kept for positions at 03-02 17:00 New York"


def test_exits_alone_reach_into_their_reserve() -> None:
    wants = [
        want("mark_noon", 3, Priority.POSITIONS, *many(20)),
        want("mark_late", 6, Priority.EXITS, *many(6)),
    ]
    plan = plan_calls(NOW, [], wants, RULES)
    assert (len(called(plan, "mark_noon")), len(called(plan, "mark_late"))) == (6, 6)


def test_calls_that_have_left_the_window_give_their_room_back() -> None:
    wants = [
        want("mark_noon", 3, Priority.WATCHLIST, *many(4)),
        want("regime", 9, Priority.WATCHLIST, *many(8)),
    ]
    plan = plan_calls(NOW, [*past(5, 20), *past(1, 30)], wants, RULES)
    assert (len(called(plan, "mark_noon")), len(called(plan, "regime"))) == (3, 5)


def test_what_the_cache_still_holds_when_it_is_due_costs_no_call() -> None:
    fresh = ask("A", cached_at=NOW - hours(2), expires_at=NOW + hours(4))
    spent = ask("B", cached_at=NOW - hours(2), expires_at=NOW + hours(2))
    (slot,) = plan_calls(
        NOW, past(12, 1), [want("mark_noon", 3, Priority.WATCHLIST, fresh, spent)], RULES
    ).slots
    assert [(item.ask, item.age) for item in slot.served] == [(fresh, hours(5))]
    assert [(item.ask, item.age) for item in slot.deferred] == [(spent, hours(5))]


def test_nothing_is_planned_while_the_vendor_takes_no_call() -> None:
    wants = [want("mark_noon", 3, Priority.EXITS, *many(2)), want("settle", 8, Priority.WATCHLIST, *many(2))]
    plan = plan_calls(NOW, [], wants, RULES, blocked_until=NOW + hours(4))
    assert [len(slot.calls) for slot in plan.slots] == [0, 2]
    assert plan.slots[0].deferred[0].why == "the vendor takes no call then"


def test_what_is_overdue_is_due_now() -> None:
    (slot,) = plan_calls(NOW, [], [want("news", -1, Priority.DISCOVERY, ask("A"))], RULES).slots
    assert slot.due_at == NOW


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (6.667, "dry at 15:40 New York"),
        (24, "never today, dry at 09:00 New York on 2026-03-03"),
        (None, "never today"),
    ],
)
def test_the_forecast_says_when_the_first_call_must_wait(after: float | None, words: str) -> None:
    wants = [] if after is None else [want("mark", after, Priority.WATCHLIST, *many(9))]
    assert plan_calls(NOW, [], wants, RULES).forecast == words


def test_tomorrows_plan_names_symbols_endpoints_calls_and_what_the_cache_serves() -> None:
    cached = ask("B", "profile", 3_000, cached_at=NOW - hours(24), expires_at=NOW + hours(240))
    tomorrow = want("screen", 33, Priority.DISCOVERY, ask("A", "profile", 3_000), cached)
    plan = plan_calls(NOW, [], [want("screen", 9, Priority.DISCOVERY, ask("A")), tomorrow], RULES)
    assert [slot.job for slot in plan.on(date(2026, 3, 3))] == ["screen 33"]
    row = plan.rows()[1]
    assert (row.slot, row.priority, row.symbols, row.endpoints) == (
        "screen",
        "discovery",
        ("A",),
        ("profile",),
    )
    assert (row.calls, row.served, row.oldest_served_s, row.deferred) == (1, 1, 57 * 3600.0, 0)


# -- for every day there can be ------------------------------------------------------------------------------

moments = st.integers(0, 48 * 4).map(lambda quarter: quarter / 4)
priorities = st.sampled_from(Priority)


@st.composite
def any_wants(draw: st.DrawFn) -> list[SlotWant]:
    slots = draw(st.lists(st.tuples(moments, priorities, st.integers(0, 9)), max_size=12))
    return [
        SlotWant(
            slot=f"slot {number}",
            job=f"job {number}",
            due_at=NOW + hours(after),
            priority=priority,
            asks=many(count, draw(st.sampled_from(["quote", "eod"]))),
        )
        for number, (after, priority, count) in enumerate(slots)
    ]


any_past = st.lists(
    st.builds(lambda ago, priority: PastCall(at=NOW - hours(ago), priority=priority), moments, priorities),
    max_size=20,
)
any_rules = st.builds(
    lambda reserve, more: QuotaRules(daily_calls=reserve + more, exits_reserve=reserve, bandwidth_bytes=1),
    st.integers(0, 6),
    st.integers(1, 20),
)


def placed(plan: CallPlan) -> list[tuple[datetime, Priority]]:
    return [(slot.due_at, slot.priority) for slot in plan.slots for _ in slot.calls]


def window(calls: Sequence[datetime], at: datetime) -> int:
    return sum(at - WINDOW < moment <= at for moment in calls)


@given(any_past, any_wants(), any_rules)
def test_no_window_of_a_planned_call_is_ever_above_its_limit(
    made: list[PastCall], wants: list[SlotWant], rules: QuotaRules
) -> None:
    planned = placed(plan_calls(NOW, made, wants, rules))
    every = [call.at for call in made] + [at for at, _ in planned]
    for at, priority in planned:
        assert window(every, at) <= rules.calls_for(priority)


@given(any_past, any_wants(), any_rules)
def test_what_lower_priorities_want_takes_nothing_from_higher_ones(
    made: list[PastCall], wants: list[SlotWant], rules: QuotaRules
) -> None:
    plan = plan_calls(NOW, made, wants, rules)
    for priority in Priority:
        urgent = [want for want in wants if want.priority <= priority]
        alone = plan_calls(NOW, made, urgent, rules)
        assert tuple(slot for slot in plan.slots if slot.priority <= priority) == alone.slots


@given(any_past, any_wants(), any_rules)
def test_a_deferred_call_would_not_have_fitted(
    made: list[PastCall], wants: list[SlotWant], rules: QuotaRules
) -> None:
    """Beside the calls that are no less urgent it would break a limit: its own or that of one of them."""
    plan = plan_calls(NOW, made, wants, rules)
    for slot in plan.slots:
        if not slot.deferred:
            continue
        rivals = [(at, priority) for at, priority in placed(plan) if priority <= slot.priority]
        every = [call.at for call in made] + [at for at, _ in rivals] + [slot.due_at]
        assert any(
            window(every, at) > rules.calls_for(priority)
            for at, priority in [*rivals, (slot.due_at, slot.priority)]
        )


@given(any_past, any_wants(), any_rules, st.randoms(use_true_random=False))
def test_the_order_in_which_it_is_told_changes_nothing(
    made: list[PastCall], wants: list[SlotWant], rules: QuotaRules, chance: Random
) -> None:
    plan = plan_calls(NOW, made, wants, rules)
    shuffled_past, shuffled = list(made), list(wants)
    chance.shuffle(shuffled_past)
    chance.shuffle(shuffled)
    assert plan_calls(NOW, shuffled_past, shuffled, rules) == plan


@given(any_past, any_wants(), any_rules)
def test_every_ask_is_called_for_served_or_deferred(
    made: list[PastCall], wants: list[SlotWant], rules: QuotaRules
) -> None:
    plan = plan_calls(NOW, made, wants, rules)
    asked = {(want.job, item) for want in wants for item in want.asks}
    answered = [
        (slot.job, item)
        for slot in plan.slots
        for item in (*slot.calls, *(no.ask for no in slot.deferred), *(kept.ask for kept in slot.served))
    ]
    assert len(answered) == len(asked)
    assert set(answered) == asked
