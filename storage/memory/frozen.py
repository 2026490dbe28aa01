"""Past questions to the roles, frozen: what versions of a prompt are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select

from storage.memory.part import Part
from storage.models import FrozenQuestion, LlmInteraction, Vote
from storage.models.base import Json
from storage.records import AgentName


@dataclass(frozen=True, kw_only=True)
class StoredQuestion:
    """A question as it was sent, the model and the text that answered it, and the dollars it cost."""

    interaction_id: UUID
    session: date
    symbol: str | None
    context: Json
    answer: str
    model: str
    cost_usd: Decimal


class FrozenMemory(Part):
    async def freeze_questions(self, agent: AgentName, *, most: int, now: datetime) -> None:
        """Freeze the last questions of a role that were answered and led to a vote, up to so many in all."""
        known = set(
            await self._session.scalars(
                select(FrozenQuestion.interaction_id).where(FrozenQuestion.agent_name == agent)
            )
        )
        rows = await self._session.execute(
            select(LlmInteraction.id, LlmInteraction.session, LlmInteraction.symbol, Vote.stance)
            .join(Vote, Vote.interaction_id == LlmInteraction.id)
            .where(
                LlmInteraction.agent_name == agent,
                LlmInteraction.success.is_(True),
                LlmInteraction.session.is_not(None),
                LlmInteraction.text_removed_at.is_(None),
            )
            .order_by(LlmInteraction.created_at.desc(), LlmInteraction.id)
            .limit(most)
            .with_for_update(read=True, of=LlmInteraction)  # retention removes no text of these meanwhile
        )
        for row in rows.all()[: max(0, most - len(known))]:
            if row.id not in known:
                self._session.add(
                    FrozenQuestion(
                        agent_name=agent,
                        interaction_id=row.id,
                        session=row.session,
                        symbol=row.symbol,
                        decision=row.stance,
                        frozen_at=now,
                    )
                )
        await self._session.flush()

    async def frozen_questions(self, agent: AgentName) -> Sequence[StoredQuestion]:
        """The frozen questions of a role, oldest first."""
        rows = await self._session.scalars(
            select(LlmInteraction)
            .join(FrozenQuestion, FrozenQuestion.interaction_id == LlmInteraction.id)
            .where(FrozenQuestion.agent_name == agent)
            .order_by(FrozenQuestion.session, FrozenQuestion.symbol)
        )
        return [_stored(row) for row in rows]

    async def answered_on(
        self, agent: AgentName, session: date, *, prompt: UUID | None
    ) -> Sequence[StoredQuestion]:
        """What a role was asked with a prompt on an evening and voted by, by symbol."""
        rows = await self._session.scalars(
            select(LlmInteraction)
            .join(Vote, Vote.interaction_id == LlmInteraction.id)
            .where(
                LlmInteraction.agent_name == agent,
                LlmInteraction.session == session,
                LlmInteraction.success.is_(True),
                LlmInteraction.prompt_id == prompt,
            )
            .order_by(LlmInteraction.symbol, LlmInteraction.id)
        )
        return [_stored(row) for row in rows]


def _stored(row: LlmInteraction) -> StoredQuestion:
    assert row.session is not None  # only what is about a session leads to a vote
    answer = row.output_result or {}
    return StoredQuestion(
        interaction_id=row.id,
        session=row.session,
        symbol=row.symbol,
        context=row.input_context,
        answer=str(answer.get("text", "")),
        model=row.model,
        cost_usd=row.cost_usd,
    )
