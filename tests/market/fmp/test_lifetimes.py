"""Until when an answer is good, in New York's days."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.calendar import NEW_YORK, sessions, sessions_between
from agents.market.fmp import lifetimes
from agents.market.fmp.free_plan import FREE_UNIVERSE


def ny(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("asked", "until"),
    [
        ("2026-03-10 11:00", "2026-03-10 11:10"),  # in session
        ("2026-03-10 15:58", "2026-03-10 16:08"),  # not over the close
        ("2026-03-10 16:20", "2026-03-11 09:30"),  # after it until the next open
        ("2026-03-10 07:00", "2026-03-10 09:30"),
        ("2026-03-13 18:00", "2026-03-16 09:30"),  # over a weekend
        ("2026-11-27 13:20", "2026-11-30 09:30"),  # half day
    ],
)
def test_a_quote_lives_minutes_in_session_and_until_the_open_outside(asked: str, until: str) -> None:
    assert lifetimes.quote(ny(asked)) == ny(until)


@pytest.mark.parametrize(
    ("now", "oldest"),
    [
        ("2026-03-10 09:45", "2026-03-09 09:30"),  # yesterday's trade will do in the first half hour
        ("2026-03-10 10:01", "2026-03-10 09:30"),
        ("2026-03-10 20:00", "2026-03-10 09:30"),
        ("2026-03-11 09:00", "2026-03-10 09:30"),
        ("2026-03-15 12:00", "2026-03-13 09:30"),
    ],
)
def test_a_quote_shows_a_trade_of_the_newest_session(now: str, oldest: str) -> None:
    assert lifetimes.oldest_quote(ny(now)) == ny(oldest)


def test_bars_settle_an_hour_after_the_close_and_are_looked_for_again_when_late() -> None:
    assert lifetimes.last_settled(ny("2026-03-10 16:59")) == date(2026, 3, 9)
    assert lifetimes.last_settled(ny("2026-03-10 17:00")) == date(2026, 3, 10)
    assert lifetimes.last_settled(ny("2026-11-27 14:00")) == date(2026, 11, 27)  # half day
    evening = ny("2026-03-10 17:30")
    assert lifetimes.bars(date(2026, 3, 10), evening) == ny("2026-03-11 17:00")
    assert lifetimes.bars(date(2026, 3, 9), evening) == evening + lifetimes.LATE_BAR


def test_figures_live_until_the_report_and_no_longer_than_a_week() -> None:
    now = ny("2026-03-10 12:00")
    due = lifetimes.turn("AAPL", now, 5)
    assert now < due <= now + timedelta(days=7)
    assert lifetimes.metrics("AAPL", now, None) == due
    assert lifetimes.metrics("AAPL", now, date(2026, 3, 10)) == min(due, ny("2026-03-11 00:00"))
    assert lifetimes.metrics("AAPL", now, date(2026, 6, 1)) == due
    assert lifetimes.statements(now, date(2026, 5, 1)) == ny("2026-05-03 00:00")
    assert lifetimes.statements(now, None) == now + timedelta(days=30)
    assert lifetimes.earnings("AAPL", now, date(2026, 3, 17)) == now + timedelta(days=1)
    assert lifetimes.earnings("AAPL", now, date(2026, 3, 18)) == due


def test_what_was_fetched_on_one_day_is_not_due_on_one_day() -> None:
    now = ny("2026-03-13 18:00")
    days = Counter(lifetimes.turn(symbol, now, 5).date() for symbol in FREE_UNIVERSE)
    assert set(days) == set(sessions(date(2026, 3, 16), date(2026, 3, 20)))
    assert max(days.values()) <= len(FREE_UNIVERSE) / 3


@given(st.sampled_from(FREE_UNIVERSE), st.dates(date(2000, 1, 3), date(2035, 1, 1)), st.integers(1, 20))
def test_a_turn_comes_once_in_so_many_sessions(symbol: str, day: date, every: int) -> None:
    now = datetime.combine(day, time(18, 5), NEW_YORK)
    due = lifetimes.new_york_day(lifetimes.turn(symbol, now, every))
    assert 1 <= sessions_between(day, due) <= every
    evening = datetime.combine(due, time(18, 5), NEW_YORK)
    again = lifetimes.new_york_day(lifetimes.turn(symbol, evening, every))
    assert sessions_between(due, again) == every


def test_actions_are_asked_for_once_before_each_session() -> None:
    assert lifetimes.actions(ny("2026-03-10 05:00")) == ny("2026-03-10 06:00")
    assert lifetimes.actions(ny("2026-03-10 07:00")) == ny("2026-03-11 06:00")
    assert lifetimes.actions(ny("2026-03-13 07:00")) == ny("2026-03-16 06:00")


@given(
    st.datetimes(
        datetime(2000, 1, 1),  # noqa: DTZ001
        datetime(2039, 1, 1),  # noqa: DTZ001
        timezones=st.just(NEW_YORK),
    ),
    st.none() | st.integers(-40, 120),
)
def test_nothing_expires_before_it_is_fetched(now: datetime, days: int | None) -> None:
    report = None if days is None else now.date() + timedelta(days=days)
    ends = [
        lifetimes.quote(now),
        lifetimes.bars(lifetimes.last_settled(now), now),
        lifetimes.bars(None, now),
        lifetimes.metrics("KO", now, report),
        lifetimes.statements(now, report),
        lifetimes.earnings("KO", now, report),
        lifetimes.actions(now),
        lifetimes.whole_market(now),
    ]
    assert all(end > now for end in ends)
    assert lifetimes.oldest_quote(now) < now
