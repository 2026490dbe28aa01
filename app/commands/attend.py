"""The host of a console: a replay where there is nothing else, or the desk that runs by the clock."""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import replace

from app.commands.replay import FIRST_DESK, run_host
from app.runtime.attend import Attendant
from app.runtime.child import run_until_signalled, watch_lifeline
from app.runtime.host import say
from app.runtime.live import open_live_desk
from app.runtime.outage import through_outages
from app.settings import Settings, load_settings
from app.wiring import rehearsal
from storage.server import MAIN_DESK, Server, open_server


def open_desk(desk: str | None, *, fresh: bool, ask_timeout_s: float) -> None:
    """Host the desk named; without a name the paper desk once there is one or a key for it, else history."""
    if desk == FIRST_DESK.desk or fresh:
        _first_desk(fresh=fresh, ask_timeout_s=ask_timeout_s)
        return
    settings = load_settings()
    say("progress", message="starting the database")
    server = open_server(settings.home, settings.database_url)
    if desk is None and settings.fmp_api_key is None and not server.has_desk(MAIN_DESK):
        _first_desk(fresh=False, ask_timeout_s=ask_timeout_s)
        return
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    asyncio.run(_attend(settings, server, desk or MAIN_DESK))


def _first_desk(*, fresh: bool, ask_timeout_s: float) -> None:
    run_host(replace(FIRST_DESK, fresh=fresh, ask_timeout_s=ask_timeout_s))


async def _attend(settings: Settings, server: Server, name: str) -> None:
    rehearsed = rehearsal(settings)
    desk = await through_outages(
        server,
        lambda: open_live_desk(server, name, start_equity=settings.start_equity, rehearsal=rehearsed),
    )
    attendant = Attendant(
        server=server, desk=desk, home=settings.home, may_start=settings.agent_orchestrator_enabled
    )
    say("desk", desk=desk.name, conninfo=desk.conninfo)

    async def until(stop: asyncio.Event) -> None:
        watch_lifeline(sys.stdin, stop)
        await attendant.run(stop)

    await run_until_signalled(until)
