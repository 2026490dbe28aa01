"""NYSE sessions from 1990 to 2040, from rules and a short list of exceptional closures.

A session is the New York date on which the exchange trades. The rules reproduce `exchange_calendars` (XNYS)
exactly over the whole range; the test holds them to it. Days still to come follow today's rules: a closure
announced later must be added to `EXCEPTIONAL_CLOSURES` by hand.
"""

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from storage.errors import OperatorError

NEW_YORK = ZoneInfo("America/New_York")

FIRST_DAY = date(1990, 1, 1)
LAST_DAY = date(2040, 12, 31)

OPEN = time(9, 30)
CLOSE = time(16, 0)
EARLY_CLOSE = time(13, 0)
EARLY_CLOSE_BEFORE_1993 = time(14, 0)

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)

EXCEPTIONAL_CLOSURES = frozenset(
    {
        date(1994, 4, 27),  # mourning: Richard Nixon
        date(2001, 9, 11),  # attacks on New York
        date(2001, 9, 12),
        date(2001, 9, 13),
        date(2001, 9, 14),
        date(2004, 6, 11),  # mourning: Ronald Reagan
        date(2007, 1, 2),  # mourning: Gerald Ford
        date(2012, 10, 29),  # hurricane Sandy
        date(2012, 10, 30),
        date(2018, 12, 5),  # mourning: George H. W. Bush
        date(2025, 1, 9),  # mourning: Jimmy Carter
    }
)
EXCEPTIONAL_HALF_DAYS = frozenset({date(1997, 12, 26), date(1999, 12, 31), date(2003, 12, 26)})


def is_session(day: date) -> bool:
    """Whether the exchange trades on `day`; raises OperatorError outside 1990-2040."""
    _require_supported(day)
    return day in _session_set()


def sessions(first: date, last: date) -> list[date]:
    """All sessions from `first` to `last`, both included; empty when `last` is before `first`."""
    _require_supported(first)
    _require_supported(last)
    ordered = _ordered_sessions()
    return list(ordered[bisect_left(ordered, first) : bisect_right(ordered, last)])


def next_session(day: date) -> date:
    """The first session after `day`; `day` itself need not be one."""
    return add_sessions(day, 1)


def previous_session(day: date) -> date:
    """The last session before `day`; `day` itself need not be one."""
    return add_sessions(day, -1)


def add_sessions(day: date, n: int) -> date:
    """The n-th session after `day` (before it when n is negative).

    `day` need not be a session, except for n = 0, which gives `day` back (ValueError when it is none).
    Raises OperatorError when the answer lies outside 1990-2040.
    """
    _require_supported(day)
    ordered = _ordered_sessions()
    if n == 0:
        return _require_session(day)
    index = bisect_right(ordered, day) + n - 1 if n > 0 else bisect_left(ordered, day) + n
    if not 0 <= index < len(ordered):
        raise _unsupported(f"the session {n:+d} from {day.isoformat()}")
    return ordered[index]


def sessions_between(a: date, b: date) -> int:
    """How many sessions lead from `a` to `b`: after `a`, up to `b` included; negative when `b` is earlier.

    `sessions_between(a, add_sessions(a, n)) == n` for every n but 0 on a day that is no session.
    """
    _require_supported(a)
    _require_supported(b)
    ordered = _ordered_sessions()
    if a <= b:
        return bisect_right(ordered, b) - bisect_right(ordered, a)
    return bisect_left(ordered, b) - bisect_left(ordered, a)


def is_half_day(session: date) -> bool:
    """Whether the session closes early; ValueError when `session` is none."""
    return _require_session(session) in _half_days(session.year)


def open_time(session: date) -> datetime:
    """The opening bell (09:30 New York) in UTC; ValueError when `session` is none."""
    return datetime.combine(_require_session(session), OPEN, NEW_YORK).astimezone(UTC)


def close_time(session: date) -> datetime:
    """The closing bell in UTC; ValueError when `session` is none.

    16:00 New York, 13:00 on half days (14:00 before 1993).
    """
    if not is_half_day(session):
        closing = CLOSE
    elif session.year < 1993:
        closing = EARLY_CLOSE_BEFORE_1993
    else:
        closing = EARLY_CLOSE
    return datetime.combine(session, closing, NEW_YORK).astimezone(UTC)


def _require_supported(day: date) -> None:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise _unsupported(day.isoformat())


def _require_session(day: date) -> date:
    if not is_session(day):
        raise ValueError(f"expected a session of the NYSE, was {day.isoformat()}")
    return day


def _unsupported(what: str) -> OperatorError:
    return OperatorError(
        f"{what} is outside the exchange calendar", f"use dates from {FIRST_DAY.year} to {LAST_DAY.year}"
    )


@cache
def _ordered_sessions() -> tuple[date, ...]:
    days = (FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1))
    return tuple(day for day in days if day.weekday() < SATURDAY and day not in _holidays(day.year))


@cache
def _session_set() -> frozenset[date]:
    return frozenset(_ordered_sessions())


@cache
def _holidays(year: int) -> frozenset[date]:
    """Weekdays of `year` on which the exchange stays closed."""
    holidays = {
        _nth_weekday(year, 2, MONDAY, 3),  # Washington's Birthday
        _easter_sunday(year) - timedelta(days=2),  # Good Friday
        _last_monday_of_may(year),  # Memorial Day
        _nearest_weekday(date(year, 7, 4)),
        _nth_weekday(year, 9, MONDAY, 1),  # Labor Day
        _thanksgiving(year),
        _nearest_weekday(date(year, 12, 25)),
    }
    new_year = date(year, 1, 1)
    if new_year.weekday() != SATURDAY:  # the exchange does not close the old year for a Saturday New Year
        holidays.add(_nearest_weekday(new_year))
    if year >= 1998:
        holidays.add(_nth_weekday(year, 1, MONDAY, 3))  # Martin Luther King Jr. Day
    if year >= 2022:
        holidays.add(_nearest_weekday(date(year, 6, 19)))  # Juneteenth
    return frozenset(holidays | {day for day in EXCEPTIONAL_CLOSURES if day.year == year})


@cache
def _half_days(year: int) -> frozenset[date]:
    """Sessions of `year` that close early."""
    half_days = {day for day in EXCEPTIONAL_HALF_DAYS if day.year == year}
    if year >= 1992:
        half_days.add(_thanksgiving(year) + timedelta(days=1))
    christmas_eve = date(year, 12, 24)
    if christmas_eve.weekday() < FRIDAY:  # on a Friday it is the observed holiday itself
        half_days.add(christmas_eve)
    if year >= 1995:
        independence_eve = date(year, 7, 3)
        if independence_eve.weekday() in (MONDAY, TUESDAY, THURSDAY):
            half_days.add(independence_eve)
        elif independence_eve.weekday() == WEDNESDAY:  # until 2012 the Friday after was the short day instead
            half_days.add(independence_eve if year >= 2013 else date(year, 7, 5))
    return frozenset(half_days)


def _thanksgiving(year: int) -> date:
    return _nth_weekday(year, 11, THURSDAY, 4)


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _nth_weekday(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _nearest_weekday(day: date) -> date:
    """Where a fixed holiday is observed: Friday for a Saturday, Monday for a Sunday."""
    if day.weekday() == SATURDAY:
        return day - timedelta(days=1)
    if day.weekday() == SUNDAY:
        return day + timedelta(days=1)
    return day


def _easter_sunday(year: int) -> date:
    """Gregorian Easter; the anonymous algorithm of 1876 in Meeus, Astronomical Algorithms, chapter 8."""
    a = year % 19
    b, c = divmod(year, 100)
    d, e = divmod(b, 4)
    f = (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday_shift = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday_shift) // 451
    month, day = divmod(h + weekday_shift - 7 * m + 114, 31)
    return date(year, month, day + 1)
