"""The registry of prompts: founded once, one champion an agent."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from storage.engine import open_engine
from storage.models import AgentPrompt
from storage.prompts import Prompts
from storage.records import AgentName, uuid7


async def test_founding_is_done_once_and_a_changed_text_changes_nothing(database: str) -> None:
    engine = open_engine(database)
    async with AsyncSession(engine) as session, session.begin():
        prompts = Prompts(session)
        assert await prompts.champion(AgentName.NEWS) is None
        first = await prompts.ensure_champion(AgentName.NEWS, "Weigh the news.", "You read news.")
        again = await prompts.ensure_champion(AgentName.NEWS, "Other words.", "Other words.")
        other = await prompts.ensure_champion(AgentName.RISK, "Weigh the risk.", "You weigh risks.")
        assert (again.id, again.prompt_template) == (first.id, "Weigh the news.")
        assert other.id != first.id
        assert await prompts.by_id(first.id) is first
        assert await prompts.by_id(uuid7()) is None
    await engine.dispose()


async def test_an_agent_has_one_champion(database: str) -> None:
    engine = open_engine(database)
    async with AsyncSession(engine) as session:
        first = await Prompts(session).ensure_champion(AgentName.NEWS, "Weigh the news.", "You read news.")
        values = {
            column.name: getattr(first, column.name)
            for column in AgentPrompt.__table__.columns
            if column.name not in ("id", "prompt_version")
        }
        session.add(AgentPrompt(prompt_version=2, **values))
        with pytest.raises(IntegrityError, match="champion"):
            await session.flush()
    await engine.dispose()


async def test_an_agent_without_a_champion_is_not_given_one_silently(database: str) -> None:
    engine = open_engine(database)
    async with AsyncSession(engine) as session:
        await Prompts(session).ensure_champion(AgentName.NEWS, "Weigh the news.", "You read news.")
        await session.execute(update(AgentPrompt).values(active=False))
        with pytest.raises(LookupError, match="news"):
            await Prompts(session).ensure_champion(AgentName.NEWS, "Weigh the news.", "You read news.")
    await engine.dispose()
