"""Who leads: one at a time, by lock, heartbeat and epoch; what a former leader had half written is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.runtime.leader import check_clock
from storage.desk import Desk
from storage.errors import OperatorError
from storage.leadership import (
    FROZEN_AFTER_S,
    SILENT_S,
    Connection,
    Identity,
    SteppedDown,
    Term,
    connect,
    database_now,
    holder,
    is_led,
    record,
    stops_asked,
    this_process,
    try_to_lead,
)
from storage.records import AgentName, OperationKind, RunState, Slot
from storage.server import DRIVER_LOCK
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, SESSIONS, execute, scalar, writing

SOON_S = 10.0
LONG_SILENT = f"update leadership set heartbeat_at = clock_timestamp() - interval '{FROZEN_AFTER_S + 1} s'"


@dataclass(frozen=True)
class Candidate:
    """A process that might lead."""

    connection: Connection
    identity: Identity
    stops: int

    async def attempt(self) -> Term | None:
        return await try_to_lead(self.connection, self.identity, self.stops)

    async def lead(self) -> Term:
        """Lead as soon as the lock of a connection that just ended is free."""
        async with asyncio.timeout(SOON_S):
            while (term := await self.attempt()) is None:
                await asyncio.sleep(0.01)
        return term

    async def lend_out(self) -> None:
        """What a pooler does that gives the session to somebody else: the lock is gone, it lives."""
        await self.connection.execute("select pg_advisory_unlock(%s)", [DRIVER_LOCK])


@asynccontextmanager
async def candidate(conninfo: str) -> AsyncIterator[Candidate]:
    identity = this_process("run")
    async with await connect(conninfo, identity) as connection:
        stops, _ = await stops_asked(connection)
        yield Candidate(connection, identity, stops)


@contextmanager
def gone() -> Iterator[None]:
    """Whatever is done here finds out that its connection was ended."""
    with pytest.raises(psycopg.OperationalError):
        yield


def operations(conninfo: str) -> int:
    return int(scalar(conninfo, "select count(*) from operations"))


# -- becoming the leader -------------------------------------------------------------------------------------


async def test_of_many_that_try_at_once_one_leads(database: str) -> None:
    async with AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(candidate(database)) for _ in range(8)]
        terms = await asyncio.gather(*(each.attempt() for each in crowd))
        [(winner, term)] = [(each, term) for each, term in zip(crowd, terms, strict=True) if term is not None]
        leading = await holder(crowd[0].connection)
    assert term.epoch == 1
    assert leading is not None
    assert leading.holder == winner.identity.name
    assert operations(database) == 1


async def test_every_leader_is_one_number_further(database: str) -> None:
    epochs = []
    for _ in range(4):
        async with candidate(database) as next_one:
            epochs.append((await next_one.lead()).epoch)
    assert epochs == [1, 2, 3, 4]
    assert scalar(database, "select array_agg(text order by at) from operations")[0] == (
        "leads as number 1, the first"
    )


async def test_a_leader_that_left_in_good_order_says_so_to_the_next(database: str) -> None:
    async with candidate(database) as first:
        term = await first.lead()
        await term.end("was asked to stop")
        left = await holder(first.connection)
    assert left is not None
    assert left.ended_at is not None
    assert not left.frozen
    async with candidate(database) as second:
        await second.lead()
        leading = await holder(second.connection)
    assert leading is not None
    assert leading.ended_at is None
    with psycopg.connect(database) as connection:
        said = connection.execute("select kind, text from operations order by at").fetchall()
    assert [kind for kind, _ in said] == [OperationKind.LED, OperationKind.STEPPED_DOWN, OperationKind.LED]
    assert said[1][1] == "was asked to stop"
    assert said[2][1].endswith("which left in good order")


# -- a former leader -----------------------------------------------------------------------------------------


async def test_nothing_a_former_leader_writes_lands(database: str) -> None:
    """Its connection lives, as behind a pooler: only its epoch tells that it leads no more."""
    async with candidate(database) as former, candidate(database) as successor:
        term = await former.lead()
        await former.lend_out()
        assert (await successor.lead()).epoch == term.epoch + 1
        before = operations(database)
        with pytest.raises(SteppedDown):
            async with term.write() as connection:
                await record(connection, OperationKind.FAULT, "former", "wrote after all")
        with pytest.raises(SteppedDown):
            await term.note(OperationKind.FAULT, "wrote after all")
        with pytest.raises(SteppedDown):
            await term.end("thought it led")
        with pytest.raises(SteppedDown):
            await term.beat()
        assert operations(database) == before
        leading = await holder(successor.connection)
    assert leading is not None
    assert leading.ended_at is None


async def test_what_goes_wrong_inside_a_write_undoes_all_of_it(database: str) -> None:
    async with candidate(database) as leader:
        term = await leader.lead()
        before = operations(database)
        with pytest.raises(ZeroDivisionError):
            async with term.write() as connection:
                await record(connection, OperationKind.FAULT, "leader", "half")
                raise ZeroDivisionError
        assert operations(database) == before
        await term.note(OperationKind.FAULT, "whole")
    assert operations(database) == before + 1


async def test_a_successor_waits_for_the_write_in_flight(database: str) -> None:
    async with candidate(database) as former, candidate(database) as successor:
        term = await former.lead()
        async with term.write() as connection:
            await record(connection, OperationKind.FAULT, "former", "still the leader")
            await former.lend_out()
            attempt = asyncio.create_task(successor.attempt())
            await _waits_for_a_lock(database, successor)
            assert not attempt.done()
        following = await attempt
        assert following is not None
        assert following.epoch == term.epoch + 1
        with pytest.raises(SteppedDown):
            await term.beat()
    assert scalar(database, "select count(*) from operations where text = 'still the leader'") == 1


async def test_a_heartbeat_waits_for_no_write_and_no_write_waits_for_a_heartbeat(database: str) -> None:
    async with candidate(database) as leader, await connect(database, leader.identity) as other:
        term = await leader.lead()
        began = await database_now(other)
        heart = Term(other, leader.identity, term.epoch, 0)
        async with asyncio.timeout(SOON_S):
            async with term.write():
                assert (await heart.beat()).now > began
            async with other.transaction():
                await other.execute("update leadership set heartbeat_at = clock_timestamp()")
                await term.note(OperationKind.FAULT, "while a heartbeat was under way")


# -- a leader that is frozen ---------------------------------------------------------------------------------


async def test_a_frozen_leader_is_cut_off_and_its_open_write_is_undone(database: str) -> None:
    async with candidate(database) as successor:
        with gone():
            async with candidate(database) as frozen, await connect(database, frozen.identity) as second_one:
                term = await frozen.lead()
                async with term.write() as connection:
                    await record(connection, OperationKind.FAULT, "frozen", "half written")
                    await asyncio.to_thread(execute, database, LONG_SILENT)
                    assert await successor.attempt() is None
                    following = await successor.lead()
                    with gone():
                        await second_one.execute("select 1")
                    await record(connection, OperationKind.FAULT, "frozen", "and woke up")
        assert following.epoch == term.epoch + 1
    with psycopg.connect(database) as connection_:
        texts = [str(row[0]) for row in connection_.execute("select text from operations order by at")]
    assert len(texts) == 2
    assert ", silent for 11." in texts[1]


async def test_a_leader_that_beats_is_never_cut_off(database: str) -> None:
    async with candidate(database) as leader, candidate(database) as rival:
        term = await leader.lead()
        await asyncio.to_thread(
            execute, database, "update leadership set heartbeat_at = clock_timestamp() - interval '9 s'"
        )
        for _ in range(20):
            assert await rival.attempt() is None
        await asyncio.to_thread(execute, database, LONG_SILENT)
        await term.beat()  # it woke up in time
        for _ in range(20):
            assert await rival.attempt() is None
        await term.note(OperationKind.FAULT, "still here")
        leading = await holder(rival.connection)
    assert leading is not None
    assert not leading.frozen


async def test_only_the_frozen_leaders_own_connections_are_ended(database: str) -> None:
    async with candidate(database) as successor, candidate(database) as bystander:
        with suppress(psycopg.OperationalError):
            async with candidate(database) as frozen:
                await frozen.lead()
                await asyncio.to_thread(execute, database, LONG_SILENT)
                await successor.attempt()
                await successor.lead()
        assert await stops_asked(bystander.connection) == (0, "")


# -- what a heartbeat brings back ----------------------------------------------------------------------------


async def test_a_heartbeat_brings_back_a_stop_asked_for_since_the_process_began(database: str) -> None:
    with writing(database) as session:
        build.found_paper(session)
    with Desk(database) as desk:
        async with candidate(database) as standby:
            async with candidate(database) as first:
                term = await first.lead()
                assert (await term.beat()).stop_asked_by is None
                assert (await asyncio.to_thread(desk.stop_runtimes, operator=ADA)).accepted
                assert (await term.beat()).stop_asked_by == "ada"
            assert await stops_asked(standby.connection) == (standby.stops + 1, "ada")
            assert (await (await standby.lead()).beat()).stop_asked_by == "ada"
        async with candidate(database) as later:
            assert later.stops == standby.stops + 1
            assert (await (await later.lead()).beat()).stop_asked_by is None


async def test_a_heartbeat_tells_that_a_run_was_asked_for_until_somebody_queued_it(database: str) -> None:
    with writing(database) as session:
        build.found_paper(session)
        session.add(build.scheduled(Slot.REGIME, build.CLOSE, AgentName.REGIME))
        session.add(build.run(SESSIONS[0], Slot.REGIME, state=RunState.FAILED))
    async with candidate(database) as leader:
        term = await leader.lead()
        assert not (await term.beat()).asked
        with Desk(database) as desk:
            receipt = await asyncio.to_thread(desk.run_agent_now, AgentName.REGIME, operator=ADA)
        assert receipt.accepted
        assert (await term.beat()).asked
        await asyncio.to_thread(execute, database, "update runs set queued_at = clock_timestamp()")
        assert not (await term.beat()).asked


# -- the machine's clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-60, -59, 0, 59, 60])
def test_a_clock_less_than_a_minute_apart_is_right(seconds: int) -> None:
    now = datetime.now(UTC)
    assert check_clock(now, now + timedelta(seconds=seconds)) == now


@pytest.mark.parametrize(
    ("seconds", "how"), [(3_600, "3600 s ahead of"), (-3_600, "3600 s behind"), (61, "61 s")]
)
def test_a_clock_that_is_wrong_is_refused_in_one_line(seconds: int, how: str) -> None:
    now = datetime.now(UTC)
    with pytest.raises(OperatorError, match=how) as refused:
        check_clock(now, now + timedelta(seconds=seconds))
    assert len(str(refused.value).splitlines()) == 1


# -- any order -----------------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["try", "lend out", "freeze", "write", "end"])), max_size=12
)


@given(events=EVENTS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_only_the_newest_term_writes(database: str, events: list[tuple[int, str]]) -> None:
    asyncio.run(_play(database, events))


async def _play(conninfo: str, events: list[tuple[int, str]]) -> None:
    async with AsyncExitStack() as stack:
        crowd: dict[int, Candidate] = {}
        terms: dict[int, Term] = {}
        newest = 0
        for who, event in events:
            if who not in crowd or crowd[who].connection.closed:
                crowd[who] = await stack.enter_async_context(candidate(conninfo))
                terms.pop(who, None)
            try:
                if event == "try":
                    term = await crowd[who].attempt()
                    if term is not None:
                        assert newest in (0, term.epoch - 1)
                        terms[who], newest = term, term.epoch
                elif event == "lend out" and who in terms:
                    await crowd[who].lend_out()
                elif event == "freeze":
                    await crowd[who].connection.execute(LONG_SILENT)
                elif who in terms:
                    says = terms[who].end("enough") if event == "end" else _note(terms[who])
                    before = await asyncio.to_thread(operations, conninfo)
                    if terms[who].epoch == newest:
                        await says
                        assert await asyncio.to_thread(operations, conninfo) == before + 1
                    else:
                        with pytest.raises(SteppedDown):
                            await says
                        assert await asyncio.to_thread(operations, conninfo) == before
            except psycopg.OperationalError:
                assert crowd[who].connection.closed  # it was frozen, and somebody cut it off
    await asyncio.to_thread(execute, conninfo, "delete from leadership; delete from operations")


async def _note(term: Term) -> None:
    await term.note(OperationKind.FAULT, "something happened")


async def _waits_for_a_lock(conninfo: str, waiting: Candidate) -> None:
    query = "select count(*) from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
    async with asyncio.timeout(SOON_S):
        while not await asyncio.to_thread(scalar, conninfo, query, waiting.identity.name):
            await asyncio.sleep(0.01)


def test_a_desk_is_led_while_its_leader_beats_and_no_replay_ever_is(database: str) -> None:
    with writing(database) as session:
        build.found_paper(session)
    assert not is_led(database)
    with writing(database) as session:
        session.add(build.leader())
    assert is_led(database)
    silent = f"heartbeat_at = clock_timestamp() - interval '{SILENT_S + 1} s'"
    for table, change in (
        ("leadership", silent),
        ("leadership", "ended_at = now()"),
        ("desk", "kind = 'history'"),
    ):
        execute(database, "update leadership set heartbeat_at = clock_timestamp(), ended_at = null")
        execute(database, f"update {table} set {change}")
        assert not is_led(database), change
