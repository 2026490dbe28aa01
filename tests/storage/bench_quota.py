"""How fast calls are counted, and that a race ends at the limit: `python -m tests.storage.bench_quota`.

The server is durable, and the key has a full month of calls behind it, as the ledger of a desk does.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import psycopg

from storage import schema
from storage.calls import Priority, VendorCall
from storage.embedded import EmbeddedServer
from storage.engine import open_engine
from storage.quota import QuotaLedger
from storage.quota_rules import QuotaRules, key_fingerprint
from storage.server import EmbeddedDatabases
from tests.storage import racers

MONTH = 7_500
ADMITTED = 300
WIDE = QuotaRules(daily_calls=100_000, exits_reserve=15, bandwidth_bytes=10**12)


async def admit(conninfo: str, tasks: int) -> float:
    """Calls counted a second, by so many tasks at once."""
    engine = open_engine(conninfo)
    ledger = QuotaLedger(engine, "bench", WIDE)
    call = VendorCall(endpoint="quote", symbol="AAPL", priority=Priority.WATCHLIST, job="bench")
    await ledger.put_in_force()

    async def some() -> None:
        for _ in range(ADMITTED // tasks):
            await ledger.admit(call)

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(tasks)))
    took = time.perf_counter() - began
    await engine.dispose()
    return ADMITTED / took


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="quorum-bench-"))
    home.chmod(0o755)
    with EmbeddedServer(home) as server:
        databases = EmbeddedDatabases(server)
        databases.create_desk("bench")
        conninfo = databases.conninfo(databases.desk_database("bench"))
        schema.upgrade(conninfo)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(
                "insert into vendor_calls (id, key_fingerprint, endpoint, priority, job, admitted_at,"
                " settled_at, received_bytes) select gen_random_uuid(), %s, 'quote', 3, 'month',"
                " now() - interval '1 day 5 minutes' - n * interval '5 minutes', now(), 1000"
                " from generate_series(1, %s) n",
                [key_fingerprint("bench"), MONTH],
            )
            connection.execute("vacuum analyze vendor_calls")
            for tasks in (1, 5):
                print(f"{tasks} at once: {asyncio.run(admit(conninfo, tasks)):.0f} calls/s")  # noqa: T201
            vendor = home / "vendor"
            vendor.touch()
            runners = [racers.start(conninfo, 100, vendor, Priority.WATCHLIST) for _ in range(8)]
            began = time.perf_counter()
            for runner in runners:
                runner.go()
            for runner in runners:
                runner.finish()
            took = time.perf_counter() - began
        print(f"8 processes x 100: {vendor.stat().st_size} made, in {took:.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
