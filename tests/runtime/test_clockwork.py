"""When the desk's alarm goes off: by the calendar, whatever the clock's speed, after every sleep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.calendar import NEW_YORK, sessions
from agents.market.clock import Clock, ScaledClock, SystemClock
from app.runtime.clockwork import SlotTrigger, keep_time
from app.runtime.dispatch import Dispatcher
from app.runtime.plan import next_due
from app.runtime.slots import due_at
from storage.leadership import SteppedDown, Term, connect, this_process, try_to_lead
from storage.queue import open_queue
from storage.records import RunState, Slot
from storage.server import DRIVER_LOCK
from tests.runtime.stage import HandClock, read
from tests.runtime.test_plan import by_hand
from tests.storage.desk_builder import execute

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

TUESDAY = date(2026, 11, 24)
FOUNDED = datetime.combine(TUESDAY, time(6), NEW_YORK).astimezone(UTC)
A_DAY_IN_TWO_SECONDS = 24 * 1_800.0


def keeper(conninfo: str, term: Term, clock: Clock) -> Coroutine[None, None, None]:
    """Keep the time of a desk that was founded on a Tuesday morning."""
    dispatcher = Dispatcher(
        term=term,
        queue_app=open_queue(conninfo),
        clock=clock,
        founded=FOUNDED,
        first_session=TUESDAY,
        lacks={},
        who="desk-1:1",
    )
    return keep_time(term, dispatcher, clock)


@asynccontextmanager
async def leading(conninfo: str) -> AsyncIterator[Term]:
    identity = this_process("run")
    async with await connect(conninfo, identity) as connection:
        term = await try_to_lead(connection, identity, 0)
        assert term is not None
        yield term
        await connection.execute("select pg_advisory_unlock(%s)", [DRIVER_LOCK])


@pytest.mark.long
async def test_every_slot_of_a_day_is_queued_when_it_is_due(database: str) -> None:
    """By the real clock and the real scheduler, a day in two seconds."""
    clock = ScaledClock(FOUNDED, datetime.now(UTC), A_DAY_IN_TWO_SECONDS)
    over = next_due(Slot.SETTLE_MORNING, FOUNDED + timedelta(days=1))[1]
    async with leading(database) as term:
        keeping = asyncio.create_task(keeper(database, term, clock))
        await asyncio.sleep((clock.real(over) - datetime.now(UTC)).total_seconds() + 0.3)
        keeping.cancel()
        await asyncio.wait({keeping})
    jobs = await asyncio.to_thread(
        read,
        database,
        "select slot, state, count(j), max(extract(epoch from queued_at)::float8) from runs r"
        " left join procrastinate.procrastinate_jobs j on j.args ->> 'run_id' = r.id::text"
        " where session = %s group by 1, 2",
        TUESDAY,
    )
    assert sorted(slot for slot, _, _, _ in jobs) == sorted(Slot)
    for slot, state, count, queued_at in jobs:
        assert (state, count) in ((RunState.QUEUED, 1), (RunState.SKIPPED, 0))
        late_s = queued_at - clock.real(due_at(TUESDAY, Slot(slot))).timestamp()
        assert 0 <= late_s < 5, slot


async def test_what_is_asked_for_is_queued_at_once(database: str) -> None:
    clock = HandClock(due_at(TUESDAY, Slot.REGIME))
    async with leading(database) as term:
        keeping = asyncio.create_task(keeper(database, term, clock))
        await _until(database, "select 1 from runs where slot = 'regime'")
        # Its job is over and a human wants it again.
        ask = (
            "set search_path = public, procrastinate;"
            "delete from procrastinate_jobs where queue_name = 'compute';"
            "update runs set asked_by = 'ada', asked_at = clock_timestamp(), queued_at = null"
            " where slot = 'regime'"
        )
        await asyncio.to_thread(execute, database, ask)
        term.asked.set()  # as the one who beats does
        await _until(database, "select 1 from runs where queued_at > asked_at")
        keeping.cancel()
        await asyncio.wait({keeping})
    jobs = "select count(*) from procrastinate.procrastinate_jobs where queue_name = 'compute'"
    assert await asyncio.to_thread(read, database, jobs) == [(1,)]


async def test_whoever_leads_no_more_learns_of_it_from_what_it_writes(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runtime.clockwork.RESCUE_S", 0.2)
    async with leading(database) as former:
        keeping = asyncio.create_task(keeper(database, former, HandClock(FOUNDED)))
        await _until(database, "select 1 from schedule")
        await asyncio.to_thread(execute, database, "update leadership set epoch = epoch + 1")
        async with asyncio.timeout(10):
            with pytest.raises(SteppedDown):
                await keeping


async def _until(conninfo: str, query: str) -> None:
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(read, conninfo, query):
            await asyncio.sleep(0.02)
