"""A run: once in effect however often it is carried out, skipped with a reason, tried again, or failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from agents.base import Answered
from agents.market.calendar import open_time
from agents.orchestrator import AgentOrchestrator
from agents.roles.news_analyst import NewsAnalystAgent
from agents.roles.research import ResearchAgent, ResearchContext, ResearchThesis
from agents.roles.risk_manager import RiskManagerAgent
from agents.roles.strategy_builder import StrategyBuilderAgent, StrategyContext, StrategyVerdict
from agents.trading.setups import OversoldBounceParameters, Setups
from app.runtime.entering import terms_of
from app.runtime.founding import set_rules
from app.runtime.jobs import TRIES, Executor, TryAgain
from app.runtime.slots import SLOTS, due_at
from app.runtime.step import Step, StepResult
from app.runtime.steps import STEPS
from storage.desk import Desk
from storage.models import Approval
from storage.records import AgentName, RunState, Slot
from tests.app.books import assert_books_balance
from tests.runtime.stage import ADA, FIRST, SECOND, Rows, Stage, contents, read, with_parts

Work = Callable[[Step], Awaitable[StepResult]]

EVENING = (Slot.SETTLE, Slot.REGIME, Slot.SCREEN)
IDLE: Rows = [(agent, None, False) for agent in sorted(AgentName)]


async def at_work(stage: Stage) -> Rows:
    return await stage.rows(
        "select agent_name, symbol, working_since is not null from agent_states order by 1"
    )


async def everything(stage: Stage) -> dict[str, Rows]:
    return await asyncio.to_thread(contents, stage.conninfo)


async def pause(stage: Stage, agent: AgentName) -> None:
    with Desk(stage.conninfo) as desk:
        receipt = await asyncio.to_thread(desk.pause_agent, agent, operator=ADA)
    assert receipt.accepted


def breaks(monkeypatch: pytest.MonkeyPatch, slot: Slot, error: Exception) -> None:
    """The slot's step does its work and then raises."""
    whole = STEPS[slot]

    async def broken(step: Step) -> StepResult:
        await whole(step)
        await step.database.flush()
        raise error

    monkeypatch.setitem(STEPS, slot, broken)


async def exhaust(executor: Executor, run_id: UUID) -> list[int]:
    """Try until it ends as a worker would, at most twice as often as it may; the waits between the tries."""
    waits: list[int] = []
    while len(waits) < 2 * TRIES:
        try:
            await executor.carry_out(run_id)
        except TryAgain as again:
            waits.append(again.after_s)
        else:
            break
    return waits


# -- once ----------------------------------------------------------------------------------------------------


async def test_a_run_that_is_done_says_who_did_it_and_when(stage: Stage) -> None:
    run = await stage.play(FIRST, Slot.SETTLE)
    assert (run.state, run.attempts, run.worker) == (RunState.DONE, 1, "desk-1:1")
    assert run.summary == "7 bars; no exits; equity 100,000.00"
    assert run.started_at and run.finished_at and run.started_at <= run.finished_at
    assert run.seconds is not None and run.seconds > 0
    assert await stage.rows("select desk_time from desk") == [(due_at(FIRST, Slot.SETTLE),)]


async def test_a_run_carried_out_again_changes_nothing(stage: Stage) -> None:
    run = await stage.play(FIRST, Slot.SETTLE)
    before = await everything(stage)
    for _ in range(3):
        await stage.executor("desk-2:2").carry_out(run.id)
    assert await everything(stage) == before
    assert (await stage.run(run.id)).worker == "desk-1:1"


@pytest.mark.parametrize("slot", [Slot.SETTLE, Slot.REGIME, Slot.SCREEN, Slot.DELIBERATE])
async def test_a_run_two_workers_were_given_takes_effect_once(stage: Stage, slot: Slot) -> None:
    for before in EVENING[: EVENING.index(slot)] if slot in EVENING else EVENING:
        await stage.play(FIRST, before)
    stage.clock.shown = due_at(FIRST, slot)
    run_id = await stage.queue(FIRST, slot)
    await asyncio.gather(*(stage.executor(f"desk-{n}:{n}").carry_out(run_id) for n in range(3)))
    run = await stage.run(run_id)
    assert run.state is RunState.DONE
    counts = {table: len(rows) for table, rows in (await everything(stage)).items()}
    assert counts["equity"] == 1
    assert await stage.rows("select count(*) from bars where session = %s", FIRST) == [(7,)]
    assert counts["regime_readings"] == (slot in (Slot.REGIME, Slot.SCREEN, Slot.DELIBERATE))
    assert counts["approvals"] == (2 if slot is Slot.DELIBERATE else 0)
    assert await at_work(stage) == IDLE


async def test_a_run_nobody_knows_is_no_work(stage: Stage) -> None:
    before = await everything(stage)
    await stage.executor().carry_out(UUID(int=7))
    assert await everything(stage) == before


async def test_days_of_runs_leave_books_that_balance(stage: Stage) -> None:
    for session in (FIRST, SECOND):
        await stage.play(session, Slot.CUTOFF, Slot.OPEN)
        await stage.evening(session)
        await stage.play(session, Slot.DIGEST)
        await stage.approve_all()
    assert await stage.rows("select symbol, session from fills order by 1") == [
        ("MSFT", SECOND),
        ("NVDA", SECOND),
    ]
    await asyncio.to_thread(assert_books_balance, stage.conninfo)


# -- skipped -------------------------------------------------------------------------------------------------


async def skipped(stage: Stage, session: date, slot: Slot) -> str:
    """Carry out a slot that must leave nothing but its own row; why it was skipped."""
    run_id = await stage.queue(session, slot)
    before = await everything(stage)
    await stage.executor().carry_out(run_id)
    run = await stage.run(run_id)
    assert run.state is RunState.SKIPPED
    assert run.finished_at is not None
    assert await everything(stage) == before
    assert await at_work(stage) == IDLE
    return run.summary


@pytest.mark.parametrize(
    ("slot", "need"),
    [
        (Slot.NEWS, "news"),
        (Slot.RECHECK, "quotes"),
        (Slot.MARK_NOON, "quotes"),
    ],
)
async def test_a_slot_whose_need_the_desk_cannot_meet_is_skipped(stage: Stage, slot: Slot, need: str) -> None:
    stage.clock.shown = due_at(FIRST, slot)
    assert await skipped(stage, FIRST, slot) == f"lacks {need}: a rehearsal has only what its pack holds"


async def test_a_slot_after_the_last_bar_is_skipped(stage: Stage) -> None:
    after = date(2013, 3, 4)
    stage.clock.shown = due_at(after, Slot.SETTLE)
    assert await skipped(stage, after, Slot.SETTLE) == "lacks settled bars: they end on 2013-03-01"


async def test_a_slot_whose_agent_is_paused_is_skipped_and_says_by_whom(stage: Stage) -> None:
    await stage.play(FIRST, Slot.SETTLE)
    await pause(stage, AgentName.REGIME)
    stage.clock.shown = due_at(FIRST, Slot.REGIME)
    assert (await skipped(stage, FIRST, Slot.REGIME)).startswith("regime is paused by ada since 20")


@pytest.mark.parametrize(
    ("slot", "ready"),
    [
        (Slot.OPEN, ()),
        (Slot.REGIME, ()),
        (Slot.SCREEN, ()),
        (Slot.DIGEST, ()),
        (Slot.SETTLE_EVENING, ()),
        (Slot.SETTLE_MORNING, ()),
        (Slot.DELIBERATE, (Slot.SETTLE, Slot.REGIME)),
    ],
)
async def test_a_slot_whose_predecessor_never_was_is_skipped(
    stage: Stage, slot: Slot, ready: tuple[Slot, ...]
) -> None:
    if ready:
        await stage.play(FIRST, *ready)
    stage.clock.shown = due_at(FIRST, slot)
    missing = next(before for before in SLOTS[slot].after if before not in ready)
    assert await skipped(stage, FIRST, slot) == f"{missing} of this session is missing"


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.DONE])
async def test_a_slot_whose_predecessor_did_not_come_to_its_end_is_skipped(
    stage: Stage, state: RunState
) -> None:
    await stage.queue(FIRST, Slot.SETTLE, state=state)
    stage.clock.shown = due_at(FIRST, Slot.REGIME)
    assert await skipped(stage, FIRST, Slot.REGIME) == f"settle of this session is {state}"


async def test_a_slot_that_waited_in_the_queue_until_it_was_too_late_is_skipped(stage: Stage) -> None:
    await stage.play(FIRST, Slot.SETTLE, Slot.REGIME, Slot.SCREEN)
    stage.clock.shown = due_at(SECOND, Slot.CUTOFF)
    summary = await skipped(stage, FIRST, Slot.DELIBERATE)
    assert summary == "missed: the open it would propose for has passed"


# -- paused in the middle of an evening ----------------------------------------------------------------------


async def test_the_evening_proposes_when_nobody_is_paused(stage: Stage) -> None:
    run = await stage.evening(FIRST)
    assert run.summary == "4 argued, 2 proposed: NVDA, MSFT"
    assert await stage.rows("select symbol, setup_type, state, entry_session from approvals order by 1") == [
        ("MSFT", "momentum", "pending", SECOND),
        ("NVDA", "oversold_bounce", "pending", SECOND),
    ]


async def test_what_the_evenings_screen_did_not_hand_on_is_not_argued_over(stage: Stage) -> None:
    """Run again later, with a bar that came since, a deliberation would find others than its screen."""
    await stage.play(FIRST, *EVENING)
    await stage.do("update screener_results set selected_for_watchlist = false where symbol = 'NVDA'")
    run = await stage.play(FIRST, Slot.DELIBERATE)
    assert run.summary == "3 argued, 1 proposed: MSFT"
    with Desk(stage.conninfo) as desk:
        found = await asyncio.to_thread(desk.evening)
    assert found is not None
    assert found.funnel.fault == ""


@pytest.mark.parametrize(
    ("agent", "stance", "denied_by"),
    [
        (AgentName.RESEARCH, "abstain", "consensus"),
        (AgentName.STRATEGY, "abstain", "setup"),
        (AgentName.RISK, "against", "risk_manager"),
    ],
)
async def test_a_paused_agent_has_no_say_and_nothing_is_proposed_without_it(
    stage: Stage, agent: AgentName, stance: str, denied_by: str
) -> None:
    await pause(stage, agent)
    run = await stage.evening(FIRST)
    assert run.state is RunState.DONE
    assert run.summary == "4 argued, 0 proposed"
    said = await stage.rows("select stance, conviction, reason from votes where agent_name = %s", agent)
    assert {row[:2] for row in said} == {(stance, None)}
    assert "paused by ada since 20" in said[0][2]
    denied = await stage.rows(
        "select symbol, proposed, denied_by from deliberations where symbol in ('MSFT', 'NVDA') order by 1"
    )
    assert denied == [("MSFT", False, denied_by), ("NVDA", False, denied_by)]
    assert (await everything(stage))["approvals"] == []


# -- tried again, failed -------------------------------------------------------------------------------------


async def test_a_step_that_raises_is_tried_three_times_and_leaves_nothing_but_why(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch, Slot.SETTLE, ValueError("the bars are torn\nin two"))
    stage.clock.shown = due_at(FIRST, Slot.SETTLE)
    run_id = await stage.queue(FIRST, Slot.SETTLE)
    before = await everything(stage)
    for attempt, wait in ((1, 2), (2, 10)):
        with pytest.raises(TryAgain, match="the bars are torn") as again:
            await stage.executor().carry_out(run_id)
        run = await stage.run(run_id)
        assert again.value.after_s == wait
        assert (run.state, run.attempts, run.finished_at) == (RunState.QUEUED, attempt, None)
    await stage.executor().carry_out(run_id)
    run = await stage.run(run_id)
    assert (run.state, run.attempts) == (RunState.FAILED, TRIES)
    assert run.summary == "ValueError: the bars are torn"
    assert run.finished_at is not None
    await stage.executor().carry_out(run_id)
    assert (await stage.run(run_id)).attempts == TRIES
    assert await everything(stage) == before


async def test_a_step_that_raised_once_is_done_the_next_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.clock.shown = due_at(FIRST, Slot.SETTLE)
    run_id = await stage.queue(FIRST, Slot.SETTLE)
    with monkeypatch.context() as patch:
        breaks(patch, Slot.SETTLE, ValueError("the bars are torn"))
        with pytest.raises(TryAgain):
            await stage.executor().carry_out(run_id)
    await stage.executor().carry_out(run_id)
    run = await stage.run(run_id)
    assert (run.state, run.attempts) == (RunState.DONE, 2)


HOSTILE = {
    "nothing": "",
    "a NUL": "torn\0bars",
    "half a character": "torn \ud800 bars",
    "a book": "torn bars " * 1_000,
    "escapes": "\x1b[2J\x1b]0;owned\x07",
}


@pytest.mark.parametrize("said", HOSTILE)
async def test_whatever_an_error_says_the_run_ends_as_failed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    caplog.set_level("CRITICAL", "app.runtime.jobs")  # what is captured could not be passed on
    breaks(monkeypatch, Slot.SETTLE, ValueError(HOSTILE[said]))
    run_id = await stage.queue(FIRST, Slot.SETTLE)
    waits: list[int] = []
    with suppress(UnicodeError):  # nor could this
        waits = await exhaust(stage.executor(), run_id)
    assert waits == [2, 10]
    run = await stage.run(run_id)
    assert run.state is RunState.FAILED
    assert run.summary.startswith("ValueError")
    assert len(run.summary) <= 500


async def test_a_step_that_takes_too_long_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(step: Step) -> StepResult:
        await step.database.execute(text("insert into equity values (now(), 1, 1, 2, 0, 0, 0)"))
        await step.database.execute(text("select pg_sleep(20)"))
        raise AssertionError

    monkeypatch.setitem(STEPS, Slot.SETTLE, slow)
    monkeypatch.setitem(SLOTS, Slot.SETTLE, replace(SLOTS[Slot.SETTLE], most_s=0.1))
    run_id = await stage.queue(FIRST, Slot.SETTLE)
    before = await everything(stage)
    assert await exhaust(stage.executor(), run_id) == [2, 10]
    run = await stage.run(run_id)
    assert (run.state, run.summary) == (RunState.FAILED, "TimeoutError: not done within 0 s")
    assert await everything(stage) == before


# -- the database itself -------------------------------------------------------------------------------------


async def _lose_the_connection(step: Step) -> StepResult:
    await step.database.execute(text("insert into equity values (now(), 1, 1, 2, 0, 0, 0)"))
    await step.database.execute(text("select pg_terminate_backend(pg_backend_pid())"))
    raise AssertionError


async def test_a_run_whose_connection_is_lost_keeps_its_place_however_often(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.clock.shown = due_at(FIRST, Slot.SETTLE)
    run_id = await stage.queue(FIRST, Slot.SETTLE)
    before = await everything(stage)
    with monkeypatch.context() as patch:
        patch.setitem(STEPS, Slot.SETTLE, _lose_the_connection)
        for _ in range(TRIES + 1):
            with pytest.raises(TryAgain) as again:
                await stage.executor().carry_out(run_id)
            assert again.value.after_s == 1
            run = await stage.run(run_id)
            assert (run.state, run.finished_at) == (RunState.RUNNING, None)
            assert await everything(stage) == before
    await stage.executor().carry_out(run_id)
    assert (await stage.run(run_id)).state is RunState.DONE


async def test_outages_do_not_use_up_the_tries_of_a_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.clock.shown = due_at(FIRST, Slot.SETTLE)
    run_id = await stage.queue(FIRST, Slot.SETTLE)
    with monkeypatch.context() as patch:
        patch.setitem(STEPS, Slot.SETTLE, _lose_the_connection)
        for _ in range(TRIES):
            with pytest.raises(TryAgain):
                await stage.executor().carry_out(run_id)
    with monkeypatch.context() as patch:
        breaks(patch, Slot.SETTLE, ValueError("the bars are torn"))
        with pytest.raises(TryAgain):
            await stage.executor().carry_out(run_id)
    assert (await stage.run(run_id)).state is RunState.QUEUED


REFUSALS = {
    "a constraint": "insert into equity values (now(), null, 1, 2, 0, 0, 0)",
    "a value too large": "select repeat('x', 2000000000)",
    "a statement too slow": "set local statement_timeout = 20; select pg_sleep(5)",
}


@pytest.mark.parametrize("statement", REFUSALS.values(), ids=REFUSALS.keys())
async def test_what_the_database_refuses_each_time_fails_in_the_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    async def refused(step: Step) -> StepResult:
        await step.database.execute(text(statement))
        raise AssertionError

    monkeypatch.setitem(STEPS, Slot.SETTLE, refused)
    run_id = await stage.queue(FIRST, Slot.SETTLE)
    assert await exhaust(stage.executor(), run_id) == [2, 10]
    assert (await stage.run(run_id)).state is RunState.FAILED


async def test_a_run_waits_for_room_when_the_disk_is_full(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(step: Step) -> StepResult:
        await step.database.execute(text("do $$ begin raise disk_full; end $$"))
        raise AssertionError

    run_id = await stage.queue(FIRST, Slot.SETTLE)
    with monkeypatch.context() as patch:
        patch.setitem(STEPS, Slot.SETTLE, refused)
        with pytest.raises(TryAgain):
            await stage.executor().carry_out(run_id)
    await stage.executor().carry_out(run_id)
    assert (await stage.run(run_id)).state is RunState.DONE


async def test_a_run_is_tried_again_while_the_database_is_away(stage: Stage) -> None:
    run_id = await stage.queue(FIRST, Slot.SETTLE)
    name = await stage.rows("select current_database()")
    refuse = f"alter database {name[0][0]} allow_connections"
    with psycopg.connect(stage.conninfo, dbname="postgres", autocommit=True) as outside:
        outside.execute(f"{refuse} false")
        outside.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name[0][0]]
        )
        with pytest.raises(TryAgain) as again:
            await stage.executor().carry_out(run_id)
        outside.execute(f"{refuse} true")
    assert again.value.after_s == 1
    run = await stage.run(run_id)
    assert (run.state, run.attempts) == (RunState.QUEUED, 0)


# -- the morning after ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("late_s", [0, 1, 86_400])
async def test_what_was_approved_is_missed_when_the_cutoff_comes_after_the_open(
    stage: Stage, late_s: int
) -> None:
    await stage.evening(FIRST)
    assert await stage.approve_all() == 2
    stage.clock.shown = open_time(SECOND) + timedelta(seconds=late_s)
    for slot in (Slot.CUTOFF, Slot.OPEN):
        run_id = await stage.queue(SECOND, slot)
        await stage.executor().carry_out(run_id)
    assert await stage.rows("select symbol, state, note from orders order by 1") == [
        (symbol, "skipped", "missed: the desk did not run before the open") for symbol in ("MSFT", "NVDA")
    ]
    assert (await stage.run(run_id)).summary == "no entries were waiting"
    assert (await everything(stage))["fills"] == []


async def test_what_was_approved_rests_before_the_open(stage: Stage) -> None:
    await stage.evening(FIRST)
    assert await stage.approve_all() == 2
    stage.clock.shown = open_time(SECOND) - timedelta(seconds=1)
    run_id = await stage.queue(SECOND, Slot.CUTOFF)
    await stage.executor().carry_out(run_id)
    assert await stage.rows("select symbol, state from orders order by 1") == [
        ("MSFT", "resting"),
        ("NVDA", "resting"),
    ]


@pytest.mark.parametrize("late_s", [-300, 0, 86_400])
async def test_what_nobody_answered_expires_however_late_the_cutoff_is(stage: Stage, late_s: int) -> None:
    await stage.evening(FIRST)
    stage.clock.shown = open_time(SECOND) + timedelta(seconds=late_s)
    run_id = await stage.queue(SECOND, Slot.CUTOFF)
    await stage.executor().carry_out(run_id)
    assert await stage.rows("select state from approvals") == [("expired",)] * 2
    assert await stage.rows("select verb, given_by from verdicts") == [("expired", "the desk")] * 2
    assert (await everything(stage))["orders"] == []


async def test_an_entry_that_cannot_be_reckoned_is_skipped_and_holds_nothing_up(stage: Stage) -> None:
    """Limits that are no numbers, and approved ones that this version of the desk does not know."""
    await stage.evening(FIRST)
    await stage.approve_all()
    await stage.do("update approvals set limits = '{\"heat\": \"much\"}' where symbol = 'MSFT'")
    async with AsyncSession(stage.engine) as database, database.begin():
        approval = (await database.scalars(select(Approval).where(Approval.symbol == "NVDA"))).one()
        approval.limits = {"leverage": 2.0}
        approval.digest = approval.decided_digest = terms_of(approval).digest
    run = await stage.play(SECOND, Slot.CUTOFF)
    assert (run.state, run.summary.split(";")[0]) == (
        RunState.DONE,
        "0 approved for the open, 0 expired unanswered",
    )
    assert (await stage.play(SECOND, Slot.OPEN)).summary == "no entries were waiting"
    (microsoft,), (nvidia,) = await stage.rows("select note from orders order by symbol")
    assert microsoft.startswith("changed: the entry cannot be reckoned: could not convert")
    assert nvidia.startswith("changed: the entry cannot be reckoned: 1 validation error for Limits")
    assert (await stage.play(SECOND, Slot.SETTLE)).state is RunState.DONE


async def test_approvals_wait_until_the_next_cutoff_by_the_machines_clock(stage: Stage) -> None:
    await stage.evening(FIRST)
    [(waits,), _] = await stage.rows("select expires_at - clock_timestamp() from approvals")
    day = due_at(SECOND, Slot.CUTOFF) - due_at(FIRST, Slot.DELIBERATE)
    assert day - timedelta(seconds=30) < waits <= day


# -- the rules in force --------------------------------------------------------------------------------------


async def test_a_run_keeps_to_the_newest_rules_and_not_to_its_own_processes(stage: Stage) -> None:
    setups = Setups(oversold_bounce=OversoldBounceParameters(stop_atr=3.5))
    wider = with_parts(stage.bench, setups=setups)
    async with AsyncSession(stage.engine) as database, database.begin():
        assert await set_rules(database, wider.parts, stage.clock.now()) == 2
    await stage.evening(FIRST)
    [(version, facts)] = await stage.rows(
        "select parameters_version, facts from approvals where symbol = 'NVDA'"
    )
    assert version == 2
    assert dict(facts)["Stop distance"].endswith("3.5 ATR")


# -- who works on what ---------------------------------------------------------------------------------------


class Watched(ResearchAgent):
    """Notes what the desk says of the agents while this one thinks."""

    def __init__(self, conninfo: str, error: Exception | None = None) -> None:
        super().__init__()
        self._conninfo = conninfo
        self._error = error
        self.seen: dict[str, object] = {}

    async def answer(self, context: ResearchContext) -> Answered[ResearchThesis]:
        query = "select agent_name, symbol from agent_states"
        found = {str(agent): symbol for agent, symbol in await asyncio.to_thread(self._read, query)}
        self.seen = self.seen or found  # the first look: nobody is through by then
        if self._error is not None:
            raise self._error
        return await super().answer(context)

    def _read(self, query: str) -> Rows:
        return read(self._conninfo, query)


class Slow(StrategyBuilderAgent):
    """Still thinks when the others are through."""

    async def answer(self, context: StrategyContext) -> Answered[StrategyVerdict]:
        await asyncio.sleep(0.3)
        return await super().answer(context)


def asking(research: ResearchAgent, strategy: StrategyBuilderAgent) -> AgentOrchestrator:
    return AgentOrchestrator(
        research=research, news=NewsAnalystAgent(), strategy=strategy, risk=RiskManagerAgent()
    )


async def test_an_agent_is_seen_at_work_and_idle_when_it_is_through(stage: Stage) -> None:
    research = Watched(stage.conninfo)
    bench = with_parts(stage.bench, orchestrator=asking(research, StrategyBuilderAgent()))
    await stage.play(FIRST, *EVENING)
    stage.clock.shown = due_at(FIRST, Slot.DELIBERATE)
    run_id = await stage.queue(FIRST, Slot.DELIBERATE)
    await stage.executor(bench=bench).carry_out(run_id)
    assert research.seen["research"] in {"AAPL", "GOOG", "MSFT", "NVDA"}  # all are argued over at once
    assert research.seen["regime"] is None
    assert await at_work(stage) == IDLE


@pytest.mark.long
async def test_every_agent_is_idle_when_a_run_has_failed(stage: Stage) -> None:
    research = Watched(stage.conninfo, error=ValueError("no idea"))
    bench = with_parts(stage.bench, orchestrator=asking(research, Slow()))
    await stage.play(FIRST, *EVENING)
    stage.clock.shown = due_at(FIRST, Slot.DELIBERATE)
    run_id = await stage.queue(FIRST, Slot.DELIBERATE, failures=TRIES - 1)
    await stage.executor(bench=bench).carry_out(run_id)
    assert (await stage.run(run_id)).state is RunState.FAILED
    states = await at_work(stage)
    await asyncio.sleep(0.5)  # whatever was left to think
    assert states == IDLE


async def test_what_a_worker_that_died_left_behind_is_cleared_by_the_next_run(stage: Stage) -> None:
    await stage.play(FIRST, Slot.SETTLE)
    await stage.do("update agent_states set symbol = 'NVDA', working_since = now()")
    await stage.play(FIRST, Slot.REGIME, Slot.SCREEN)
    left = [(agent, symbol, since) for agent, symbol, since in await at_work(stage) if symbol]
    assert AgentName.REGIME not in {agent for agent, _, _ in left}
    await stage.play(FIRST, Slot.DELIBERATE)
    assert [agent for agent, symbol, _ in await at_work(stage) if symbol] == [AgentName.LEARNING]
