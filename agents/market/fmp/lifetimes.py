"""How long an answer is good for: until when it is not asked for again.

A failure has no lifetime: it is never kept. An answer without rows is asked again after a day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from agents.market.calendar import (
    NEW_YORK,
    close_time,
    is_session,
    next_session,
    open_time,
    previous_session,
)

QUOTE_IN_SESSION = timedelta(minutes=10)
# The vendor's last trade of a session trails the closing auction, its daily bar the close.
QUOTE_LAG = timedelta(minutes=15)
BAR_LAG = timedelta(minutes=60)
LATE_BAR = timedelta(minutes=45)  # between two looks for a bar that should be there
REFUSED_PARAMETER = timedelta(days=7)
EMPTY = timedelta(days=1)
METRICS = timedelta(days=7)
STATEMENTS = timedelta(days=30)  # where no report is expected on a known day
AFTER_REPORT = timedelta(days=2)  # the figures follow the press release
PROFILE = timedelta(days=30)
EARNINGS = timedelta(days=7)
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


def metrics(now: datetime, report: date | None) -> datetime:
    """A week, or until the day after the expected report, whichever is first."""
    return _until_report(now, report, METRICS, timedelta(days=1))


def statements(now: datetime, report: date | None) -> datetime:
    """Until two days after the expected report; a month where none is known."""
    if report is None:
        return now + STATEMENTS
    return max(_midnight(report + AFTER_REPORT), now + EMPTY)


def earnings(now: datetime, report: date | None) -> datetime:
    """A week; a day once the expected report is within a week."""
    if report is not None and report - new_york_day(now) <= EARNINGS_WINDOW:
        return now + EARNINGS_NEAR
    return now + EARNINGS


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


def _until_report(now: datetime, report: date | None, longest: timedelta, after: timedelta) -> datetime:
    if report is None:
        return now + longest
    reported = _midnight(report + after)
    return min(now + longest, reported) if reported > now else now + longest


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)
