"""Processes a runtime needs beside itself: the child that computes, and the rules of living and leaving."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TextIO

from app.runtime.waiting import pause
from app.runtime.worker import BACK_OFF_S, STEADY_S
from storage.records import Queue

log = logging.getLogger(__name__)

CHILD_GRACE_S = 30.0


async def keep_child(command: Sequence[str], stop: asyncio.Event) -> None:
    """Keep a child process alive until `stop`; it leaves when its stdin ends, so also when we are killed."""
    delay = BACK_OFF_S[0]
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        started = loop.time()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as failed:  # no memory, no processes left: perhaps later
            log.warning("the compute worker could not be started (%s)", failed)
            await pause(stop, BACK_OFF_S[1])
            continue
        ended = asyncio.create_task(process.wait())
        wish = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({ended, wish}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wish.cancel()
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(asyncio.shield(ended), CHILD_GRACE_S if stop.is_set() else 0.1)
            except TimeoutError:
                process.kill()
                await ended
        if stop.is_set():
            return
        if loop.time() - started > STEADY_S:
            delay = BACK_OFF_S[0]
        log.warning("the compute worker ended with %s, again in %.1f s", process.returncode, delay)
        await pause(stop, delay)
        delay = min(delay * 2, BACK_OFF_S[1])


def child_command(desk: str) -> list[str]:
    """A worker for the compute queue that lives as long as we hold its stdin."""
    words = ["worker", "--desk", desk, "--queues", Queue.COMPUTE, "--lifeline"]
    return [sys.executable, "-I", "-m", "app.cli", *words]


async def run_until_signalled(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `work(stop)`; SIGTERM and SIGINT set `stop`, and a lost terminal is nobody's business."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    await work(stop)


def watch_lifeline(lifeline: TextIO, stop: asyncio.Event) -> None:
    """Set `stop` when whoever holds the other end of `lifeline` is gone, however it ended."""
    loop = asyncio.get_running_loop()

    def watch() -> None:
        while lifeline.read(1):  # nothing is ever sent: the end of file is the message
            continue
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
