"""Processes that ask one ledger for calls at the same instant; each call made leaves a byte in a file."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from multiprocessing.synchronize import Event
from pathlib import Path

from storage.calls import CallEnd, Priority, QuotaRefused, VendorCall
from storage.engine import open_engine
from storage.quota import QuotaLedger
from storage.quota_rules import QuotaRules
from tests.forks import FORK, PATIENCE_S, ended, forked

KEY = "a-key-nobody-has"
RULES = QuotaRules(daily_calls=250, exits_reserve=15, bandwidth_bytes=500_000_000)
TASKS = 5
DONE = CallEnd(status=200, fault=None, received_bytes=1_000, latency_ms=80.0)


@dataclass(frozen=True)
class Racer:
    """A process that is connected and waits for its sign."""

    process: ForkProcess
    sign: Event

    def go(self) -> None:
        self.sign.set()

    @property
    def runs(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        self.process.kill()

    def finish(self) -> int:
        """Wait for its end; its exit code."""
        return ended(self.process)


def start(conninfo: str, calls: int, vendor: Path, priority: Priority) -> Racer:
    """A racer that asks for so many calls once it is told to go."""
    ready, sign = FORK.Event(), FORK.Event()
    racer = Racer(forked(_race, conninfo, calls, vendor, priority, ready, sign), sign)
    assert ready.wait(PATIENCE_S)
    return racer


def _race(conninfo: str, calls: int, vendor: Path, priority: Priority, ready: Event, sign: Event) -> None:
    made = os.open(vendor, os.O_WRONLY | os.O_APPEND)
    asyncio.run(_ask_for_calls(conninfo, calls, made, priority, ready, sign))


async def _ask_for_calls(
    conninfo: str, calls: int, vendor: int, priority: Priority, ready: Event, sign: Event
) -> None:
    """Ask for so many calls in a few tasks; make, and settle, those that are admitted."""
    engine = open_engine(conninfo)
    ledger = QuotaLedger(engine, KEY, RULES)
    async with engine.connect():
        ready.set()
    sign.wait()

    async def ask(number: int) -> None:
        for _ in range(number):
            try:
                ticket = await ledger.admit(
                    VendorCall(endpoint="quote", symbol="AAPL", priority=priority, job="race")
                )
            except QuotaRefused:
                continue
            os.write(vendor, b".")
            await ledger.settle(ticket, DONE)

    await asyncio.gather(*(ask(calls // TASKS) for _ in range(TASKS)))
    await engine.dispose()
