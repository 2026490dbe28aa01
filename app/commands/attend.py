"""The host of a console: a replay where there is nothing else, or the desk that runs by the clock.

A desk that somebody leads needs nothing of the host for now. So the console is told where it is before the
rest is imported, which costs more than a second, and has the machine to itself while it reads the desk.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from dataclasses import replace

import psycopg

from app.commands.replay_order import FIRST_DESK
from app.runtime.host_lines import say
from app.settings import Settings, load_settings
from storage import schema
from storage.leadership import is_led
from storage.server import MAIN_DESK, Server, open_server

FIRST_READ_S = 1.0  # what a console gets to read a desk undisturbed


def open_desk(desk: str | None, *, fresh: bool, ask_timeout_s: float) -> None:
    """Host the desk named; without a name the paper desk once there is one or a key for it, else history."""
    if desk == FIRST_DESK.desk or fresh:
        _first_desk(fresh=fresh, ask_timeout_s=ask_timeout_s)
        return
    settings = load_settings()
    say("progress", message="starting the database")
    server = open_server(settings.home, settings.database_url)
    name = desk or MAIN_DESK
    if desk is None and settings.fmp_api_key is None and not server.has_desk(MAIN_DESK):
        _first_desk(fresh=False, ask_timeout_s=ask_timeout_s)
        return
    told = _told_where_it_is_led(settings, server, name)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    asyncio.run(_attend(settings, server, name, told=told))


def _first_desk(*, fresh: bool, ask_timeout_s: float) -> None:
    from app.commands.replay import run_host

    run_host(replace(FIRST_DESK, fresh=fresh, ask_timeout_s=ask_timeout_s))


def _told_where_it_is_led(settings: Settings, server: Server, name: str) -> bool:
    """Tell the console where the desk is if it is led and at this version's schema; whether that was told.

    A rehearsal is not told of: whether it is the one these settings ask for is seen only with its history.
    """
    if settings.rehearsal.history is not None or settings.rehearsal.first is not None:
        return False
    if not server.has_desk(name):
        return False
    conninfo = server.conninfo(server.desk_database(name))
    try:
        if schema.current_revision(conninfo) != schema.known_revisions()[-1] or not is_led(conninfo):
            return False
    except psycopg.Error:  # whoever opens it in earnest says what is wrong
        return False
    say("desk", desk=name, conninfo=conninfo)
    time.sleep(FIRST_READ_S)
    return True


async def _attend(settings: Settings, server: Server, name: str, *, told: bool) -> None:
    from app.runtime.attend import Attendant
    from app.runtime.child import run_until_signalled, watch_lifeline
    from app.runtime.live import open_live_desk
    from app.runtime.outage import through_outages
    from app.wiring import rehearsal

    rehearsed = rehearsal(settings)
    desk = await through_outages(
        server,
        lambda: open_live_desk(server, name, start_equity=settings.start_equity, rehearsal=rehearsed),
    )
    attendant = Attendant(
        server=server, desk=desk, home=settings.home, may_start=settings.agent_orchestrator_enabled
    )
    if not told:
        say("desk", desk=desk.name, conninfo=desk.conninfo)

    async def until(stop: asyncio.Event) -> None:
        watch_lifeline(sys.stdin, stop)
        await attendant.run(stop)

    await run_until_signalled(until)
