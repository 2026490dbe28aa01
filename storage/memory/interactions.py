"""Every model call: what was asked, what came back, what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select

from storage.memory.part import Part
from storage.models import LlmInteraction
from storage.models.base import Json
from storage.records import AgentName, uuid7

SETTLED = "settled"


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """A model call that has ended; dollars, milliseconds.

    `input_context` names the `symbol` and the `session` (ISO) the call was about, where there is one: by them
    the cost of a call is charged to a trade and to a session.
    """

    agent: AgentName
    input_context: Json
    output_result: Json | None
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    latency_ms: int
    success: bool
    error_message: str | None = None
    stop_reason: str | None = None
    request_id: str | None = None
    price_source: str = ""
    prompt_id: UUID | None = None

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, kw_only=True)
class InteractionRow:
    """A model call as it stands in the books; `state` is reserved, settled, released or uncertain."""

    id: UUID
    agent: AgentName
    model: str
    symbol: str | None
    tokens: int
    cost_usd: Decimal
    latency_ms: int | None
    state: str
    success: bool | None
    error: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ModelSpend:
    """All model calls together."""

    calls: int
    cost_usd: Decimal


class InteractionMemory(Part):
    async def store_interaction(self, call: Interaction, *, now: datetime) -> UUID:
        """Keep a call that has ended; its id."""
        row = LlmInteraction(
            id=uuid7(),
            agent_name=call.agent,
            prompt_id=call.prompt_id,
            input_context=call.input_context,
            output_result=call.output_result,
            model=call.model,
            tokens_used=call.tokens,
            input_tokens=call.input_tokens,
            output_tokens=call.output_tokens,
            cache_write_tokens=0,
            cache_read_tokens=0,
            thinking_tokens=0,
            cost_usd=call.cost_usd,
            reserved_usd=call.cost_usd,
            state=SETTLED,
            latency_ms=call.latency_ms,
            success=call.success,
            error_message=call.error_message,
            stop_reason=call.stop_reason,
            request_id=call.request_id,
            price_source=call.price_source,
            created_at=now,
        )
        self._session.add(row)
        await self._session.flush()
        return row.id

    async def interaction(self, interaction_id: UUID) -> LlmInteraction | None:
        """One call whole: what was asked and what came back."""
        return await self._session.get(LlmInteraction, interaction_id)

    async def interactions(
        self, *, agent: AgentName | None = None, failed: bool = False, most: int
    ) -> Sequence[InteractionRow]:
        """The last calls, latest first; those of one agent, or only those that failed."""
        rows = await self._session.execute(
            select(
                LlmInteraction.id,
                LlmInteraction.agent_name.label("agent"),
                LlmInteraction.model,
                LlmInteraction.input_context["symbol"].astext.label("symbol"),
                LlmInteraction.tokens_used.label("tokens"),
                LlmInteraction.cost_usd,
                LlmInteraction.latency_ms,
                LlmInteraction.state,
                LlmInteraction.success,
                LlmInteraction.error_message.label("error"),
                LlmInteraction.created_at,
            )
            .where(
                *([LlmInteraction.agent_name == agent] if agent else []),
                *([LlmInteraction.success.is_(False)] if failed else []),
            )
            .order_by(LlmInteraction.created_at.desc(), LlmInteraction.id.desc())
            .limit(most)
        )
        return [InteractionRow(**row._mapping) for row in rows]

    async def model_spend(self, *, agent: AgentName | None = None) -> ModelSpend:
        """What all calls cost so far."""
        row = (
            await self._session.execute(
                select(func.count(), func.coalesce(func.sum(LlmInteraction.cost_usd), 0)).where(
                    *([LlmInteraction.agent_name == agent] if agent else [])
                )
            )
        ).one()
        return ModelSpend(calls=row[0], cost_usd=Decimal(row[1]))
