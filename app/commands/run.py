"""`quorum run` and `quorum worker`: the processes that keep a desk going."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from app.commands.doctor_machine import doubts_about_settings_file
from app.commands.models import tell_models
from app.logs import log_to
from app.runtime.backups import NightlyBackup
from app.runtime.child import child_command, run_until_signalled, watch_lifeline
from app.runtime.guard import Guard
from app.runtime.jobs import Executor
from app.runtime.leader import check_clock
from app.runtime.live import LiveDesk, find_live_desk, open_live_desk
from app.runtime.one_per_home import only_one, refuse_second
from app.runtime.outage import through_outages
from app.runtime.runtime import Runtime
from app.runtime.telling import Teller
from app.runtime.worker import Worker
from app.settings import Settings, load_settings
from app.wiring import (
    desk_parts,
    rehearsal,
    scheduled_models,
    scheduled_sources,
    vendor_market,
    workbench,
)
from storage import schema
from storage.engine import open_engine
from storage.errors import OperatorError
from storage.leadership import connect, database_now, this_process
from storage.records import Queue
from storage.server import Server, checked_desk_name, open_server

log = logging.getLogger(__name__)


def run_runtime(desk: str, *, standby: bool) -> None:
    """Lead the desk, or stand by until it may, until stopped. Raises OperatorError."""
    checked_desk_name(desk)  # it names a file before it names a database
    settings = load_settings()
    log_to(settings, f"run-{desk}")
    for doubt in doubts_about_settings_file():
        log.warning("%s", doubt)
    server = open_server(settings.home, settings.database_url)
    with only_one(settings.home, desk) as first:
        if not first and not standby:
            raise refuse_second(settings.home, desk)
        asyncio.run(_run(settings, server, desk))


def run_worker(desk: str, queues: str, *, lifeline: bool) -> None:
    """Take jobs of some queues of the desk until stopped. Raises OperatorError."""
    asked = _queues(queues)
    checked_desk_name(desk)
    settings = load_settings()
    log_to(settings, f"{'compute' if lifeline else 'worker'}-{desk}")
    server = open_server(settings.home, settings.database_url)
    if not server.has_desk(desk):
        raise OperatorError(f"there is no desk {desk}", "start its runtime first: quorum run")
    asyncio.run(_work(settings, server, desk, asked, lifeline=lifeline))


async def _run(settings: Settings, server: Server, name: str) -> None:
    rehearsed = rehearsal(settings)
    desk = await through_outages(
        server,
        lambda: open_live_desk(server, name, start_equity=settings.start_equity, rehearsal=rehearsed),
    )
    async with (
        scheduled_models(settings, desk) as models,
        vendor_market(settings, desk, rehearsed) as market,
    ):
        runtime = Runtime(
            server=server,
            desk=desk,
            parts=desk_parts(settings, desk.kind, models),
            sources=scheduled_sources(settings, desk, rehearsed, market),
            bench=partial(workbench, settings, desk, rehearsed, models, market),
            child=child_command(name),
            guard=Guard(desk.conninfo, settings.home, name),
            backup=NightlyBackup(server, name, settings.home, settings.backup, settings.retention),
            teller=Teller(desk.conninfo, name, settings.notify),
        )
        telling = asyncio.create_task(tell_models(models.gateway if models else None))
        try:
            await run_until_signalled(runtime.run)
        finally:
            telling.cancel()


async def _work(
    settings: Settings, server: Server, name: str, queues: Sequence[Queue], *, lifeline: bool
) -> None:
    rehearsed = rehearsal(settings)
    conninfo = server.conninfo(server.desk_database(name))
    identity = this_process("worker")

    async def look() -> LiveDesk:
        schema.require_newest(conninfo)
        async with await connect(conninfo, identity) as connection:
            check_clock(await database_now(connection), datetime.now(UTC))
        return await find_live_desk(conninfo, rehearsed)

    desk = await through_outages(server, look)
    engine = open_engine(conninfo, application=identity.name)
    try:
        async with (
            scheduled_models(settings, desk) as models,
            vendor_market(settings, desk, rehearsed) as market,
        ):
            bench = partial(workbench, settings, desk, rehearsed, models, market)
            worker = Worker(conninfo, identity, queues, Executor(engine, bench, str(identity)).carry_out)

            async def until(stop: asyncio.Event) -> None:
                if lifeline:
                    watch_lifeline(sys.stdin, stop)
                await worker.run(stop)

            await run_until_signalled(until)
    finally:
        await engine.dispose()


def _queues(words: str) -> list[Queue]:
    """The queues named in a list with commas. Raises OperatorError."""
    asked = [word.strip() for word in words.split(",") if word.strip()]
    known = [queue.value for queue in Queue]
    for word in asked:
        if word not in known:
            raise OperatorError(f"there is no queue {word!r}", f"the queues are {', '.join(known)}")
    if not asked:
        raise OperatorError("no queue is named", f"the queues are {', '.join(known)}")
    return [Queue(word) for word in dict.fromkeys(asked)]
