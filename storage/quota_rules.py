"""The rules of the vendor's quota: windows, what a key may use, when a used-up key is tried again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from storage.calls import CallFault, Priority

# A call may reach the vendor up to a minute after it was counted, so it stays counted for a minute longer.
WINDOW = timedelta(hours=24, minutes=1)
BANDWIDTH_WINDOW = timedelta(days=30)
EXITS_BYTES = 20_000_000  # the last bytes of the allowance, which only exits may use

SYMBOL_REFUSED = timedelta(days=7)  # doubled each time the vendor refuses again,
SYMBOL_REFUSED_MOST = timedelta(days=30)  # up to this
ENDPOINT_REFUSED = timedelta(days=7)
PROBE_PATIENCE = timedelta(minutes=2)  # a probe that has not answered for so long is taken for lost
PROBE_AGAIN = timedelta(minutes=5)  # after a probe that proved nothing
BANDWIDTH_PROBE = timedelta(days=1)
KEY_LOOK = timedelta(days=1)  # a refused key is not tried again; when to look whether a human has seen to it

# Past any of these an endpoint is asked for in vain; a wrong path is wrong for every symbol.
ENDPOINT_FAULTS = (CallFault.ENDPOINT_NOT_IN_PLAN, CallFault.LEGACY_ENDPOINT, CallFault.NOT_FOUND)
BLOCKING_FAULTS = (
    CallFault.INVALID_KEY,
    CallFault.SUSPENDED,
    CallFault.DAILY_LIMIT,
    CallFault.BANDWIDTH_LIMIT,
)
BLOCK_WORDS = {
    CallFault.INVALID_KEY: "FMP refused the key",
    CallFault.SUSPENDED: "FMP suspended the account",
    CallFault.DAILY_LIMIT: "FMP said the day's calls are used up",
    CallFault.BANDWIDTH_LIMIT: "FMP said the bytes of 30 days are used up",
}

# The clock the windows move by: the database's, or the desk's own where a rehearsal accelerates it.
DATABASE_NOW = "clock_timestamp()"
DESK_NOW = (
    "coalesce((select clock_from + (clock_timestamp() - clock_anchor) * clock_speed"
    " from desk where clock_anchor is not null), clock_timestamp())"
)

_NEW_YORK = ZoneInfo("America/New_York")


class EntitlementState(StrEnum):
    ALLOWED = "allowed"
    REFUSED = "refused"


class ResetHour(StrEnum):
    """When the vendor may begin a new day; which one it is, is found out and nowhere published."""

    UTC_MIDNIGHT = "00:00 UTC"
    NEW_YORK_AFTERNOON = "15:00 New York"


_PROBES = {  # five minutes after each
    ResetHour.UTC_MIDNIGHT: time(0, 5, tzinfo=UTC),
    ResetHour.NEW_YORK_AFTERNOON: time(15, 5, tzinfo=_NEW_YORK),
}


@dataclass(frozen=True, kw_only=True)
class QuotaRules:
    """What one key may use."""

    daily_calls: int  # in any 24 hours
    exits_reserve: int  # of them, for exits alone
    bandwidth_bytes: int  # in any 30 days

    def calls_for(self, priority: Priority) -> int:
        """The calls of a window beyond which this priority makes none, whoever made them."""
        return self.daily_calls - (0 if priority is Priority.EXITS else self.exits_reserve)

    def bytes_for(self, priority: Priority) -> int:
        return self.bandwidth_bytes - (0 if priority is Priority.EXITS else EXITS_BYTES)


def key_fingerprint(key: str) -> str:
    """What stands for a key wherever one is written down: 16 hex digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def next_probe(after: datetime) -> datetime:
    """The first instant after `after` at which a used-up key is tried again, UTC."""
    return min(_occurrence(probe, after) for probe in _PROBES.values())


def reset_between(refused_at: datetime, worked_at: datetime) -> ResetHour | None:
    """The hour that must have been the reset; None when more than one, or none, lies between the two."""
    passed = [hour for hour, probe in _PROBES.items() if _occurrence(probe, refused_at) <= worked_at]
    return passed[0] if len(passed) == 1 else None


def blocked_until(fault: CallFault, refused_at: datetime) -> datetime | None:
    """When a blocked key is tried again; None: not before a human has seen to it."""
    if fault is CallFault.DAILY_LIMIT:
        return next_probe(refused_at)
    return refused_at + BANDWIDTH_PROBE if fault is CallFault.BANDWIDTH_LIMIT else None


def _occurrence(daily: time, after: datetime) -> datetime:
    """The first time after `after` that a wall in the time's own zone shows it, UTC."""
    day = after.astimezone(daily.tzinfo).date()
    on_the_day = datetime.combine(day, daily).astimezone(UTC)
    if on_the_day > after:
        return on_the_day
    return datetime.combine(day + timedelta(days=1), daily).astimezone(UTC)
