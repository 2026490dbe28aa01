"""`quorum desks` and `quorum db`: the databases themselves, and the way every command opens one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import psycopg
import typer

from app.settings import load_settings
from storage import schema
from storage.desk import Desk
from storage.errors import OperatorError
from storage.plain import clean
from storage.records import DeskKind, DeskState
from storage.server import MAIN_DESK, Server, open_server, unreachable
from storage.snapshot import DeskSnapshot

if TYPE_CHECKING:
    from storage.memory import AgentMemory

Answer = TypeVar("Answer")

_LISTED = """
    select kind, state, history_title, desk_time::date,
           (select max(session) from runs where slot = 'settle' and state = 'done')
      from desk
"""


@dataclass(frozen=True)
class OpenDesk:
    """A founded desk a command looks at or gives an order to."""

    name: str
    desk: Desk
    server: Server

    def snapshot(self) -> DeskSnapshot:
        taken = self.desk.snapshot()
        if taken is None:
            raise _empty(self.name)
        return taken

    def conninfo(self) -> str:
        return _conninfo(self.server, self.name)

    def recall(self, question: Callable[[AgentMemory], Awaitable[Answer]]) -> Answer:
        """What the desk's memory answers, all of it as of one instant."""
        return asyncio.run(_recall(self.conninfo(), question))


@contextmanager
def open_desk(desk: str | None) -> Iterator[OpenDesk]:
    """A desk that is there; a command that only looks never makes or migrates one.

    Raises OperatorError, also while the desk is used: no such desk, another schema, no answer.
    """
    server = _server()
    name = desk or MAIN_DESK
    try:
        if not server.has_desk(name):
            raise OperatorError(f"there is no desk {name}", "`quorum desks list` names those there are")
        conninfo = _conninfo(server, name)
        _check_revision(name, schema.current_revision(conninfo))
        with Desk(conninfo) as opened:
            yield OpenDesk(name, opened, server)
    except psycopg.OperationalError as away:
        raise unreachable(away) from away


def recall(desk: str | None, question: Callable[[AgentMemory], Awaitable[Answer]]) -> tuple[str, Answer]:
    """The desk's name and what its memory answers.

    Raises OperatorError where open_desk does.
    """
    with open_desk(desk) as opened:
        opened.snapshot()  # of a desk that is founded
        return opened.name, opened.recall(question)


async def _recall(conninfo: str, question: Callable[[AgentMemory], Awaitable[Answer]]) -> Answer:
    # SQLAlchemy costs most of a second, which commands that only read a snapshot should not pay.
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import AsyncSession

    from storage.engine import open_engine
    from storage.memory import AgentMemory

    engine = open_engine(conninfo)
    try:
        async with AsyncSession(engine) as database, database.begin():
            await database.execute(text("set transaction isolation level repeatable read, read only"))
            return await question(AgentMemory(database))
    except DBAPIError as away:
        if isinstance(away.orig, psycopg.OperationalError):
            raise away.orig from away
        raise
    finally:
        await engine.dispose()


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
            row = connection.execute(_LISTED).fetchone()
        if row is None:
            typer.echo(f"{name}: empty")
            continue
        kind, state, title, day, settled = row
        driven = server.is_driven(name)
        if kind != DeskKind.HISTORY:
            how_far = f"settled to {settled}" if settled else "nothing settled yet"
            typer.echo(f"{name}: {kind}, {'led' if driven else 'nobody leads'}, {how_far}")
            continue
        if state == DeskState.RUNNING and not driven:
            state = "paused"
        typer.echo(clean(f"{name}: {kind}, {state} at {day}, {title}"))


def drop_desk(name: str) -> None:
    """Remove a desk of kind HISTORY. Raises OperatorError for any other."""
    from app.runtime.founding import remove_history

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


def _check_revision(desk: str, current: str | None) -> None:
    known = schema.known_revisions()
    if current is None:
        raise _empty(desk)
    if current not in known:
        raise OperatorError(
            f"desk {desk} is at schema {current}, newer than this Quorum knows ({known[-1]})",
            "update Quorum, or use another QUORUM_HOME or desk",
        )
    if current != known[-1]:
        raise OperatorError(
            f"desk {desk} is at schema {current}, older than this Quorum's {known[-1]}",
            f"bring it up with `quorum db upgrade --desk {desk}`",
        )


def _empty(desk: str) -> OperatorError:
    return OperatorError(f"desk {desk} is empty", f"`quorum run --desk {desk}` founds it")


def _server() -> Server:
    settings = load_settings()
    return open_server(settings.home, settings.database_url)


def _conninfo(server: Server, desk: str) -> str:
    return server.conninfo(server.desk_database(desk))
