"""A PAPER desk to look at: a Monday morning before the open, led by a runtime, with whatever went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from storage.calls import CallFault
from storage.quota_rules import ResetHour
from storage.quota_snapshot import BlockRow, CallCount, PlannedSlotRow, QuotaRow
from storage.records import (
    AgentName,
    DeskKind,
    OperationKind,
    Queue,
    RunState,
    Slot,
)
from storage.snapshot import (
    AgentRow,
    DeskSnapshot,
    EquityRow,
    LeaderRow,
    OperationRow,
    QueueRow,
    RunRow,
    SlotRow,
)

from .desks import NOW, a_desk, approval_row, watch_row

FRIDAY, MONDAY = date(2026, 2, 27), date(2026, 3, 2)
NO_KEY = "FMP_API_KEY is not set"
TEAM = (AgentName.RESEARCH, AgentName.NEWS, AgentName.STRATEGY, AgentName.RISK)
NEEDS = {
    Slot.CORPORATE_ACTIONS: "corporate actions",
    Slot.NEWS: "news",
    Slot.RECHECK: "quotes",
    Slot.MARK_NOON: "quotes",
    Slot.MARK_LATE: "quotes",
}
NOTHING_NEEDED = (Slot.CUTOFF, Slot.HOUSEKEEPING)
# What is due after Monday 14:03 UTC, which is 09:03 in New York.
DUE: tuple[tuple[Slot, str, tuple[AgentName, ...]], ...] = (
    (Slot.RECHECK, "02 14:10", ()),
    (Slot.CUTOFF, "02 14:25", ()),
    (Slot.OPEN, "02 14:35", ()),
    (Slot.MARK_NOON, "02 17:30", ()),
    (Slot.MARK_LATE, "02 20:30", ()),
    (Slot.SETTLE, "02 22:30", ()),
    (Slot.REGIME, "02 23:00", (AgentName.REGIME,)),
    (Slot.SCREEN, "02 23:05", ()),
    (Slot.DELIBERATE, "02 23:30", TEAM),
    (Slot.DIGEST, "02 23:45", ()),
    (Slot.LEARN, "03 01:00", (AgentName.LEARNING,)),
    (Slot.SETTLE_EVENING, "03 01:00", ()),
    (Slot.HOUSEKEEPING, "03 05:10", ()),
    (Slot.CORPORATE_ACTIONS, "03 12:00", ()),
    (Slot.SETTLE_MORNING, "03 12:00", ()),
    (Slot.NEWS, "03 13:45", (AgentName.NEWS,)),
)
LAST_RESULTS = {
    AgentName.REGIME: "BULL, HIGH_VOL, P(bear) 0.18",
    AgentName.RESEARCH: "16 theses: 6 bullish, 5 neutral, 5 bearish",
    AgentName.NEWS: "12 headlines on 3 symbols, none that voids a proposal",
    AgentName.STRATEGY: "2 setups: CAT, GE",
    AgentName.RISK: "no veto, GE cut to 34 shares",
    AgentName.LEARNING: "412 outcomes measured, nothing proposed",
}


def at(text: str, month: int = 3) -> datetime:
    """An instant of March 2026 from its day and minute."""
    return datetime.strptime(f"2026-{month:02}-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def without_a_key() -> dict[Slot, str]:
    """What each slot of a desk without keys lacks, as the runtime says it."""
    lacks = {
        slot: f"lacks {NEEDS.get(slot, 'settled bars')}: {NO_KEY}"
        for slot in Slot
        if slot not in NOTHING_NEEDED
    }
    return {**lacks, Slot.LEARN: "lacks a learning loop"}


def schedule(lacks: Mapping[Slot, str]) -> tuple[SlotRow, ...]:
    return tuple(
        SlotRow(
            slot=slot,
            session=FRIDAY
            if slot is Slot.SETTLE_MORNING
            else MONDAY + timedelta(days=slot in (Slot.CORPORATE_ACTIONS, Slot.NEWS)),
            due_at=at(due),
            agents=agents,
            lacks=lacks.get(slot, ""),
        )
        for slot, due, agents in DUE
    )


def agent_row(agent: AgentName) -> AgentRow:
    slot, due = next((slot, due) for slot, due, agents in DUE if agent in agents)
    return AgentRow(
        agent=agent,
        source="" if agent is AgentName.LEARNING else "rules",
        last_session=FRIDAY,
        last_result=LAST_RESULTS[agent],
        tasks=0 if agent is AgentName.LEARNING else 2,
        abstained=0,
        success_rate=1.0,
        latency_ms=820.0 if agent is AgentName.REGIME else 14_200.0,
        symbol=None,
        working_since=None,
        paused_by=None,
        paused_at=None,
        failures=0,
        next_slot=slot,
        next_due_at=at(due),
    )


def run_row(
    slot: Slot,
    due: datetime,
    state: RunState = RunState.DONE,
    summary: str = "",
    *,
    session: date = MONDAY,
    late_s: float = 0.0,
    attempts: int = 1,
    asked_by: str | None = None,
) -> RunRow:
    over = state not in (RunState.QUEUED, RunState.RUNNING)
    return RunRow(
        agent="desk",
        slot=slot,
        session=session,
        state=state,
        summary=summary,
        desk_time=due,
        late_s=late_s,
        seconds=1.25 if over else None,
        attempts=attempts,
        asked_by=asked_by,
        finished_at=due + timedelta(seconds=late_s + 2) if over else None,
    )


def runs() -> tuple[RunRow, ...]:
    """A good Friday evening and Monday morning, latest first."""
    return (
        run_row(Slot.NEWS, at("02 13:45"), summary="12 headlines on 3 symbols"),
        run_row(Slot.CORPORATE_ACTIONS, at("02 12:00"), summary="none for 98 symbols"),
        *(
            run_row(slot, at(due, month=2), summary=text, session=FRIDAY)
            for slot, due, text in (
                (Slot.DIGEST, "27 23:45", "equity $105,412.11, heat 0.82%"),
                (Slot.DELIBERATE, "27 23:30", "2 proposals, 1 dissent"),
                (Slot.SCREEN, "27 23:05", "16 of 98 symbols selected"),
                (Slot.REGIME, "27 23:00", "BULL, HIGH_VOL"),
                (Slot.SETTLE, "27 22:30", "98 bars, 1 exit: MCD stop loss"),
            )
        ),
    )


def operation(when: str, kind: OperationKind, who: str, text: str) -> OperationRow:
    return OperationRow(at=at(when), kind=kind, who=who, text=text)


def leader(*, silent_s: float = 0.4, ended: bool = False, stop_asked_by: str = "") -> LeaderRow:
    last = NOW - timedelta(seconds=silent_s)
    return LeaderRow(
        epoch=7,
        host="trader-1",
        pid=4242,
        since=at("02 11:58"),
        heartbeat_at=last,
        ended_at=last if ended else None,
        stop_asked_at=last if stop_asked_by else None,
        stop_asked_by=stop_asked_by,
    )


def a_paper_desk(
    *,
    leads: LeaderRow | None = None,
    lacks: Mapping[Slot, str] | None = None,
    agents: Sequence[AgentRow] | None = None,
    more_runs: Sequence[RunRow] = (),
    workers: int = 1,
    speed: float = 1.0,
) -> DeskSnapshot:
    """A PAPER desk that is well, but for what is asked for."""
    replayed = a_desk(
        approvals=[
            approval_row(1, expires_at=at("02 14:25")),
            approval_row(2, symbol="GE", risky=True, close="15.02", expires_at=at("02 14:25")),
        ],
        watch=[replace(watch_row(index), bar_session=FRIDAY) for index in range(16)],
    )
    return replace(
        replayed,
        header=replace(
            replayed.header,
            name="paper",
            kind=DeskKind.PAPER,
            history_title="",
            survivors=False,
            first_session=date(2026, 1, 5),
            last_session=None,
            session=FRIDAY,
            desk_time=NOW,
            clock_speed=speed,
            sessions_done=38,
            sessions_total=None,
        ),
        approvals=tuple(
            replace(
                row,
                terms=replace(row.terms, entry_session=MONDAY),
                digest=replace(row.terms, entry_session=MONDAY).digest,
                created_session=FRIDAY,
            )
            for row in replayed.approvals
        ),
        regime=None
        if replayed.regime is None
        else replace(replayed.regime, session=FRIDAY, since=date(2026, 2, 3)),
        positions=tuple(
            replace(row, entry_session=FRIDAY - timedelta(days=row.sessions_held), last_session=FRIDAY)
            for row in replayed.positions
        ),
        trades=(),
        equity=tuple(_equity(row, index) for index, row in enumerate(reversed(replayed.equity[-38:])))[::-1],
        agents=tuple(agents) if agents is not None else tuple(agent_row(agent) for agent in AgentName),
        runs=(*more_runs, *runs()),
        leader=leads or leader(),
        queues=(
            QueueRow(queue=Queue.IO, waiting=0, running=0, workers=1),
            QueueRow(queue=Queue.COMPUTE, waiting=0 if workers else 2, running=0, workers=workers),
        ),
        schedule=schedule(lacks or {}),
        operations=(
            operation("02 12:00", OperationKind.CAUGHT_UP, "trader-1:4242", "1 slot that came due meanwhile"),
            operation("02 11:58", OperationKind.LED, "trader-1:4242", "leads as number 7"),
        ),
    )


def _equity(row: EquityRow, back: int) -> EquityRow:
    return replace(row, session=FRIDAY - timedelta(days=back))


def a_troubled_desk() -> DeskSnapshot:
    """One with a paused agent, one at work, one that failed, a failed run, a late one and one asked for."""
    well = a_paper_desk()
    changes: dict[AgentName, dict[str, object]] = {
        AgentName.NEWS: {"symbol": "GE", "working_since": NOW - timedelta(seconds=12)},
        AgentName.STRATEGY: {"paused_by": "bob", "paused_at": at("02 13:40")},
        AgentName.LEARNING: {"failures": 2, "last_result": "TimeoutError: no answer after 3600 s"},
    }
    return replace(
        well,
        agents=tuple(replace(row, **changes.get(row.agent, {})) for row in well.agents),  # type: ignore[arg-type]
        runs=(
            run_row(Slot.NEWS, at("02 13:45"), RunState.RUNNING, asked_by="ada", attempts=2),
            run_row(Slot.CORPORATE_ACTIONS, at("02 12:00"), RunState.QUEUED, "waits for a worker"),
            run_row(
                Slot.LEARN,
                at("02 01:00"),
                RunState.FAILED,
                "TimeoutError: no answer after 3600 s",
                session=FRIDAY,
                attempts=3,
            ),
            run_row(Slot.DIGEST, at("02 00:02"), summary="equity $105,412.11", session=FRIDAY, late_s=1020),
            run_row(
                Slot.MARK_LATE,
                at("27 20:30", month=2),
                RunState.SKIPPED,
                "the session had closed",
                session=FRIDAY,
            ),
            *well.runs[3:],
        ),
        operations=(
            operation("02 13:58", OperationKind.RUN_NOW, "ada", "news of 2026-03-02 asked to run now"),
            operation("02 13:40", OperationKind.PAUSE, "bob", "strategy paused"),
            operation("02 13:39", OperationKind.RESCUED, "trader-1:4242", "1 job of a worker that died"),
            *well.operations,
        ),
    )


def a_new_desk(*, lacks: Mapping[Slot, str] | None = None) -> DeskSnapshot:
    """One that was founded a minute ago: nothing has run, and without a key most slots are skipped."""
    well = a_paper_desk(lacks=without_a_key() if lacks is None else lacks)
    bare = agent_row(AgentName.REGIME)
    return replace(
        well,
        header=replace(well.header, session=None, sessions_done=0, first_session=MONDAY),
        regime=None,
        watch=(),
        approvals=(),
        positions=(),
        equity=(),
        ladder=None,
        limits=None,
        agents=tuple(
            replace(
                bare,
                agent=agent,
                source="",
                last_session=None,
                last_result="",
                tasks=0,
                success_rate=None,
                latency_ms=None,
                next_slot=agent_row(agent).next_slot,
                next_due_at=agent_row(agent).next_due_at,
            )
            for agent in AgentName
        ),
        runs=(),
        operations=well.operations[-1:],
        totals=replace(well.totals, trades=0, wins=0, mean_r=None, denials=()),
    )


def nobody_leads(silent_s: float = 12.0, *, snapshot: DeskSnapshot | None = None) -> DeskSnapshot:
    """The same desk after its leader fell silent."""
    return replace(snapshot or a_paper_desk(), leader=leader(silent_s=silent_s))


def a_quota() -> QuotaRow:
    """A free key on a Monday morning, with enough left and the day planned."""
    return QuotaRow(
        as_of=NOW,
        key_fingerprint="0123456789abcdef",
        used=87,
        limit=250,
        reserve=15,
        last_hour=6,
        held=12,
        unsettled=1,
        next_free_at=at("02 22:31"),
        reset_hour=ResetHour.UTC_MIDNIGHT,
        reset_learned_at=at("01 00:05"),
        received_bytes=12_340_000,
        bytes_limit=500_000_000,
        allowed=214,
        refused_symbols=3,
        refused_endpoints=2,
        cached_fresh=203,
        cached_stale=11,
        oldest_fresh_at=NOW - timedelta(days=6, hours=3),
        planned_at=at("02 14:00"),
        dry_at=None,
        by_priority=(
            CallCount(name="exits", calls=5),
            CallCount(name="positions", calls=10),
            CallCount(name="watchlist", calls=72),
        ),
        blocks=(),
        planned=tuple(
            PlannedSlotRow(
                slot=slot,
                job=f"{slot} of 2026-03-02",
                due_at=at(due),
                priority=priority,
                endpoints=("quote",),
                symbols=("CAT", "GE"),
                calls=calls,
                served=served,
                oldest_served_s=3600.0 if served else None,
                deferred=deferred,
                deferred_symbols=("KO",) if deferred else (),
                why="235 of 235 calls of 24 h are taken by then" if deferred else "",
            )
            for slot, due, priority, calls, served, deferred in (
                ("mark_noon", "02 17:30", "positions", 5, 0, 0),
                ("mark_late", "02 20:30", "exits", 5, 0, 0),
                ("settle", "02 22:30", "watchlist", 50, 2, 0),
                ("screen", "02 23:05", "discovery", 8, 40, 4),
            )
        ),
    )


def a_dry_quota() -> QuotaRow:
    """The vendor has said that the day's calls are used up, sooner than the desk had counted."""
    return replace(
        a_quota(),
        used=236,
        held=0,
        dry_at=at("02 17:30"),
        reset_hour=None,
        reset_learned_at=None,
        blocks=(
            BlockRow(
                fault=CallFault.DAILY_LIMIT,
                note="Limit Reach .",
                refused_at=at("02 13:58"),
                until=at("02 20:05"),
            ),
        ),
    )
