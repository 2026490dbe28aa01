"""Calls to the market-data vendor as ledger and client share them: who asks, for what, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Protocol
from uuid import UUID


class Priority(IntEnum):
    """Who goes first when calls are short; only exits may use the reserve."""

    EXITS = 0  # protective exits of what is held
    POSITIONS = 1  # marks, bars and corporate actions of what is held
    APPROVALS = 2  # names that wait for a verdict or for their open
    WATCHLIST = 3  # the names the desk follows
    DISCOVERY = 4  # everything else


class CallFault(StrEnum):
    """How a call can fail; each has its own consequence."""

    BAD_REQUEST = "bad_request"  # a parameter the vendor refuses: our fault
    INVALID_KEY = "invalid_key"  # stop all calls
    SUSPENDED = "suspended"  # stop all calls
    SYMBOL_NOT_IN_PLAN = "symbol_not_in_plan"
    PARAMETER_NOT_IN_PLAN = "parameter_not_in_plan"
    ENDPOINT_NOT_IN_PLAN = "endpoint_not_in_plan"
    LEGACY_ENDPOINT = "legacy_endpoint"
    NOT_FOUND = "not_found"  # no such path
    DAILY_LIMIT = "daily_limit"  # never tried again before the reset
    BANDWIDTH_LIMIT = "bandwidth_limit"  # clears in days
    UNAVAILABLE = "unavailable"  # 5xx, a page of HTML, a cut or slow connection
    GARBLED = "garbled"  # an answer that is not what the endpoint gives
    WRONG_SYMBOL = "wrong_symbol"  # rows of another symbol than the one asked


@dataclass(frozen=True, kw_only=True)
class VendorCall:
    """One call about to be made. `endpoint` is the path below the base, such as "quote"."""

    endpoint: str
    symbol: str | None
    priority: Priority
    job: str  # what it is made for: a slot of a session, or a command


@dataclass(frozen=True, kw_only=True)
class CallEnd:
    """How a call ended: `status` None when nothing was answered, `fault` None when it went well."""

    status: int | None
    fault: CallFault | None
    received_bytes: int
    latency_ms: float
    note: str = ""  # the beginning of the vendor's own words, cleaned


@dataclass(frozen=True)
class CachedAnswer:
    """One answer of the vendor as it is kept: under what it was asked for, with its rows as JSON values.

    `symbol` is "" where none was asked for, `params` the other parameters in order, as "a=1&b=2". `body` is
    None for what the plan forbids: nothing is there, and it is not asked again before `expires_at`.
    """

    endpoint: str
    symbol: str
    params: str
    body: list[object] | None
    fetched_at: datetime
    expires_at: datetime


class QuotaRefused(Exception):
    """The call was not made: the quota has no room for its priority. `until` is when that may change."""

    def __init__(self, why: str, until: datetime) -> None:
        super().__init__(why)
        self.until = until


class NotEntitled(Exception):
    """The call was not made: the vendor refused its like before, and is not asked again before `until`."""

    def __init__(self, why: str, fault: CallFault, until: datetime) -> None:
        super().__init__(why)
        self.fault = fault
        self.until = until


class CallLedger(Protocol):
    """What every call passes: counted and committed before it is made, across processes and restarts."""

    async def admit(self, call: VendorCall) -> UUID:
        """Count the call. Raises QuotaRefused or NotEntitled; then it must not be made."""

    async def settle(self, ticket: UUID, end: CallEnd) -> None:
        """Write down how an admitted call ended. One that is never settled stays counted."""
