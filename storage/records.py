"""Enums and frozen records that all rooms share.

Money is Decimal in US dollars, prices are Decimal dollars a share, ratios are fractions (0.06 = 6%)
unless a name says otherwise, instants are timezone-aware UTC and sessions are New York dates.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from uuid import UUID

CENT = Decimal("0.01")
TICK = Decimal("0.0001")  # price precision at rest: split-adjusted history trades below a cent


def to_cents(value: Decimal) -> Decimal:
    """Round an amount of money half up to the cent, as a broker's statement does."""
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def to_price(value: float | Decimal) -> Decimal:
    """A price a share as stored: four decimals, half up."""
    return Decimal(str(value)).quantize(TICK, rounding=ROUND_HALF_UP)


def uuid7() -> UUID:
    """A time-ordered UUID (RFC 9562, version 7), made here because PostgreSQL has it only from 18 on.

    Its twelve bits after the millisecond are the fraction of it (method 3 of section 6.2), so that two rows
    one process writes in a millisecond sort as they were written.
    """
    milliseconds, rest_ns = divmod(time.time_ns(), 1_000_000)
    fraction = (rest_ns << 12) // 1_000_000
    value = bytearray(milliseconds.to_bytes(6, "big") + fraction.to_bytes(2, "big") + os.urandom(8))
    value[6] |= 0x70
    value[8] = (value[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(value))


class DeskKind(StrEnum):
    PAPER = "paper"
    LIVE = "live"
    HISTORY = "history"


class DeskState(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"


class VerdictMode(StrEnum):
    """Who answers approvals in a replay."""

    ASK = "ask"
    RECOMMENDED = "recommended"
    REJECT = "reject"


class Direction(StrEnum):
    BULL = "BULL"
    BEAR = "BEAR"
    SIDEWAYS = "SIDEWAYS"


class Volatility(StrEnum):
    HIGH_VOL = "HIGH_VOL"
    NORMAL_VOL = "NORMAL_VOL"
    LOW_VOL = "LOW_VOL"


class AgentName(StrEnum):
    REGIME = "regime"
    RESEARCH = "research"
    NEWS = "news"
    STRATEGY = "strategy"
    RISK = "risk"
    LEARNING = "learning"


class ThesisKind(StrEnum):
    BULLISH = "bullish"
    BEARISH = "bearish"
    NEUTRAL = "neutral"


class Stance(StrEnum):
    FOR = "for"
    AGAINST = "against"
    ABSTAIN = "abstain"


class SetupType(StrEnum):
    OVERSOLD_BOUNCE = "oversold_bounce"
    MOMENTUM = "momentum"
    BREAKOUT = "breakout"


class Recommendation(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class ApprovalState(StrEnum):
    """PENDING is the only state a verdict may leave; APPROVED may be undone until it takes effect."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class RejectReason(StrEnum):
    """Why a human turned a proposal down; each has a key in the review."""

    EXTENDED = "extended"
    EVENT = "event"
    CORRELATED = "correlated"
    NEWS = "news"
    POOR_REWARD_RISK = "poor_reward_risk"
    OTHER = "other"

    @property
    def words(self) -> str:
        return "poor reward/risk" if self is RejectReason.POOR_REWARD_RISK else str(self.value)


class VerdictVerb(StrEnum):
    """What can be said about an approval; EXPIRED is what silence says."""

    APPROVED = "approved"
    REJECTED = "rejected"
    UNDONE = "undone"
    EXPIRED = "expired"


class OrderSide(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderState(StrEnum):
    RESTING = "resting"
    FILLED = "filled"
    SKIPPED = "skipped"


class PositionState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class ExitReason(StrEnum):
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    TIME_EXIT = "time_exit"
    TRAILING_STOP = "trailing_stop"
    MANUAL = "manual"
    CIRCUIT_BREAKER = "circuit_breaker"
    REGIME_CHANGE = "regime_change"  # a stop that a tighter regime had raised
    CORPORATE_ACTION = "corporate_action"  # a reverse split that left less than one share
    EARNINGS = "earnings"  # sold before its company reports


class Rung(StrEnum):
    """Where the account stands on the drawdown ladder, best first."""

    FULL = "full"
    HALF = "half"
    QUARTER = "quarter"
    NO_ENTRIES = "no entries"
    HALT = "halt"


class CashKind(StrEnum):
    """DIVIDEND is income beside the trades; CASH_IN_LIEU pays for shares and is in its trade's profit."""

    FILL = "fill"
    FEE = "fee"
    DIVIDEND = "dividend"
    CASH_IN_LIEU = "cash_in_lieu"
    INTEREST = "interest"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    CORRECTION = "correction"


class NoteKind(StrEnum):
    """What a human wrote about a trade; UNTAG takes a tag off again, and stays on record too."""

    NOTE = "note"
    TAG = "tag"
    UNTAG = "untag"


class ActionKind(StrEnum):
    """What happened to a share."""

    SPLIT = "split"
    DIVIDEND = "dividend"
    SYMBOL_CHANGE = "symbol_change"


class RunState(StrEnum):
    """QUEUED and RUNNING end in one of the other three; a replay knows only DONE."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"  # on purpose, and the summary says why
    FAILED = "failed"


class Slot(StrEnum):
    """The steps of one session, in the order they are due."""

    CORPORATE_ACTIONS = "corporate_actions"
    NEWS = "news"
    RECHECK = "recheck"
    CUTOFF = "cutoff"
    OPEN = "open"
    MARK_NOON = "mark_noon"
    MARK_LATE = "mark_late"
    SETTLE = "settle"
    REGIME = "regime"
    SCREEN = "screen"
    DELIBERATE = "deliberate"
    DIGEST = "digest"
    SETTLE_EVENING = "settle_evening"  # bars that came late
    LEARN = "learn"
    HOUSEKEEPING = "housekeeping"
    SETTLE_MORNING = "settle_morning"  # bars that came later still


class Queue(StrEnum):
    """Where a job waits: IO is served by the runtime itself, COMPUTE by its child or another worker."""

    IO = "io"
    COMPUTE = "compute"


class OperationKind(StrEnum):
    """What happened to the desk as a machine, or was done to it by a human."""

    LED = "led"
    STEPPED_DOWN = "stepped_down"
    CAUGHT_UP = "caught_up"
    RESCUED = "rescued"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    RUN_NOW = "run_now"
    REARM = "rearm"
    FAULT = "fault"
    VENDOR = "vendor"  # a refusal of the vendor forgotten, a block lifted
    WATCH = "watch"  # a symbol added to the watchlist, or removed from it
    ALERT = "alert"  # a mark says that a price has passed a stop or a target
    HALT = "halt"  # trading stopped: no entries until it is lifted
    LIFT = "lift"  # a halt lifted by a named human
    AWAY = "away"  # the operator leaves or comes back
    POLICY = "policy"  # a standing policy approved, revoked or expired
    CLOSE = "close"  # a position to be closed by hand
    STOP_MOVED = "stop_moved"
    FLATTEN = "flatten"
    RECONCILE = "reconcile"  # book against broker: what differed, and what a human made of it
    UNPROTECTED = "unprotected"  # a position whose broker knows no stop for it
    CASH = "cash"  # paid in or out
    NOTE = "note"  # a tag or a note on a trade
    PROPOSAL = "proposal"  # what became of a proposed change
    LOOP = "loop"  # an alarm of the learning loop
    BACKUP = "backup"
    RETENTION = "retention"  # raw text that was too old removed
    NOTIFY = "notify"  # somebody was told, or could not be


class NoticeKind(StrEnum):
    """What a human who is not looking is told about."""

    APPROVAL = "approval"
    PROPOSAL = "proposal"
    HALT = "halt"
    BUDGET = "budget"
    QUOTA = "quota"
    AGENT = "agent"  # a slot failed, or its jobs have nobody to do them
    LEADER = "leader"
    BACKUP = "backup"
    PROTECTION = "protection"  # a position without a stop, a book that differs from the broker's
    DIGEST = "digest"


class Severity(StrEnum):
    """How loudly."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class LimitCheck:
    """One hard limit, measured before and after a proposed trade.

    `unit` is "fraction" (mostly of equity), "usd", "count" or "ratio". The limit is the most that is allowed,
    for a `floor` the least, and already too much where it is `strict`. `cash` is a floor in dollars, also in
    rows from before they said so.
    """

    name: str
    limit: float
    before: float
    after: float
    unit: str = "fraction"
    floor: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        if self.name == "cash":
            object.__setattr__(self, "unit", "usd")
            object.__setattr__(self, "floor", True)

    @property
    def passed(self) -> bool:
        if self.strict and self.after == self.limit:
            return False
        return self.after >= self.limit if self.floor else self.after <= self.limit

    @property
    def headroom(self) -> float:
        """What is left after the trade, as a fraction of the room there is (0 = at the limit)."""
        if self.floor:
            room = self.before - self.limit
            return (self.after - self.limit) / room if room > 0 else 0.0
        return (self.limit - self.after) / self.limit if self.limit > 0 else 0.0


class LimitSource(StrEnum):
    """Who set a limit to what it is now."""

    DEFAULT = "default"
    SETTING = "setting"
    POLICY = "regime policy"
    RECORD = "record"  # of the setup's closed trades
    LADDER = "ladder"
    PROTECTION = "protection"


@dataclass(frozen=True, kw_only=True)
class LimitInForce:
    """One limit as it stands for the next entry; `used` is None where only a single trade can use it.

    `bound` is the widest value it can be set to, None where it is no setting. Units as in a LimitCheck.
    """

    name: str
    limit: float
    bound: float | None
    source: LimitSource
    unit: str = "fraction"
    floor: bool = False
    used: float | None = None
    note: str = ""

    @property
    def left(self) -> float | None:
        """What is left of it, in its unit; below zero when it is passed."""
        if self.used is None:
            return None
        return self.used - self.limit if self.floor else self.limit - self.used


@dataclass(frozen=True, kw_only=True)
class TradeTerms:
    """What an approval binds: nothing outside these terms may be traded on it."""

    symbol: str
    setup_type: SetupType
    entry_session: date
    min_entry: Decimal
    max_entry: Decimal
    stop: Decimal
    target: Decimal
    max_shares: int
    max_risk: Decimal  # dollars lost if filled in full at max_entry and stopped at the stop, costs aside
    max_hold: int  # sessions after the entry session
    parameters_version: int
    limits: Mapping[str, float]  # the limits in force when it was proposed

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of every term: the fingerprint a verdict must name."""
        text = json.dumps(asdict(self), sort_keys=True, default=str, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Who gives a verdict, and from where."""

    name: str
    tty: str = ""
    ssh_origin: str = ""

    @property
    def origin(self) -> str:
        """Terminal and SSH origin, as they are kept."""
        return " ".join(filter(None, (self.tty, self.ssh_origin)))


@dataclass(frozen=True, kw_only=True)
class VerdictReceipt:
    """A verdict as it was taken, or why it was refused (then nothing changed)."""

    accepted: bool
    state: ApprovalState | None
    message: str
    effective_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CommandReceipt:
    """An operator's command as it was taken, or why it was refused (then nothing changed)."""

    accepted: bool
    message: str
