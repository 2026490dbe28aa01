"""`quorum run`: a process that leads a desk or stands by, with its worker and its child for computing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.runtime.backups import NightlyBackup
from app.runtime.child import keep_child
from app.runtime.clockwork import keep_time
from app.runtime.dispatch import Dispatcher
from app.runtime.founding import set_rules
from app.runtime.guard import Guard
from app.runtime.jobs import Executor, Workbench
from app.runtime.leader import Leader
from app.runtime.live import LiveDesk
from app.runtime.lookout import LOOK_S, Lookout, fence
from app.runtime.prompts import load_prompts
from app.runtime.sources import Sources
from app.runtime.step import DeskParts
from app.runtime.telling import Teller
from app.runtime.worker import Worker
from storage.engine import open_engine
from storage.leadership import Term, this_process
from storage.queue import open_queue
from storage.records import Queue, Slot
from storage.server import Server
from storage.spend import put_into_force

log = logging.getLogger(__name__)


class Runtime:
    """Leads one desk when it may: its clock, its worker for I/O, its child for the compute queue."""

    def __init__(
        self,
        *,
        server: Server,
        desk: LiveDesk,
        parts: DeskParts,
        sources: Sources,
        bench: Callable[[], Workbench],
        child: Sequence[str],
        guard: Guard,
        backup: NightlyBackup,
        teller: Teller,
    ) -> None:
        """`child`: the command that starts a worker for the compute queue, alive while its stdin is open."""
        self._guard = guard
        self._backup = backup
        self._teller = teller
        self._server = server
        self._desk = desk
        self._parts = parts
        self._sources = sources
        self._bench = bench
        self._child = child
        self._identity = this_process("run")
        self._rest = asyncio.Event()
        self._helpers: list[asyncio.Task[None]] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Raises OperatorError when this machine cannot lead at all."""
        leader = Leader(
            server=self._server, conninfo=self._desk.conninfo, identity=self._identity, duties=self._duties
        )
        engine = open_engine(self._desk.conninfo, application=self._identity.name)
        try:
            self._executor = Executor(engine, self._bench, str(self._identity))
            await leader.run(stop)
        finally:
            await self._let_helpers_rest()
            await engine.dispose()

    async def _duties(self, term: Term, leaving: asyncio.Event) -> None:
        """What a leader does. Raises SteppedDown and psycopg.Error when it cannot lead any more."""
        await self._guard.look()  # before anything can be entered
        await self._set_rules(term)
        if self._sources.market is not None:
            await self._sources.market.put_in_force()
        dispatcher = Dispatcher(
            term=term,
            queue_app=open_queue(self._desk.conninfo, self._identity.name),
            clock=self._desk.clock,
            founded=self._desk.founded,
            first_session=self._desk.first_session,
            lacks={slot: await self._sources.lacks_now(slot) for slot in Slot},
            who=str(self._identity),
        )
        self._start_helpers()
        watching = open_engine(self._desk.conninfo, application=self._identity.name)
        lookout = Lookout(
            engine=watching,
            term=term,
            identity=self._identity,
            parts=self._parts,
            clock=self._desk.clock,
        )
        also = ((LOOK_S, lookout.look),)
        keeping = asyncio.create_task(keep_time(term, dispatcher, self._desk.clock, also))
        guarding = asyncio.create_task(self._guard.keep())
        backing_up = asyncio.create_task(self._backup.keep())
        telling = asyncio.create_task(self._teller.keep())
        wish = asyncio.create_task(leaving.wait())
        try:
            await asyncio.wait({keeping, wish}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()  # raises: keeping time never ends by itself
        finally:
            for task in (wish, keeping, guarding, backing_up, telling):
                task.cancel()
            await asyncio.wait({keeping, guarding, backing_up, telling})
            await watching.dispose()
        # The clock stands: what was begun is finished, nothing new is queued.
        await self._let_helpers_rest()
        await self._guard.anchor()

    async def _set_rules(self, term: Term) -> None:
        engine = open_engine(self._desk.conninfo, application=self._identity.name)
        try:
            async with AsyncSession(engine) as database, database.begin():
                await fence(database, term, self._identity)
                await set_rules(database, self._parts, self._desk.clock.now())
                await put_into_force(database, self._parts.spend_limits)
                await load_prompts(database)
        finally:
            await engine.dispose()

    def _start_helpers(self) -> None:
        """They stay when the desk is lost to another leader: jobs are taken by whoever is there."""
        if not self._helpers:
            worker = Worker(self._desk.conninfo, self._identity, [Queue.IO], self._executor.carry_out)
            self._helpers = [
                asyncio.create_task(worker.run(self._rest)),
                asyncio.create_task(keep_child(self._child, self._rest)),
            ]

    async def _let_helpers_rest(self) -> None:
        self._rest.set()
        if self._helpers:
            await asyncio.wait(self._helpers)
            for helper in self._helpers:
                helper.result()
            self._helpers = []
