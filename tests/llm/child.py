"""A process of its own for tests: asks until it is told to stop, or stops dead in the middle of a call.

python -m tests.llm.child CONNINFO URL CALLS DAY_CAP
"""

from __future__ import annotations

import asyncio
import sys

from agents.llm.models import ModelSettings
from agents.llm.outcome import Answer
from tests.llm.desk import asking, budget, question


async def ask(conninfo: str, url: str, calls: int, day_usd: str) -> None:
    """Ask all at once; prints how many answers came."""
    settings = ModelSettings(budget=budget(day_usd=day_usd), concurrency=32)
    async with asking(conninfo, url, settings) as desk:
        outcomes = await asyncio.gather(*(desk.gateway.ask(question()) for _ in range(calls)))
    print(sum(isinstance(outcome, Answer) for outcome in outcomes))  # noqa: T201 - what the parent reads


if __name__ == "__main__":
    conninfo, url, calls, day_usd = sys.argv[1:]
    asyncio.run(ask(conninfo, url, int(calls), day_usd))
