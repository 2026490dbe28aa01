"""What is due when: against a table of New York times written down by hand, and for any absence."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents.market.calendar import NEW_YORK, close_time, is_half_day, next_session, sessions
from agents.market.history import HistoryPack
from app.runtime.plan import Planned, due_slots, next_due
from app.runtime.slots import SLOTS, due_at, slots_of
from app.runtime.steps import STEPS
from app.settings import Settings
from app.wiring import sources
from storage.records import Slot

# New York time of each slot, and how many calendar days after its session.
TIMES = {
    Slot.CORPORATE_ACTIONS: (0, time(7, 0)),
    Slot.NEWS: (0, time(8, 45)),
    Slot.RECHECK: (0, time(9, 10)),
    Slot.CUTOFF: (0, time(9, 25)),
    Slot.OPEN: (0, time(9, 35)),
    Slot.MARK_NOON: (0, time(12, 30)),
    Slot.MARK_LATE: (0, time(15, 30)),
    Slot.SETTLE: (0, time(17, 30)),
    Slot.REGIME: (0, time(18, 0)),
    Slot.SCREEN: (0, time(18, 5)),
    Slot.DELIBERATE: (0, time(18, 30)),
    Slot.DIGEST: (0, time(18, 45)),
    Slot.SETTLE_EVENING: (0, time(20, 0)),
    Slot.LEARN: (0, time(20, 0)),
    Slot.HOUSEKEEPING: (1, time(0, 10)),
    Slot.SETTLE_MORNING: (1, time(7, 0)),
}
HALF_DAY_TIMES = {**TIMES, Slot.SETTLE: (0, time(14, 30))}
del HALF_DAY_TIMES[Slot.MARK_LATE]

ORDINARY, HALF_DAYS = date(2026, 11, 24), (date(2026, 11, 27), date(2026, 12, 24))
AROUND_THE_CLOCKS = (date(2026, 3, 6), date(2026, 3, 9), date(2026, 10, 30), date(2026, 11, 2))
NEVER_TOO_LATE = {Slot.CUTOFF, Slot.OPEN, Slot.SETTLE, Slot.REGIME, Slot.DIGEST}

# Days on which something is out of the ordinary: half days, changes of the clocks, holidays, weekends.
SPECIAL = st.sampled_from(
    [
        date(2026, 3, 8),
        date(2026, 4, 3),
        date(2026, 7, 3),
        date(2026, 11, 1),
        date(2026, 11, 26),
        date(2026, 11, 27),
        date(2026, 12, 24),
        date(2027, 1, 1),
    ]
)
NOW = st.builds(
    lambda day, seconds: datetime.combine(day, time(), NEW_YORK).astimezone(UTC) + timedelta(seconds=seconds),
    SPECIAL,
    st.integers(-5 * 86_400, 5 * 86_400),
)
ABSENCE = st.builds(timedelta, seconds=st.integers(0, 21 * 86_400))
FIRST_LOOKED_AT = st.integers(
    0, 10
)  # calendar days before `since`, and what the days before it left is settled


def by_hand(session: date) -> dict[Slot, datetime]:
    """When each slot of a session is due by the table, UTC."""
    table = HALF_DAY_TIMES if is_half_day(session) else TIMES
    return {
        slot: datetime.combine(session + timedelta(days=days), at, NEW_YORK).astimezone(UTC)
        for slot, (days, at) in table.items()
    }


def everything_due(now: datetime, since: datetime, first: date) -> dict[tuple[date, Slot], datetime]:
    """By the table: every slot due from `since` to `now`, of sessions from `first` on."""
    last = now.astimezone(NEW_YORK).date()
    return {
        (session, slot): due
        for session in (sessions(first, last) if first <= last else [])
        for slot, due in by_hand(session).items()
        if since <= due <= now
    }


@pytest.mark.parametrize("session", [ORDINARY, *HALF_DAYS, *AROUND_THE_CLOCKS], ids=str)
def test_every_slot_is_due_at_its_new_york_time(session: date) -> None:
    assert {slot: due_at(session, slot) for slot in slots_of(session)} == by_hand(session)


def test_the_times_follow_the_changes_of_the_clocks() -> None:
    opens = [due_at(session, Slot.OPEN) for session in AROUND_THE_CLOCKS]
    assert [f"{instant:%m-%d %H:%M}" for instant in opens] == [
        "03-06 14:35",
        "03-09 13:35",
        "10-30 13:35",
        "11-02 14:35",
    ]


def test_a_session_has_its_slots_in_the_order_they_are_due() -> None:
    for session in (ORDINARY, *HALF_DAYS):
        dues = [due_at(session, slot) for slot in slots_of(session)]
        assert dues == sorted(dues)


@given(now=NOW, absence=ABSENCE, earlier=FIRST_LOOKED_AT, chance=st.randoms(use_true_random=False))
def test_nothing_that_was_due_is_missing_and_nothing_is_planned_twice(
    now: datetime, absence: timedelta, earlier: int, chance: Random
) -> None:
    since = now - absence
    first = since.astimezone(NEW_YORK).date() - timedelta(days=earlier)
    due = everything_due(now, since, first)
    known = {which for which in due if chance.random() < 0.5}
    planned = list(due_slots(now, since=since, known=known, first=first))
    found = [(slot.session, slot.slot) for slot in planned]
    assert len(found) == len(set(found))
    assert set(found) | known == set(due)
    assert not set(found) & known
    assert all(due[slot.session, slot.slot] == slot.due for slot in planned)
    order = list(Slot)
    assert planned == sorted(planned, key=lambda slot: (slot.due, slot.session, order.index(slot.slot)))


@given(now=NOW, absence=ABSENCE)
def test_what_is_planned_once_is_not_planned_again(now: datetime, absence: timedelta) -> None:
    since = now - absence
    first = since.astimezone(NEW_YORK).date() - timedelta(days=3)
    known = {(slot.session, slot.slot) for slot in due_slots(now, since=since, known=set(), first=first)}
    assert list(due_slots(now, since=since, known=known, first=first)) == []


def last_chance(session: date, slot: Slot) -> datetime | None:
    """By hand: from when on a slot is not run any more."""
    own, following = by_hand(session), by_hand(next_session(session))
    return {
        Slot.CORPORATE_ACTIONS: following[Slot.CORPORATE_ACTIONS],
        Slot.NEWS: own[Slot.CUTOFF],
        Slot.RECHECK: own[Slot.CUTOFF],
        Slot.MARK_NOON: datetime.combine(
            session, time(13, 0) if is_half_day(session) else time(15, 30), NEW_YORK
        ),
        Slot.MARK_LATE: datetime.combine(session, time(16, 0), NEW_YORK),
        Slot.SCREEN: following[Slot.CUTOFF],
        Slot.DELIBERATE: following[Slot.CUTOFF],
        Slot.SETTLE_EVENING: own[Slot.SETTLE_MORNING],
        Slot.LEARN: following[Slot.LEARN],
        Slot.HOUSEKEEPING: following[Slot.HOUSEKEEPING],
        Slot.SETTLE_MORNING: following[Slot.SETTLE],
    }.get(slot)


@given(now=NOW, absence=ABSENCE)
def test_a_slot_is_too_late_exactly_from_its_last_chance_on(now: datetime, absence: timedelta) -> None:
    for planned in _away(now, absence):
        until = last_chance(planned.session, planned.slot)
        assert bool(planned.too_late) == (until is not None and now >= until), planned
        assert not (planned.too_late and planned.slot in NEVER_TOO_LATE)


@pytest.mark.parametrize("session", [ORDINARY, *HALF_DAYS], ids=str)
def test_no_mark_is_taken_once_the_session_has_closed(session: date) -> None:
    closed = close_time(session)
    marks = [
        planned
        for planned in due_slots(closed, since=closed - timedelta(hours=8), known=set(), first=session)
        if planned.slot in (Slot.MARK_NOON, Slot.MARK_LATE)
    ]
    assert marks
    assert all(planned.too_late for planned in marks)


@given(now=NOW, absence=ABSENCE, slack_s=st.sampled_from([0.0, 1_200.0]))
def test_what_is_queued_within_a_minute_is_on_time(now: datetime, absence: timedelta, slack_s: float) -> None:
    for planned in _away(now, absence, slack_s):
        passed = (now - planned.due).total_seconds()
        assert planned.late_s == (0.0 if passed <= 60.0 + slack_s else passed)
        assert planned.late == (planned.late_s > 0)


def test_a_minute_is_on_time_and_a_second_more_is_late() -> None:
    due = due_at(ORDINARY, Slot.SETTLE)
    for seconds, late in ((0, False), (60, False), (61, True)):
        now = due + timedelta(seconds=seconds)
        [planned] = due_slots(now, since=due, known=set(), first=ORDINARY)
        assert (planned.slot, planned.late) == (Slot.SETTLE, late)


@given(slot=st.sampled_from(Slot), after=NOW)
def test_next_is_the_first_one_later_than_now(slot: Slot, after: datetime) -> None:
    session, due = next_due(slot, after)
    assert by_hand(session)[slot] == due
    assert due > after
    day = after.astimezone(NEW_YORK).date()
    around = sessions(day - timedelta(days=7), day + timedelta(days=14))
    assert due == min(dues[slot] for each in around if (dues := by_hand(each)).get(slot, after) > after)


@given(slot=st.sampled_from(Slot), after=NOW)
def test_next_and_planned_meet_when_the_time_has_come(slot: Slot, after: datetime) -> None:
    session, due = next_due(slot, after)
    planned = due_slots(due, since=after, known=set(), first=session)
    assert (session, slot) in {(each.session, each.slot) for each in planned}


def test_half_days_have_no_late_mark() -> None:
    before = due_at(HALF_DAYS[0], Slot.MARK_NOON)
    assert next_due(Slot.MARK_LATE, before)[0] == date(2026, 11, 30)


@pytest.mark.parametrize("key", ["", "a key"])
def test_a_slot_without_a_step_needs_what_no_desk_has(
    sample: HistoryPack, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("FMP_API_KEY", key)
    settings = Settings(_env_file=None)
    desks = [sources(settings, None), sources(settings, sample)]
    for slot in Slot:
        if slot not in STEPS:
            assert SLOTS[slot].needs is not None
            assert all(desk.lacks(slot) for desk in desks)


@given(session=st.dates(date(2026, 1, 1), date(2028, 1, 1)))
def test_what_a_slot_waits_for_is_due_earlier_in_its_own_lane(session: date) -> None:
    assume(sessions(session, session))
    for slot in slots_of(session):
        for before in SLOTS[slot].after:
            assert due_at(session, before) < due_at(session, slot)
            assert SLOTS[before].lane == SLOTS[slot].lane


def _away(now: datetime, absence: timedelta, slack_s: float = 0.0) -> list[Planned]:
    since = now - absence
    first = since.astimezone(NEW_YORK).date()
    return list(due_slots(now, since=since, known=set(), first=first, slack_s=slack_s))
