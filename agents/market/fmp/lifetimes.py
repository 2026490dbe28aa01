"""How long an answer is good for: until when it is not asked for again.

A failure has no lifetime: it is never kept. An answer without rows is asked again after a day;
one about actions every morning, as if it had rows.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zlib import crc32

from agents.market.calendar import (
    FIRST_DAY,
    NEW_YORK,
    add_sessions,
    close_time,
    is_session,
    next_session,
    open_time,
    previous_session,
    sessions_between,
)

# Sessions after which the slow figures are fetched anew: a week, a week, a month.
METRICS_EVERY = 5
EARNINGS_EVERY = 5
PROFILE_EVERY = 20

QUOTE_IN_SESSION = timedelta(minutes=10)
# The vendor's last trade of a session trails the closing auction, its daily bar the close.
QUOTE_LAG = timedelta(minutes=15)
BAR_LAG = timedelta(minutes=60)
LATE_BAR = timedelta(minutes=45)  # between two looks for a bar that should be there
REFUSED_PARAMETER = timedelta(days=7)
EMPTY = timedelta(days=1)
STATEMENTS = timedelta(days=30)  # where no report is expected on a known day
AFTER_REPORT = timedelta(days=2)  # the figures follow the press release
EARNINGS_NEAR = timedelta(days=1)
EARNINGS_WINDOW = timedelta(days=7)
NEWS = timedelta(hours=1)
SEARCH = timedelta(days=30)
SCREENER = timedelta(days=1)
ACTIONS_FROM = time(6, 0)  # New York: what is told by then is there for the morning's look at 07:00


def new_york_day(instant: datetime) -> date:
    """The day it is in New York."""
    return instant.astimezone(NEW_YORK).date()


def last_settled(now: datetime) -> date:
    """The newest session whose daily bar should be there: its close is at least an hour past."""
    today = new_york_day(now)
    if is_session(today) and now >= close_time(today) + BAR_LAG:
        return today
    return previous_session(today)


def running_session(now: datetime) -> date | None:
    """The session that trades now, or whose last quotes are still on their way; None outside."""
    today = new_york_day(now)
    if is_session(today) and open_time(today) <= now < close_time(today) + QUOTE_LAG:
        return today
    return None


def next_open(now: datetime) -> datetime:
    """The next opening bell after `now`."""
    today = new_york_day(now)
    if is_session(today) and now < open_time(today):
        return open_time(today)
    return open_time(next_session(today))


def quote(now: datetime) -> datetime:
    """Ten minutes while the market trades, else until it opens."""
    return now + QUOTE_IN_SESSION if running_session(now) else next_open(now)


def oldest_quote(now: datetime) -> datetime:
    """The oldest trade a quote may show: the open of the newest session that has been on for half an hour."""
    today = new_york_day(now)
    newest = today if is_session(today) else previous_session(today)
    if open_time(newest) + timedelta(minutes=30) > now:
        newest = previous_session(newest)
    return open_time(newest)


def bars(newest: date | None, now: datetime) -> datetime:
    """Until the next session has settled; when the bar that should be there is late, a short while."""
    if newest is None or newest < last_settled(now):
        return now + LATE_BAR
    return close_time(next_session(last_settled(now))) + BAR_LAG


def turn(name: str, now: datetime, every: int) -> datetime:
    """The beginning of the next session that is the own one of `name` ("profile AAPL") among every so many.

    What was fetched on one day is then not due on one day, and Monday does not pay for the weekend.
    """
    day = next_session(new_york_day(now))
    phase = sessions_between(FIRST_DAY, day) + crc32(name.encode())
    return _midnight(add_sessions(day, -phase % every) if phase % every else day)


def metrics(name: str, now: datetime, report: date | None) -> datetime:
    """The name's turn within five sessions, or the day after the expected report, whichever is first."""
    ends = turn(name, now, METRICS_EVERY)
    reported = None if report is None else _midnight(report + timedelta(days=1))
    return reported if reported is not None and now < reported < ends else ends


def statements(now: datetime, report: date | None) -> datetime:
    """Until two days after the expected report; a month where none is known."""
    if report is None:
        return now + STATEMENTS
    return max(_midnight(report + AFTER_REPORT), now + EMPTY)


def earnings(name: str, now: datetime, report: date | None) -> datetime:
    """The name's turn within five sessions; a day once the expected report is within a week."""
    if report is not None and report - new_york_day(now) <= EARNINGS_WINDOW:
        return now + EARNINGS_NEAR
    return turn(name, now, EARNINGS_EVERY)


def profile(name: str, now: datetime) -> datetime:
    """The name's turn within twenty sessions."""
    return turn(name, now, PROFILE_EVERY)


def actions(now: datetime) -> datetime:
    """Until the next session's morning."""
    today = new_york_day(now)
    morning = datetime.combine(today, ACTIONS_FROM, NEW_YORK).astimezone(UTC)
    if is_session(today) and now < morning:
        return morning
    return datetime.combine(next_session(today), ACTIONS_FROM, NEW_YORK).astimezone(UTC)


def whole_market(now: datetime) -> datetime:
    """Lists of the whole market: an hour while it trades, else until it opens."""
    return now + NEWS if running_session(now) else next_open(now)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)
