"""The first version of every role's words is loaded once; whatever the database holds wins."""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from agents.prompts import first_version
from app.runtime.prompts import StoredPrompts, load_prompts
from storage.engine import open_engine
from storage.models import AgentPrompt
from storage.records import AgentName, uuid7


async def test_every_role_has_words_and_they_are_loaded_once(database: str) -> None:
    engine = open_engine(database)
    for _ in range(2):
        async with AsyncSession(engine) as session, session.begin():
            await load_prompts(session)
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(func.count()).select_from(AgentPrompt)) == len(AgentName)
    for agent in AgentName:
        found = await StoredPrompts(engine).champion(agent)
        words = first_version(agent)
        assert found is not None and words.system and words.template
        assert (found.version, found.system, found.instruction) == (1, words.system, words.template)
    await engine.dispose()


async def test_a_later_champion_counts_from_the_next_question_on(database: str) -> None:
    engine = open_engine(database)
    prompts = StoredPrompts(engine)
    first = await prompts.champion(AgentName.NEWS)
    assert first is not None
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(update(AgentPrompt).values(active=False))
        session.add(
            AgentPrompt(
                id=uuid7(),
                agent_name=AgentName.NEWS,
                prompt_version=2,
                prompt_template="Weigh it anew.",
                system_message="You read news.",
                performance_score=None,
                active=True,
                created_at=func.now(),
            )
        )
    second = await prompts.champion(AgentName.NEWS)
    assert second is not None and (second.version, second.instruction) == (2, "Weigh it anew.")
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(update(AgentPrompt).values(active=False))
    assert await prompts.champion(AgentName.NEWS) is None
    async with AsyncSession(engine) as session, session.begin():
        await load_prompts(session)
    assert await prompts.champion(AgentName.NEWS) is None
    await engine.dispose()
