"""What a process of its own does: it asks the vendor for quotes by the desk's own client and ledger, fast."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pydantic import SecretStr

from agents.market.fmp.caller import Errand
from agents.market.fmp.client import FMPClient
from agents.market.fmp.config import FMPConfig
from agents.market.fmp.errors import FmpError
from storage.calls import Priority, QuotaRefused
from storage.engine import open_engine
from storage.quota import QuotaLedger
from storage.quota_rules import QuotaRules

RULES = QuotaRules(daily_calls=250, exits_reserve=15, bandwidth_bytes=500_000_000)
TASKS = 4


def ask(conninfo: str, base_url: str, key: str, calls: int) -> None:
    """So many questions, in a few tasks; what the ledger refuses is not sent."""
    asyncio.run(_ask(conninfo, base_url, key, calls))


async def _ask(conninfo: str, base_url: str, key: str, calls: int) -> None:
    engine = open_engine(conninfo)
    ledger = QuotaLedger(engine, key, RULES)
    config = FMPConfig(base_url=base_url, per_second=1000)
    errand = Errand(priority=Priority.EXITS, job="race")
    async with FMPClient(config, SecretStr(key), ledger) as client:

        async def some(number: int) -> None:
            for _ in range(number):
                with suppress(QuotaRefused, FmpError):
                    await client.get_quote("AAPL", errand)

        await asyncio.gather(*(some(calls // TASKS) for _ in range(TASKS)))
    await engine.dispose()
