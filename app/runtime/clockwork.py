"""APScheduler as the desk's clock, and nothing but the clock: it wakes the dispatcher when a slot is due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from agents.market.clock import Clock
from app.runtime.dispatch import Dispatcher
from app.runtime.plan import next_due
from storage.leadership import Term
from storage.records import Slot

SWEEP_S = 15  # a machine that slept fires nothing late: somebody must look at the time
RESCUE_S = 3
JUST_AFTER = timedelta(seconds=1)  # the same instant is not "next", also after a clock's rounding

Work = Callable[[], Awaitable[None]]


class SlotTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires when a slot of the exchange's calendar is due by the desk's clock."""

    def __init__(self, slot: Slot, clock: Clock) -> None:
        self._slot = slot
        self._clock = clock

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        after = self._clock.now()
        _, due = next_due(self._slot, after)
        fire = self._clock.real(due)
        if previous_fire_time is not None and fire <= previous_fire_time:
            _, due = next_due(self._slot, due + JUST_AFTER)
            fire = self._clock.real(due)
        return fire


async def keep_time(
    term: Term, dispatcher: Dispatcher, clock: Clock, also: Sequence[tuple[float, Work]] = ()
) -> None:
    """Wake the dispatcher whenever something is due, until cancelled. Raises what its work raises.

    `also`: what else is to be done at once and every so many seconds of the machine's.
    """
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def surfacing(work: Work) -> Work:
        """APScheduler would log an exception and go on; a leader that cannot write must step down."""

        @wraps(work)
        async def guarded() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - handed to whoever awaits keep_time
                if not broken.done():
                    broken.set_exception(error)

        return guarded

    # Late is better than never: what is too late is decided when the tick looks at the calendar.
    scheduler = AsyncIOScheduler(
        timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
    )
    tick = surfacing(dispatcher.tick)
    for slot in Slot:
        scheduler.add_job(tick, SlotTrigger(slot, clock), id=slot.value)
    scheduler.start()
    try:
        await tick()
        # Not the scheduler's: its intervals stand still for an hour when the clock is set back by one.
        around = [
            asyncio.ensure_future(work)
            for work in (
                broken,
                _see_to_asked(term, dispatcher),
                _every(SWEEP_S, dispatcher.tick),
                _every(RESCUE_S, dispatcher.rescue),
                *(_at_once_and_every(seconds, work) for seconds, work in also),
            )
        ]
        try:
            done, _ = await asyncio.wait(around, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for work in around:
                work.cancel()
            await asyncio.wait(around)
    finally:
        scheduler.shutdown(wait=False)


async def _every(seconds: float, work: Work) -> None:
    while True:
        await asyncio.sleep(seconds)
        await work()


async def _at_once_and_every(seconds: float, work: Work) -> None:
    await work()
    await _every(seconds, work)


async def _see_to_asked(term: Term, dispatcher: Dispatcher) -> None:
    while True:
        await term.asked.wait()
        term.asked.clear()
        await dispatcher.run_asked()
