"""The process that drives the desk a console shows: it lives as long as the console holds its standard input.

It speaks in JSON lines on standard output: progress while it prepares, then where the desk is.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TextIO

from app.runtime.child import run_until_signalled, watch_lifeline
from app.runtime.waiting import pause
from storage.errors import DeskTaken

STANDBY_S = 2.0


def say(event: str, **facts: str) -> None:
    """One line to the console; a console that is gone is noticed by its end of our input, not here."""
    try:
        sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return


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
