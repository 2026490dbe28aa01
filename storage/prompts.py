"""The versions of each agent's prompt: one is its champion, the others are kept."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import AgentPrompt
from storage.records import AgentName, uuid7


class Prompts:
    """Everything lies in the transaction of `database`."""

    def __init__(self, database: AsyncSession) -> None:
        self._database = database

    async def ensure_champion(self, agent: AgentName, template: str, system: str) -> AgentPrompt:
        """The agent's champion; an agent without any prompt gets this one as version 1.

        Whatever else the database holds wins: a text that has changed in the code changes no desk. Raises
        LookupError for an agent that has prompts and no champion among them.
        """
        await self._database.execute(
            insert(AgentPrompt)
            .values(
                id=uuid7(),
                agent_name=agent,
                prompt_version=1,
                prompt_template=template,
                system_message=system,
                performance_score=None,
                active=True,
                created_at=func.clock_timestamp(),
            )
            .on_conflict_do_nothing()
        )
        champion = await self.champion(agent)
        if champion is None:
            raise LookupError(f"none of the prompts of {agent} is its champion")
        return champion

    async def champion(self, agent: AgentName) -> AgentPrompt | None:
        """The prompt the agent answers with; None before it has any."""
        found = await self._database.scalars(
            select(AgentPrompt).where(AgentPrompt.agent_name == agent, AgentPrompt.active)
        )
        return found.one_or_none()

    async def by_id(self, prompt_id: UUID) -> AgentPrompt | None:
        return await self._database.get(AgentPrompt, prompt_id)
