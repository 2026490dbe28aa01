"""A worker: takes jobs from the desk's queue, outlives the database's restarts and a machine that slept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from procrastinate import App, JobContext

from app.runtime.jobs import WhenAsked
from app.runtime.leader import first_line
from app.runtime.waiting import pause
from storage.leadership import Identity
from storage.queue import RUN_SLOT, give_back_unheard, open_queue
from storage.records import Queue, uuid7

log = logging.getLogger(__name__)

CONCURRENCY = 2  # each needs a connection for its step and at times one to say what it works on
POLL_S = 2.0  # announcements may be lost, and a job to be tried again later is announced to nobody
HEARTBEAT_S = 3.0
SEEN_S = 5.0
DRAIN_S = 25.0  # what a stopping worker gives the jobs it has begun
BACK_OFF_S = (0.2, 5.0)
STEADY_S = 30.0
UNHEARD_S = 15.0  # the queue has heard of the end of a job, or its connection was waited for in vain
PRUNED_AFTER_S = 60.0  # a worker silent for so long is forgotten by the others

CarryOut = Callable[[UUID], Awaitable[None]]


@dataclass(frozen=True)
class _Ended:
    """A job that ended here: the attempts counted before it, and when, on the monotonic clock."""

    attempts: int
    at: float


class Worker:
    """Takes jobs of one desk's queues, in this process."""

    def __init__(
        self, conninfo: str, identity: Identity, queues: Sequence[Queue], carry_out: CarryOut
    ) -> None:
        self._conninfo = conninfo
        self._identity = identity
        self._queues = [str(queue) for queue in queues]
        self._carry_out = carry_out
        self._row_id = uuid7()
        self._stops: int | None = None  # asked for before this worker began
        self._ended: dict[int, _Ended] = {}  # jobs of which the queue may not have heard yet

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set here or asked for at the desk; then finish what was begun.

        procrastinate's worker ends when its row was pruned while the machine slept, and returns without a
        word when the server restarts: neither is a reason to stop.
        """
        delay = BACK_OFF_S[0]
        while not stop.is_set():
            started = time.monotonic()
            try:
                await self._live(stop)
                why = "its connection is gone"
            except Exception as lost:  # noqa: BLE001 - said below; without a worker the desk would stand still
                why = first_line(lost)
            if stop.is_set():
                return
            if time.monotonic() - started > STEADY_S:
                delay = BACK_OFF_S[0]
            log.warning("the worker ended (%s), again in %.1f s", why, delay)
            await pause(stop, delay)
            delay = min(delay * 2, BACK_OFF_S[1])

    async def _live(self, stop: asyncio.Event) -> None:
        """One life of the worker."""
        queue_app = open_queue(self._conninfo, self._identity.name)

        @queue_app.task(name=RUN_SLOT, retry=WhenAsked(), pass_context=True)
        async def run_slot(context: JobContext, run_id: str) -> None:
            job = context.job
            assert job.id is not None
            self._ended.pop(job.id, None)
            try:
                await self._carry_out(UUID(run_id))
            finally:
                self._ended[job.id] = _Ended(attempts=job.attempts, at=time.monotonic())

        async with queue_app.open_async():
            presence = asyncio.create_task(self._be_present(queue_app, stop))
            worker = asyncio.create_task(
                queue_app.run_worker_async(
                    queues=self._queues,
                    concurrency=CONCURRENCY,
                    install_signal_handlers=False,
                    fetch_job_polling_interval=POLL_S,
                    update_heartbeat_interval=HEARTBEAT_S,
                    stalled_worker_timeout=PRUNED_AFTER_S,
                    shutdown_graceful_timeout=DRAIN_S,
                )
            )
            wish = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({worker, wish, presence}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                wish.cancel()
                worker.cancel()  # procrastinate then finishes what it has begun
                await asyncio.wait({worker})
                presence.cancel()
                await asyncio.wait({presence})
            for task in (presence, worker):
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            if stop.is_set():  # else it comes back, and never left the list
                await queue_app.connector.execute_query_async(_GONE, id=self._row_id)

    async def _be_present(self, queue_app: App, stop: asyncio.Event) -> None:
        """Say every few seconds that this worker lives, and pass on a stop asked for at the desk."""
        while True:
            seen = await queue_app.connector.execute_query_one_async(
                _SEEN,
                id=self._row_id,
                host=self._identity.host,
                pid=self._identity.pid,
                queues=self._queues,
            )
            if self._stops is None:
                self._stops = seen["stops"]
            if seen["stops"] > self._stops:
                log.info("%s asked the desk to stop", seen["stop_asked_by"])
                stop.set()
            await self._give_back(queue_app)
            await asyncio.sleep(SEEN_S)

    async def _give_back(self, queue_app: App) -> None:
        """Give back what ended here unheard of.

        procrastinate says once how a job has ended. Where that fails, say on a connection that died with the
        server a moment before, the job would be this living worker's for ever.
        """
        until = time.monotonic() - UNHEARD_S
        old = {job_id: ended.attempts for job_id, ended in self._ended.items() if ended.at <= until}
        if not old:
            return
        if count := await give_back_unheard(queue_app, old):
            log.warning("%d jobs ended unheard of, given back", count)
        for job_id, attempts in old.items():
            if job_id in self._ended and self._ended[job_id].attempts == attempts:
                del self._ended[job_id]


_SEEN = """
    with seen as (
        insert into workers (id, host, pid, queues, started_at, seen_at)
        values (%(id)s, %(host)s, %(pid)s, %(queues)s, clock_timestamp(), clock_timestamp())
            on conflict (id) do update set seen_at = excluded.seen_at
    )
    select coalesce(max(stops), 0) as stops, max(stop_asked_by) as stop_asked_by from leadership
"""

_GONE = "delete from workers where id = %(id)s"
