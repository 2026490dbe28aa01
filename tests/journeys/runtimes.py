"""Runtimes and workers as processes, and the desk they run as its database shows it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psycopg
from psycopg.rows import dict_row

from storage.embedded import EmbeddedServer
from storage.server import EmbeddedDatabases
from tests.journeys.processes import ROOT, environment, kill, wait_until

Row = Mapping[str, object]


class Desk:
    """Questions to one desk's database, on a connection made anew where the last one broke."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def ask(self, query: str, *parameters: object) -> list[Row]:
        """The rows of a query; psycopg.Error while the server is away."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self.conninfo, autocommit=True, connect_timeout=5, application_name="quorum journey"
            )
        with self._connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(query.encode(), parameters)
            rows: list[Row] = [*cursor.fetchall()] if cursor.description else []
            return rows

    def one(self, query: str, *parameters: object) -> object:
        """The first column of the first row; None without one, or while the server is away."""
        try:
            rows = self.ask(query, *parameters)
        except psycopg.Error:
            return None
        return next(iter(rows[0].values())) if rows else None

    @property
    def epoch(self) -> int:
        return int(str(self.one("select epoch from leadership") or 0))

    @property
    def leader(self) -> int | None:
        """The pid of who leads now."""
        pid = self.one(
            "select pid from leadership where ended_at is null"
            " and heartbeat_at > clock_timestamp() - interval '3 s'"
        )
        return int(str(pid)) if pid else None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@contextmanager
def watched_desk(home: Path, name: str) -> Iterator[Desk]:
    """The desk of a home; the test is one of the server's clients, so the server outlives the runtimes."""
    with EmbeddedServer(home) as server:
        databases = EmbeddedDatabases(server)
        databases.create_desk(name)
        desk = Desk(databases.conninfo(databases.desk_database(name)))
        try:
            yield desk
        finally:
            desk.close()


class Process:
    """`quorum run` or `quorum worker` as a process whose words are kept; killed when the test is over."""

    def __init__(
        self,
        home: Path,
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        wrapped: tuple[str, ...] = (),
    ) -> None:
        """`wrapped`: the command that starts the command, and becomes it."""
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__
        self.process = subprocess.Popen(
            [*wrapped, sys.executable, "-m", "app.cli", *arguments],
            cwd=ROOT,
            env={**environment(home), **(settings or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        self._said.seek(0)
        return self._said.read()

    def children(self) -> list[int]:
        """Its child processes."""
        tasks = Path(f"/proc/{self.pid}/task")
        try:
            return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        except FileNotFoundError:
            return []

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, timeout_s: float = 40.0) -> int:
        return self.process.wait(timeout=timeout_s)

    def kill(self) -> None:
        """kill -9 and reap."""
        kill(self.pid)
        self.process.wait(timeout=10)

    def leads(self, desk: Desk, timeout_s: float = 30.0) -> Self:
        """Wait until this process leads the desk."""
        wait_until(lambda: desk.leader == self.pid, timeout_s=timeout_s, saw=lambda: self.said)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._said.close()
