"""When the desk's alarm goes off: by the calendar, whatever the clock's speed, after every sleep."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.calendar import NEW_YORK, sessions
from agents.market.clock import Clock, ScaledClock, SystemClock
from app.runtime.clockwork import SlotTrigger, keep_time
from app.runtime.dispatch import Dispatcher
from app.runtime.plan import next_due
from storage.leadership import SteppedDown, connect, database_now, this_process, try_to_lead
from storage.queue import open_queue
from storage.records import AgentName, RunState, Slot
from storage.server import DRIVER_LOCK
from tests.runtime.stage import ADA, HandClock, read
from tests.runtime.test_plan import by_hand
from tests.storage import desk_builder as build
from tests.storage.desk_builder import execute, writing

ANCHOR = datetime(2026, 10, 5, 12, tzinfo=UTC)  # by the machine
SPEEDS = st.sampled_from([1.0, 7.0, 60.0, 600.0, 3_600.0, 100_000.0])
STARTS = st.builds(
    lambda day, seconds: datetime.combine(day, time(), NEW_YORK).astimezone(UTC) + timedelta(seconds=seconds),
    st.sampled_from([date(2007, 1, 3), date(2026, 3, 6), date(2026, 10, 30), date(2026, 11, 25)]),
    st.integers(0, 86_400),
)


def calendar(slot: Slot, after: datetime, count: int) -> list[datetime]:
    """By the table of New York times: the next so many instants a slot is due."""
    day = after.astimezone(NEW_YORK).date()
    around = sessions(day - timedelta(days=7), day + timedelta(days=2 * count + 14))
    dues = [due for session in around if (due := by_hand(session).get(slot)) is not None and due > after]
    return dues[:count]


@given(slot=st.sampled_from(Slot), start=STARTS, speed=SPEEDS, wakes_late_us=st.integers(0, 50_000))
def test_an_alarm_goes_off_at_each_instant_of_the_calendar_and_at_no_other(
    slot: Slot, start: datetime, speed: float, wakes_late_us: int
) -> None:
    """The machine wakes for each alarm a moment late, as machines do."""
    machine = HandClock(ANCHOR)
    clock = ScaledClock(start, ANCHOR, speed, machine)
    trigger = SlotTrigger(slot, clock)
    expected = calendar(slot, start, 8)
    fires: list[datetime] = []
    previous: datetime | None = None
    for due in expected:
        fire = trigger.get_next_fire_time(previous, machine.now())
        assert fire.utcoffset() == timedelta(0)
        assert previous is None or fire > previous
        assert abs((fire - clock.real(due)).total_seconds()) < 1e-5
        fires.append(fire)
        # No later than the next alarm: how a longer sleep ends is below.
        machine.shown = fire + timedelta(microseconds=wakes_late_us) / speed
        previous = fire
    assert fires == sorted(set(fires))


@given(slot=st.sampled_from(Slot), start=STARTS, asleep=st.integers(0, 60 * 24 * 40))
def test_after_a_sleep_the_next_alarm_is_in_the_future(slot: Slot, start: datetime, asleep: int) -> None:
    machine = HandClock(ANCHOR)
    clock = ScaledClock(start, ANCHOR, 1.0, machine)
    trigger = SlotTrigger(slot, clock)
    before = trigger.get_next_fire_time(None, machine.now())
    machine.shown = before + timedelta(minutes=asleep)
    after = trigger.get_next_fire_time(before, machine.now())
    assert after > before
    assert after > machine.now() or asleep == 0
    assert after == clock.real(calendar(slot, clock.now(), 1)[0])


@pytest.mark.parametrize("slot", Slot)
def test_on_the_machines_own_clock_the_next_two_alarms_are_the_calendars(slot: Slot) -> None:
    now = datetime.now(UTC)
    trigger = SlotTrigger(slot, SystemClock())
    first = trigger.get_next_fire_time(None, now)
    second = trigger.get_next_fire_time(first, now)
    assert [first, second] == calendar(slot, now, 2)


def test_an_alarm_follows_the_changes_of_the_clocks() -> None:
    machine = HandClock(datetime(2026, 10, 29, 12, tzinfo=UTC))
    trigger = SlotTrigger(Slot.OPEN, ScaledClock(machine.shown, machine.shown, 1.0, machine))
    opens: list[str] = []
    previous: datetime | None = None
    for _ in range(3):
        previous = machine.shown = trigger.get_next_fire_time(previous, machine.now())
        opens.append(f"{previous:%m-%d %H:%M}")
    assert opens == ["10-29 13:35", "10-30 13:35", "11-02 14:35"]


# -- keeping time --------------------------------------------------------------------------------------------


def made(conninfo: str) -> None:
    with writing(conninfo) as session:
        build.found_paper(session)
        session.add_all(build.agent_state(agent) for agent in AgentName)


async def test_a_leader_that_keeps_time_queues_each_slot_as_it_is_due_and_what_is_asked_for(
    database: str,
) -> None:
    """A day in about two seconds, by a real clock and a real scheduler."""
    await asyncio.to_thread(made, database)
    founded = datetime.combine(date(2026, 11, 24), time(6), NEW_YORK).astimezone(UTC)
    clock: Clock = ScaledClock(founded, datetime.now(UTC), 24 * 1_800.0)
    identity = this_process("run")
    async with await connect(database, identity) as connection:
        term = await try_to_lead(connection, identity, await database_now(connection))
        assert term is not None
        dispatcher = Dispatcher(
            term=term,
            queue_app=open_queue(database),
            clock=clock,
            founded=founded,
            first_session=date(2026, 11, 24),
            lacks={},
            who="desk-1:1",
        )
        keeping = asyncio.create_task(keep_time(term, dispatcher, clock))
        async with asyncio.timeout(15):
            while clock.now() < next_due(Slot.SETTLE_MORNING, founded + timedelta(days=1))[1]:
                await asyncio.sleep(0.05)
            done = (
                "update runs set state = 'failed', asked_at = now(), asked_by = 'ada' where slot = 'regime'"
            )
            await asyncio.to_thread(execute, database, done)
            await asyncio.to_thread(
                execute,
                database,
                "update runs set state = 'queued', asked_at = clock_timestamp() where slot = 'regime'"
                " and session = '2026-11-24'",
            )
            assert (await term.beat()).asked
            term.asked.set()
            while (await term.beat()).asked:
                await asyncio.sleep(0.05)
        # Cut off: whoever keeps time learns of it at the next thing it writes.
        await connection.execute("select pg_advisory_unlock(%s)", [DRIVER_LOCK])
        rival = this_process("run")
        async with await connect(database, rival) as other:
            assert await try_to_lead(other, rival, await database_now(other)) is not None
            with pytest.raises(SteppedDown):
                async with asyncio.timeout(15):
                    await keeping
    runs = await asyncio.to_thread(
        read, database, "select slot, state from runs where session = '2026-11-24' order by desk_time, slot"
    )
    assert sorted(slot for slot, _ in runs) == sorted(Slot)
    jobs = await asyncio.to_thread(
        read,
        database,
        "select r.slot, count(*) from runs r join procrastinate.procrastinate_jobs j"
        " on j.args ->> 'run_id' = r.id::text where r.session = '2026-11-24' group by 1",
    )
    twice = {slot for slot, count in jobs if count != 1}
    assert twice == {"regime"}  # once when it was due, once when it was asked for
    skipped = {slot for slot, state in runs if state == RunState.SKIPPED}
    assert skipped.isdisjoint({"cutoff", "open", "settle", "regime", "digest"})
    assert ADA.name == "ada"
