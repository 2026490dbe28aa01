"""The process beside a console on a desk that runs by the clock: it sees to it that a runtime leads.

The runtime it starts is nobody's child in spirit: own session, own log, alive when the console is long gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from app.runtime.host_lines import say
from app.runtime.leader import first_line
from app.runtime.live import LiveDesk
from app.runtime.waiting import pause
from app.shared_log import open_shared
from storage.errors import OperatorError
from storage.leadership import SILENT_S, Connection, Holder, connect, holder, stops_asked, this_process
from storage.server import Server

log = logging.getLogger(__name__)

LOOK_S = 1.0
START_S = 10.0  # what a runtime gets to lead before another is started
RETRY_S = 1.0


class Attendant:
    """Watches who leads a desk and starts a runtime when nobody does."""

    def __init__(self, *, server: Server, desk: LiveDesk, home: Path, may_start: bool) -> None:
        """`may_start` False: only watch."""
        self._server = server
        self._desk = desk
        self._home = home
        self._may_start = may_start
        self._started: subprocess.Popen[bytes] | None = None
        self._started_at = -START_S
        self._said = ""
        self._stops: int | None = None  # asked for before the console came
        self._fallen = True  # nobody has led yet, or the last leader fell: somebody is missing

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`: the console is gone. Whatever runs then goes on."""
        while not stop.is_set():
            try:
                async with await connect(self._desk.conninfo, this_process("console")) as connection:
                    await self._watch(connection, stop)
            except (psycopg.Error, OSError) as lost:
                log.warning("the database is away: %s", first_line(lost))
                await pause(stop, RETRY_S)
                try:
                    await asyncio.to_thread(self._server.ensure)
                except OperatorError as away:
                    self._say(str(away))

    async def _watch(self, connection: Connection, stop: asyncio.Event) -> None:
        while not stop.is_set():
            count, by = await stops_asked(connection)
            if self._stops is None:
                self._stops = count
            leading = await holder(connection)
            alive = self._started is not None and self._started.poll() is None
            if leading is not None and leading.ended_at is None and leading.silent_s < SILENT_S:
                self._said = ""
                self._fallen = False
                self._started_at = -START_S  # should it fall now, a successor is started at once
            elif count > self._stops:
                self._say(f"{by} stopped the desk {self._desk.name}; start it again: quorum run")
            elif not self._may_start:
                self._say("nobody leads the desk, and AGENT_ORCHESTRATOR_ENABLED is off: quorum run")
            elif not self._fallen and leading is not None and leading.ended_at is not None:
                # A service manager's business, and it may be about to start the next one.
                self._say(f"the runtime of {self._desk.name} left in good order; start it again: quorum run")
            elif not alive:
                self._fallen = True
                self._start_one(beside_frozen=leading is not None and lives_here(leading))
            await pause(stop, LOOK_S)

    def _start_one(self, *, beside_frozen: bool) -> None:
        """Start a runtime, unless the last one ended only just now; one beside a frozen leader takes over."""
        if self._started is not None and self._started.returncode:
            self._say(f"the runtime ended: {last_line(self._log_file())}")
        if time.monotonic() - self._started_at >= START_S:
            self._started_at = time.monotonic()
            words = ["--standby"] if beside_frozen else []
            self._started = start_runtime(self._desk.name, self._log_file(), *words)

    def _log_file(self) -> Path:
        return self._home / "log" / f"run-{self._desk.name}.log"

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            say("progress", message=text)


def lives_here(leading: Holder) -> bool:
    """Whether the process that led is on this machine and still there, which makes it frozen."""
    if leading.ended_at is not None or leading.host != this_process("").host:
        return False
    try:
        os.kill(leading.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's process, and alive
    return True


def start_runtime(desk: str, log_file: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a runtime of the desk that outlives this process and its terminal."""
    opened = open_shared(log_file)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-m", "app.cli", "run", "--desk", desk, *words],
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=opened,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(opened)


def last_line(log_file: Path) -> str:
    """What a process said last."""
    try:
        lines = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError as unreadable:
        return str(unreadable)
    return lines[-1][:300] if lines else "it said nothing"
