"""Processes that ask one ledger for calls at the same instant; each call made leaves a byte in a file."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from storage.calls import CallEnd, Priority, QuotaRefused, VendorCall
from storage.engine import open_engine
from storage.quota import QuotaLedger
from storage.quota_rules import QuotaRules

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-nobody-has"
RULES = QuotaRules(daily_calls=250, exits_reserve=15, bandwidth_bytes=500_000_000)
TASKS = 5
DONE = CallEnd(status=200, fault=None, received_bytes=1_000, latency_ms=80.0)


def start(conninfo: str, calls: int, vendor: Path, priority: Priority) -> subprocess.Popen[str]:
    """A racer that is connected and waits for its sign."""
    words = [conninfo, str(calls), str(vendor), str(int(priority))]
    racer = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.racers", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert racer.stdout is not None
    assert racer.stdout.readline() == "ready\n"
    return racer


def go(racer: subprocess.Popen[str]) -> None:
    assert racer.stdin is not None
    racer.stdin.write("go\n")
    racer.stdin.flush()


def finish(racer: subprocess.Popen[str]) -> int:
    """Wait for its end; its exit code."""
    racer.communicate(timeout=120)
    return racer.returncode


async def race(conninfo: str, calls: int, vendor: int, priority: Priority) -> None:
    """Ask for so many calls in a few tasks; make, and settle, those that are admitted."""
    engine = open_engine(conninfo)
    ledger = QuotaLedger(engine, KEY, RULES)
    async with engine.connect():
        print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()

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


if __name__ == "__main__":
    asyncio.run(
        race(
            sys.argv[1],
            int(sys.argv[2]),
            os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND),
            Priority(int(sys.argv[4])),
        )
    )
