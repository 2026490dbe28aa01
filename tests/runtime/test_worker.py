"""A worker in this process on a real queue: in order, nothing twice, gone when told, alive when cut off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from agents.market.history import HistoryPack
from app.runtime.jobs import TryAgain
from app.runtime.worker import CONCURRENCY, Worker
from storage.desk import Desk
from storage.leadership import Identity, connect, this_process
from storage.queue import defer_run, open_queue, rescue
from storage.records import Queue, Slot, uuid7
from tests.runtime.stage import ADA, FIRST, Stage, open_stage, read
from tests.storage import desk_builder as build
from tests.storage.desk_builder import execute, writing

SOON_S = 60.0  # a hang, not a slow machine
STATES = "select status, count(*)::int from procrastinate.procrastinate_jobs group by 1 order by 1"


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that looks for jobs more often than it need."""
    monkeypatch.setattr("app.runtime.worker.POLL_S", 0.05)


@asynccontextmanager
async def working(
    conninfo: str,
    carry_out: Callable[[UUID], Awaitable[None]],
    queues: Sequence[Queue] = (Queue.IO,),
    identity: Identity | None = None,
) -> AsyncIterator[asyncio.Event]:
    """A worker at work; what it yields tells it to stop, and it is stopped when the block ends."""
    stop = asyncio.Event()
    worker = Worker(conninfo, identity or this_process("worker"), queues, carry_out)
    running = asyncio.create_task(worker.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(SOON_S):
            await running


async def defer(
    conninfo: str, count: int, *, lane: str | Callable[[int], str] = "day", queue: Queue = Queue.IO
) -> list[UUID]:
    """Queue that many jobs as a leader does, all in one transaction."""
    jobs = [uuid7() for _ in range(count)]
    queue_app = open_queue(conninfo)
    async with await connect(conninfo, this_process("run")) as connection, connection.transaction():
        for number, run_id in enumerate(jobs):
            name = lane if isinstance(lane, str) else lane(number)
            await defer_run(queue_app, connection, run_id, queue, name)
    return jobs


async def until(happened: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(SOON_S):
        while True:
            now = happened()
            if now if isinstance(now, bool) else await now:
                return
            await asyncio.sleep(0.02)


async def states(conninfo: str) -> dict[str, int]:
    """How many jobs of the queue are in which state."""
    return dict(await asyncio.to_thread(read, conninfo, STATES))


async def present(conninfo: str) -> int:
    return len(await asyncio.to_thread(read, conninfo, "select 1 from workers"))


class Hands:
    """What carries out the jobs: notes each one, one after another or as long as it is told to take."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.begun: list[UUID] = []
        self.done: list[UUID] = []
        self.at_once = 0
        self._takes_s = takes_s

    async def carry_out(self, run_id: UUID) -> None:
        self.begun.append(run_id)
        self.at_once = max(self.at_once, len(self.begun) - len(self.done))
        await asyncio.sleep(self._takes_s)
        self.done.append(run_id)


# -- jobs ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("eager")
async def test_the_jobs_of_a_lane_are_done_one_by_one_in_their_order(database: str) -> None:
    jobs = await defer(database, 20)
    hands = Hands(0.005)
    async with working(database, hands.carry_out):
        await until(lambda: len(hands.done) == len(jobs))
    assert hands.begun == hands.done == jobs
    assert hands.at_once == 1


async def test_the_next_job_of_a_lane_does_not_wait_for_the_worker_to_look_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runtime.worker.POLL_S", 10 * SOON_S)
    jobs = await defer(database, 3)
    hands = Hands(0.3)  # the worker is through with looking when a job ends
    async with working(database, hands.carry_out):
        await until(lambda: len(hands.done) == len(jobs))


@pytest.mark.usefixtures("eager")
async def test_lanes_do_not_wait_for_each_other(database: str) -> None:
    jobs = await defer(database, 8, lane=lambda number: f"lane {number % 4}")
    hands = Hands(0.2)
    async with working(database, hands.carry_out):
        await until(lambda: len(hands.done) == len(jobs))
    assert hands.at_once == CONCURRENCY
    for lane in range(4):
        assert [job for job in hands.begun if jobs.index(job) % 4 == lane] == jobs[lane::4]


@pytest.mark.usefixtures("eager")
async def test_a_lane_holds_also_where_its_jobs_wait_in_two_queues(database: str) -> None:
    order = [Queue.IO, Queue.COMPUTE, Queue.COMPUTE, Queue.IO, Queue.COMPUTE, Queue.IO]
    jobs = [(await defer(database, 1, queue=queue))[0] for queue in order]
    hands = Hands(0.02)
    async with (
        working(database, hands.carry_out, [Queue.IO]),
        working(database, hands.carry_out, [Queue.COMPUTE]),
    ):
        await until(lambda: len(hands.done) == len(jobs))
    assert hands.begun == jobs
    assert hands.at_once == 1


@pytest.mark.usefixtures("eager")
async def test_a_job_that_is_tried_again_keeps_its_place_in_the_lane(database: str) -> None:
    jobs = await defer(database, 3)
    seen: list[UUID] = []

    async def fails_once(run_id: UUID) -> None:
        seen.append(run_id)
        if len(seen) == 1:
            raise TryAgain(1, "not yet")

    async with working(database, fails_once):
        await until(lambda: len(seen) == 4)
    assert seen == [jobs[0], jobs[0], jobs[1], jobs[2]]
    assert await states(database) == {"succeeded": 3}


@pytest.mark.usefixtures("eager")
async def test_two_workers_share_sixty_jobs_without_a_duplicate(database: str) -> None:
    jobs = await defer(database, 60, lane=lambda number: f"lane {number}")
    one, other = Hands(0.01), Hands(0.01)
    async with working(database, one.carry_out), working(database, other.carry_out):
        await until(lambda: len(one.done) + len(other.done) >= len(jobs))
        await asyncio.sleep(0.2)
    assert Counter(one.done + other.done) == Counter(jobs)
    assert one.done and other.done
    assert await states(database) == {"succeeded": 60}


async def test_a_worker_leaves_other_queues_alone(database: str) -> None:
    await defer(database, 2, queue=Queue.COMPUTE, lane="learn")
    [mine] = await defer(database, 1)
    hands = Hands()
    async with working(database, hands.carry_out, [Queue.IO]):
        await until(lambda: len(hands.done) == 1)
        await asyncio.sleep(0.1)
    assert hands.done == [mine]
    assert await states(database) == {"succeeded": 1, "todo": 2}


@pytest.mark.usefixtures("eager")
async def test_a_worker_carries_out_the_runs_of_a_desk(rehearsed: str, sample: HistoryPack) -> None:
    async with open_stage(rehearsed, sample) as stage:
        queue_app = open_queue(rehearsed)
        stage.clock.shown = stage.clock.shown.replace(hour=23, minute=0)
        for slot in (Slot.SETTLE, Slot.REGIME, Slot.SCREEN):
            run_id = await stage.queue(FIRST, slot)
            async with await connect(rehearsed, this_process("run")) as connection:
                await defer_run(queue_app, connection, run_id, Queue.IO, "day")
        async with working(rehearsed, stage.executor().carry_out):
            await until(lambda: _through(stage))
        assert await stage.rows("select slot, attempts from runs order by finished_at") == [
            ("settle", 1),
            ("regime", 1),
            ("screen", 1),
        ]


async def _through(stage: Stage) -> bool:
    return await stage.rows("select count(*) from runs where state = 'done'") == [(3,)]


# -- stopping ------------------------------------------------------------------------------------------------


async def test_a_worker_that_is_stopped_finishes_what_it_began_and_begins_nothing(database: str) -> None:
    jobs = await defer(database, 3)
    hands = Hands(0.5)
    async with working(database, hands.carry_out) as stop:
        await until(lambda: len(hands.begun) == 1)
        stop.set()
    assert hands.done == jobs[:1]
    assert await states(database) == {"succeeded": 1, "todo": 2}
    assert await present(database) == 0
    workers = "select count(*) from procrastinate.procrastinate_workers"
    assert await asyncio.to_thread(read, database, workers) == [(0,)]


async def test_a_worker_that_is_stopped_before_it_began_ends(database: str) -> None:
    hands = Hands()
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(SOON_S):
        await Worker(database, this_process("worker"), [Queue.IO], hands.carry_out).run(stop)
    assert await present(database) == 0


async def test_a_stop_asked_for_at_the_desk_ends_every_worker_that_runs(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runtime.worker.SEEN_S", 0.1)
    with writing(database) as session:
        build.found_paper(session)
        session.add(build.leader())
    jobs = await defer(database, 1)
    hands = Hands()
    async with (
        working(database, hands.carry_out, [Queue.IO]) as one,
        working(database, hands.carry_out, [Queue.COMPUTE]) as other,
    ):
        await until(lambda: hands.done == jobs)
        await until(lambda: _are_present(database, 2))
        with Desk(database) as desk:
            assert (await asyncio.to_thread(desk.stop_runtimes, operator=ADA)).accepted
        await until(lambda: one.is_set() and other.is_set())
        await until(lambda: _are_present(database, 0))
        # An old wish is not meant for whoever starts after it.
        later = Hands()
        async with working(database, later.carry_out) as still_running:
            [job] = await defer(database, 1)
            await until(lambda: later.done == [job])
            assert not still_running.is_set()


async def _are_present(conninfo: str, count: int) -> bool:
    return await present(conninfo) == count


# -- presence ------------------------------------------------------------------------------------------------


async def test_a_worker_is_on_the_list_while_it_works_and_not_after(database: str) -> None:
    identity = this_process("worker")
    async with working(database, Hands().carry_out, [Queue.IO, Queue.COMPUTE], identity):
        await until(lambda: _are_present(database, 1))
        assert await asyncio.to_thread(read, database, "select host, pid, queues from workers") == [
            (identity.host, identity.pid, ["io", "compute"])
        ]
    assert await present(database) == 0


@pytest.mark.long
async def test_a_worker_whose_connections_are_ended_works_on(database: str) -> None:
    identity = this_process("worker")
    done = await defer(database, 1)
    hands = Hands()
    async with working(database, hands.carry_out, identity=identity):
        await until(lambda: _are_present(database, 1))
        [(began,)] = await asyncio.to_thread(read, database, "select started_at from workers")
        for _ in range(2):
            await until(lambda: _have_succeeded(database, len(done)))
            assert await asyncio.to_thread(_end_connections, database, identity) > 0
            done.extend(await defer(database, 1))
        await until(lambda: _have_succeeded(database, len(done)))
        assert hands.done == done
        assert await asyncio.to_thread(read, database, "select started_at from workers") == [(began,)]
    assert await present(database) == 0


CUT_AT_THE_FIRST_END = """
    create sequence ends;
    create function cut() returns trigger language plpgsql as $$ begin
        if nextval('ends') = 1 then perform pg_terminate_backend(pg_backend_pid()); end if;
        return new;
    end $$;
    create trigger cut before update on procrastinate.procrastinate_jobs
       for each row when (old.status = 'doing') execute function cut()
"""


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("again", [True, False], ids=["to be tried again", "done"])
async def test_a_job_of_whose_end_the_queue_did_not_hear_is_given_back(
    database: str, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """Its connection is gone as it says so: the worker lives, and nobody else may take what it has lost."""
    monkeypatch.setattr("app.runtime.worker.SEEN_S", 0.1)
    monkeypatch.setattr("app.runtime.worker.UNHEARD_S", 0.5)
    execute(database, CUT_AT_THE_FIRST_END)
    [job, after] = await defer(database, 2)
    seen: list[UUID] = []

    async def ends(run_id: UUID) -> None:
        seen.append(run_id)
        if again and len(seen) == 1:
            raise TryAgain(1, "the connection is lost")

    async with working(database, ends):
        await until(lambda: _have_succeeded(database, 2))
    assert seen == [job, job, after]  # in its place, before what comes after it


async def _have_succeeded(conninfo: str, count: int) -> bool:
    return await states(conninfo) == {"succeeded": count}


def _end_connections(conninfo: str, identity: Identity) -> int:
    """How many there were; they are gone when this returns."""
    ended = read(
        conninfo,
        "select pg_terminate_backend(pid, %s) from pg_stat_activity where application_name = %s",
        int(SOON_S * 1000),
        identity.name,
    )
    assert all(gone for (gone,) in ended)
    return len(ended)


async def test_a_job_whose_worker_was_cut_off_is_carried_out_by_another(database: str) -> None:
    """Its row says `doing` for ever until the leader gives it back."""
    [job] = await defer(database, 1)
    cut = asyncio.Event()
    hands = Hands()
    identity = this_process("worker")

    async def until_cut(run_id: UUID) -> None:
        hands.begun.append(run_id)
        await cut.wait()

    async with working(database, until_cut, identity=identity) as stop:
        await until(lambda: hands.begun == [job])
        await asyncio.to_thread(execute, database, "delete from procrastinate.procrastinate_workers")
        async with await connect(database, this_process("run")) as leader, leader.transaction():
            assert await rescue(leader) == 1
        stop.set()
        other = Hands()
        async with working(database, other.carry_out):
            await until(lambda: other.done == [job])
        cut.set()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("error", [ValueError("nobody caught this"), asyncio.CancelledError()])
async def test_a_job_that_breaks_costs_no_other_job(database: str, error: BaseException) -> None:
    """Whatever escapes from one job, the worker lives and takes the next."""
    jobs = await defer(database, 2)
    seen: list[UUID] = []

    async def breaks_once(run_id: UUID) -> None:
        seen.append(run_id)
        if len(seen) == 1:
            raise error

    async with working(database, breaks_once):
        await until(lambda: set(seen) == set(jobs))
