"""Found the desk that runs by the clock: the paper desk of the present, or a rehearsal of it over history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from agents.market.calendar import NEW_YORK, is_session, next_session
from agents.market.clock import Clock, ScaledClock, SystemClock
from agents.market.fmp.free_plan import FREE_UNIVERSE
from agents.market.history import HistoryPack
from app.runtime.founding import FOUNDING_LOCK, store_universe
from app.runtime.slots import due_at
from storage import schema
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.journal import Journal
from storage.ledger import Ledger
from storage.memory import AgentMemory
from storage.models import AgentState, CashEvent, DeskRow, Watch
from storage.records import AgentName, CashKind, DeskKind, DeskState, Slot, VerdictMode
from storage.server import MAIN_DESK, Server

UNDO_S = 30
UNDO_RISKY_S = 120
REHEARSAL_UNDO_S = 2  # of the machine's time: hours of an accelerated desk
STAND_IN = "stand-in"  # for the digest of a history
DAWN = time(6, 0)  # a rehearsal begins before the first slot of its first session


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A desk that runs as the paper desk does, by an accelerated clock: over real history, or, without a
    pack, against a stand-in of the vendor."""

    pack: HistoryPack | None
    first: date
    speed: float

    @property
    def digest(self) -> str:
        """What the desk was founded on and must be opened with."""
        return self.pack.digest if self.pack else STAND_IN


@dataclass(frozen=True, kw_only=True)
class LiveDesk:
    """A desk that stands, and what its processes must agree on."""

    name: str
    kind: DeskKind
    conninfo: str
    clock: Clock
    founded: datetime  # by the desk's clock
    first_session: date
    history_digest: str  # of the pack a rehearsal runs over, or nothing


async def open_live_desk(
    server: Server, desk: str, *, start_equity: Decimal, rehearsal: Rehearsal | None
) -> LiveDesk:
    """Open the desk, founding it where there is none. Raises OperatorError when it is of another kind."""
    if rehearsal is not None and desk == MAIN_DESK:
        raise OperatorError(
            f"a rehearsal may not run on the desk {MAIN_DESK}", "give it a desk of its own: --desk rehearsal"
        )
    server.create_desk(desk)
    conninfo = server.conninfo(server.desk_database(desk))
    schema.upgrade(conninfo)
    engine = open_engine(conninfo)
    try:
        async with AsyncSession(engine) as database, database.begin():
            await database.execute(select(func.pg_advisory_xact_lock(FOUNDING_LOCK)))
            row = await Journal(database).desk()
            if row is None:
                row = await _found(database, desk, start_equity, rehearsal)
            if row.kind is DeskKind.PAPER:
                await _watch_something(database)
            return _described(row, conninfo, rehearsal)
    finally:
        await engine.dispose()


async def find_live_desk(conninfo: str, rehearsal: Rehearsal | None) -> LiveDesk:
    """A desk that somebody has founded. Raises OperatorError when nobody has, or it is of another kind."""
    engine = open_engine(conninfo)
    try:
        async with AsyncSession(engine) as database:
            row = await Journal(database).desk()
    finally:
        await engine.dispose()
    if row is None:
        raise OperatorError("this desk has not been founded yet", "start its runtime first: quorum run")
    return _described(row, conninfo, rehearsal)


def clock_of(row: DeskRow) -> Clock:
    """The desk's clock, the same in every process."""
    if row.clock_from is None or row.clock_anchor is None:
        return SystemClock()
    return ScaledClock(row.clock_from, row.clock_anchor, row.clock_speed)


def _described(row: DeskRow, conninfo: str, rehearsal: Rehearsal | None) -> LiveDesk:
    digest = rehearsal.digest if rehearsal else ""
    if row.kind is DeskKind.HISTORY and row.clock_anchor is None:
        raise OperatorError(
            f"desk {row.name} is a replay, which runs without a runtime",
            "open it with `quorum replay`, or choose another --desk",
        )
    if row.history_digest != digest:
        raise OperatorError(
            f"desk {row.name} is {'a rehearsal' if row.history_digest else row.kind} of another kind "
            f"than these settings ask for",
            "QUORUM_REHEARSAL__HISTORY must name the history a rehearsal was founded on, and else be unset",
        )
    return LiveDesk(
        name=row.name,
        kind=row.kind,
        conninfo=conninfo,
        clock=clock_of(row),
        founded=row.created_at,
        first_session=row.first_session,
        history_digest=row.history_digest,
    )


async def _found(
    database: AsyncSession, desk: str, start_equity: Decimal, rehearsal: Rehearsal | None
) -> DeskRow:
    wall = datetime.now(UTC)
    now = wall
    if rehearsal is not None:
        now = datetime.combine(rehearsal.first, DAWN, NEW_YORK).astimezone(UTC)
    first = _first_session(now)
    pack = rehearsal.pack if rehearsal else None
    title = f"rehearsal: {pack.title if pack else 'a stand-in of the vendor'}" if rehearsal else ""
    row = DeskRow(
        id=1,
        name=desk,
        kind=DeskKind.HISTORY if pack else DeskKind.PAPER,
        state=DeskState.RUNNING,
        verdict_mode=VerdictMode.ASK,
        history_title=title,
        history_digest=rehearsal.digest if rehearsal else "",
        survivors=pack.survivors if pack else False,
        first_session=first,
        last_session=None,
        start_equity=start_equity,
        desk_time=now,
        sessions_total=None,
        clock_speed=rehearsal.speed if rehearsal else 1.0,
        clock_from=now if rehearsal else None,
        clock_anchor=wall if rehearsal else None,
        undo_s=REHEARSAL_UNDO_S if rehearsal else UNDO_S,
        undo_risky_s=REHEARSAL_UNDO_S if rehearsal else UNDO_RISKY_S,
        created_at=now,
    )
    Journal(database).found_desk(row)
    Ledger(database).deposit(
        CashEvent(
            kind=CashKind.DEPOSIT, amount=start_equity, session=first, note="opening balance", created_at=now
        )
    )
    database.add_all(AgentState(agent_name=agent) for agent in AgentName)
    if pack is not None:
        await store_universe(AgentMemory(database), pack, first)
    await database.flush()
    return row


async def _watch_something(database: AsyncSession) -> None:
    """A desk that never had a watchlist begins with every stock of the vendor's free plan."""
    if (await database.scalar(select(func.count()).select_from(Watch))) == 0:
        wall = datetime.now(UTC)
        database.add_all(Watch(symbol=symbol, added_by="the desk", added_at=wall) for symbol in FREE_UNIVERSE)


def _first_session(now: datetime) -> date:
    """The session under way or next: the one whose open can still be taken part in, if it is today's."""
    day = now.astimezone(NEW_YORK).date()
    if is_session(day) and now < due_at(day, Slot.CUTOFF):
        return day
    return next_session(day)
