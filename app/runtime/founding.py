"""Open a replay's desk where it stands, or found it: identity, universe, warm-up bars, cash, parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import psycopg
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.market.history import HistoryPack
from app.runtime.slots import REPLAYED, due_at
from app.runtime.step import DeskParts, stored
from storage import schema
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.journal import Journal
from storage.ledger import Ledger
from storage.memory import AgentMemory, StoredBar
from storage.models import CashEvent, DeskRow, Instrument
from storage.records import CashKind, DeskKind, DeskState, VerdictMode
from storage.server import Server

WARM_UP = 252  # sessions before the first one: what SMA200 and the 52-week range need
UNDO_RISKY_FACTOR = 4
FOUNDING_LOCK = 0x51554F54


@dataclass(frozen=True, kw_only=True)
class ReplayRequest:
    """What is asked for. `desk` None resumes the same request's unfinished desk or founds a new one."""

    desk: str | None
    pack: HistoryPack
    first: date
    last: date
    verdicts: VerdictMode
    start_equity: Decimal
    undo_s: int
    fresh: bool
    loop: bool = False  # whether the nights of learning are run too


def sessions_of(pack: HistoryPack, first: date | None, last: date | None) -> list[date]:
    """The sessions to replay, by default all with a year of bars before them. Raises OperatorError."""
    every = pack.sessions(pack.first, pack.last)
    for day, name in ((first, "--from"), (last, "--to")):
        if day is not None and not pack.first <= day <= pack.last:
            raise OperatorError(
                f"{name} {day} lies outside the pack {pack.name}", f"choose from {pack.first} to {pack.last}"
            )
    start = first or every[min(WARM_UP, len(every) - 1)]
    sessions = [session for session in every if start <= session <= (last or pack.last)]
    if not sessions:
        raise OperatorError(f"there is no session from {start} to {last}", "let --to come after --from")
    return sessions


def choose_desk(server: Server, request: ReplayRequest, parts: DeskParts) -> str:
    """The desk named, else the unfinished one of the same request, else a new name."""
    if request.desk is not None:
        return request.desk
    base = f"replay-{_fingerprint(request, parts)}"
    names = (base if n == 1 else f"{base}-{n}" for n in range(1, 1_000_000))
    return next(_unfinished_or_new(server, names, fresh=request.fresh))


async def found_desk(
    server: Server, desk: str, request: ReplayRequest, sessions: list[date], parts: DeskParts
) -> None:
    """Make sure the desk is there and is this request's; all of a founding is one transaction.

    Raises OperatorError when the desk holds another history, DeskTaken when it is driven and to be replaced.
    """
    if request.fresh and server.has_desk(desk):
        remove_history(server, desk)
    server.create_desk(desk)
    conninfo = server.conninfo(server.desk_database(desk))
    schema.upgrade(conninfo)
    engine = open_engine(conninfo)
    try:
        async with AsyncSession(engine) as database, database.begin():
            # Of two founders at once one waits here, and then finds the desk founded.
            await database.execute(select(func.pg_advisory_xact_lock(FOUNDING_LOCK)))
            found = await Journal(database).desk()
            if found is None:
                await _found(database, desk, request, sessions, parts)
            else:
                _same_history(found, request, sessions)
    finally:
        await engine.dispose()


async def take_charge(
    engine: AsyncEngine, verdicts: VerdictMode, undo_s: int, parts: DeskParts, now: datetime
) -> int:
    """Put a desk under these rules; returns the version of its parameters. For its one driver only."""
    async with AsyncSession(engine) as database, database.begin():
        await database.execute(
            update(DeskRow).values(
                verdict_mode=verdicts, undo_s=undo_s, undo_risky_s=undo_s * UNDO_RISKY_FACTOR
            )
        )
        return await set_rules(database, parts, now)


async def set_rules(database: AsyncSession, parts: DeskParts, now: datetime) -> int:
    """Put these parameters, limits and costs in force; returns their version."""
    return await Journal(database).parameters_in_force(
        parameters=parts.parameters(),
        limits=parts.limits.model_dump(mode="json"),
        costs=parts.costs.model_dump(mode="json"),
        screen=parts.screen.model_dump(mode="json"),
        reason="settings",
        now=now,
    )


def remove_history(server: Server, desk: str) -> None:
    """Remove a desk that only replays. Raises OperatorError for another kind, DeskTaken while driven."""
    with psycopg.connect(
        server.conninfo(server.desk_database(desk)), autocommit=True, connect_timeout=10
    ) as connection:
        if connection.execute("select to_regclass('desk')").fetchone() != (None,):
            row = connection.execute("select kind from desk").fetchone()
            if row is not None and row[0] != DeskKind.HISTORY:
                raise OperatorError(f"desk {desk} is {row[0]}, not history", "it is never dropped from here")
    server.drop_desk(desk)


async def _found(
    database: AsyncSession, desk: str, request: ReplayRequest, sessions: list[date], parts: DeskParts
) -> None:
    pack, opened = request.pack, due_at(sessions[0], REPLAYED[0])
    Journal(database).found_desk(
        DeskRow(
            id=1,
            name=desk,
            kind=DeskKind.HISTORY,
            state=DeskState.RUNNING,
            verdict_mode=request.verdicts,
            history_title=pack.title,
            history_digest=pack.digest,
            survivors=pack.survivors,
            first_session=sessions[0],
            last_session=sessions[-1],
            start_equity=request.start_equity,
            desk_time=opened,
            host_seen_at=None,
            sessions_total=len(sessions),
            undo_s=request.undo_s,
            undo_risky_s=request.undo_s * UNDO_RISKY_FACTOR,
            created_at=opened,
        )
    )
    Ledger(database).deposit(
        CashEvent(
            kind=CashKind.DEPOSIT,
            amount=request.start_equity,
            session=sessions[0],
            note="opening balance",
            created_at=opened,
        )
    )
    await store_universe(AgentMemory(database), pack, sessions[0])


async def store_universe(memory: AgentMemory, pack: HistoryPack, first: date) -> None:
    """The instruments of a pack, and the year of bars before a desk's first session."""
    await memory.store_instruments(
        [
            Instrument(
                symbol=known.symbol,
                name=known.name,
                sector=known.sector,
                industry=known.industry,
                asset_type=known.asset_type,
            )
            for known in pack.instruments.values()
        ]
    )
    await memory.store_bars(list(_warm_up_bars(pack, first)))


def _warm_up_bars(pack: HistoryPack, first: date) -> Iterator[StoredBar]:
    """The complete bars of the year before the first session."""
    before = pack.sessions(pack.first, first)[:-1][-WARM_UP:]
    if not before:
        return
    view = pack.view(before[-1])  # as traded on the eve
    for symbol in pack.instruments:
        series = view.bars(symbol)
        for session in before:
            bar = series.on(session)
            if bar is not None:
                yield stored(bar)


def _same_history(found: DeskRow, request: ReplayRequest, sessions: list[date]) -> None:
    held = (found.history_digest, found.first_session, found.last_session, found.start_equity)
    asked = (request.pack.digest, sessions[0], sessions[-1], request.start_equity)
    if held != asked:
        raise OperatorError(
            f"desk {found.name} holds another replay ({found.history_title}, "
            f"{found.first_session} to {found.last_session}, {found.start_equity} dollars)",
            "choose another --desk, or begin anew with --fresh (`quorum console --fresh` for the first desk)",
        )


def _fingerprint(request: ReplayRequest, parts: DeskParts) -> str:
    """Eight hex digits of everything that decides what a replay does."""
    identity = [
        request.pack.digest,
        request.first,
        request.last,
        request.verdicts,
        request.start_equity,
        *(model.model_dump_json() for model in (parts.limits, parts.costs, parts.screen)),
        parts.parameters(),
        *(["loop"] if request.loop else []),
    ]
    return hashlib.sha256(json.dumps(identity, default=str).encode()).hexdigest()[:8]


def _unfinished_or_new(server: Server, names: Iterator[str], *, fresh: bool) -> Iterator[str]:
    there = set(server.desks())
    for name in names:
        if name not in there or (not fresh and _unfinished(server, name) and not server.is_driven(name)):
            yield name


def _unfinished(server: Server, desk: str) -> bool:
    """Whether a desk has not come to its end. One that was never founded counts as unfinished."""
    conninfo = server.conninfo(server.desk_database(desk))
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        if connection.execute("select to_regclass('desk')").fetchone() == (None,):
            return True
        row = connection.execute("select state from desk").fetchone()
    return row is None or row[0] != DeskState.FINISHED
