"""The night of a session: the learning loop over what the desk has stored, or over the replay's history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.learning.loop import SelfLearningLoop
from agents.learning.source import EvidenceSource, HistoryEvidence
from agents.learning.space import DeskRules
from agents.learning.tonight import Tonight
from agents.roles.learning import LearningAgent
from app.runtime.founding import WARM_UP
from app.runtime.step import Step, StepResult
from app.runtime.stored import StoredHistory
from storage.memory import AgentMemory

ANSWER_WITHIN = timedelta(days=14)


async def learn(step: Step) -> StepResult:
    """Measure, analyse, propose; each stage is committed by itself, before this step's own row.

    So a night that is cut off goes on at the stage it had reached.
    """
    engine = step.database.bind
    assert isinstance(engine, AsyncEngine)  # every step is opened on its desk's engine

    @asynccontextmanager
    async def memory() -> AsyncIterator[AgentMemory]:
        async with AsyncSession(engine) as database, database.begin():
            yield AgentMemory(database)

    loop = SelfLearningLoop(
        transactions=memory,
        source=step.evidence or await _stored(engine, step),
        agent=LearningAgent(step.parts.models),
        models=step.parts.models,
        attendance=step.attendance,
    )
    report = await loop.night(
        Tonight(
            session=step.session,
            now=step.now,
            wall_now=step.wall_now,
            rules=DeskRules(
                setups=step.parts.setups,
                screen=step.parts.screen,
                regime_policy=step.parts.regime_policy,
                limits=step.parts.limits,
                pool=step.parts.consensus.pool,
            ),
            costs=step.parts.costs,
            version=step.parameters_version,
            expires_at=None if step.verdicts_until is None else step.wall_now + ANSWER_WITHIN,
        )
    )
    return StepResult(report.summary, report.figures)


async def _stored(engine: AsyncEngine, step: Step) -> EvidenceSource:
    async with AsyncSession(engine) as database:
        history = await StoredHistory.of(database, step.session)
    first = history.days[min(WARM_UP, len(history.days) - 1)] if history.days else step.session
    return HistoryEvidence(history, first)
