"""Each agent's words as the desk's database holds them: the code brings the first version, once."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.llm.questions import Prompt
from agents.prompts import first_version
from storage.models import AgentPrompt
from storage.prompts import Prompts
from storage.records import AgentName


class StoredPrompts:
    """The champions, read at every question: a new one counts from the next on."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def champion(self, agent: AgentName) -> Prompt | None:
        """None for an agent whose prompts have no champion among them."""
        async with AsyncSession(self._engine) as database, database.begin():
            prompts = Prompts(database)
            try:
                found = await prompts.champion(agent) or await _ensured(prompts, agent)
            except LookupError:
                return None
            return Prompt(
                id=found.id,
                version=found.prompt_version,
                system=found.system_message,
                instruction=found.prompt_template,
            )


async def load_prompts(database: AsyncSession) -> None:
    """Give each agent that has no prompt the first version, in the caller's transaction."""
    for agent in AgentName:
        with suppress(LookupError):  # it has prompts, none of which is to be used
            await _ensured(Prompts(database), agent)


async def _ensured(prompts: Prompts, agent: AgentName) -> AgentPrompt:
    words = first_version(agent)
    return await prompts.ensure_champion(agent, words.template, words.system)
