"""Desks to look at: frozen snapshots built from plain values, a fake desk port, a clock that stands still."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import sin
from uuid import UUID

from storage.curve import Curve
from storage.digest import StoredDigest
from storage.evening import ArguedRow, ConsensusRow, Evening
from storage.exchanges import Exchange
from storage.funnel import Deliberated, ScreenCounts, funnel
from storage.history import Past, PastDecision, PastEvening
from storage.learning_records import AdjustmentRoute
from storage.loop_health import LoopHealth
from storage.proposal_standing import ProposalStanding
from storage.proposals import ProposalRow
from storage.records import (
    AgentName,
    ApprovalState,
    CommandReceipt,
    DeskKind,
    DeskState,
    Direction,
    ExitReason,
    LimitCheck,
    LimitInForce,
    LimitSource,
    Operator,
    OrderState,
    Recommendation,
    RejectReason,
    Rung,
    RunState,
    SetupType,
    Slot,
    Stance,
    ThesisKind,
    TradeTerms,
    VerdictMode,
    VerdictReceipt,
    Volatility,
)
from storage.snapshot import (
    AgentRow,
    ApprovalRow,
    DeskHeader,
    DeskSnapshot,
    EquityRow,
    LadderRow,
    LimitsRow,
    PositionRow,
    RegimeRow,
    RunRow,
    SpendRow,
    TradeRow,
    TradeTotals,
    VoteRow,
    WatchRow,
)
from storage.standstill import HaltRow

NOW = datetime(2026, 3, 2, 14, 3, 22, tzinfo=UTC)
UNTOUCHED = ProposalStanding(
    read_at=NOW - timedelta(seconds=1),
    verdicts=(),
    trial=None,
    applied_session=None,
    first_trade=None,
    measure=None,
    measured_at=None,
    rolled_back_by=None,
    rolled_back_because=None,
)
SESSION = date(2018, 2, 6)
OPERATOR = Operator(name="ada", tty="/dev/pts/3", ssh_origin="10.0.0.7")
NAMES = (
    ("AAPL", "Apple Inc.", "Technology", 163.03),
    ("AXP", "American Express", "Financials", 94.12),
    ("BA", "Boeing Co.", "Industrials", 334.8),
    ("CAT", "Caterpillar Inc.", "Industrials", 152.4),
    ("CSCO", "Cisco Systems", "Technology", 38.66),
    ("CVX", "Chevron Corp.", "Energy", 113.7),
    ("DIS", "Walt Disney Co.", "Communication", 104.2),
    ("GE", "General Electric", "Industrials", 15.02),
    ("GS", "Goldman Sachs", "Financials", 254.1),
    ("HD", "Home Depot", "Consumer", 188.9),
    ("IBM", "IBM", "Technology", 152.5),
    ("INTC", "Intel Corp.", "Technology", 44.9),
    ("JNJ", "Johnson & Johnson", "Health", 131.4),
    ("JPM", "JPMorgan Chase", "Financials", 111.1),
    ("KO", "Coca-Cola", "Staples", 44.6),
    ("MCD", "McDonald's", "Consumer", 164.3),
)


@dataclass
class StandingClock:
    """Time that moves only when a test moves it."""

    instant: datetime = NOW
    seconds: float = 1_000.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)
        self.seconds += seconds


def closes_of(index: int, last: float) -> tuple[float, ...]:
    """Sixty closes that end at `last`."""
    shape = [1 + 0.05 * sin(day / 7 + index) - 0.0008 * day for day in range(60)]
    return tuple(round(last * value / shape[-1], 2) for value in shape)


def watch_row(index: int, *, held: bool = False) -> WatchRow:
    symbol, name, sector, close = NAMES[index % len(NAMES)]
    kinds = (ThesisKind.BULLISH, ThesisKind.NEUTRAL, ThesisKind.BEARISH)
    return WatchRow(
        symbol=symbol,
        name=name,
        sector=sector,
        close=close,
        change=round(sin(index) * 0.03, 4),
        bar_session=SESSION if index % 7 else SESSION - timedelta(days=1),
        score=80 - 2.5 * index,
        rsi14=22 + 2.4 * index,
        thesis=kinds[index % 3],
        confidence=74 - index,
        source="rules",
        reasoning=f"RSI {22 + 2.4 * index:.0f} after a fall of {3 + index % 4}%, above its 200-session "
        "average; the last lower low came on falling volume",
        held=held,
        closes=closes_of(index, close),
    )


def approval_row(
    index: int = 0,
    *,
    symbol: str = "CAT",
    state: ApprovalState = ApprovalState.PENDING,
    risky: bool = False,
    close: str = "152.40",
    expires_at: datetime | None = None,
) -> ApprovalRow:
    price = Decimal(close)
    terms = TradeTerms(
        symbol=symbol,
        setup_type=SetupType.OVERSOLD_BOUNCE,
        entry_session=date(2018, 2, 7),
        min_entry=(price * Decimal("0.985")).quantize(Decimal("0.01")),
        max_entry=(price * Decimal("1.010")).quantize(Decimal("0.01")),
        stop=(price * Decimal("0.938")).quantize(Decimal("0.01")),
        target=(price * Decimal("1.118")).quantize(Decimal("0.01")),
        max_shares=34,
        max_risk=Decimal("373.10"),
        max_hold=10,
        parameters_version=3,
        limits={"risk_per_trade": 0.005, "heat": 0.02},
    )
    return ApprovalRow(
        id=UUID(int=0x0195_0000_0000_7000_8000_0000_0000_0000 + index),
        short_id=f"{symbol}-{index}f7a",
        state=state,
        digest=terms.digest,
        terms=terms,
        risky=risky,
        risky_reasons=("the index moved 4% in a day", "heat would pass three quarters of its limit")
        if risky
        else (),
        recommendation=Recommendation.APPROVE,
        reasoning="Two of three voters are for it: oversold inside an uptrend, risk inside every limit.",
        checks=(
            LimitCheck(name="risk_per_trade", limit=0.005, before=0.0, after=0.0037),
            LimitCheck(name="heat", limit=0.02, before=0.0081, after=0.0118),
            LimitCheck(name="gross", limit=0.6, before=0.22, after=0.272),
            LimitCheck(name="sector", limit=0.25, before=0.08, after=0.132),
            LimitCheck(name="cash", limit=5_000, before=78_100.0, after=72_866.0),
        ),
        votes=(
            VoteRow(
                agent=AgentName.RESEARCH,
                stance=Stance.FOR,
                conviction=0.71,
                source="rules",
                reason="oversold, RSI 24, above the 200-session average",
                veto_only=False,
            ),
            VoteRow(
                agent=AgentName.STRATEGY,
                stance=Stance.FOR,
                conviction=0.64,
                source="rules",
                reason="1.4R to the target with a stop under the last low",
                veto_only=False,
            ),
            VoteRow(
                agent=AgentName.REGIME,
                stance=Stance.AGAINST,
                conviction=0.55,
                source="rules",
                reason="volatility has doubled in three sessions",
                veto_only=False,
            ),
            VoteRow(
                agent=AgentName.RISK,
                stance=Stance.ABSTAIN,
                conviction=None,
                source="rules",
                reason="no veto: every limit holds with room",
                veto_only=True,
            ),
        ),
        consensus=ConsensusRow(
            rule="majority",
            stance=Stance.FOR,
            probability=None,
            pooled=0.618,
            base_rate=0.54,
            pool_skill=-0.021,
            dissent=(AgentName.REGIME,),
            abstained=(),
            note="2 of 3 are for it, 2 must be.",
        ),
        facts=(
            ("RSI 14", "24.1"),
            ("ATR 14", "4.52"),
            ("fall from 20-day high", "8.9%"),
            ("dollar volume, 20 days", "$812m"),
            ("same setup, last 5 years", "41 trades, 58% won, mean +0.21R, 95% interval -0.02 to +0.44"),
        ),
        close=price,
        created_session=SESSION,
        expires_at=expires_at,
        decided_by="" if state is ApprovalState.PENDING else "ada",
        decided_at=None if state is ApprovalState.PENDING else NOW - timedelta(minutes=9 + index),
        decision_reason="other" if state is ApprovalState.REJECTED else "",
        effective_at=None,
        order_state=None,
        order_note="",
    )


def an_evening() -> Evening:
    """Two candidates of sixteen symbols: one was outvoted, one found no room in its sector."""
    silent = ConsensusRow(
        rule="majority",
        stance=Stance.AGAINST,
        probability=None,
        pooled=0.481,
        base_rate=0.54,
        pool_skill=0.02,
        dissent=(AgentName.STRATEGY,),
        abstained=(AgentName.NEWS,),
        note="1 of 3 are for it, 2 must be.",
    )
    argued = tuple(
        ArguedRow(
            symbol=symbol,
            setup_type=SetupType.MOMENTUM,
            denied_by=by,
            reasoning=why,
            consensus=silent,
            approval=None,
            order=None,
            note="",
        )
        for symbol, by, why in (
            ("CVX", "consensus", "Energy falls while the market rises."),
            ("GS", "sector", "Denied: sector has no room for one share."),
        )
    )
    counts = ScreenCounts(
        universe=16, with_data=15, passed=4, selected=("CVX", "GS"), failures=(("fresh", 1), ("setup", 11))
    )
    fates = [Deliberated(row.symbol, row.denied_by) for row in argued]
    return Evening(session=SESSION, funnel=funnel(SESSION, counts, fates), argued=argued)


def position_row(index: int, symbol: str, entry: str, last: str, shares: int, held: int) -> PositionRow:
    bought, now = Decimal(entry), Decimal(last)
    stop = (bought * Decimal("0.94")).quantize(Decimal("0.01"))
    return PositionRow(
        id=UUID(int=0x0195_0000_0000_7000_8000_0000_0001_0000 + index),
        symbol=symbol,
        shares=shares,
        entry_session=SESSION - timedelta(days=held),
        entry_price=bought,
        stop=stop,
        target=(bought * Decimal("1.10")).quantize(Decimal("0.01")),
        last_close=now,
        last_session=SESSION,
        sessions_held=held,
        max_hold=10,
        unrealised=(now - bought) * shares,
        r_now=float((now - bought) / (bought - stop)),
        heat=0.0041,
    )


def equity_rows(count: int = 120) -> tuple[EquityRow, ...]:
    rows: list[EquityRow] = []
    peak = 100_000.0
    for index in range(count):
        value = 100_000 + 60 * index + 1_800 * sin(index / 9)
        peak = max(peak, value)
        rows.append(
            EquityRow(
                session=SESSION - timedelta(days=count - 1 - index),
                equity=Decimal(f"{value:.2f}"),
                cash=Decimal("78100.00"),
                heat=0.0082,
                drawdown=value / peak - 1,
                day_return=0.001,
                unsettled=Decimal(0),
                settles_on=None,
            )
        )
    return tuple(rows)


def limits_row() -> LimitsRow:
    """After the regime of the last session: the policy has lowered heat, momentum has a record."""
    return LimitsRow(
        session=SESSION,
        slot=Slot.REGIME,
        limits=(
            LimitInForce(name="risk_per_trade", limit=0.005, bound=0.0075, source=LimitSource.DEFAULT),
            LimitInForce(name="heat", limit=0.03, bound=0.06, used=0.0082, source=LimitSource.POLICY),
            LimitInForce(
                name="kelly momentum", limit=0.0005, bound=None, source=LimitSource.RECORD, note="34 trades"
            ),
            LimitInForce(
                name="entry_size", limit=1.0, bound=1.0, unit="ratio", source=LimitSource.LADDER, note="full"
            ),
            LimitInForce(
                name="protections",
                limit=0.0,
                bound=0.0,
                used=0.0,
                unit="count",
                source=LimitSource.PROTECTION,
            ),
        ),
    )


def a_desk(
    *,
    approvals: Sequence[ApprovalRow] | None = None,
    watch: Sequence[WatchRow] | None = None,
    state: DeskState = DeskState.RUNNING,
    taken_at: datetime = NOW,
) -> DeskSnapshot:
    """A HISTORY desk in the middle of its replay, with something of everything."""
    if approvals is None:
        approvals = (
            approval_row(1),
            approval_row(2, symbol="GE", risky=True, close="15.02"),
            replace(
                approval_row(3, symbol="IBM", state=ApprovalState.APPROVED), order_state=OrderState.FILLED
            ),
            replace(
                approval_row(4, symbol="KO", state=ApprovalState.APPROVED, close="44.60"),
                order_state=OrderState.SKIPPED,
                order_note="opened 2.4% above the band",
            ),
            approval_row(5, symbol="DIS", state=ApprovalState.REJECTED, close="104.20"),
        )
    return DeskSnapshot(
        taken_at=taken_at,
        header=DeskHeader(
            name="history",
            kind=DeskKind.HISTORY,
            state=state,
            verdict_mode=VerdictMode.ASK,
            history_title="US large caps 2013-2018",
            survivors=True,
            first_session=date(2013, 2, 8),
            last_session=date(2018, 2, 7),
            session=SESSION,
            desk_time=datetime(2018, 2, 6, 23, 45, tzinfo=UTC),
            host_seen_at=taken_at,
            start_equity=Decimal("100000"),
            clock_speed=1.0,
            sessions_done=1257,
            sessions_total=1259,
        ),
        regime=RegimeRow(
            session=SESSION,
            direction=Direction.BULL,
            volatility=Volatility.HIGH_VOL,
            bear_probability=0.18,
            index_symbol="SPX",
            index_close=2695.14,
            sma200=2537.2,
            distance=0.0622,
            volatility_source="^VIX 10-day mean",
            volatility_value=17.4,
            since=date(2018, 1, 10),
            standing=19,
        ),
        watch=tuple(watch)
        if watch is not None
        else tuple(watch_row(index, held=index in {10, 12}) for index in range(len(NAMES))),
        approvals=tuple(approvals),
        positions=(
            position_row(1, "IBM", "149.80", "152.50", 30, 4),
            position_row(2, "JNJ", "134.90", "131.40", 25, 9),
        ),
        trades=(
            TradeRow(
                symbol="MCD",
                setup_type="oversold_bounce",
                entry_session=date(2018, 1, 22),
                exit_session=date(2018, 2, 5),
                exit_reason=ExitReason.STOP_LOSS,
                shares=22,
                pnl=Decimal("-211.20"),
                r_multiple=-1.04,
            ),
            TradeRow(
                symbol="HD",
                setup_type="oversold_bounce",
                entry_session=date(2018, 1, 8),
                exit_session=date(2018, 1, 19),
                exit_reason=ExitReason.TAKE_PROFIT,
                shares=18,
                pnl=Decimal("342.00"),
                r_multiple=1.62,
            ),
            TradeRow(
                symbol="CSCO",
                setup_type="oversold_bounce",
                entry_session=date(2017, 12, 18),
                exit_session=date(2018, 1, 4),
                exit_reason=ExitReason.TIME_EXIT,
                shares=90,
                pnl=Decimal("48.60"),
                r_multiple=0.22,
            ),
        ),
        equity=equity_rows(),
        ladder=LadderRow(
            session=SESSION, rung=Rung.FULL, drawdown=0.012, halted_since=None, probation_left=0
        ),
        limits=limits_row(),
        agents=tuple(
            AgentRow(
                agent=agent,
                source="rules",
                last_session=SESSION,
                last_result=text,
                tasks=tasks,
                abstained=1 if agent is AgentName.NEWS else 0,
                success_rate=1.0,
                latency_ms=3.0 + tasks,
                symbol=None,
                working_since=None,
                paused_by=None,
                paused_at=None,
                failures=0,
                next_slot=None,
                next_due_at=None,
            )
            for agent, tasks, text in (
                (AgentName.REGIME, 1, "BULL, HIGH_VOL, P(bear) 0.18"),
                (AgentName.RESEARCH, 16, "16 theses: 6 bullish, 5 neutral, 5 bearish"),
                (AgentName.NEWS, 2, "no news source on a HISTORY desk"),
                (AgentName.STRATEGY, 2, "2 setups: CAT, GE"),
                (AgentName.RISK, 2, "no veto, GE cut to 34 shares"),
            )
        ),
        runs=tuple(
            RunRow(
                agent="desk",
                slot=slot,
                session=SESSION - timedelta(days=back),
                state=RunState.SKIPPED if slot is Slot.CUTOFF and back else RunState.DONE,
                summary=text,
                desk_time=datetime(2018, 2, 6, 23, 0, tzinfo=UTC) - timedelta(days=back),
                late_s=0.0,
                seconds=0.04,
                attempts=1,
                asked_by=None,
                finished_at=taken_at - timedelta(seconds=2 + 3 * back),
            )
            for back in range(3)
            for slot, text in (
                (Slot.DIGEST, "equity $105,412.11, heat 0.82%"),
                (Slot.DELIBERATE, "2 proposals, 1 dissent"),
                (Slot.SCREEN, "16 of 98 symbols selected"),
                (Slot.REGIME, "BULL, HIGH_VOL"),
                (Slot.SETTLE, "98 bars, 1 exit: MCD stop loss"),
                (Slot.OPEN, "1 fill, 1 skipped"),
                (Slot.CUTOFF, "nothing waited"),
            )
        ),
        leader=None,
        queues=(),
        schedule=(),
        operations=(),
        evening=an_evening(),
        totals=TradeTotals(trades=57, wins=33, mean_r=0.19, max_drawdown=0.0, denials=(("heat", 4),)),
        quota=None,
        spend=SpendRow(today_usd=Decimal(0), month_usd=Decimal(0), total_usd=Decimal(0), calls=0),
    )


@dataclass
class FakeDesk:
    """A desk port over one snapshot that a test may change; it remembers every verdict and command."""

    current: DeskSnapshot
    away: str = ""  # why it raises, while it does
    refuses: str = ""
    said: tuple[Exchange, ...] = ()  # by models, about every approval
    history: tuple[PastDecision, ...] = ()
    way: Curve = Curve(points=(), regimes=())  # noqa: RUF009 - frozen
    summed_up: StoredDigest | None = None
    proposed: tuple[ProposalRow, ...] = ()
    nights: LoopHealth | None = None
    asked: list[tuple[str, UUID, str, str]] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)  # set unless a test holds a stop back
    changed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    def open(self, conninfo: str) -> FakeDesk:
        return self

    def show(self, snapshot: DeskSnapshot) -> None:
        self.current = snapshot
        self.changed.set()

    def snapshot(self) -> DeskSnapshot:
        if self.away:
            raise ConnectionError(self.away)
        return self.current

    def wait(self, timeout_s: float) -> bool:
        if self.away:
            raise ConnectionError(self.away)
        # Much shorter than a real desk's wait, so that a test never waits for the feed's pace.
        happened = self.changed.wait(min(timeout_s, 0.02))
        if happened:
            self.changed.clear()
        return happened

    def approve(self, approval_id: UUID, *, digest: str, typed_id: str, operator: Operator) -> VerdictReceipt:
        return self._taken("approve", approval_id, digest, typed_id, ApprovalState.APPROVED)

    def reject(
        self,
        approval_id: UUID,
        *,
        digest: str,
        reason: RejectReason,
        words: str = "",
        operator: Operator,
    ) -> VerdictReceipt:
        return self._taken("reject", approval_id, digest, reason, ApprovalState.REJECTED)

    def undo(self, approval_id: UUID, *, operator: Operator) -> VerdictReceipt:
        return self._taken("undo", approval_id, "", "", ApprovalState.PENDING)

    def pause_agent(self, agent: AgentName, *, operator: Operator) -> CommandReceipt:
        return self._told("pause", agent)

    def resume_agent(self, agent: AgentName, *, operator: Operator) -> CommandReceipt:
        return self._told("resume", agent)

    def run_agent_now(self, agent: AgentName, *, operator: Operator) -> CommandReceipt:
        return self._told("run now", agent)

    def exchanges(self, approval_id: UUID) -> tuple[Exchange, ...]:
        if self.away:
            raise ConnectionError(self.away)
        return self.said

    def past(self, session: date | None = None, needle: str = "") -> Past:
        there = self.history if not needle else tuple(one for one in self.history if one.matches(needle))
        sessions = sorted({one.session for one in there})
        shown = session if session in sessions else sessions[-1] if sessions else None
        return Past(
            evenings=tuple(
                PastEvening(session=day, argued=1, proposed=1, approved=1, filled=1, r=None)
                for day in sessions
            ),
            session=shown,
            decisions=tuple(one for one in there if one.session == shown),
            needle=needle,
        )

    def words(self, deliberation_id: UUID) -> tuple[Exchange, ...]:
        return self.said

    def curve(self) -> Curve:
        return self.way

    def digest(self, session: date | None = None) -> StoredDigest | None:
        return self.summed_up

    def note(self, position_id: UUID, text: str, *, operator: Operator) -> CommandReceipt:
        return self._told("note", text)

    def change(self, change_id: UUID) -> tuple[ProposalRow, ProposalStanding] | None:
        return next(((row, UNTOUCHED) for row in self.proposed if row.id == change_id), None)

    def approve_change(
        self, change_id: UUID, *, digest: str, route: AdjustmentRoute, typed_id: str, operator: Operator
    ) -> CommandReceipt:
        return self._told(f"{route} {typed_id}".strip(), digest)

    def reject_change(
        self, change_id: UUID, *, digest: str, reason: str, operator: Operator
    ) -> CommandReceipt:
        return self._told("reject", reason)

    def defer_change(
        self, change_id: UUID, *, digest: str, until: datetime, operator: Operator
    ) -> CommandReceipt:
        return self._told("defer", until.isoformat())

    def undo_change(self, change_id: UUID, *, operator: Operator) -> CommandReceipt:
        return self._told("undo", str(change_id))

    def roll_back_change(self, change_id: UUID, reason: str, *, operator: Operator) -> CommandReceipt:
        return self._told("roll back", str(change_id))

    def loop_health(self) -> LoopHealth:
        assert self.nights is not None
        return self.nights

    def halt(self, asked: HaltRow) -> CommandReceipt:
        return self._told("halt", asked.reason)

    def close_position(self, symbol: str, reason: str, *, operator: Operator) -> CommandReceipt:
        return self._told("close", symbol)

    def move_stop(self, symbol: str, stop: Decimal, *, typed_id: str, operator: Operator) -> CommandReceipt:
        return self._told(f"stop {stop} {typed_id}".strip(), symbol)

    def flatten(self, reason: str, *, operator: Operator) -> CommandReceipt:
        return self._told("flatten", "")

    def take_back(self, symbol: str, *, operator: Operator) -> CommandReceipt:
        return self._told("take back", symbol)

    def stop_runtimes(self, *, operator: Operator) -> CommandReceipt:
        self.answers.wait(10)
        return self._told("stop", "")

    def close(self) -> None:
        """Nothing is held."""

    def _told(self, command: str, agent: str) -> CommandReceipt:
        if self.away:
            raise ConnectionError(self.away)
        self.told.append((command, agent))
        return CommandReceipt(accepted=not self.refuses, message=self.refuses or f"{command} {agent} taken")

    def _taken(
        self, verb: str, approval_id: UUID, digest: str, said: str, state: ApprovalState
    ) -> VerdictReceipt:
        if self.away:
            raise ConnectionError(self.away)
        self.asked.append((verb, approval_id, digest, said))
        if self.refuses:
            return VerdictReceipt(accepted=False, state=None, message=self.refuses)
        return VerdictReceipt(
            accepted=True, state=state, message="", effective_at=self.current.taken_at + timedelta(seconds=30)
        )
