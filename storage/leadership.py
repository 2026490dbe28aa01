"""Who leads a desk: an advisory lock on a connection of its own, a heartbeat, and an epoch on every write.

The leader writes on the very connection that holds the lock: when that connection is gone so are the lock and
the power to write. The epoch is checked in every write besides, for poolers that lend a session to others.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import class_row, scalar_row

from storage.connecting import KEEPALIVE, SERVER_KEEPALIVE
from storage.records import OperationKind, uuid7
from storage.server import DRIVER_LOCK

Connection = psycopg.AsyncConnection[tuple[object, ...]]

FROZEN_AFTER_S = 10.0  # a leader silent for so long has lost the desk, whatever holds its lock
SILENT_S = 3.0  # a leader silent for so long may need a successor
ANSWER_S = 5.0  # a leader whose database does not answer for so long steps down


class SteppedDown(Exception):
    """This process does not lead the desk any more; nothing of the write that found it out was kept."""


@dataclass(frozen=True)
class Identity:
    """A process as others see it: `name` is the application_name of all its connections."""

    host: str
    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


def this_process(role: str) -> Identity:
    """A name no other process has, also after a pid is used again."""
    host = socket.gethostname()[:24]
    return Identity(
        host=host, pid=os.getpid(), name=f"quorum {role} {host} {os.getpid()} {secrets.token_hex(4)}"
    )


@dataclass(frozen=True)
class Holder:
    """The leader as the database knows it, and for how long it has been silent, by the database's clock."""

    holder: str
    host: str
    pid: int
    ended_at: datetime | None
    silent_s: float

    @property
    def frozen(self) -> bool:
        """Whether a lock that is still held is held by nobody who could use it."""
        return self.silent_s > FROZEN_AFTER_S


@dataclass(frozen=True)
class Beat:
    """What a heartbeat brings back."""

    now: datetime  # the database's clock
    stop_asked_by: str | None  # who asked the desk's runtimes to stop since this process began
    asked: bool  # a human wants a run now


class Term:
    """One leader's time in office. Its writes and heartbeats take turns on the connection with the lock."""

    def __init__(self, connection: Connection, identity: Identity, epoch: int, stops: int) -> None:
        self.epoch = epoch
        self.asked = (
            asyncio.Event()
        )  # a human wants a run now: set by whoever beats, cleared by who sees to it
        self._connection = connection
        self._identity = identity
        self._stops = stops
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        """A durable transaction that only the leader can commit. Raises SteppedDown, psycopg.Error."""
        async with self._turn, self._connection.transaction():
            await self._connection.execute("set local synchronous_commit = on")
            held = await self._connection.execute(
                "select 1 from leadership where epoch = %s and holder = %s for key share",
                [self.epoch, self._identity.name],
            )
            if await held.fetchone() is None:
                raise SteppedDown
            yield self._connection

    async def beat(self) -> Beat:
        """Leave a sign of life. Raises SteppedDown when another leads, TimeoutError when nobody answers."""
        async with (
            self._turn,
            asyncio.timeout(ANSWER_S),
            self._connection.cursor(row_factory=class_row(_Beat)) as cursor,
        ):
            await cursor.execute(_BEAT, [self.epoch, self._identity.name])
            row = await cursor.fetchone()
        if row is None:
            raise SteppedDown
        stop = row.stop_asked_by if row.stops > self._stops else None
        return Beat(now=row.now, stop_asked_by=stop, asked=row.asked)

    async def note(self, kind: OperationKind, text: str) -> None:
        """Add to the desk's list of operations."""
        async with self.write() as connection:
            await record(connection, kind, str(self._identity), text)

    async def end(self, why: str) -> None:
        """Leave in good order: the next leader need not wait and can tell."""
        async with self.write() as connection:
            await record(connection, OperationKind.STEPPED_DOWN, str(self._identity), why)
            await connection.execute("update leadership set ended_at = clock_timestamp()")


async def connect(conninfo: str, identity: Identity) -> Connection:
    """The connection leadership is held on. Heartbeats on it do not wait for the disk, writes do."""
    parameters = make_conninfo(
        conninfo,
        application_name=identity.name,
        connect_timeout=5,
        options=f"-c search_path=public,procrastinate -c synchronous_commit=off {SERVER_KEEPALIVE}",
        **KEEPALIVE,
    )
    return await psycopg.AsyncConnection.connect(parameters, autocommit=True)


async def try_to_lead(connection: Connection, identity: Identity, stops: int) -> Term | None:
    """Lead the desk if nobody does; a leader that is frozen is cut off, and the next try may succeed.

    `stops`: how many had been asked for when this process began; the next one is meant for it too.
    """
    locked = await connection.cursor(row_factory=scalar_row).execute(
        "select pg_try_advisory_lock(%s)", [DRIVER_LOCK]
    )
    if not await locked.fetchone():
        former = await holder(connection)
        if former is not None and former.frozen:
            await _cut_off(connection, former)
        return None
    async with connection.transaction():
        former = await holder(connection)
        cursor = connection.cursor(row_factory=class_row(_Began))
        await cursor.execute(_BEGIN, [identity.name, identity.host, identity.pid])
        term = await cursor.fetchone()
        assert term is not None
        await record(connection, OperationKind.LED, str(identity), _succession(term.epoch, former))
    return Term(connection, identity, term.epoch, stops)


async def holder(connection: Connection) -> Holder | None:
    """Who leads, or led last."""
    cursor = connection.cursor(row_factory=class_row(Holder))
    await cursor.execute(_HOLDER)
    return await cursor.fetchone()


async def stops_asked(connection: Connection) -> tuple[int, str]:
    """How often the desk's runtimes and workers were asked to stop, and who asked last.

    A count and no instant: a clock that is set back must not make anybody deaf.
    """
    cursor = await connection.execute("select stops, coalesce(stop_asked_by, '') from leadership")
    row = await cursor.fetchone()
    return (int(str(row[0])), str(row[1])) if row else (0, "")


async def database_now(connection: Connection) -> datetime:
    cursor = await connection.cursor(row_factory=scalar_row).execute("select clock_timestamp()")
    now = await cursor.fetchone()
    assert isinstance(now, datetime)
    return now


async def record(connection: Connection, kind: OperationKind, who: str, text: str) -> None:
    """Add to the desk's list of operations and tell who listens, in the caller's transaction."""
    await connection.execute(
        "insert into operations (id, at, kind, who, text) values (%s, clock_timestamp(), %s, %s, %s)",
        [uuid7(), kind, who, text],
    )
    await connection.execute("select pg_notify('quorum', 'desk')")


def is_led(conninfo: str) -> bool:
    """Whether somebody leads the paper or live desk there and has left a sign of it just now.

    Raises psycopg.Error, also where there is no desk yet.
    """
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        return connection.execute(_IS_LED, [SILENT_S]).fetchone() is not None


async def _cut_off(connection: Connection, former: Holder) -> None:
    """End every connection of a frozen leader: its lock falls, what it had half written is undone."""
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = %s and datname = current_database()",
        [former.holder],
    )


def _succession(epoch: int, former: Holder | None) -> str:
    if former is None:
        return f"leads as number {epoch}, the first"
    left = "which left in good order" if former.ended_at else f"silent for {former.silent_s:.1f} s"
    return f"leads as number {epoch}, after {former.host}:{former.pid}, {left}"


@dataclass(frozen=True)
class _Beat:
    now: datetime
    stops: int
    stop_asked_by: str | None
    asked: bool


@dataclass(frozen=True)
class _Began:
    epoch: int


_BEAT = """
    update leadership set heartbeat_at = clock_timestamp()
     where epoch = %s and holder = %s
    returning heartbeat_at as now, stops, stop_asked_by,
              exists (select 1 from runs where state = 'queued' and queued_at is null) as asked
"""

_BEGIN = """
    insert into leadership as l (id, epoch, holder, host, pid, since, heartbeat_at)
    values (1, 1, %s, %s, %s, clock_timestamp(), clock_timestamp())
        on conflict (id) do update
       set epoch = l.epoch + 1, holder = excluded.holder, host = excluded.host, pid = excluded.pid,
           since = excluded.since, heartbeat_at = excluded.heartbeat_at, ended_at = null
    returning epoch
"""

_IS_LED = """
    select 1 from leadership, desk
     where kind <> 'history' and ended_at is null
       and heartbeat_at > clock_timestamp() - make_interval(secs => %s)
"""

_HOLDER = """
    select holder, host, pid, ended_at,
           extract(epoch from clock_timestamp() - heartbeat_at)::float8 as silent_s
      from leadership
"""
