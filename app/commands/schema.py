"""`quorum db downgrade` and `db tables`: a desk's schema taken back, and what is in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import psycopg
import typer
from psycopg import sql

from app.settings import load_settings
from storage import schema
from storage.backup import back_up
from storage.errors import OperatorError
from storage.server import MAIN_DESK, Server, checked_desk_name, open_server, unreachable


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
