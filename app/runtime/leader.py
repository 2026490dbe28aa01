"""Leading a desk: wait for the lock, do the duties while the heart beats, step down when told or cut off."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime

from app.runtime.waiting import pause
from storage.errors import OperatorError
from storage.leadership import (
    Connection,
    Identity,
    SteppedDown,
    Term,
    connect,
    database_now,
    holder,
    stops_asked,
    try_to_lead,
)
from storage.records import OperationKind
from storage.server import Server

log = logging.getLogger(__name__)

POLL_S = 0.4  # a standby looks so often whether the lock is free
BEAT_S = 1.0
RETRY_S = (0.2, 30.0)
STEADY_S = 30.0  # in office or standing by for so long, and a loss is the first again
SKEW_S = 60.0  # clocks further apart than this are wrong, not imprecise

Duties = Callable[[Term, asyncio.Event], Coroutine[None, None, None]]


class Leader:
    """One process's wish to lead one desk."""

    def __init__(
        self,
        *,
        server: Server,
        conninfo: str,
        identity: Identity,
        duties: Duties,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`duties` gets the term and the wish to stop, and returns when it is through in good order."""
        self._server = server
        self._conninfo = conninfo
        self._identity = identity
        self._duties = duties
        self._now = now
        self._stops: int | None = None  # asked for before this process began; the next one is meant for it
        self._fault = ""  # why the desk was lost, where it was no other leader's doing

    async def run(self, stop: asyncio.Event) -> None:
        """Lead whenever nobody else does, until `stop` is set here or asked for in the database.

        Raises OperatorError when this machine's clock is wrong.
        """
        delay = RETRY_S[0]
        while not stop.is_set():
            started = time.monotonic()
            try:
                async with await connect(self._conninfo, self._identity) as connection:
                    check_clock(await database_now(connection), self._now())
                    if self._stops is None:
                        self._stops, _ = await stops_asked(connection)
                    term = await self._stand_by(connection, self._stops, stop)
                    if term is not None:
                        await self._hold_office(term, stop)
            except OperatorError:
                raise
            except Exception as lost:  # noqa: BLE001 - logged here, and noted when the desk is led again
                log.warning("does not lead any more: %s", first_line(lost))
                if not isinstance(lost, SteppedDown):
                    self._fault = first_line(lost)
                if time.monotonic() - started > STEADY_S:
                    delay = RETRY_S[0]
                await pause(stop, delay)
                delay = min(delay * 2, RETRY_S[1])
                await self._bring_back()

    async def _stand_by(self, connection: Connection, stops: int, stop: asyncio.Event) -> Term | None:
        """Until this process leads; None when it is to stop first."""
        told = False
        while not stop.is_set():
            count, by = await stops_asked(connection)
            if count > stops:
                log.info("%s asked the desk to stop", by)
                stop.set()
                return None
            term = await try_to_lead(connection, self._identity, stops)
            if term is not None:
                return term
            if not told:
                leading = await holder(connection)
                who = f"{leading.host}:{leading.pid}" if leading else "another process"
                log.info("stands by; %s leads", who)
                told = True
            await pause(stop, POLL_S)
        return None

    async def _hold_office(self, term: Term, stop: asyncio.Event) -> None:
        log.info("leads as number %d", term.epoch)
        if self._fault:
            await term.note(OperationKind.FAULT, f"the desk was lost before: {self._fault}")
            self._fault = ""
        leaving = asyncio.Event()
        duties = asyncio.create_task(self._duties(term, leaving))
        skewed = False
        try:
            while not duties.done():
                beat = await term.beat()
                if beat.asked:
                    term.asked.set()
                if beat.stop_asked_by is not None and not stop.is_set():
                    log.info("%s asked the desk to stop", beat.stop_asked_by)
                    stop.set()
                if stop.is_set():
                    leaving.set()  # the heart goes on beating until the duties are through
                skewed = await self._watch_clock(term, beat.now, skewed)
                await _either(duties, stop, BEAT_S)
            await duties
            await term.end("was asked to stop")
            log.info("left in good order")
        finally:
            if not duties.done():
                duties.cancel()
                await asyncio.gather(duties, return_exceptions=True)

    async def _watch_clock(self, term: Term, database: datetime, skewed: bool) -> bool:
        apart = (self._now() - database).total_seconds()
        if abs(apart) <= SKEW_S:
            return False
        if not skewed:
            text = f"this machine's clock is {apart:+.0f} s from the database's"
            log.error("%s", text)
            await term.note(OperationKind.FAULT, text)
        return True

    async def _bring_back(self) -> None:
        try:
            await asyncio.to_thread(self._server.ensure)
        except (OperatorError, OSError) as away:
            log.warning("%s", away)


def check_clock(database: datetime, here: datetime) -> datetime:
    """The database's instant, if this machine's clock agrees. Raises OperatorError when one is wrong."""
    apart = (here - database).total_seconds()
    if abs(apart) > SKEW_S:
        where = "ahead of" if apart > 0 else "behind"
        raise OperatorError(
            f"this machine's clock is {abs(apart):.0f} s {where} the database's",
            "set both by NTP; slots are due by the clock, so nothing runs with a wrong one",
        )
    return database


def first_line(error: BaseException) -> str:
    """An error in one line: what it is and the first it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


async def _either(task: asyncio.Task[None], stop: asyncio.Event, seconds: float) -> None:
    """Wait until the task ends, or the wish to stop comes, or the time is over."""
    if stop.is_set():
        await asyncio.wait({task}, timeout=seconds)
        return
    wish = asyncio.create_task(stop.wait())
    await asyncio.wait({task, wish}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    wish.cancel()
