"""Who is paused, and who works on what: the agents' states in the database, as a step sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.base import Attendance
from storage.events import Topic, announce
from storage.models import AgentState
from storage.records import AgentName


class Roster(Attendance):
    """Pauses as they stood when the step began. What an agent works on is told at once, outside the step."""

    def __init__(self, engine: AsyncEngine, paused: dict[AgentName, str]) -> None:
        self._engine = engine
        self._paused = paused

    @classmethod
    async def read(cls, engine: AsyncEngine, idle: Sequence[AgentName]) -> Self:
        """`idle`: agents nobody works with now, whatever a worker that died has left behind."""
        async with AsyncSession(engine) as database, database.begin():
            await _set(database, idle, None)
            rows = await database.scalars(select(AgentState).where(AgentState.paused_by.is_not(None)))
            return cls(
                engine,
                {
                    row.agent_name: f"paused by {row.paused_by} since {row.paused_at:%Y-%m-%d %H:%M}Z"
                    for row in rows
                },
            )

    def paused(self, agent: AgentName) -> str | None:
        return self._paused.get(agent)

    @asynccontextmanager
    async def working(self, agent: AgentName, symbol: str) -> AsyncIterator[None]:
        try:
            await self._tell(agent, symbol or "the market")
            yield
        finally:
            await self._tell(agent, None)

    async def _tell(self, agent: AgentName, symbol: str | None) -> None:
        async with AsyncSession(self._engine) as database, database.begin():
            await _set(database, [agent], symbol)
            await announce(await database.connection(), Topic.RUN)


async def at_rest(database: AsyncSession, agents: Sequence[AgentName]) -> None:
    """Nobody works any more: a step that failed may have been ended before its agents could say so."""
    await _set(database, agents, None)


async def _set(database: AsyncSession, agents: Sequence[AgentName], symbol: str | None) -> None:
    await database.execute(
        update(AgentState)
        .where(AgentState.agent_name.in_(agents))
        .values(symbol=symbol, working_since=func.clock_timestamp() if symbol else None)
    )
