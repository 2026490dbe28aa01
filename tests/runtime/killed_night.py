"""A night in a process of its own, which kills itself at the end of a stage, before it is kept."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from sqlalchemy.ext.asyncio import AsyncSession

from agents.base import Answered, Origin
from agents.learning.loop import SelfLearningLoop
from agents.learning.source import HistoryEvidence
from agents.learning.tonight import Tonight, rules_of
from agents.roles.learning import Hypotheses, Idea, LearningAgent, LearningContext
from agents.trading.costs import Costs
from app.runtime.slots import due_at
from storage.engine import open_engine
from storage.journal import Journal
from storage.memory import AgentMemory
from storage.records import DeskKind, Slot
from tests.learning.worlds import world


class Inventive(LearningAgent):
    """Proposes what is no parameter: there is a row to be written once."""

    async def answer(self, context: LearningContext) -> Answered[Hypotheses]:
        idea = Idea(parameter="leverage", value=Decimal(3), reasoning="")
        return Answered(Hypotheses(family=context.family, ideas=(idea,)), Origin())


def killed_night(conninfo: str, place: int) -> None:
    """Ends at the end of the stage at this place; past the last stage it lives through the night."""
    asyncio.run(_night(conninfo, place))


async def _night(conninfo: str, place: int) -> None:
    made = world(1, pull=0.0, stocks=1, length=300)
    session = next(day for day in reversed(made.days) if day.weekday() == 4)
    engine = open_engine(conninfo)
    places = count()

    @asynccontextmanager
    async def memory() -> AsyncIterator[AgentMemory]:
        async with AsyncSession(engine) as database, database.begin():
            yield AgentMemory(database)
            if next(places) == place:
                os.kill(os.getpid(), signal.SIGKILL)

    async with AsyncSession(engine) as database:
        version = await Journal(database).newest_parameters()
    loop = SelfLearningLoop(
        transactions=memory, source=HistoryEvidence(made, made.days[210]), agent=Inventive()
    )
    await loop.night(
        Tonight(
            session=session,
            now=due_at(session, Slot.LEARN),
            wall_now=datetime.now(UTC),
            rules=rules_of(version),
            costs=Costs().for_desk(DeskKind.HISTORY),
            version=version.version,
            expires_at=None,
        )
    )
    await engine.dispose()
