"""The frozen picture of one desk that a screen or a command shows: read whole, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from storage.changes import ChangeRow, NightRow
from storage.evening import ConsensusRow, Evening
from storage.quota_snapshot import QuotaRow
from storage.reconciliation import DifferenceRow
from storage.records import (
    AgentName,
    ApprovalState,
    DeskKind,
    DeskState,
    Direction,
    ExitReason,
    LimitCheck,
    LimitInForce,
    OperationKind,
    OrderState,
    Queue,
    Recommendation,
    Rung,
    RunState,
    Slot,
    Stance,
    ThesisKind,
    TradeTerms,
    VerdictMode,
    Volatility,
)
from storage.spending import CallState, Standing, month_end, month_start
from storage.standstill import AbsenceRow, HaltRow, MissedRow

LEADER_SILENT_S = 5.0  # a leader beats every second


@dataclass(frozen=True, kw_only=True)
class DeskHeader:
    name: str
    kind: DeskKind
    state: DeskState
    verdict_mode: VerdictMode
    history_title: str  # "" on a desk that trades the present
    survivors: bool  # history made only of companies that survived it
    first_session: date
    last_session: date | None  # None: the present has no last session
    session: date | None  # the session last settled
    desk_time: datetime  # the desk's own clock: simulated on HISTORY
    clock_speed: float  # times the wall's clock; 1 but in a rehearsal
    host_seen_at: datetime | None  # wall clock of the last sign of life of the process that drives the desk
    start_equity: Decimal
    sessions_done: int
    sessions_total: int | None


@dataclass(frozen=True, kw_only=True)
class LeaderRow:
    """The runtime that leads the desk, or led it last. Instants are the database's clock."""

    epoch: int  # counts the leaders the desk has had
    host: str
    pid: int
    since: datetime
    heartbeat_at: datetime
    ended_at: datetime | None  # it left in good order
    stop_asked_at: datetime | None
    stop_asked_by: str


@dataclass(frozen=True, kw_only=True)
class QueueRow:
    """A queue of jobs and who serves it."""

    queue: Queue
    waiting: int
    running: int
    workers: int  # processes seen lately


@dataclass(frozen=True, kw_only=True)
class SlotRow:
    """When a slot is due next, by the desk's clock."""

    slot: Slot
    session: date
    due_at: datetime
    agents: tuple[AgentName, ...]
    lacks: str  # why it will be skipped, or nothing


@dataclass(frozen=True, kw_only=True)
class OperationRow:
    """What happened to the desk as a machine, or was done to it by a human."""

    at: datetime
    kind: OperationKind
    who: str
    text: str


@dataclass(frozen=True, kw_only=True)
class RegimeRow:
    session: date
    direction: Direction
    volatility: Volatility
    bear_probability: float
    index_symbol: str
    index_close: float
    sma200: float
    distance: float  # close / sma200 - 1
    volatility_source: str  # "^VIX 10-day mean" or "21-day realised volatility"
    volatility_value: float
    since: date  # first session of the direction
    standing: int  # sessions it has stood, this one included
    source: str = "rules"  # who was asked; the rule decides all the same
    comment: str = ""  # a model's
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WatchRow:
    """One watched symbol: held, proposed, or near a setup in the last screen."""

    symbol: str
    name: str
    sector: str
    close: float | None
    change: float | None  # against the previous close, fraction
    bar_session: date | None
    score: float | None  # composite 0-100 of the last screen
    rsi14: float | None
    thesis: ThesisKind | None
    confidence: float | None  # 0-100
    source: str  # "rules" or a model's name
    reasoning: str
    held: bool
    closes: tuple[float, ...]  # up to 60 last closes, oldest first


@dataclass(frozen=True, kw_only=True)
class FigureRow:
    """A number an agent stated; `source` is "" for one that was not in its data and was struck."""

    name: str
    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class VoteRow:
    agent: AgentName
    stance: Stance
    conviction: float | None  # 0-1
    source: str
    reason: str
    veto_only: bool  # the risk manager does not vote: it may only shrink or veto
    figures: tuple[FigureRow, ...] = ()
    flags: tuple[str, ...] = ()  # what was noticed about the answer
    cost_usd: Decimal | None = None  # of all attempts; None where no model was asked


@dataclass(frozen=True, kw_only=True)
class ApprovalRow:
    id: UUID
    short_id: str  # what a risky approval asks to be typed
    state: ApprovalState
    digest: str
    terms: TradeTerms
    risky: bool
    risky_reasons: tuple[str, ...]
    recommendation: Recommendation
    reasoning: str
    checks: tuple[LimitCheck, ...]
    votes: tuple[VoteRow, ...]
    consensus: ConsensusRow | None  # None: argued before it was kept
    contradictions: tuple[str, ...] = ()  # figures that two agents tell differently
    facts: tuple[tuple[str, str], ...]  # label and value of the evidence, in reading order
    close: Decimal  # the close the proposal was made on
    created_session: date
    expires_at: datetime | None  # wall clock; None where nothing expires by the clock
    decided_by: str
    decided_at: datetime | None
    decision_reason: str
    effective_at: datetime | None
    order_state: OrderState | None
    order_note: str  # why an order was skipped
    what_if_r: float | None = None  # of one that was not traded, once it is known

    @property
    def risk_fraction(self) -> float:
        return next((check.after for check in self.checks if check.name == "risk_per_trade"), 0.0)


@dataclass(frozen=True, kw_only=True)
class PositionRow:
    id: UUID
    symbol: str
    shares: int
    entry_session: date
    entry_price: Decimal
    stop: Decimal
    target: Decimal
    last_close: Decimal
    last_session: date
    sessions_held: int
    max_hold: int
    unrealised: Decimal
    r_now: float
    heat: float  # what the stop still risks, as a fraction of equity
    target_r: float = 0.0  # what the target would bring, in R
    atr: float | None = None  # ATR(14) of the last evening it was looked at, dollars a share
    earnings_told: str | None = None  # the next date of the vendor's, as it was told
    tags: tuple[str, ...] = ()
    short_id: str = ""  # what loosening its stop asks to be typed
    initial_stop: Decimal = Decimal(0)
    protected_by: str | None = None  # the order that is its stop at the broker
    unprotected_since: datetime | None = None  # wall clock
    asked: str = ""  # what a human asked of it that is not done: "close, sent, by ada"

    @property
    def to_stop_atr(self) -> float | None:
        """From the last close down to the stop, in ATR(14)."""
        return float(self.last_close - self.stop) / self.atr if self.atr else None

    @property
    def earnings_days(self) -> int | None:
        """Calendar days from the last close to the company's next report, where a date is known."""
        try:
            told = date.fromisoformat(self.earnings_told or "")
        except ValueError:  # the vendor's words, which may be no date
            return None
        return (told - self.last_session).days


@dataclass(frozen=True, kw_only=True)
class TradeRow:
    symbol: str
    setup_type: str
    entry_session: date
    exit_session: date
    exit_reason: ExitReason
    shares: int
    pnl: Decimal
    r_multiple: float


@dataclass(frozen=True, kw_only=True)
class EquityRow:
    session: date
    equity: Decimal
    cash: Decimal
    heat: float
    drawdown: float
    day_return: float
    unsettled: Decimal  # of the cash: proceeds of sales that have not settled
    settles_on: date | None  # when the first of them do

    @property
    def settled(self) -> Decimal:
        """Cash that an entry may spend in a cash account."""
        return self.cash - self.unsettled


@dataclass(frozen=True, kw_only=True)
class LadderRow:
    """Where the drawdown ladder stands since the close of a session."""

    session: date
    rung: Rung
    drawdown: float  # from the ladder's own high-water mark, time-weighted
    halted_since: date | None
    probation_left: int  # trades still to be closed at quarter size

    @property
    def stopped(self) -> bool:
        """Whether nothing is entered until a human re-arms the desk or it recovers."""
        return self.rung in (Rung.NO_ENTRIES, Rung.HALT)

    @property
    def at_full_size(self) -> bool:
        return self.rung is Rung.FULL and not self.probation_left

    @property
    def words(self) -> str:
        """The same on every screen: "quarter size, 12 trades of probation left, 0.4% below its high"."""
        if self.halted_since is not None:
            where = f"HALTED since {self.halted_since}"
        elif self.stopped:
            where = str(self.rung)
        else:
            where = f"{Rung.QUARTER if self.probation_left else self.rung} size"
        probation = f", {self.probation_left} trades of probation left" if self.probation_left else ""
        return f"{where}{probation}, {self.drawdown:.1%} below its high"


@dataclass(frozen=True, kw_only=True)
class LimitsRow:
    """The limits in force, as the engine worked them out in a run of that session."""

    session: date
    slot: Slot
    limits: tuple[LimitInForce, ...]


@dataclass(frozen=True, kw_only=True)
class AgentRow:
    agent: AgentName
    source: str
    last_session: date | None
    last_result: str
    tasks: int  # on the last session it worked
    abstained: int
    success_rate: float | None
    latency_ms: float | None
    symbol: str | None  # being worked on now
    working_since: datetime | None  # wall clock
    paused_by: str | None
    paused_at: datetime | None  # wall clock
    failures: int  # failed runs in a row
    next_slot: Slot | None
    next_due_at: datetime | None  # by the desk's clock


@dataclass(frozen=True, kw_only=True)
class RunRow:
    agent: str
    slot: Slot
    session: date
    state: RunState
    summary: str
    desk_time: datetime  # when it was due, by the desk's clock
    late_s: float  # by the desk's clock
    seconds: float | None
    attempts: int
    asked_by: str | None  # the human who wanted it run out of turn
    finished_at: datetime | None  # wall clock


@dataclass(frozen=True, kw_only=True)
class AgentSpendRow:
    """What an agent's calls of this month count for."""

    agent: AgentName
    calls: int
    today_usd: Decimal
    month_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class ModelSpendRow:
    """What a model's calls of this month count for; `cache_share` of their input came from caches."""

    model: str
    calls: int
    month_usd: Decimal
    cache_share: float | None


@dataclass(frozen=True, kw_only=True)
class ModelCallRow:
    """One call to a model. `error` is "" where its answer could be used."""

    at: datetime
    agent: AgentName
    model: str
    state: CallState
    cost_usd: Decimal
    error: str
    price_source: str
    price_date: date | None


@dataclass(frozen=True, kw_only=True)
class ParkRow:
    """A refusal of the server that others wait out."""

    until: datetime
    model: str  # "" where it binds every model of the key
    because: str


@dataclass(frozen=True, kw_only=True)
class SpendRow:
    """Dollars to models, in UTC days and months. What is counted is settled, uncertain or held."""

    today_usd: Decimal
    month_usd: Decimal
    total_usd: Decimal
    calls: int  # in all
    uncertain_usd: Decimal = Decimal(0)  # this month: perhaps billed, nobody said how much
    held_usd: Decimal = Decimal(0)  # this month: for calls under way
    over_reported: int = 0  # calls that cost more than their worst case
    standing: Standing | None = None  # None: no caps have been set, so nothing may be asked
    agents: tuple[AgentSpendRow, ...] = ()
    models: tuple[ModelSpendRow, ...] = ()
    parks: tuple[ParkRow, ...] = ()
    last: ModelCallRow | None = None
    decisions: int = 0  # this month: symbols argued over that a model had a part in
    approved: int = 0  # of these, trades a human approved
    decided_usd: Decimal = Decimal(0)  # what the calls about these symbols came to

    @property
    def per_decision_usd(self) -> Decimal | None:
        return self.decided_usd / self.decisions if self.decisions else None

    @property
    def per_approved_usd(self) -> Decimal | None:
        return self.decided_usd / self.approved if self.approved else None

    @property
    def projected_usd(self) -> Decimal | None:
        """The month at the pace of its days so far; None before there is a pace."""
        if self.standing is None:
            return None
        at = self.standing.at
        share = (at - month_start(at)) / (month_end(at) - month_start(at))
        return self.month_usd / Decimal(str(share)) if share > 0 else None


@dataclass(frozen=True, kw_only=True)
class TradeTotals:
    trades: int
    wins: int
    mean_r: float | None
    max_drawdown: float  # of all closes so far, fraction
    denials: tuple[tuple[str, int], ...]  # limit and how often it denied a trade


@dataclass(frozen=True, kw_only=True)
class DeskSnapshot:
    """Everything a console shows of one desk, as of one instant."""

    taken_at: datetime  # wall clock
    header: DeskHeader
    regime: RegimeRow | None
    watch: tuple[WatchRow, ...]
    approvals: tuple[ApprovalRow, ...]  # pending first, then the latest decided ones
    positions: tuple[PositionRow, ...]
    trades: tuple[TradeRow, ...]  # latest first
    equity: tuple[EquityRow, ...]  # oldest first, up to 250
    ladder: LadderRow | None  # None: no session has settled yet
    limits: LimitsRow | None  # None: no evening has been reckoned yet
    agents: tuple[AgentRow, ...]
    runs: tuple[RunRow, ...]  # latest first
    leader: LeaderRow | None  # None: no runtime has ever led this desk
    queues: tuple[QueueRow, ...]
    schedule: tuple[SlotRow, ...]  # next due first; empty on a desk no runtime has led
    operations: tuple[OperationRow, ...]  # latest first
    evening: Evening | None  # the last one screened, None before the first
    totals: TradeTotals
    quota: QuotaRow | None  # None: this desk has no vendor
    followed: int = 0  # symbols on the watchlist
    halt: HaltRow | None = None  # None: nobody has halted the desk
    absence: AbsenceRow | None = None  # None: the operator is there
    missed: MissedRow | None = None  # None: nothing was ever left unanswered or turned down
    differences: tuple[DifferenceRow, ...] = ()  # where book and broker do not agree, and nobody has said why
    changes: tuple[ChangeRow, ...] = ()  # proposed of the desk itself: those that wait first
    night: NightRow | None = None  # None: no night of learning has run yet
    spend: SpendRow

    @property
    def led(self) -> bool:
        """Whether a runtime leads the desk now."""
        leader = self.leader
        if leader is None or leader.ended_at is not None:
            return False
        return (self.taken_at - leader.heartbeat_at).total_seconds() <= LEADER_SILENT_S

    @property
    def pending(self) -> tuple[ApprovalRow, ...]:
        return tuple(row for row in self.approvals if row.state is ApprovalState.PENDING)
