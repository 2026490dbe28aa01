"""`quorum drill`: prove that a halt holds, on desks over the bundled history that are gone afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import typer
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.market.calendar import next_session
from agents.market.clock import Clock
from agents.market.history import SAMPLE_FOLDER, HistoryPack, load_pack
from app.operator import this_operator
from app.runtime.founding import set_rules
from app.runtime.jobs import Executor, Workbench
from app.runtime.live import Rehearsal, open_live_desk
from app.runtime.slots import due_at, owner_of
from app.settings import Settings, load_settings
from app.wiring import desk_parts, sources
from storage.desk import Desk
from storage.engine import open_engine
from storage.halt import new_halt
from storage.halt_file import bring_together, halt_path
from storage.models import Run
from storage.records import DeskKind, Operator, RunState, Slot, uuid7
from storage.server import Server, open_server
from storage.snapshot import ApprovalRow

FIRST = date(2007, 1, 5)  # two trades are proposed on this evening of the bundled history
EVENING = (Slot.SETTLE, Slot.REGIME, Slot.SCREEN, Slot.DELIBERATE)
MOST_SESSIONS = 40  # a position of the drill has met its exit by then
REASON = "a drill"


class _ToldClock(Clock):
    def __init__(self, shown: datetime) -> None:
        self.shown = shown

    def now(self) -> datetime:
        return self.shown

    def real(self, shown: datetime) -> datetime:
        return datetime.now(UTC) + (shown - self.shown)


@dataclass(frozen=True, kw_only=True)
class _Scratch:
    """A desk that nobody needs, with two approved trades, its clock in the drill's hand."""

    conninfo: str
    engine: AsyncEngine
    executor: Executor
    clock: _ToldClock

    async def play(self, session: date, *slots: Slot) -> None:
        for slot in slots:
            self.clock.shown = due_at(session, slot)
            run = Run(
                id=uuid7(),
                agent=owner_of(slot),
                session=session,
                slot=slot,
                state=RunState.QUEUED,
                summary="",
                result={},
                desk_time=self.clock.shown,
                attempts=0,
                epoch=1,
                queued_at=datetime.now(UTC),
            )
            async with AsyncSession(self.engine, expire_on_commit=False) as database, database.begin():
                database.add(run)
            await self.executor.carry_out(run.id)

    def count(self, query: str) -> int:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        return int(str(row[0])) if row else 0


_Check = Callable[[_Scratch], Awaitable[list[tuple[str, bool]]]]


def run_drill() -> bool:
    """One line a check; True when all have passed."""
    settings = load_settings()
    server, pack = open_server(settings.home, settings.database_url), load_pack(SAMPLE_FOLDER)
    passed = True
    for check in (_entries_are_withdrawn, _exits_go_on, _either_half_holds):
        for name, ok in asyncio.run(_on_a_scratch_desk(server, pack, check)):
            typer.echo(f"{'ok ' if ok else 'NOT'} {name}")
            passed = passed and ok
    typer.echo("the halt holds" if passed else "the halt does NOT hold")
    return passed


async def _on_a_scratch_desk(server: Server, pack: HistoryPack, check: _Check) -> list[tuple[str, bool]]:
    name = f"drill-{uuid4().hex[:8]}"
    settings = Settings(_env_file=None)  # the drill's outcome must not hang on anybody's settings
    rehearsed = Rehearsal(pack=pack, first=FIRST, speed=600.0)
    desk = await open_live_desk(server, name, start_equity=settings.start_equity, rehearsal=rehearsed)
    clock = _ToldClock(due_at(FIRST, Slot.CUTOFF))
    parts = desk_parts(settings, DeskKind.HISTORY)
    bench = Workbench(parts=parts, sources=sources(settings, pack), clock=clock)
    engine = open_engine(desk.conninfo)
    try:
        async with AsyncSession(engine) as database, database.begin():
            await set_rules(database, parts, clock.now())
        scratch = _Scratch(
            conninfo=desk.conninfo,
            engine=engine,
            executor=Executor(engine, lambda: bench, "drill"),
            clock=clock,
        )
        await scratch.play(FIRST, *EVENING)
        with psycopg.connect(desk.conninfo, autocommit=True) as connection:
            connection.execute("update desk set undo_s = 0, undo_risky_s = 0")
        return await check(scratch)
    finally:
        await engine.dispose()
        server.drop_desk(name)


async def _entries_are_withdrawn(scratch: _Scratch) -> list[tuple[str, bool]]:
    approved = _approve_all(scratch)
    morning = next_session(FIRST)
    await scratch.play(morning, Slot.CUTOFF)
    resting = scratch.count("select count(*) from orders where state = 'resting' and side = 'buy'")
    with Desk(scratch.conninfo) as desk:
        desk.halt(new_halt(REASON, this_operator(), datetime.now(UTC)))
    await scratch.play(morning, Slot.OPEN)
    filled = scratch.count("select count(*) from fills")
    withdrawn = scratch.count("select count(*) from orders where state = 'skipped' and denied_by = 'halt'")
    await scratch.play(morning, *EVENING)
    proposed = scratch.count(f"select count(*) from approvals where created_session = '{morning}'")  # noqa: S608
    return [
        (f"{approved} trades approved, {resting} entries rested before the halt", approved > 0 < resting),
        (f"halted: {withdrawn} entries withdrawn, {filled} filled", withdrawn == resting and not filled),
        (f"halted: {proposed} trades proposed", not proposed),
    ]


async def _exits_go_on(scratch: _Scratch) -> list[tuple[str, bool]]:
    approved = _approve_all(scratch)
    session = next_session(FIRST)
    await scratch.play(session, Slot.CUTOFF, Slot.OPEN)
    held = scratch.count("select count(*) from positions where state = 'open'")
    with Desk(scratch.conninfo) as desk:
        desk.halt(new_halt(REASON, this_operator(), datetime.now(UTC)))
    sessions = 0
    while scratch.count("select count(*) from positions where state = 'open'") and sessions < MOST_SESSIONS:
        if sessions:
            await scratch.play(session, Slot.CUTOFF, Slot.OPEN)
        await scratch.play(session, Slot.SETTLE)
        session, sessions = next_session(session), sessions + 1
    left = scratch.count("select count(*) from positions where state = 'open'")
    told = f"halted: {held - left} of {held} positions met their exits within {sessions} sessions"
    return [(f"{approved} trades approved, {held} positions opened", held > 0), (told, held > 0 and not left)]


async def _either_half_holds(scratch: _Scratch) -> list[tuple[str, bool]]:
    operator = this_operator()
    (asked,) = _pending(scratch)[:1]
    with _scratch_home() as home, Desk(scratch.conninfo) as desk:
        path = halt_path(home, "drill")
        desk.halt(new_halt(REASON, operator, datetime.now(UTC)))
        refused = not desk.approve(
            asked.id, digest=asked.digest, typed_id=asked.short_id, operator=operator
        ).accepted
        nameless = not desk.lift(REASON, operator=Operator(name=" ")).accepted
        wordless = not desk.lift(" ", operator=operator).accepted
        with psycopg.connect(scratch.conninfo, autocommit=True) as connection:
            from_row = bring_together(connection, path) is not None and path.exists()
            lifted = desk.lift(REASON, operator=operator).accepted
            gone = bring_together(connection, path) is None and not path.exists()
            path.write_text("not even JSON")
            from_file = bring_together(connection, path) is not None and _halted(desk)
    return [
        ("halted: an approval is refused", refused),
        ("the row alone holds, and writes its file again", from_row),
        ("the file alone holds, also one that cannot be read", from_file),
        ("it is not lifted without a name", nameless),
        ("it is not lifted without a reason", wordless),
        ("it is lifted with both", lifted and gone),
    ]


def _pending(scratch: _Scratch) -> tuple[ApprovalRow, ...]:
    with Desk(scratch.conninfo) as desk:
        snapshot = desk.snapshot()
    return snapshot.pending if snapshot else ()


def _halted(desk: Desk) -> bool:
    snapshot = desk.snapshot()
    return snapshot is not None and snapshot.halt is not None


def _approve_all(scratch: _Scratch) -> int:
    """How many trades were approved."""
    asked = _pending(scratch)
    with Desk(scratch.conninfo) as desk:
        return sum(
            desk.approve(row.id, digest=row.digest, typed_id=row.short_id, operator=this_operator()).accepted
            for row in asked
        )


@contextmanager
def _scratch_home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="quorum-drill-") as folder:
        yield Path(folder)
