"""The desk that runs by the clock does to the penny what a replay of the same days does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from agents.market.history import HistoryPack
from app.runtime.founding import sessions_of
from app.runtime.plan import due_slots
from app.runtime.slots import REPLAYED, due_at
from storage.models import (
    AgentMeasurement,
    AgentMetric,
    Approval,
    Bar,
    CashEvent,
    Deliberation,
    Equity,
    Fill,
    Instrument,
    Order,
    Position,
    RegimeReading,
    Run,
    ScreenerResult,
    TradeOutcome,
    Verdict,
    Vote,
)
from storage.models.base import Base
from storage.records import RunState, Slot, VerdictMode
from storage.server import EmbeddedDatabases
from tests.app.books import assert_books_balance, prepare
from tests.runtime.stage import ADA, EQUITY, FIRST, Rows, Stage, approve_all, contents, read

SESSIONS = 13
# In another process they are other ones, or another time: ids, the machine's clock, how long it took.
APART = {
    Approval: ("decided_at", "effective_at", "expires_at"),
    CashEvent: ("created_at",),  # of the deposit; a fill's is the fill's
    ScreenerResult: ("scan_id",),
    RegimeReading: ("latency_ms",),
    Vote: ("latency_ms",),
    Verdict: ("given_at",),
    AgentMetric: ("avg_latency_ms",),
    Run: ("seconds", "attempts", "worker", "epoch", "queued_at", "started_at", "finished_at"),
}
# What stands for a row of another table, where its id cannot: its own words.
NAMED = {
    "approval_id": "(select symbol || created_session from approvals a where a.id = t.approval_id)",
    "deliberation_id": "(select symbol || session from deliberations d where d.id = t.deliberation_id)",
    "position_id": "(select symbol || entry_session from positions p where p.id = t.position_id)",
    "order_id": "(select symbol || session || side from orders o where o.id = t.order_id)",
    "fill_id": "(select symbol || session || side from fills f where f.id = t.fill_id)",
    "client_order_id": "split_part(client_order_id, '-', 1)",
    "broker_fill_id": "split_part(broker_fill_id, '-', 2)",
    "protected_by": "split_part(protected_by, '-', 1)",
    # A rehearsal has slots that a replay has not, and its digest warns of what they lacked.
    "result": "t.result #- '{digest}'",
}
COMPARED = (
    AgentMeasurement,
    AgentMetric,
    Approval,
    Bar,
    CashEvent,
    Deliberation,
    Equity,
    Fill,
    Instrument,
    Order,
    Position,
    RegimeReading,
    Run,
    ScreenerResult,
    TradeOutcome,
    Verdict,
    Vote,
)


@pytest.fixture(scope="module")
def replayed(databases: EmbeddedDatabases, sample: HistoryPack) -> dict[str, Rows]:
    """What a replay of some sessions leaves, every proposal approved by a human."""
    return asyncio.run(_replay(databases, sample))


async def _replay(databases: EmbeddedDatabases, sample: HistoryPack) -> dict[str, Rows]:
    days = sessions_of(sample, FIRST, None)[:SESSIONS]
    conninfo, replay = await prepare(
        databases, sample, days[0], days[-1], verdicts=VerdictMode.ASK, ask_timeout_s=60, undo_s=0, loop=True
    )
    running = asyncio.create_task(replay.run(asyncio.Event()))
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as watching:
        while not running.done():
            asked = await watching.execute("select exists (select from approvals where state = 'pending')")
            if await asked.fetchone() == (True,):
                await asyncio.to_thread(approve_all, conninfo)
            await asyncio.sleep(0.02)
    assert running.result()
    return await asyncio.to_thread(left_by, conninfo)


def left_by(conninfo: str) -> dict[str, Rows]:
    """Every row of every table, without what two equal desks may differ in."""
    return {str(model.__tablename__): read(conninfo, _query(model)) for model in COMPARED}


def _query(model: type[Base]) -> str:
    names = [
        column.name
        for column in model.__table__.columns
        if column.name != "id" and column.name not in APART.get(model, ())
    ]
    chosen = ", ".join(f"{NAMED.get(name, f't.{name}')} as {name}" for name in names)
    only = f"where slot in ({', '.join(repr(slot.value) for slot in REPLAYED)})" if model is Run else ""
    return f"select r::text from (select {chosen} from {model.__tablename__} t {only}) r order by 1"


async def rehearse(stage: Stage, sample: HistoryPack, answer: Callable[[], Any]) -> None:
    """Carry out every slot of the same days at the time it is due, as the leader would queue them.

    A replay proposes nothing on the last evening of its history, so neither does this.
    """
    days = sessions_of(sample, FIRST, None)[:SESSIONS]
    end = due_at(days[-1], Slot.SETTLE_MORNING)
    for planned in due_slots(end, since=due_at(days[0], REPLAYED[0]), known=set(), first=days[0]):
        if planned.session > days[-1] or (planned.session, planned.slot) == (days[-1], Slot.DELIBERATE):
            continue
        stage.clock.shown = planned.due
        if planned.slot is Slot.CUTOFF:
            await answer()
        run_id = await stage.queue(planned.session, planned.slot)
        await stage.executor().carry_out(run_id)


@pytest.mark.long
async def test_a_rehearsal_does_what_a_replay_does(
    stage: Stage, sample: HistoryPack, replayed: dict[str, Rows]
) -> None:
    await rehearse(stage, sample, stage.approve_all)
    rehearsed = await asyncio.to_thread(left_by, stage.conninfo)
    for table, rows in replayed.items():
        ours = rehearsed[table]
        if table == Run.__tablename__:
            rows = [row for row in rows if "the history ends here" not in row[0]]
        for mine, theirs in zip(ours, rows, strict=True):
            assert mine == theirs, table
    # and it was worth comparing
    assert len(replayed["approvals"]) >= 3
    assert len(replayed["trade_outcomes"]) >= 2
    assert [state for (state,) in await stage.rows("select distinct state from approvals")] == ["approved"]
    assert await stage.rows("select distinct decided_by from approvals") == [(ADA.name,)]
    assert await stage.rows("select start_equity from desk") == [(EQUITY,)]
    in_a_replay = [slot.value for slot in REPLAYED]
    await stage.do("delete from runs where slot <> all(%s)", in_a_replay)  # the books know of no other step
    await asyncio.to_thread(assert_books_balance, stage.conninfo)


@pytest.mark.long
async def test_a_rehearsal_whose_every_run_is_given_to_two_workers_does_the_same(
    stage: Stage, sample: HistoryPack, replayed: dict[str, Rows]
) -> None:
    days = sessions_of(sample, FIRST, None)[:5]
    for planned in due_slots(
        due_at(days[-1], Slot.DIGEST), since=due_at(FIRST, REPLAYED[0]), known=set(), first=FIRST
    ):
        stage.clock.shown = planned.due
        if planned.slot is Slot.CUTOFF:
            await stage.approve_all()
        run_id = await stage.queue(planned.session, planned.slot)
        await asyncio.gather(*(stage.executor(f"desk-{n}:{n}").carry_out(run_id) for n in range(2)))
    rehearsed = await asyncio.to_thread(left_by, stage.conninfo)
    assert rehearsed["equity"] == replayed["equity"][:5]
    assert len(rehearsed["fills"]) >= 4
    assert set(rehearsed["fills"]) <= set(replayed["fills"])


@pytest.mark.long
async def test_a_rehearsal_that_slept_through_the_opens_buys_nothing_and_settles_every_day(
    stage: Stage, sample: HistoryPack, replayed: dict[str, Rows]
) -> None:
    """Woken after weeks: prices are settled, nothing is proposed for an open that has passed."""
    days = sessions_of(sample, FIRST, None)[:SESSIONS]
    stage.clock.shown = due_at(days[-1], Slot.DIGEST) + timedelta(minutes=30)
    for planned in due_slots(stage.clock.shown, since=due_at(FIRST, REPLAYED[0]), known=set(), first=days[0]):
        if not planned.too_late:
            await stage.executor().carry_out(await stage.queue(planned.session, planned.slot))
        else:
            await stage.queue(planned.session, planned.slot, state=RunState.SKIPPED)
    left = await asyncio.to_thread(contents, stage.conninfo)
    rehearsed = await asyncio.to_thread(left_by, stage.conninfo)
    assert len(left["equity"]) == SESSIONS
    assert left["orders"] == left["fills"] == []
    assert rehearsed["bars"] == replayed["bars"]
    assert [row[0].split(",")[1] for row in rehearsed["equity"]] == ["100000.00"] * SESSIONS
    assert await stage.rows("select distinct session from deliberations") == [(days[-1],)]
