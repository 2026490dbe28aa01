"""`quorum db check`, `db downgrade` and `db tables`: the schema proven, taken back, and what is in it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import psycopg
import typer
from psycopg import sql

from app.settings import load_settings
from storage import schema
from storage.backup import back_up
from storage.errors import OperatorError
from storage.records import AgentName
from storage.server import MAIN_DESK, Server, checked_desk_name, open_server, unreachable


def check_schema() -> None:
    """Up, compare with the models, down, up, compare again, use it; on a database removed afterwards."""
    # alembic and SQLAlchemy cost most of a second, which no other command here should pay.
    from alembic import command
    from alembic.util import CommandError
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    settings = load_settings()
    server = open_server(settings.home, settings.database_url)
    scratch = f"schema-check-{uuid4().hex[:12]}"
    server.create_desk(scratch)
    conninfo = server.conninfo(server.desk_database(scratch))
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool
    )
    configuration = schema.alembic_config()
    try:
        for action, target in (("upgrade", "head"), ("downgrade", "base"), ("upgrade", "head")):
            with engine.connect() as connection:
                configuration.attributes["connection"] = connection
                getattr(command, action)(configuration, target)
                if action == "upgrade":
                    command.check(configuration)
        asyncio.run(_store_a_call(conninfo))
    except CommandError as drift:
        raise OperatorError(
            f"the migrations do not give the models' schema: {drift}", "write the missing migration"
        ) from drift
    finally:
        engine.dispose()
        server.drop_desk(scratch)
    typer.echo("schema: migrations and models agree, up, down and up again")
    typer.echo("memory: a call to a model was stored, and read back as it was")


async def _store_a_call(conninfo: str) -> None:
    """Store a call to a model as the agents do, and find it again."""
    from sqlalchemy.ext.asyncio import AsyncSession

    from storage.engine import open_engine
    from storage.memory import AgentMemory, Interaction

    said: dict[str, object] = {"text": "checked"}
    call = Interaction(
        agent=AgentName.RESEARCH,
        symbol="AAPL",
        input_context={"messages": []},
        output_result=said,
        model="none",
        input_tokens=1,
        output_tokens=1,
        cost_usd=Decimal("0.0001"),
        latency_ms=1,
        success=True,
    )
    engine = open_engine(conninfo)
    try:
        async with AsyncSession(engine) as database, database.begin():
            stored = await AgentMemory(database).store_interaction(call, now=datetime.now(UTC))
        async with AsyncSession(engine) as database:
            found = await AgentMemory(database).interaction(stored)
    finally:
        await engine.dispose()
    if found is None or (found.output_result, found.cost_usd) != (said, call.cost_usd):
        raise OperatorError("a call that was stored did not come back", "the database is not to be trusted")


def downgrade_desk(desk: str | None, revision: str) -> None:
    """Back up, then migrate back. Raises OperatorError while somebody drives the desk."""
    settings = load_settings()
    server, name, conninfo = _opened(desk)
    try:
        if server.is_driven(name):
            raise OperatorError(f"{name} is led", f"`quorum stop --desk {name}` first; nothing was changed")
        if _is_founded(conninfo):
            path, _ = back_up(server, name, settings.backup.folder_in(settings.home), now=datetime.now(UTC))
            typer.echo(f"backed up: {path}")
        schema.downgrade(conninfo, revision)
        typer.echo(f"{name}: schema {schema.current_revision(conninfo) or 'none'}")
    except psycopg.OperationalError as away:
        raise unreachable(away) from away


def print_tables(desk: str | None, *, as_object: bool) -> None:
    """Every table of the desk with its rows, counted."""
    _, name, conninfo = _opened(desk)
    try:
        with psycopg.connect(conninfo, connect_timeout=10) as connection:
            named = connection.execute(
                "select tablename from pg_tables where schemaname = 'public' order by 1"
            ).fetchall()
            rows = {str(table): _count(connection, str(table)) for (table,) in named}
    except psycopg.OperationalError as away:
        raise unreachable(away) from away
    revision = schema.current_revision(conninfo)
    if as_object:
        typer.echo(json.dumps({"desk": name, "schema": revision, "rows": rows}))
        return
    typer.echo(f"{name}: schema {revision or 'none'}, {len(rows)} tables")
    for table, count in rows.items():
        typer.echo(f"{count:>10,}  {table}")


def _opened(desk: str | None) -> tuple[Server, str, str]:
    settings, name = load_settings(), checked_desk_name(desk or MAIN_DESK)
    server = open_server(settings.home, settings.database_url)
    if not server.has_desk(name):
        raise OperatorError(f"there is no desk {name}", "`quorum desks list` names those there are")
    return server, name, server.conninfo(server.desk_database(name))


def _is_founded(conninfo: str) -> bool:
    with psycopg.connect(conninfo, connect_timeout=10) as connection:
        if connection.execute("select to_regclass('desk')").fetchone() == (None,):
            return False
        return connection.execute("select 1 from desk").fetchone() is not None


def _count(connection: psycopg.Connection[tuple[object, ...]], table: str) -> int:
    row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()
    return int(str(row[0])) if row else 0
