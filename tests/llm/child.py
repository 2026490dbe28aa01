"""What a process of its own does in tests: it asks, and ends with the answers or is killed among them."""

from __future__ import annotations

import asyncio
from multiprocessing.synchronize import Barrier

from agents.llm.models import ModelSettings
from tests.forks import PATIENCE_S
from tests.llm.desk import asking, budget, question


def ask(conninfo: str, url: str, calls: int, day_usd: str, together: Barrier) -> None:
    """Ask so many questions at once under a cap for the day, when all processes are there."""
    asyncio.run(_ask(conninfo, url, calls, day_usd, together))


async def _ask(conninfo: str, url: str, calls: int, day_usd: str, together: Barrier) -> None:
    settings = ModelSettings(budget=budget(day_usd=day_usd), concurrency=32)
    async with asking(conninfo, url, settings) as desk:
        together.wait(PATIENCE_S)
        await asyncio.gather(*(desk.gateway.ask(question()) for _ in range(calls)))
