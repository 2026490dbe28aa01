"""One job: carry out a run, once in effect however often it is tried, and leave in its row how it went."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, partial
from uuid import UUID

import psycopg
from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.market.calendar import close_time, next_session, open_time, previous_session
from agents.market.clock import Clock
from agents.market.company import Dossiers
from agents.trading.screener import screen
from app.runtime.attendance import Roster, at_rest
from app.runtime.changes import take_effect
from app.runtime.dispatch import SLACK_S
from app.runtime.dossiers import kept_dossiers
from app.runtime.leader import first_line
from app.runtime.outage import connection_lost
from app.runtime.slots import SLOTS, due_at
from app.runtime.sources import Market, MarketNotReady, Sources
from app.runtime.step import DeskParts, Step, StepResult, under
from app.runtime.steps import STEPS
from storage.events import Topic, announce
from storage.journal import Journal
from storage.memory import AgentMemory
from storage.models import Run
from storage.records import DeskKind, RunState, Slot

log = logging.getLogger(__name__)

TRIES = 3  # then a run has failed
WAIT_S = (2, 10)  # before the second and the third try
OUTAGE_WAIT_S = 1


class TryAgain(Exception):
    """The run did not come to an end; nothing of it was kept."""

    def __init__(self, after_s: int, why: str) -> None:
        super().__init__(why)
        self.after_s = after_s


class WhenAsked(BaseRetryStrategy):
    """Try again exactly when the executor says so: it counts, and the count is in the run's row."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, TryAgain):
            return RetryDecision(retry_in={"seconds": exception.after_s})
        if isinstance(exception, asyncio.CancelledError):  # its worker leaves: another goes on with it
            return RetryDecision(retry_in={"seconds": 1})
        return None


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What every run of a desk is carried out with; made once a process by app/wiring.py."""

    parts: DeskParts
    sources: Sources
    clock: Clock


class Executor:
    """Carries out the runs of one desk for one worker."""

    def __init__(self, engine: AsyncEngine, bench: Callable[[], Workbench], worker: str) -> None:
        """`bench` is asked at the first job: what it brings costs memory that an idle process spares."""
        self._engine = engine
        self._bench = cache(bench)
        self._worker = worker

    async def carry_out(self, run_id: UUID) -> None:
        """Raises TryAgain when it is to be tried again; every other ending is in the run's row."""
        try:
            run = await self._take(run_id)
            if run is None:
                return
            try:
                await self._attempt(run)
            except (psycopg.Error, DBAPIError) as error:
                if connection_lost(error):
                    raise
                await self._failed(run, error)
            except Exception as error:  # noqa: BLE001 - it is written into the run's row, where it is seen
                await self._failed(run, error)
        except (psycopg.Error, SQLAlchemyError) as lost:
            # The database is away, so nothing can be written down: the queue keeps the job.
            raise TryAgain(OUTAGE_WAIT_S, first_line(lost)) from lost

    async def _take(self, run_id: UUID) -> Run | None:
        """Mark the run as running; None when it has ended already."""
        async with AsyncSession(self._engine, expire_on_commit=False) as database, database.begin():
            run = await database.get(Run, run_id, with_for_update=True)
            if run is None or run.state not in (RunState.QUEUED, RunState.RUNNING):
                return None
            run.state = RunState.RUNNING
            run.worker = self._worker
            run.attempts += 1
            run.started_at = datetime.now(UTC)
            await announce(await database.connection(), Topic.RUN)
            return run

    async def _attempt(self, run: Run) -> None:
        rule = SLOTS[run.slot]
        roster = await Roster.read(self._engine, rule.agents)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(rule.most_s) as limit:
                await self._work(run, roster, started)
        except TimeoutError as late:
            if limit.expired():
                raise TimeoutError(f"not done within {rule.most_s:.0f} s") from late
            raise

    async def _work(self, run: Run, roster: Roster, started: float) -> None:
        """The step and the end of its run, in one transaction; the market it reads is fetched before."""
        bench = self._bench()
        market = await self._market(bench, run, roster)
        await take_effect(self._engine)
        async with AsyncSession(self._engine) as database, database.begin():
            # Held to the end: should another worker have been given the same job, it waits and finds it done.
            current = await database.get_one(Run, run.id, with_for_update=True)
            if current.state is not RunState.RUNNING:
                return
            why_not = await self._why_not(database, current, roster)
            if why_not:
                result = StepResult(why_not, {})
            elif market is None:
                raise RuntimeError("what stood against it a moment ago is gone")
            else:
                result = await STEPS[run.slot](await self._step(database, bench, run, roster, market))
                result = _with_market(result, market)
            current.state = RunState.SKIPPED if why_not else RunState.DONE
            current.summary, current.result = storable(result.summary), result.figures
            current.seconds = time.perf_counter() - started
            current.finished_at = datetime.now(UTC)
            await Journal(database).tell_time(bench.clock.now(), seen_at=datetime.now(UTC))
            await announce(await database.connection(), Topic.RUN)

    async def _market(self, bench: Workbench, run: Run, roster: Roster) -> Market | None:
        """What the run may know of the market; None, and nothing is asked, when it will be skipped."""
        async with AsyncSession(self._engine) as database:
            if await self._why_not(database, run, roster):
                return None
        return await bench.sources.ready(run.slot, run.session)

    async def _why_not(self, database: AsyncSession, run: Run, roster: Roster) -> str:
        """Why the run is skipped, or nothing."""
        rule, bench = SLOTS[run.slot], self._bench()
        if lacks := bench.sources.lacks(run.slot, run.session):
            return lacks
        if refused := await bench.sources.lacks_now(run.slot, run.session):
            if rule.until is None:  # a refusal passes, and what must not stay undone waits for that
                raise MarketNotReady(refused)
            return refused
        if rule.owner is not None and (away := roster.paused(rule.owner)):
            return f"{rule.owner} is {away}"
        if rule.until is not None and bench.clock.now() >= rule.until(run.session):
            return f"missed: {rule.too_late}"
        await self._exits_first(database, run)
        states = await Journal(database).states(run.session)
        for before in rule.after:
            if states.get(before) is not RunState.DONE:
                return f"{before} of this session is {states.get(before, 'missing')}"
        return ""

    async def _exits_first(self, database: AsyncSession, run: Run) -> None:
        """A session is not settled over one that failed to, nor over its own open that failed: exits of
        what was held or bought there would never be looked at."""
        if run.slot is Slot.SETTLE:
            journal, before = Journal(database), previous_session(run.session)
            if (await journal.states(before)).get(Slot.SETTLE) is RunState.FAILED:
                raise RuntimeError(f"settle of {before} failed and goes first")
            if (await journal.states(run.session)).get(Slot.OPEN) is RunState.FAILED:
                raise RuntimeError(f"open of {run.session} failed and goes first")

    async def _step(
        self, database: AsyncSession, bench: Workbench, run: Run, roster: Roster, market: Market
    ) -> Step:
        version = await Journal(database).newest_parameters()
        clock, session, view = bench.clock, run.session, market.view
        parts = under(bench.parts, version)
        following = next_session(session)
        return Step(
            database=database,
            parts=parts,
            parameters_version=version.version,
            session=session,
            slot=run.slot,
            next_session=following,
            view=view,
            actions=market.actions,
            earnings=market.earnings,
            prices=market.prices,
            news=market.news,
            fundamentals=market.fundamentals,
            dossiers=self._dossiers(database, bench, session),
            screened=cache(partial(screen, view, parts.screen)),
            now=clock.now(),
            wall_now=datetime.now(UTC),
            attendance=roster,
            missed_open=_too_late(clock, open_time(session)),
            missed_close=_too_late(clock, close_time(session)),
            verdicts_until=clock.real(due_at(following, Slot.CUTOFF)),
        )

    def _dossiers(self, database: AsyncSession, bench: Workbench, session: date) -> Dossiers | None:
        """What is kept of companies; a pack tells of none."""
        if bench.parts.kind is DeskKind.HISTORY:
            return None
        has_news = not bench.sources.lacks(Slot.NEWS)
        return partial(kept_dossiers, memory=AgentMemory(database), session=session, has_news=has_news)

    async def _failed(self, run: Run, error: Exception) -> None:
        """Write down what went wrong; try again unless it was the last try."""
        log.error("%s of %s, attempt %d: %s", run.slot, run.session, run.attempts, first_line(error))
        async with AsyncSession(self._engine) as database, database.begin():
            current = await database.get_one(Run, run.id, with_for_update=True)
            if current.state is not RunState.RUNNING:
                return
            await at_rest(database, SLOTS[run.slot].agents)
            current.failures += 1
            failures = current.failures
            last = failures >= TRIES
            current.state = RunState.FAILED if last else RunState.QUEUED
            current.summary = storable(first_line(error))
            if last:
                current.finished_at = datetime.now(UTC)
                current.seconds = (
                    current.finished_at - (run.started_at or current.finished_at)
                ).total_seconds()
            await announce(await database.connection(), Topic.RUN)
        if not last:
            raise TryAgain(WAIT_S[min(failures, len(WAIT_S)) - 1], first_line(error)) from error


def storable(text: str) -> str:
    """Text from anywhere as PostgreSQL can hold it: no NUL, no half of a character, no novel."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()[:500]


def _with_market(result: StepResult, market: Market) -> StepResult:
    """What the run did, with what it did without and how old everything was that it read."""
    if not market.figures and not market.missing:
        return result
    summary = "; ".join([result.summary, *market.missing])
    figures = {**result.figures, "market": {**market.figures, "missing": list(market.missing)}}
    return StepResult(summary, figures)


def _too_late(clock: Clock, bell: datetime) -> bool:
    """Whether it is too late for an order to rest before the bell."""
    slack_s = SLACK_S * clock.speed if clock.speed > 1 else 0.0
    return (clock.now() - bell).total_seconds() >= slack_s
