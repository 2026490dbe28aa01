"""A simulated desk: the steps of each session called in order over a history pack, by a clock that is told.

Every step is one transaction that also writes its run row, so a replay killed anywhere resumes at the first
step without one and nothing happens twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache, partial

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.learning.source import EvidenceSource, HistoryEvidence
from agents.market.bars import MarketView
from agents.market.clock import Clock
from agents.market.history import HistoryPack
from agents.trading.screener import screen
from app.runtime.changes import answer_proposals, take_effect
from app.runtime.founding import WARM_UP, take_charge
from app.runtime.outage import through_outages
from app.runtime.slots import REPLAYED, due_at, owner_of
from app.runtime.step import DeskParts, Screening, Step, under
from app.runtime.steps import STEPS
from app.runtime.verdicts import answer_approvals
from app.runtime.waiting import pause
from storage.engine import open_engine
from storage.errors import DeskTaken
from storage.events import Topic, announce
from storage.journal import Journal
from storage.models import Run
from storage.records import RunState, Slot, VerdictMode
from storage.server import DRIVER_LOCK, Server

BEAT_S = 5.0
DRIVER_PATIENCE_S = 5.0
DRIVER_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a replay moves. `sessions_per_second` None is as fast as it goes."""

    verdicts: VerdictMode
    ask_timeout_s: float
    undo_s: int  # how long a human may take a verdict back
    sessions_per_second: float | None


@dataclass(frozen=True)
class _Rules:
    """What a session is run by."""

    version: int
    parts: DeskParts


class Replay:
    """Drives one desk over one history until its end or until told to stop."""

    def __init__(
        self,
        *,
        server: Server,
        database: str,
        pack: HistoryPack,
        sessions: list[date],
        parts: DeskParts,
        pace: Pace,
        wall: Clock,
        loop: bool = False,
        passed: Callable[[date], None] = lambda session: None,
    ) -> None:
        """`loop`: whether the nights are run too. `passed` is told each session that is through."""
        self._slots = (*REPLAYED, Slot.LEARN) if loop else REPLAYED
        self._server = server
        self._conninfo = server.conninfo(database)
        self._pack = pack
        self._sessions = sessions
        self._parts = parts
        self._pace = pace
        self._wall = wall
        self._passed = passed

    async def run(self, stop: asyncio.Event) -> bool:
        """Run to the end of the history; False when `stop` was set first.

        A lost database is brought back and the replay goes on from what is committed. Raises OperatorError
        when it stays away, when its disk is full, or when another process drives this desk.
        """
        return await through_outages(self._server, lambda: self._drive(stop))

    async def _drive(self, stop: asyncio.Event) -> bool:
        engine = open_engine(self._conninfo, durable=False)
        try:
            async with driving(self._conninfo):
                # Only now: until the desk is ours its rules are somebody else's.
                await take_charge(
                    engine, self._pace.verdicts, self._pace.undo_s, self._parts, self._wall.now()
                )
                return await self._go_on(engine, stop)
        finally:
            await engine.dispose()

    async def _go_on(self, engine: AsyncEngine, stop: asyncio.Event) -> bool:
        async with AsyncSession(engine) as database:
            done = await Journal(database).done_slots()
        evidence = HistoryEvidence(self._pack, self._first_evidence())
        for index, session in enumerate(self._sessions):
            todo = [slot for slot in self._slots if (session, slot) not in done]
            if (session, Slot.CUTOFF) in done:  # by a version that did not look at corporate actions
                todo = [slot for slot in todo if slot is not Slot.CORPORATE_ACTIONS]
            if not todo:
                continue
            started = time.monotonic()
            following = self._sessions[index + 1] if index + 1 < len(self._sessions) else None
            rules = await self._rules_in_force(engine)
            view = self._pack.view(session)
            screened = cache(partial(screen, view, rules.parts.screen))
            for slot in todo:
                # Actions have made their approvals void by then: nobody is asked about those.
                if slot is Slot.CUTOFF and not await answer_approvals(
                    engine, session, self._pace.verdicts, ask_timeout_s=self._pace.ask_timeout_s, stop=stop
                ):
                    return False
                await self._run_step(engine, rules, slot, following, view, screened, evidence)
                if stop.is_set():
                    return False
            self._passed(session)
            await self._keep_pace(engine, started, stop)
        async with AsyncSession(engine) as database, database.begin():
            await Journal(database).finish()
            await announce(await database.connection(), Topic.DESK)
        return True

    def _first_evidence(self) -> date:
        """The first session of the pack with a year of bars before it: what is older is no secret either."""
        every = self._pack.sessions(self._pack.first, self._pack.last)
        return every[min(WARM_UP, len(every) - 1)]

    async def _rules_in_force(self, engine: AsyncEngine) -> _Rules:
        """The rules of the session about to begin, once what the nights proposed has been answered."""
        if Slot.LEARN in self._slots:
            await answer_proposals(engine, self._pace.verdicts)
        await take_effect(engine)
        async with AsyncSession(engine) as database:
            version = await Journal(database).newest_parameters()
            return _Rules(version.version, under(self._parts, version))

    async def _run_step(
        self,
        engine: AsyncEngine,
        rules: _Rules,
        slot: Slot,
        following: date | None,
        view: MarketView,
        screened: Screening,
        evidence: EvidenceSource,
    ) -> None:
        """The step, its run row and its announcement: all of it or none."""
        session = view.session
        started = time.perf_counter()
        now = due_at(session, slot)
        async with AsyncSession(engine) as database, database.begin():
            step = Step(
                database=database,
                parts=rules.parts,
                parameters_version=rules.version,
                session=session,
                slot=slot,
                next_session=following,
                view=view,
                actions=self._pack.actions,
                screened=screened,
                evidence=evidence,
                now=now,
                wall_now=self._wall.now(),
            )
            result = await STEPS[slot](step)
            finished = self._wall.now()
            await step.journal.record_run(
                Run(
                    agent=owner_of(slot),
                    session=session,
                    slot=slot,
                    state=RunState.DONE,
                    summary=result.summary,
                    result=result.figures,
                    desk_time=now,
                    seconds=time.perf_counter() - started,
                    finished_at=finished,
                ),
                seen_at=finished,
            )

    async def _keep_pace(self, engine: AsyncEngine, started: float, stop: asyncio.Event) -> None:
        """Wait until the session has had its time, with a sign of life where that takes long."""
        if self._pace.sessions_per_second is None:
            return
        due = started + 1 / self._pace.sessions_per_second
        while not stop.is_set() and (rest := due - time.monotonic()) > 0:
            await pause(stop, min(rest, BEAT_S))
            if rest > BEAT_S:
                async with AsyncSession(engine) as database, database.begin():
                    await Journal(database).beat(self._wall.now())


@asynccontextmanager
async def driving(conninfo: str) -> AsyncIterator[None]:
    """Hold the right to drive this desk; DeskTaken when another process holds it.

    The server may need a moment to notice that a killed driver is gone, so a refusal is not final at once.
    """
    async with await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, connect_timeout=10, application_name="quorum driver"
    ) as connection:
        deadline = time.monotonic() + DRIVER_PATIENCE_S
        while True:
            cursor = await connection.execute("select pg_try_advisory_lock(%s)", [DRIVER_LOCK])
            if await cursor.fetchone() == (True,):
                break
            if time.monotonic() > deadline:
                raise DeskTaken
            await asyncio.sleep(DRIVER_POLL_S)
        yield
