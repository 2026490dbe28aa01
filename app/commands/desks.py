"""`quorum desks` and `quorum db`: the databases themselves."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import typer
from alembic import command
from alembic.util import CommandError
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from app.runtime.founding import remove_history
from app.settings import load_settings
from storage import schema
from storage.errors import OperatorError
from storage.records import DeskState
from storage.server import MAIN_DESK, Server, open_server


def print_desks() -> None:
    """Every desk with its kind, state and how far it got."""
    server = _server()
    names = server.desks()
    if not names:
        typer.echo("no desk yet: `quorum` makes the first one")
    for name in names:
        with psycopg.connect(_conninfo(server, name), autocommit=True) as connection:
            if connection.execute("select to_regclass('desk')").fetchone() == (None,):
                typer.echo(f"{name}: empty")
                continue
            row = connection.execute(
                "select kind, state, history_title, desk_time::date from desk"
            ).fetchone()
        if row is None:
            typer.echo(f"{name}: empty")
            continue
        kind, state, title, day = row
        if state == DeskState.RUNNING and not server.is_driven(name):
            state = "paused"
        typer.echo(f"{name}: {kind}, {state} at {day}, {title}")


def drop_desk(name: str) -> None:
    """Remove a desk of kind HISTORY. Raises OperatorError for any other."""
    server = _server()
    if not server.has_desk(name):
        raise OperatorError(f"there is no desk {name}", "`quorum desks list` names them")
    remove_history(server, name)
    typer.echo(f"{name} is gone")


def upgrade_desk(desk: str | None) -> None:
    server = _server()
    name = desk or MAIN_DESK
    server.create_desk(name)
    schema.upgrade(_conninfo(server, name))
    typer.echo(f"{name}: schema {schema.current_revision(_conninfo(server, name))}")


def check_schema() -> None:
    """Up, compare with the models, down, up, compare again; on a database of its own, removed afterwards."""
    server = _server()
    scratch = f"schema-check-{uuid4().hex[:12]}"
    server.create_desk(scratch)
    conninfo = _conninfo(server, scratch)
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
    except CommandError as drift:
        raise OperatorError(
            f"the migrations do not give the models' schema: {drift}", "write the missing migration"
        ) from drift
    finally:
        engine.dispose()
        server.drop_desk(scratch)
    typer.echo("schema: migrations and models agree, up, down and up again")


def _server() -> Server:
    settings = load_settings()
    return open_server(settings.home, settings.database_url)


def _conninfo(server: Server, desk: str) -> str:
    return server.conninfo(server.desk_database(desk))
