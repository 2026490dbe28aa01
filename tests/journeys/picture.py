"""Make the README's picture from a real desk: `python -m tests.journeys.picture docs/console.svg`."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from agents.market.history import SAMPLE_FOLDER, load_pack
from app.console.app import ConsoleApp, HostPort, Post
from app.console.messages import HostReady
from storage.desk import Desk
from storage.embedded import EmbeddedServer
from storage.records import Operator, VerdictMode
from storage.server import EmbeddedDatabases
from storage.snapshot import DeskSnapshot
from tests.app.books import prepare
from tests.journeys.processes import home_of_its_own

SIZE = (120, 38)
FIRST, LAST, SHOWN = date(2007, 1, 3), date(2007, 12, 31), date(2007, 2, 26)


class StandingHost:
    """A host whose desk is driven elsewhere."""

    def __init__(self, conninfo: str, post: Post) -> None:
        self._ready = HostReady("history", conninfo)
        self._post = post

    def start(self) -> None:
        self._post(self._ready)

    def close(self, wait_s: float) -> None:
        """Nothing of ours runs."""


async def draw(databases: EmbeddedDatabases) -> str:
    """Replay as recommended until SHOWN, then wait for a proposal and draw the console over it."""
    sample = load_pack(SAMPLE_FOLDER)
    conninfo, run = await prepare(databases, sample, FIRST, LAST, desk="history")
    stop = asyncio.Event()
    running = asyncio.create_task(run.run(stop))
    await _until(conninfo, lambda desk: desk.header.session is not None and desk.header.session >= SHOWN)
    stop.set()
    await running

    _, run = await prepare(
        databases, sample, FIRST, LAST, desk="history", verdicts=VerdictMode.ASK, ask_timeout_s=600
    )
    stop = asyncio.Event()
    running = asyncio.create_task(run.run(stop))
    await _until(conninfo, lambda desk: bool(desk.pending))

    def host(post: Post) -> HostPort:
        return StandingHost(conninfo, post)

    app = ConsoleApp(operator=lambda: Operator(name="you"), host=host)
    async with app.run_test(size=SIZE) as pilot:
        await asyncio.sleep(2)
        await pilot.press("n")
        await pilot.pause()
        picture = app.export_screenshot(title="Quorum")
        # Whoever looks at the picture should not be sent to a font server.
        picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    stop.set()
    await running
    return picture


async def _until(conninfo: str, wanted: Callable[[DeskSnapshot], bool]) -> None:
    with Desk(conninfo) as desk:
        while (snapshot := await asyncio.to_thread(desk.snapshot)) is None or not wanted(snapshot):
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    with home_of_its_own() as home, EmbeddedServer(home) as server:
        Path(sys.argv[1]).write_text(asyncio.run(draw(EmbeddedDatabases(server))))
