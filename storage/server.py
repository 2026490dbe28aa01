"""Where the desks' databases are: the embedded server of this home, or the one DATABASE_URL names."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from storage.embedded import EmbeddedServer
from storage.errors import DatabaseAway, DeskTaken, OperatorError

OLDEST_SERVER = 18  # the major version of the embedded server: one dialect, one pg_dump
DESK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
MAIN_DESK = "paper"
DRIVER_LOCK = 0x51554F53  # advisory lock of the one process that drives a desk
LONGEST_NAME = 63  # bytes; PostgreSQL cuts a longer name off, and two desks would share a database


class Server(ABC):
    """A PostgreSQL server that holds one database for each desk."""

    @abstractmethod
    def conninfo(self, database: str | None = None) -> str:
        """The libpq connection string of a database; without a name, the one to administer from."""

    @abstractmethod
    def ensure(self) -> None:
        """Bring the server back if it is ours to bring back. Raises OperatorError when it cannot be."""

    @abstractmethod
    def desk_database(self, desk: str) -> str:
        """The name of the database that is this desk."""

    def create_desk(self, desk: str) -> None:
        """Make the desk's database unless it is there. Raises OperatorError."""
        name = self._checked_database(desk)
        if self.has_desk(desk):
            return
        with self._administer() as connection:
            try:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return  # another starter was faster
            except psycopg.errors.InsufficientPrivilege as refused:
                raise OperatorError(
                    f"the database user may not create database {name}",
                    f"create it yourself or run: alter role <user> createdb ({refused.diag.message_primary})",
                ) from refused

    def drop_desk(self, desk: str) -> None:
        """Remove a desk with everything it remembers. Raises DeskTaken while a process drives it."""
        if self.has_desk(desk) and self.is_driven(desk):
            raise DeskTaken
        name = self._checked_database(desk)
        with self._administer() as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    def is_driven(self, desk: str) -> bool:
        """Whether a process holds the right to drive this desk."""
        with psycopg.connect(
            self.conninfo(self.desk_database(desk)), autocommit=True, connect_timeout=10
        ) as connection:
            # Looked up, not tried: a try would be in the way of whoever is about to drive.
            held = connection.execute(
                "select 1 from pg_locks where locktype = 'advisory' and granted and objsubid = 1"
                " and classid = 0 and objid = %s"
                " and database = (select oid from pg_database where datname = current_database())",
                [DRIVER_LOCK],
            )
            return held.fetchone() is not None

    def has_desk(self, desk: str) -> bool:
        name = self._checked_database(desk)
        with self._administer() as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", [name])
            return found.fetchone() is not None

    def desks(self) -> list[str]:
        """Names of the desks on this server, sorted."""
        prefix = self.desk_database("x")[:-1]
        with self._administer() as connection:
            rows = connection.execute("select datname from pg_database order by 1").fetchall()
        names = [str(row[0]) for row in rows]
        found = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        return sorted(name for name in found if DESK_NAME.fullmatch(name))

    def _checked_database(self, desk: str) -> str:
        name = self.desk_database(checked_desk_name(desk))
        if len(name.encode()) > LONGEST_NAME:
            raise OperatorError(
                f"{name} is longer than the {LONGEST_NAME} bytes of a database's name",
                "choose a shorter name for the desk",
            )
        return name

    def _administer(self) -> psycopg.Connection[tuple[object, ...]]:
        try:
            return psycopg.connect(self.conninfo(), autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as away:
            raise unreachable(away) from away


class EmbeddedDatabases(Server):
    """The server Quorum starts for itself below its home."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    def conninfo(self, database: str | None = None) -> str:
        return self._server.conninfo(database or "postgres")

    def ensure(self) -> None:
        self._server.ensure()

    def desk_database(self, desk: str) -> str:
        return f"quorum_{desk}"


class ServedDatabases(Server):
    """A server somebody else runs; DATABASE_URL names a database on it, and each desk's is named after it."""

    def __init__(self, url: str) -> None:
        plain = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)
        try:
            self._parameters = conninfo_to_dict(plain)
        except psycopg.ProgrammingError as malformed:
            raise OperatorError(
                "DATABASE_URL is not a PostgreSQL address",
                "write it as postgresql://user:password@host:5432/database",
            ) from malformed
        self._main = str(self._parameters.get("dbname") or "quorum")

    def conninfo(self, database: str | None = None) -> str:
        return make_conninfo("", **{**self._parameters, "dbname": database or self._main})

    def ensure(self) -> None:
        self._administer().close()

    def desk_database(self, desk: str) -> str:
        return f"{self._main}_{desk}"

    def check(self) -> None:
        """Refuse a server that is too old. Raises OperatorError."""
        with self._administer() as connection:
            major = connection.info.server_version // 10_000
        if major < OLDEST_SERVER:
            raise OperatorError(
                f"DATABASE_URL leads to PostgreSQL {major}; {OLDEST_SERVER} is the oldest supported",
                "upgrade it, or unset DATABASE_URL to use the embedded server",
            )


def open_server(home: Path, database_url: str | None) -> Server:
    """Reach the server, starting the embedded one where no DATABASE_URL is set. Raises OperatorError."""
    if database_url:
        served = ServedDatabases(database_url)
        served.check()
        return served
    return EmbeddedDatabases(EmbeddedServer(home).start())


def checked_desk_name(name: str) -> str:
    if not DESK_NAME.fullmatch(name):
        raise OperatorError(
            f"{name!r} is not a desk's name",
            "use up to 40 of a-z, 0-9, - and _, starting with a letter or digit",
        )
    return name


def unreachable(error: psycopg.Error) -> DatabaseAway:
    """The first line of libpq's complaint, as something to act on."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return DatabaseAway(f"no database answers: {first}", "check DATABASE_URL and that the server runs")
