"""A desk that runs by the clock, whose clock the test moves by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.market.calendar import next_session
from agents.market.clock import Clock
from agents.market.history import HistoryPack
from app.runtime.founding import set_rules
from app.runtime.jobs import Executor, Workbench
from app.runtime.live import LiveDesk, Rehearsal, open_live_desk
from app.runtime.slots import due_at, owner_of
from app.settings import Settings
from app.wiring import desk_parts, sources
from storage.desk import Desk
from storage.engine import open_engine
from storage.models import (
    AgentMetric,
    Approval,
    Bar,
    CashEvent,
    Deliberation,
    Equity,
    Fill,
    Instrument,
    Operation,
    Order,
    ParameterVersion,
    Position,
    RegimeReading,
    Run,
    ScreenerResult,
    TradeOutcome,
    Verdict,
    Vote,
)
from storage.records import ApprovalState, DeskKind, Operator, RunState, Slot, uuid7
from tests.databases import TemplateDatabases
from tests.storage.desk_builder import execute

FIRST = date(2007, 1, 5)  # MSFT and NVDA are proposed on this evening, and bought at the next open
SECOND = next_session(FIRST)
ADA = Operator(name="ada")
EQUITY = Decimal(100_000)

Rows = list[tuple[Any, ...]]


class HandClock(Clock):
    """Shows what it is told; a verdict has as long as the desk's day would give it."""

    def __init__(self, shown: datetime) -> None:
        self.shown = shown

    def now(self) -> datetime:
        return self.shown

    def real(self, shown: datetime) -> datetime:
        return datetime.now(UTC) + (shown - self.shown)


@dataclass(frozen=True)
class Stage:
    """A rehearsal over the sample pack, its first session FIRST, its clock stopped."""

    conninfo: str
    clock: HandClock
    engine: AsyncEngine
    bench: Workbench

    def executor(self, worker: str = "desk-1:1", bench: Workbench | None = None) -> Executor:
        return Executor(self.engine, lambda: bench or self.bench, worker)

    async def queue(self, session: date, slot: Slot, **changes: object) -> UUID:
        """A run as the leader leaves it."""
        values: dict[str, object] = {
            "id": uuid7(),
            "agent": owner_of(slot),
            "session": session,
            "slot": slot,
            "state": RunState.QUEUED,
            "summary": "",
            "result": {},
            "desk_time": due_at(session, slot),
            "attempts": 0,
            "epoch": 1,
            "queued_at": datetime.now(UTC),
        }
        run = Run(**values | changes)
        async with AsyncSession(self.engine, expire_on_commit=False) as database, database.begin():
            database.add(run)
        return run.id

    async def run(self, run_id: UUID) -> Run:
        """The row as it stands."""
        async with AsyncSession(self.engine, expire_on_commit=False) as database:
            return await database.get_one(Run, run_id)

    async def play(self, session: date, *slots: Slot) -> Run:
        """Queue and carry out each slot at its time; the last one's row."""
        for slot in slots:
            self.clock.shown = due_at(session, slot)
            run_id = await self.queue(session, slot)
            await self.executor().carry_out(run_id)
        return await self.run(run_id)

    async def evening(self, session: date) -> Run:
        """From the close of a session to its deliberation."""
        return await self.play(session, Slot.SETTLE, Slot.REGIME, Slot.SCREEN, Slot.DELIBERATE)

    async def approve_all(self) -> int:
        """Approve whatever waits, as an operator does; it takes effect at once."""
        return await asyncio.to_thread(approve_all, self.conninfo)

    async def rows(self, query: str, *values: object) -> Rows:
        return await asyncio.to_thread(read, self.conninfo, query, *values)

    async def do(self, statement: str, *values: object) -> None:
        await asyncio.to_thread(execute, self.conninfo, statement, *values)


@asynccontextmanager
async def open_stage(conninfo: str, pack: HistoryPack) -> AsyncIterator[Stage]:
    """Put a founded rehearsal under the rules of the settings and stop its clock."""
    settings = Settings(_env_file=None)
    clock = HandClock(due_at(FIRST, Slot.CUTOFF))
    engine = open_engine(conninfo)
    with TemporaryDirectory() as home:
        bench = Workbench(
            parts=replace(desk_parts(settings, DeskKind.HISTORY), home=Path(home)),
            sources=sources(settings, pack),
            clock=clock,
        )
        try:
            async with AsyncSession(engine) as database, database.begin():
                await set_rules(database, bench.parts, clock.now())
            yield Stage(conninfo, clock, engine, bench)
        finally:
            await engine.dispose()


def found_rehearsal(server: TemplateDatabases, pack: HistoryPack, first: date) -> LiveDesk:
    """A new desk over the pack, on which a verdict takes effect at once."""
    name = f"t{uuid4().hex[:10]}"
    server.make_desk(name)
    desk = asyncio.run(
        open_live_desk(
            server,
            name,
            start_equity=EQUITY,
            rehearsal=Rehearsal(pack=pack, first=first, speed=600.0),
        )
    )
    execute(desk.conninfo, "update desk set undo_s = 0, undo_risky_s = 0")
    return desk


def approve_all(conninfo: str) -> int:
    """How many approvals waited; every one is approved now."""
    with Desk(conninfo) as desk:
        snapshot = desk.snapshot()
        assert snapshot is not None
        for asked in snapshot.pending:
            receipt = desk.approve(asked.id, digest=asked.digest, typed_id=asked.short_id, operator=ADA)
            assert receipt.state is ApprovalState.APPROVED, receipt.message
        return len(snapshot.pending)


def read(conninfo: str, query: str, *values: object) -> Rows:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return connection.execute(query.encode(), values).fetchall()


def with_parts(bench: Workbench, **changes: Any) -> Workbench:
    """The same workbench with other parts."""
    return replace(bench, parts=replace(bench.parts, **changes))


WRITTEN = (
    AgentMetric,
    Approval,
    Bar,
    CashEvent,
    Deliberation,
    Equity,
    Fill,
    Instrument,
    Operation,
    Order,
    ParameterVersion,
    Position,
    RegimeReading,
    ScreenerResult,
    TradeOutcome,
    Verdict,
    Vote,
)


def contents(conninfo: str) -> dict[str, Rows]:
    """Everything a step may write but its own run, the desk's clock and what agents are at."""
    tables = [model.__tablename__ for model in WRITTEN]
    return {table: read(conninfo, f"select t::text from {table} t order by 1") for table in tables}
