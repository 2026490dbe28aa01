"""The process that drives the desk a console shows: it lives as long as the console holds its standard input.

It speaks to the console in JSON lines (`host_lines.py`): progress while it prepares, then where the desk is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TextIO

from app.runtime.child import run_until_signalled, watch_lifeline
from app.runtime.host_lines import say
from app.runtime.waiting import pause
from storage.errors import DeskTaken

STANDBY_S = 2.0


async def drive_until_alone(drive: Callable[[asyncio.Event], Awaitable[bool]], *, lifeline: TextIO) -> None:
    """Drive the desk until its history ends, and stay until the console is gone.

    Where another process drives already, stand by and take over when it leaves.
    """

    async def until(stop: asyncio.Event) -> None:
        watch_lifeline(lifeline, stop)
        while not stop.is_set():
            try:
                await drive(stop)
                await stop.wait()
            except DeskTaken:
                say("progress", message="another process drives this desk; watching")
                await pause(stop, STANDBY_S)

    await run_until_signalled(until)
