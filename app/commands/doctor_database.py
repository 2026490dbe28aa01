"""What a deployment needs of its database: a server that answers, a desk that is led, nobody in the way."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
from psycopg.conninfo import conninfo_to_dict

from app.commands.findings import Finding, Line
from app.runtime.leader import check_clock
from storage.errors import DatabaseAway, OperatorError
from storage.plain import shortened, span
from storage.server import DRIVER_LOCK, Server
from storage.snapshot import DeskSnapshot

SLOW_S = 0.25  # a database farther away makes every step of the desk slow
WAITED_S = 60.0  # whoever waits for a lock longer than this waits for somebody who has forgotten it
PROBE_S = 3.0
NAME_SHOWN = 40  # characters

_SERVER = "select current_setting('server_version'), clock_timestamp()"
_MAY_MAKE = """
    select (select rolcreatedb or rolsuper from pg_roles where rolname = current_user),
           exists (select from pg_available_extensions where name = 'vector')
"""
_LOCKED_BY = """
    select a.pid, a.application_name
      from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid = 0 and l.objid = %s
       and l.database = (select oid from pg_database where datname = current_database())
"""
_IN_THE_WAY = """
    select b.pid, b.application_name, extract(epoch from clock_timestamp() - b.xact_start)::float8, count(*)
      from pg_stat_activity w
      join pg_stat_activity b on b.pid = any(pg_blocking_pids(w.pid))
     where w.datname = current_database() and w.wait_event_type = 'Lock'
       and w.query_start < clock_timestamp() - make_interval(secs => %s)
       and b.application_name not like 'quorum %%'
     group by 1, 2, 3 order by 3 desc
"""


def look_at_server(server: Server, *, embedded: bool) -> Iterator[Line]:
    """The version, how far away it is, and its clock. Raises OperatorError and psycopg.Error."""
    began = time.perf_counter()
    with psycopg.connect(server.conninfo(), autocommit=True, connect_timeout=10) as connection:
        connected = time.perf_counter()
        row = connection.execute(_SERVER).fetchone()
        answered, here = time.perf_counter(), datetime.now(UTC)
    assert row is not None
    version, there = row
    where = "embedded, on a socket and no port" if embedded else "by DATABASE_URL"
    text = f"PostgreSQL {version}, {where}, connects in {(connected - began) * 1000:.0f} ms, answers in "
    text += f"{(answered - connected) * 1000:.0f} ms"
    slow = answered - connected > SLOW_S
    remedy = "bring the database nearer: every step waits for it" if slow else ""
    yield Line("database", Finding.WARNING if slow else Finding.OK, text, remedy)
    try:
        check_clock(there, here)
    except OperatorError as wrong:
        yield Line("clock", Finding.FAILED, wrong.problem, wrong.remedy)
    else:
        yield Line("clock", Finding.OK, f"{abs((here - there).total_seconds()):.1f} s from the database's")


def unusable(error: OperatorError, database_url: str | None) -> Line:
    """A server that cannot be used; whether something else has its port."""
    refused = "FATAL" in error.problem  # a server's own word
    if isinstance(error, DatabaseAway) and database_url and not refused:
        address = conninfo_to_dict(database_url)
        host, port = str(address.get("host") or ""), str(address.get("port") or 5432)
        if not host.startswith("/") and _is_open(host, port):
            text = f"port {port} of {host} is in use by something that does not answer as PostgreSQL"
            return Line("database", Finding.FAILED, text, "end it there, or correct the port in DATABASE_URL")
    return Line("database", Finding.FAILED, error.problem, error.remedy)


def look_for_desk(server: Server, name: str) -> Iterator[Line]:
    """Of a desk that is not there: whether it could be made."""
    yield Line("desk", Finding.FAILED, f"there is no desk {name}", "start its runtime: quorum run")
    with psycopg.connect(server.conninfo(), autocommit=True, connect_timeout=10) as connection:
        row = connection.execute(_MAY_MAKE).fetchone()
        user = connection.info.user
    may_make, has_vector = row or (False, False)
    if not may_make:
        text = f"the database user {user} may not make databases"
        yield Line("rights", Finding.FAILED, text, f"as an administrator: alter role {user} createdb")
    if not has_vector:
        yield Line("pgvector", Finding.FAILED, "the server does not have it", "install pgvector for it")


def look_at_leader(name: str, taken: DeskSnapshot, conninfo: str) -> Iterator[Line]:
    """Who leads, when the heart last beat, and whether anybody holds a lock that was forgotten."""
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        held = connection.execute(_LOCKED_BY, [DRIVER_LOCK]).fetchone()
        blockers = connection.execute(_IN_THE_WAY, [WAITED_S]).fetchall()
    yield _leader(name, taken, held)
    for pid, application, lasts, waiting in blockers:
        who = shortened(str(application), NAME_SHOWN) or "somebody"
        text = f"{who} has kept a transaction open for {span(lasts)}, {waiting} waiting for its locks"
        yield Line("locks", Finding.FAILED, text, f"end it, or: select pg_terminate_backend({pid})")
    if not blockers:
        yield Line("locks", Finding.OK, "nobody waits for one that was forgotten")


def _leader(name: str, taken: DeskSnapshot, held: tuple[object, ...] | None) -> Line:
    leader, option = taken.leader, f" --desk {name}"
    if held is None:
        return Line(
            "leader", Finding.WARNING, f"nobody leads {name}", f"start its runtime: quorum run{option}"
        )
    if leader is None or leader.ended_at is not None:
        pid, application = held
        if str(application).startswith("quorum ") or taken.header.sessions_total is not None:
            return Line("leader", Finding.OK, f"{name} is driven by {application}")
        who = shortened(str(application), NAME_SHOWN) or "somebody"
        text = f"{who} holds the lock of {name} and is no runtime of it"
        return Line("leader", Finding.FAILED, text, f"end it, or: select pg_terminate_backend({pid})")
    silent_s = (taken.taken_at - leader.heartbeat_at).total_seconds()
    where = f"pid {leader.pid} on {leader.host}"
    if taken.led:
        return Line("leader", Finding.OK, f"{where}, heartbeat {max(silent_s, 0.0):.1f} s ago")
    text = f"{where} holds the desk and has been silent for {span(silent_s)}"
    remedy = f"`quorum run --standby{option}` takes over; `kill -9 {leader.pid}` there is safe"
    return Line("leader", Finding.FAILED, text, remedy)


def _is_open(host: str, port: str) -> bool:
    try:
        socket.create_connection((host, port), timeout=PROBE_S).close()
    except OSError:
        return False
    return True
