"""The vendor's quota as a screen shows it: frozen rows, read whole with the desk or by a command."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage.calls import CallFault
from storage.quota_rules import EntitlementState, ResetHour


@dataclass(frozen=True, kw_only=True)
class CallCount:
    """Calls of the last 24 hours under one name: a priority, a job, an endpoint."""

    name: str
    calls: int


@dataclass(frozen=True, kw_only=True)
class BlockRow:
    """Why the key makes no calls."""

    fault: CallFault
    note: str  # the vendor's own words, cleaned
    refused_at: datetime
    until: datetime | None  # then one call tries; None: not before a human has seen to it


@dataclass(frozen=True, kw_only=True)
class PlannedSlotRow:
    """What a slot will ask at one priority."""

    slot: str
    job: str
    due_at: datetime
    priority: str
    endpoints: tuple[str, ...]
    symbols: tuple[str, ...]  # that are called for
    calls: int
    served: int  # from the cache, without a call
    oldest_served_s: float | None  # age of the oldest of them when it is due
    deferred: int  # that do not fit
    deferred_symbols: tuple[str, ...]
    why: str  # the first of them does not fit, or nothing


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """The key in use and what it has used, by the clock its windows move by."""

    as_of: datetime
    key_fingerprint: str
    used: int  # calls of the last 24 hours, whether they ended or not
    limit: int
    reserve: int  # of the limit, for exits alone
    last_hour: int
    held: int  # reserved by jobs and not used yet; by exits only what is beyond their reserve
    unsettled: int  # of those used: under way, or cut off by a crash
    next_free_at: datetime | None  # when the oldest of those used leaves the window
    reset_hour: ResetHour | None  # None: not found out yet
    reset_learned_at: datetime | None
    received_bytes: int  # of the last 30 days
    bytes_limit: int
    allowed: int  # questions the plan is known to answer
    refused_symbols: int  # symbols that some endpoint refuses now
    refused_endpoints: int
    cached_fresh: int
    cached_stale: int
    oldest_fresh_at: datetime | None
    planned_at: datetime | None  # None: nothing has been planned yet
    dry_at: datetime | None  # when the first planned call must wait


@dataclass(frozen=True, kw_only=True)
class QuotaRow(KeyUse):
    """All of it that a pane shows."""

    by_priority: tuple[CallCount, ...]  # the most urgent first
    blocks: tuple[BlockRow, ...]  # the longest first
    planned: tuple[PlannedSlotRow, ...]  # in the order they are due

    @property
    def left(self) -> int:
        """Calls that anything but exits may still make now."""
        return max(self.limit - self.reserve - self.used - self.held, 0)

    @property
    def reserve_left(self) -> int:
        """Calls of the reserve that exits have not used up."""
        return max(min(self.reserve, self.limit - self.used), 0)


@dataclass(frozen=True, kw_only=True)
class QuotaUse:
    """Who made the calls of the last 24 hours, the most first."""

    by_job: tuple[CallCount, ...]
    by_endpoint: tuple[CallCount, ...]


@dataclass(frozen=True, kw_only=True)
class EntitlementRow:
    """What the key in use may ask, as the vendor last answered."""

    endpoint: str
    symbol: str  # "" for the endpoint at all
    state: EntitlementState
    fault: CallFault | None
    note: str
    learned_at: datetime
    ask_again_at: datetime | None
    times: int  # refusals in a row
