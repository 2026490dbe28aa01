"""What the leader makes of what is due: one run and one job each, in one transaction, whoever leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from procrastinate.exceptions import ConnectorException

from agents.market.calendar import NEW_YORK
from app.runtime.dispatch import Dispatcher
from app.runtime.leader import Leader
from app.runtime.live import LiveDesk, open_live_desk
from app.runtime.plan import due_slots, next_due
from app.runtime.slots import due_at, slots_of
from app.settings import Settings
from app.wiring import sources
from storage.desk import Desk
from storage.leadership import SteppedDown, Term, connect, this_process, try_to_lead
from storage.queue import open_queue
from storage.records import AgentName, OperationKind, RunState, Slot
from storage.server import DRIVER_LOCK, EmbeddedDatabases
from tests.runtime.stage import ADA, EQUITY, HandClock, Rows, read
from tests.runtime.test_plan import everything_due
from tests.storage.desk_builder import execute

TUESDAY = date(2026, 11, 24)
FOUNDED = datetime.combine(TUESDAY, time(6), NEW_YORK).astimezone(UTC)

QUEUES = {
    Slot.CORPORATE_ACTIONS: ("io", "day"),
    Slot.NEWS: ("io", "news"),
    Slot.RECHECK: ("io", "day"),
    Slot.CUTOFF: ("io", "day"),
    Slot.OPEN: ("io", "day"),
    Slot.MARK_NOON: ("io", "marks"),
    Slot.MARK_LATE: ("io", "marks"),
    Slot.SETTLE: ("io", "day"),
    Slot.REGIME: ("compute", "day"),
    Slot.SCREEN: ("compute", "day"),
    Slot.DELIBERATE: ("compute", "day"),
    Slot.DIGEST: ("io", "day"),
    Slot.SETTLE_EVENING: ("io", "day"),
    Slot.LEARN: ("compute", "learn"),
    Slot.HOUSEKEEPING: ("io", "housekeeping"),
    Slot.SETTLE_MORNING: ("io", "day"),
}

RUNS = "select session, slot, state, late_s, desk_time, epoch from runs order by desk_time, session, id"
JOBS = """
    select r.session, r.slot, j.queue_name, j.lock, j.task_name, j.status
      from procrastinate.procrastinate_jobs j left join runs r on r.id::text = j.args ->> 'run_id'
     order by j.id
"""


@dataclass(frozen=True)
class Led:
    """A desk, the clock it goes by, and who leads it."""

    conninfo: str
    clock: HandClock
    term: Term
    founded: datetime = FOUNDED

    def dispatcher(self, lacks: Mapping[Slot, str] | None = None) -> Dispatcher:
        return Dispatcher(
            term=self.term,
            queue_app=open_queue(self.conninfo),
            clock=self.clock,
            founded=self.founded,
            first_session=self.founded.astimezone(NEW_YORK).date(),
            lacks=lacks or {},
            who="desk-1:1",
        )

    async def rows(self, query: str, *values: object) -> Rows:
        return await asyncio.to_thread(read, self.conninfo, query, *values)

    async def do(self, statement: str, *values: object) -> None:
        await asyncio.to_thread(execute, self.conninfo, statement, *values)


@asynccontextmanager
async def leading(conninfo: str, clock: HandClock, founded: datetime = FOUNDED) -> AsyncIterator[Led]:
    """Lead the desk, also while the former leader's connection lives."""
    identity = this_process("run")
    async with await connect(conninfo, identity) as connection:
        async with asyncio.timeout(10):
            while (term := await try_to_lead(connection, identity, 0)) is None:
                await asyncio.sleep(0.01)
        yield Led(conninfo, clock, term, founded)
        if not connection.closed:
            await connection.execute("select pg_advisory_unlock(%s)", [DRIVER_LOCK])


@pytest.fixture
async def paper(databases: EmbeddedDatabases, template: str) -> AsyncIterator[LiveDesk]:
    """A paper desk, just founded."""
    name = f"t{uuid4().hex[:10]}"
    with psycopg.connect(databases.conninfo(), autocommit=True) as connection:
        connection.execute(f"create database {databases.desk_database(name)} template {template}".encode())
    yield await open_live_desk(databases, name, start_equity=EQUITY, rehearsal=None)
    databases.drop_desk(name)


@pytest.fixture
async def led(paper: LiveDesk) -> AsyncIterator[Led]:
    """That desk led by this process, at six in the morning of a Tuesday."""
    async with leading(paper.conninfo, HandClock(FOUNDED)) as leads:
        yield leads


def queued(jobs: Sequence[tuple[Any, ...]]) -> list[tuple[date, str]]:
    """Session and slot of each job."""
    return [(job[0], job[1]) for job in jobs]


# -- one tick ------------------------------------------------------------------------------------------------


async def test_a_tick_before_anything_is_due_only_posts_the_schedule(led: Led) -> None:
    await led.dispatcher().tick()
    assert await led.rows(RUNS) == []
    assert await led.rows(JOBS) == []
    assert await led.rows("select count(*) from schedule") == [(len(Slot),)]


async def test_each_slot_of_a_day_becomes_one_run_and_one_job_in_its_queue_and_lane(led: Led) -> None:
    dispatcher = led.dispatcher()
    for slot in slots_of(TUESDAY):
        led.clock.shown = due_at(TUESDAY, slot)
        await dispatcher.tick()
    # The morning's look for late bars and the next session's corporate actions are due at the same time.
    expected = [(TUESDAY, slot) for slot in Slot] + [(date(2026, 11, 25), Slot.CORPORATE_ACTIONS)]
    assert await led.rows(JOBS) == [
        (session, slot, *QUEUES[slot], "run_slot", "todo") for session, slot in expected
    ]
    assert sorted(await led.rows(RUNS)) == sorted(
        (session, slot, "queued", 0.0, due_at(session, slot), led.term.epoch) for session, slot in expected
    )
    assert await led.rows("select distinct attempts, worker, finished_at, queued_at is null from runs") == [
        (0, "", None, False)
    ]
    assert await led.rows("select count(*) from operations where kind = 'caught_up'") == [(0,)]


async def test_a_tick_skips_what_is_too_late_and_queues_the_rest(led: Led) -> None:
    led.clock.shown = due_at(TUESDAY, Slot.CUTOFF)
    await led.dispatcher().tick()
    assert await led.rows("select slot, state, summary, late_s from runs order by desk_time") == [
        ("corporate_actions", "queued", "", 8_700.0),
        ("news", "skipped", "missed: the orders for this open had been sent", 2_400.0),
        ("recheck", "skipped", "missed: the orders for this open had been sent", 900.0),
        ("cutoff", "queued", "", 0.0),
    ]
    assert queued(await led.rows(JOBS)) == [(TUESDAY, "corporate_actions"), (TUESDAY, "cutoff")]
    assert await led.rows(
        "select bool_and((state = 'skipped') = (finished_at is not null and seconds = 0)) from runs"
    ) == [(True,)]


async def test_a_second_tick_adds_nothing(led: Led) -> None:
    led.clock.shown = due_at(TUESDAY, Slot.DIGEST)
    dispatcher = led.dispatcher()
    await dispatcher.tick()
    before = [await led.rows(query) for query in (RUNS, JOBS, "select * from operations order by id")]
    await dispatcher.tick()
    await led.dispatcher().tick()
    assert [await led.rows(query) for query in (RUNS, JOBS, "select * from operations order by id")] == before


async def test_dispatchers_that_tick_at_once_add_nothing_twice(led: Led) -> None:
    late = [led.dispatcher() for _ in range(4)]
    await asyncio.gather(*(dispatcher.tick() for dispatcher in late))  # each knows of nothing now
    led.clock.shown = due_at(TUESDAY, Slot.DIGEST)
    await asyncio.gather(*(dispatcher.tick() for dispatcher in (*late, led.dispatcher())))
    due = everything_due(led.clock.shown, FOUNDED, TUESDAY)
    runs, jobs = await led.rows(RUNS), await led.rows(JOBS)
    assert sorted((run[0], run[1]) for run in runs) == sorted(due)
    assert len(queued(jobs)) == len(set(queued(jobs)))
    assert set(queued(jobs)) == {(run[0], run[1]) for run in runs if run[2] == RunState.QUEUED}


async def test_what_is_due_is_queued_although_the_desk_lacks_it(led: Led) -> None:
    """Whether it is skipped is decided where it is run: a worker may have what the leader has not."""
    led.clock.shown = due_at(TUESDAY, Slot.NEWS)
    await led.dispatcher({Slot.NEWS: "lacks news"}).tick()
    assert (TUESDAY, "news") in queued(await led.rows(JOBS))


# -- all or nothing ------------------------------------------------------------------------------------------


async def test_a_dispatcher_that_leads_no_more_leaves_neither_run_nor_job(paper: LiveDesk) -> None:
    clock = HandClock(FOUNDED)
    async with leading(paper.conninfo, clock) as former:
        ready, unready = former.dispatcher(), former.dispatcher()
        await ready.tick()
        await former.term._connection.execute("select pg_advisory_unlock(%s)", [DRIVER_LOCK])
        async with leading(paper.conninfo, clock) as successor:
            clock.shown = due_at(TUESDAY, Slot.CUTOFF)
            for act in (ready.tick, unready.tick, ready.run_asked, ready.rescue):
                with pytest.raises(SteppedDown):
                    await act()
            assert await successor.rows(RUNS) == []
            assert await successor.rows(JOBS) == []
            await successor.dispatcher().tick()
            assert await successor.rows("select distinct epoch from runs") == [(2,)]
            assert len(await successor.rows(JOBS)) == 2


async def test_a_session_is_queued_whole_or_not_at_all(led: Led) -> None:
    await led.do(
        "alter table procrastinate.procrastinate_jobs add constraint no_learning check (lock <> 'learn')"
    )
    led.clock.shown = due_at(TUESDAY, Slot.LEARN)
    dispatcher = led.dispatcher()
    with pytest.raises((psycopg.Error, ConnectorException)):
        await dispatcher.tick()
    assert await led.rows(RUNS) == []
    assert await led.rows(JOBS) == []
    await led.do("alter table procrastinate.procrastinate_jobs drop constraint no_learning")
    await dispatcher.tick()
    assert len(await led.rows(RUNS)) == len(everything_due(led.clock.shown, FOUNDED, TUESDAY))


async def test_a_leader_whose_connection_is_lost_while_it_queues_leads_again(
    paper: LiveDesk, databases: EmbeddedDatabases
) -> None:
    clock = HandClock(due_at(TUESDAY, Slot.CUTOFF))
    await asyncio.to_thread(execute, paper.conninfo, _HANG_UP_ONCE)
    stop = asyncio.Event()
    epochs: list[int] = []

    async def duties(term: Term, leaving: asyncio.Event) -> None:
        epochs.append(term.epoch)
        await Led(paper.conninfo, clock, term).dispatcher().tick()
        stop.set()
        await leaving.wait()

    leader = Leader(server=databases, conninfo=paper.conninfo, identity=this_process("run"), duties=duties)
    async with asyncio.timeout(20):
        await leader.run(stop)
    assert epochs == [1, 2]
    assert queued(await asyncio.to_thread(read, paper.conninfo, JOBS)) == [
        (TUESDAY, "corporate_actions"),
        (TUESDAY, "cutoff"),
    ]


# A sequence is not rolled back: the first job ever queued costs its connection, and no later one.
_HANG_UP_ONCE = """
    create sequence queued_so_far;
    create function hang_up() returns trigger language plpgsql as $$
    begin
        if nextval('queued_so_far') = 1 then
            perform pg_terminate_backend(pg_backend_pid());
        end if;
        return new;
    end $$;
    create trigger hang_up before insert on procrastinate.procrastinate_jobs
       for each row execute function public.hang_up();
"""


async def test_a_successor_goes_on_where_the_former_leader_stopped(paper: LiveDesk) -> None:
    clock = HandClock(due_at(TUESDAY, Slot.CUTOFF))
    async with leading(paper.conninfo, clock) as first:
        await first.dispatcher().tick()
    clock.shown = due_at(TUESDAY, Slot.OPEN)
    async with leading(paper.conninfo, clock) as second:
        await second.dispatcher().tick()
        assert await second.rows("select slot, epoch from runs order by desk_time") == [
            ("corporate_actions", 1),
            ("news", 1),
            ("recheck", 1),
            ("cutoff", 1),
            ("open", 2),
        ]


STEPS = st.lists(st.tuples(st.integers(1, 100 * 60), st.booleans()), min_size=1, max_size=6)


@given(steps=STEPS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_the_ticks_and_the_leaders_fall_everything_due_has_one_run(
    database: str, steps: list[tuple[int, bool]]
) -> None:
    """`steps`: minutes until the next tick, and whether another leads by then."""
    asyncio.run(_walk(database, steps))


async def _walk(conninfo: str, steps: list[tuple[int, bool]]) -> None:
    clock = HandClock(FOUNDED)
    handovers = [number for number, (_, handed_over) in enumerate(steps) if number and handed_over]
    for start, end in zip([0, *handovers], [*handovers, len(steps)], strict=True):
        async with leading(conninfo, clock) as leads:
            dispatcher = leads.dispatcher()
            for minutes, _ in steps[start:end]:
                clock.shown += timedelta(minutes=minutes)
                await dispatcher.tick()
    runs = await asyncio.to_thread(read, conninfo, "select session, slot, state from runs")
    jobs = queued(await asyncio.to_thread(read, conninfo, JOBS))
    await asyncio.to_thread(
        execute, conninfo, "truncate runs, operations, leadership, procrastinate.procrastinate_jobs cascade"
    )
    due = everything_due(clock.shown, FOUNDED, TUESDAY)
    assert sorted((session, slot) for session, slot, _ in runs) == sorted(due)
    assert sorted(jobs) == sorted(
        (session, slot) for session, slot, state in runs if state == RunState.QUEUED
    )


# -- after an absence ----------------------------------------------------------------------------------------


async def test_after_three_weeks_everything_missed_has_its_row_and_one_line_sums_it_up(
    paper: LiveDesk,
) -> None:
    founded = datetime.combine(date(2026, 11, 2), time(6), NEW_YORK).astimezone(UTC)
    clock = HandClock(founded + timedelta(days=21, hours=13))
    async with leading(paper.conninfo, clock, founded) as leads:
        await leads.dispatcher().tick()
        planned = list(due_slots(clock.now(), since=founded, known=set(), first=date(2026, 11, 2)))
        runs = await leads.rows("select session, slot, state, summary, late_s, desk_time from runs")
        assert sorted(runs) == sorted(
            (
                each.session,
                each.slot,
                "skipped" if each.too_late else "queued",
                f"missed: {each.too_late}" if each.too_late else "",
                each.late_s,
                each.due,
            )
            for each in planned
        )
        on_time = [(each.session, each.slot) for each in planned if not each.too_late]
        assert queued(await leads.rows(JOBS)) == on_time
        skipped = sum(bool(each.too_late) for each in planned)
        late = sum(each.late and not each.too_late for each in planned)
        assert (len(planned), skipped > 100, late > 50) == (15 * 16 + 12, True, True)
        assert await leads.rows("select who, text from operations where kind = 'caught_up'") == [
            (
                str(leads.term._identity),
                f"since 2026-11-02 12:00Z: {late} slots run late, {skipped} too late, skipped",
            )
        ]


async def test_a_dispatcher_forgets_sessions_that_are_through_and_none_that_is_not(led: Led) -> None:
    dispatcher = led.dispatcher()
    for day in range(1, 8):
        led.clock.shown = FOUNDED + timedelta(days=day)
        await dispatcher.tick()
    assert dispatcher._first == date(2026, 11, 30)
    assert dispatcher._known == {(date(2026, 11, 30), slot) for slot in _due_by(led.clock.shown)}
    due = everything_due(led.clock.shown, FOUNDED, TUESDAY)
    assert sorted((run[0], run[1]) for run in await led.rows(RUNS)) == sorted(due)


def _due_by(now: datetime) -> set[Slot]:
    return {slot for slot in slots_of(date(2026, 11, 30)) if due_at(date(2026, 11, 30), slot) <= now}


# -- the schedule --------------------------------------------------------------------------------------------


async def test_the_schedule_tells_when_every_slot_is_due_next_and_what_it_lacks(led: Led) -> None:
    led.clock.shown = due_at(TUESDAY, Slot.SCREEN)
    desk = sources(Settings(_env_file=None), None)
    await led.dispatcher({slot: desk.lacks(slot) for slot in Slot}).tick()
    rows = {Slot(row[0]): row[1:] for row in await led.rows("select * from schedule")}
    assert rows == {
        slot: (_agents(slot), *next_due(slot, led.clock.shown), desk.lacks(slot)) for slot in Slot
    }
    assert rows[Slot.NEWS][3]
    assert not rows[Slot.CUTOFF][3]
    assert rows[Slot.DELIBERATE][1] == TUESDAY
    assert rows[Slot.SCREEN][1] == date(2026, 11, 25)


def _agents(slot: Slot) -> list[str]:
    return {
        Slot.NEWS: ["news"],
        Slot.REGIME: ["regime"],
        Slot.DELIBERATE: ["research", "news", "strategy", "risk"],
        Slot.LEARN: ["learning"],
    }.get(slot, [])


# -- asked to run now ----------------------------------------------------------------------------------------


async def test_exactly_what_was_asked_for_is_queued_once(led: Led) -> None:
    dispatcher = led.dispatcher()
    led.clock.shown = due_at(TUESDAY, Slot.DIGEST)
    await dispatcher.tick()
    await dispatcher.run_asked()
    await led.do(
        "update runs set state = 'failed', attempts = 3, finished_at = clock_timestamp()"
        " where slot in ('regime', 'deliberate')"
    )
    await led.do(
        "set search_path = public, procrastinate;"
        "delete from procrastinate_jobs"
        " where args ->> 'run_id' in (select id::text from runs where state = 'failed')"
    )
    before = await led.rows(JOBS)
    with Desk(led.conninfo) as desk:
        receipt = await asyncio.to_thread(desk.run_agent_now, AgentName.REGIME, operator=ADA)
    assert receipt.accepted
    assert (await led.term.beat()).asked
    await dispatcher.run_asked()
    after = await led.rows(JOBS)
    assert after[: len(before)] == before
    assert after[len(before) :] == [(TUESDAY, "regime", "compute", "day", "run_slot", "todo")]
    assert not (await led.term.beat()).asked
    await dispatcher.run_asked()
    await dispatcher.tick()
    assert await led.rows(JOBS) == after
    assert await led.rows("select slot from runs where asked_by = 'ada' and state = 'queued'") == [
        ("regime",)
    ]


# -- workers that died ---------------------------------------------------------------------------------------


async def test_only_the_jobs_of_dead_workers_are_given_back(led: Led) -> None:
    await asyncio.to_thread(_workers_and_their_jobs, led.conninfo)
    await led.dispatcher().rescue()
    states = "select lock, status, worker_id is null from procrastinate.procrastinate_jobs order by id"
    after = [
        ("alive", "doing", False),
        ("dead", "todo", False),
        ("dead", "succeeded", False),
        ("forgotten", "todo", True),
        ("nobody's", "todo", True),
    ]
    assert await led.rows(states) == after
    said = [(OperationKind.RESCUED, "desk-1:1", "2 jobs of a worker that died, given to another")]
    rescued = "select kind, who, text from operations where kind = 'rescued'"
    assert await led.rows(rescued) == said
    await led.dispatcher().rescue()
    assert await led.rows(states) == after
    assert await led.rows(rescued) == said


def _workers_and_their_jobs(conninfo: str) -> None:
    with psycopg.connect(
        conninfo, autocommit=True, options="-c search_path=procrastinate,public"
    ) as connection:
        for lock, silent_s, status in (
            ("alive", 9, "doing"),
            ("dead", 11, "doing"),
            ("dead", 11, "succeeded"),
            ("forgotten", None, "doing"),
            ("nobody's", None, "todo"),
        ):
            connection.execute(
                """
                with w as (
                    insert into procrastinate_workers (last_heartbeat)
                    select now() - make_interval(secs => s)
                      from (values (%s::float8)) v (s) where s is not null
                    returning id
                )
                insert into procrastinate_jobs (queue_name, task_name, lock, status, worker_id)
                select 'io', 'run_slot', %s, %s, (select id from w)
                """,
                [silent_s, lock, status],
            )
