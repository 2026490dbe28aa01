"""What a process of its own does in tests: it asks, and ends with the answers or is killed among them."""

from __future__ import annotations

import asyncio

from agents.llm.models import ModelSettings
from tests.llm.desk import asking, budget, question


def ask(conninfo: str, url: str, calls: int, day_usd: str) -> None:
    """Ask so many questions at once under a cap for the day."""
    asyncio.run(_ask(conninfo, url, calls, day_usd))


async def _ask(conninfo: str, url: str, calls: int, day_usd: str) -> None:
    settings = ModelSettings(budget=budget(day_usd=day_usd), concurrency=32)
    async with asking(conninfo, url, settings) as desk:
        await asyncio.gather(*(desk.gateway.ask(question()) for _ in range(calls)))
