"""What the leader sees to beside its clock: the halt's two halves agree, the audit's head is kept outside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from storage.anchors import anchors_path, write_anchor
from storage.audit import read_head
from storage.errors import OperatorError
from storage.halt_file import bring_together, halt_path

log = logging.getLogger(__name__)

LOOK_S = 2.0
ANCHOR_S = 900.0


class Guard:
    """Guards one desk from the machine that leads it."""

    def __init__(self, conninfo: str, home: Path, desk: str) -> None:
        self._conninfo = conninfo
        self._halt = halt_path(home, desk)
        self._anchors = anchors_path(home, desk)
        self._anchor_due = 0.0
        self._said = ""

    async def look(self) -> None:
        """Once, now. Raises psycopg.Error while the database is away."""
        await asyncio.to_thread(self._with, self._look)

    async def keep(self) -> None:
        """Again and again, until cancelled. A database that is away is the leader's to notice."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except psycopg.Error:
                continue
            except (OSError, OperatorError) as fault:
                self._say(str(fault))

    async def anchor(self) -> None:
        """Keep the head of the chain, as when the leader leaves."""
        self._anchor_due = 0.0
        await self.look()

    def _with(self, act: Callable[[psycopg.Connection[tuple[object, ...]]], None]) -> None:
        with psycopg.connect(
            self._conninfo, autocommit=True, connect_timeout=5, application_name="quorum guard"
        ) as connection:
            act(connection)

    def _look(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        stands = bring_together(connection, self._halt)
        self._say(stands.words if stands else "")
        if time.monotonic() >= self._anchor_due:
            head = read_head(connection)
            if head is not None:
                write_anchor(self._anchors, head)
            self._anchor_due = time.monotonic() + ANCHOR_S

    def _say(self, what: str) -> None:
        if what and what != self._said:
            log.warning("%s", what)
        self._said = what
