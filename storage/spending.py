"""Calls to models as ledger, gateway and screen share them: what is planned, what it may cost, how it ended.

Days and months of money are UTC, by the database's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from storage.records import AgentName

CHEAPER_BELOW = Decimal("0.4")  # of a cap left; engineering defaults
RULES_BELOW = Decimal("0.1")
DAYS_A_YEAR = 365
MONTHS_A_YEAR = 12


class CallState(StrEnum):
    """What a call's row counts for in the budget."""

    RESERVED = "reserved"  # about to be made or under way: its worst case
    SETTLED = "settled"  # what its usage came to
    RELEASED = "released"  # surely not billed: nothing
    UNCERTAIN = "uncertain"  # perhaps billed, nobody said how much: its worst case


class Rung(StrEnum):
    """What the budget still allows."""

    FULL = "full"  # every role its own model
    CHEAPER = "cheaper model"
    RULES = "rules"  # nobody is asked before the day is over
    STOP = "stop"  # nobody is asked before the month is over


class ParkScope(StrEnum):
    """Who has to wait after a refusal of the server."""

    MODEL = "model"
    KEY = "key"  # every model of the key


class Cap(StrEnum):
    CALL = "call"
    AGENT = "agent"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, kw_only=True)
class SpendLimits:
    """What the operator allows, dollars. `equity_share_year` is a fraction of equity for a whole year."""

    call_usd: Decimal
    agent_day_usd: Decimal
    day_usd: Decimal
    month_usd: Decimal
    equity_share_year: Decimal

    def caps(self, equity: Decimal | None) -> Caps:
        """The caps in force at an equity in dollars; None where a desk has none yet."""
        day, month = self.day_usd, self.month_usd
        if equity is not None:
            year = max(equity, Decimal(0)) * self.equity_share_year
            day, month = min(day, year / DAYS_A_YEAR), min(month, year / MONTHS_A_YEAR)
        return Caps(
            call_usd=self.call_usd, agent_day_usd=min(self.agent_day_usd, day), day_usd=day, month_usd=month
        )


@dataclass(frozen=True, kw_only=True)
class Caps:
    """The most that may be spent, dollars: on one call, by one agent a day, a day, a month."""

    call_usd: Decimal
    agent_day_usd: Decimal
    day_usd: Decimal
    month_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The budget at an instant. What is spent holds what is uncertain, not what is merely held."""

    at: datetime
    caps: Caps
    today_usd: Decimal
    month_usd: Decimal

    def __str__(self) -> str:
        caps = self.caps
        return (
            f"{self.rung}: ${self.today_usd:.2f} of ${caps.day_usd:.2f} is spent today, "
            f"${self.month_usd:.2f} of ${caps.month_usd:.2f} this month"
        )

    @property
    def rung(self) -> Rung:
        """The step of the ladder, from what is left of the day and of the month alone."""
        left_of_month = _left(self.caps.month_usd, self.month_usd)
        if left_of_month <= 0:
            return Rung.STOP
        left = min(left_of_month, _left(self.caps.day_usd, self.today_usd))
        if left < RULES_BELOW:
            return Rung.RULES
        return Rung.CHEAPER if left < CHEAPER_BELOW else Rung.FULL

    @property
    def resumes_at(self) -> datetime:
        """When more may be spent again: the end of the day, or of the month where that is what is short."""
        short = _left(self.caps.month_usd, self.month_usd) < RULES_BELOW
        return month_end(self.at) if short else day_end(self.at)


@dataclass(frozen=True, kw_only=True)
class PlannedCall:
    """A call about to be made. `worst_usd` is the most it can cost by the bytes and tokens it may use."""

    agent: AgentName
    prompt_id: UUID | None
    provider: str
    key_fingerprint: str
    model: str
    attempt: int  # 1, 2, ... of one question
    question: str  # digest of what is asked, the same for each attempt
    idempotency_key: str | None  # of the work it is asked for; None: never taken from the record
    batched: bool
    input_context: Mapping[str, object]
    worst_usd: Decimal
    price_source: str
    price_date: date | None


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """Tokens of one call. `input` is without cached ones; `thinking` is part of `output`."""

    input: int = 0
    output: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    thinking: int = 0

    @property
    def total(self) -> int:
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read + self.output


@dataclass(frozen=True, kw_only=True)
class CallEnd:
    """How a call ended. `error` is None when its answer can be used; `parked_until` when others must wait."""

    error: str | None
    latency_ms: int | None = None
    output_result: Mapping[str, object] | None = None
    stop_reason: str | None = None
    request_id: str | None = None
    parked_until: datetime | None = None
    park_scope: ParkScope | None = None


class SpendRefused(Exception):
    """The call must not be made: its worst case does not fit a cap. `until` is when that may change."""

    def __init__(self, why: str, *, cap: Cap, until: datetime | None) -> None:
        super().__init__(why)
        self.cap = cap
        self.until = until


class Parked(Exception):
    """The call must not be made yet: the server refused its like, and is asked again at `until`."""

    def __init__(self, why: str, until: datetime) -> None:
        super().__init__(why)
        self.until = until


@dataclass(frozen=True, kw_only=True)
class RecordedAnswer:
    """An answer that was paid for and is on record."""

    interaction_id: UUID
    model: str
    output_result: Mapping[str, object]


class SpendLedger(Protocol):
    """What every call passes: its worst case is committed before it is made, across processes."""

    async def standing(self) -> Standing: ...

    async def recorded(self, agent: AgentName, idempotency_key: str, question: str) -> RecordedAnswer | None:
        """The answer somebody already has to this question for this work."""

    async def reserve(self, call: PlannedCall, interaction_id: UUID) -> None:
        """Count the worst case. Raises SpendRefused or Parked; then it must not be made."""

    async def settle(self, interaction_id: UUID, end: CallEnd, *, cost: Decimal, tokens: TokenCount) -> None:
        """Count what it cost instead; more than was reserved is kept and flagged."""

    async def reject(self, interaction_id: UUID, why: str) -> None:
        """Say that what was settled brought no usable answer."""

    async def release(self, interaction_id: UUID, end: CallEnd) -> None:
        """Surely not billed: count nothing."""

    async def keep(self, interaction_id: UUID, end: CallEnd) -> None:
        """Perhaps billed: go on counting the worst case."""


def day_start(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def day_end(at: datetime) -> datetime:
    return day_start(at) + timedelta(days=1)


def month_start(at: datetime) -> datetime:
    return day_start(at).replace(day=1)


def month_end(at: datetime) -> datetime:
    return (month_start(at) + timedelta(days=32)).replace(day=1)


def _left(cap: Decimal, spent: Decimal) -> Decimal:
    """The share of a cap that is left; a cap of nothing leaves nothing."""
    return (cap - spent) / cap if cap > 0 else Decimal(0)
