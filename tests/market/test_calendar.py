"""The exchange calendar and the injected clock."""

import warnings
from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market import calendar
from agents.market.clock import ScaledClock, SystemClock
from storage.errors import OperatorError

INNER_DAYS = st.dates(date(1991, 1, 1), date(2039, 12, 31))
STEPS = st.integers(-250, 250)


class Oracle:
    """XNYS of exchange_calendars over our whole range."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the oracle still calls what the newest pandas deprecates
            found = exchange_calendars.get_calendar("XNYS", start="1990-01-01", end="2040-12-31")
        self.sessions = [stamp.date() for stamp in found.sessions]
        self.opens = [stamp.to_pydatetime() for stamp in found.opens]
        self.closes = [stamp.to_pydatetime() for stamp in found.closes]
        self.early_closes = {stamp.date() for stamp in found.early_closes}


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


def test_sessions_equal_the_oracle_from_1990_to_2040(oracle: Oracle) -> None:
    assert calendar.sessions(calendar.FIRST_DAY, calendar.LAST_DAY) == oracle.sessions


def test_opens_and_closes_equal_the_oracle(oracle: Oracle) -> None:
    assert [calendar.open_time(session) for session in oracle.sessions] == oracle.opens
    assert [calendar.close_time(session) for session in oracle.sessions] == oracle.closes


def test_half_days_equal_the_oracle(oracle: Oracle) -> None:
    assert {session for session in oracle.sessions if calendar.is_half_day(session)} == oracle.early_closes


def test_times_are_utc_and_follow_daylight_saving() -> None:
    assert calendar.open_time(date(2024, 3, 8)) == datetime(2024, 3, 8, 14, 30, tzinfo=UTC)
    assert calendar.open_time(date(2024, 3, 11)) == datetime(2024, 3, 11, 13, 30, tzinfo=UTC)
    assert calendar.close_time(date(2024, 11, 29)) == datetime(2024, 11, 29, 18, 0, tzinfo=UTC)
    assert calendar.close_time(date(2024, 11, 29)).utcoffset() == timedelta(0)


@given(INNER_DAYS, STEPS)
def test_adding_and_counting_are_inverse(day: date, n: int) -> None:
    session = calendar.next_session(day)
    moved = calendar.add_sessions(session, n)
    assert calendar.add_sessions(moved, -n) == session
    assert calendar.sessions_between(session, moved) == n
    assert calendar.sessions_between(moved, session) == -n


@given(INNER_DAYS)
def test_next_and_previous_are_neighbours(day: date) -> None:
    after, before = calendar.next_session(day), calendar.previous_session(day)
    assert before < day < after
    between = [day] if calendar.is_session(day) else []
    assert calendar.sessions(before, after) == [before, *between, after]
    assert calendar.previous_session(after) == (day if between else before)


@given(INNER_DAYS, STEPS.filter(bool))
def test_counting_agrees_with_adding_on_any_day(day: date, n: int) -> None:
    assert calendar.sessions_between(day, calendar.add_sessions(day, n)) == n


def test_a_weekend_is_no_session() -> None:
    saturday = date(2024, 6, 1)
    assert not calendar.is_session(saturday)
    for ask in (calendar.open_time, calendar.close_time, calendar.is_half_day):
        with pytest.raises(ValueError, match="session of the NYSE, was 2024-06-01"):
            ask(saturday)
    with pytest.raises(ValueError, match="session of the NYSE"):
        calendar.add_sessions(saturday, 0)


@pytest.mark.parametrize("day", [date(1989, 12, 29), date(2041, 1, 2)])
def test_a_date_outside_the_range_is_refused(day: date) -> None:
    for ask in (calendar.is_session, calendar.next_session, calendar.previous_session, calendar.open_time):
        with pytest.raises(OperatorError, match="use dates from 1990 to 2040"):
            ask(day)


def test_the_edges_of_the_range_are_refused_not_wrapped() -> None:
    with pytest.raises(OperatorError, match="outside the exchange calendar"):
        calendar.previous_session(date(1990, 1, 2))
    with pytest.raises(OperatorError, match="outside the exchange calendar"):
        calendar.add_sessions(date(2040, 12, 31), 1)


def test_a_scaled_clock_runs_as_fast_as_it_is_told_and_knows_the_way_back() -> None:
    start, anchor = datetime(2024, 3, 11, 13, 30, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    machine = ScaledClock(anchor + timedelta(seconds=10), datetime.now(UTC), 1e-9)  # stands still, nearly
    clock = ScaledClock(start, anchor, 300, machine)
    assert abs(clock.now() - (start + timedelta(seconds=3000))) < timedelta(seconds=1)
    assert clock.real(start + timedelta(seconds=600)) == anchor + timedelta(seconds=2)
    with pytest.raises(ValueError, match="above 0"):
        ScaledClock(start, anchor, 0)


def test_clocks_speak_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
    new_york = datetime(2024, 7, 1, 9, 30, tzinfo=calendar.NEW_YORK)
    clock = ScaledClock(new_york, datetime.now(UTC), 1)
    assert clock.now().utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="timezone-aware"):
        ScaledClock(datetime(2024, 7, 1, 9, 30), datetime.now(UTC), 1)  # noqa: DTZ001
