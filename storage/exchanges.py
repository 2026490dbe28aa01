"""What was sent to a model and what it said, word for word; read with psycopg alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import psycopg

from storage.records import AgentName
from storage.rows import fetch_all, fetch_one
from storage.spending import CallState

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One call to a model. `asked` is the body that was sent, `answered` the text of its message.

    Both are empty where retention has removed the text.
    """

    id: UUID
    agent: AgentName
    symbol: str
    model: str
    prompt_version: int | None  # None: a prompt that is not in the registry
    at: datetime
    state: CallState
    cost_usd: Decimal
    tokens: int
    latency_ms: int | None
    error: str
    asked: Mapping[str, object]
    answered: str
    text_removed_at: datetime | None = None

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """Every word of it under a heading, in the order it was said, or since when they are gone."""
        if self.text_removed_at is not None:
            return (("text", f"text removed on {self.text_removed_at:%Y-%m-%d} by retention"),)
        return (*_parts(self.asked), ("answer", self.answered or "none"))


def read_exchange(connection: Connection, interaction_id: UUID) -> Exchange | None:
    """One call; None where there is none of that id."""
    return fetch_one(connection, Exchange, _EXCHANGE + " where i.id = %s", [interaction_id])


def read_exchanges(connection: Connection, approval_id: UUID) -> tuple[Exchange, ...]:
    """The calls that answered the votes behind an approval, in the order of the votes."""
    return fetch_all(connection, Exchange, _EXCHANGE + _OF_APPROVAL, [approval_id])


def read_decision_exchanges(connection: Connection, deliberation_id: UUID) -> tuple[Exchange, ...]:
    """The calls that answered the votes of a deliberation, whether a proposal came of it or not."""
    return fetch_all(connection, Exchange, _EXCHANGE + _OF_DECISION, [deliberation_id])


def _parts(body: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield from _texts("system", body.get("system"))
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else []:
        yield from _texts("instruction", message.get("content"))


def _texts(heading: str, blocks: object) -> Iterator[tuple[str, str]]:
    for block in blocks if isinstance(blocks, list) else []:
        match block:
            case {"type": "text", "text": str(text)}:
                yield heading, text
            case {"type": "tool_result", "content": str(text)}:
                yield "data", text


_EXCHANGE = """
    select i.id, i.agent_name as agent, coalesce(i.symbol, '') as symbol, i.model, p.prompt_version,
           i.created_at as at, i.state, i.cost_usd, i.tokens_used as tokens, i.latency_ms,
           coalesce(i.error_message, '') as error, i.input_context as asked,
           coalesce(i.output_result ->> 'text', '') as answered, i.text_removed_at
      from llm_interactions i left join agent_prompts p on p.id = i.prompt_id
"""

_OF_APPROVAL = """
      join votes v on v.interaction_id = i.id
      join approvals a on a.deliberation_id = v.deliberation_id
     where a.id = %s
     order by v.veto_only, array_position(array['research', 'news', 'strategy', 'risk'], v.agent_name::text)
"""

_OF_DECISION = """
      join votes v on v.interaction_id = i.id
     where v.deliberation_id = %s
     order by v.veto_only, array_position(array['research', 'news', 'strategy', 'risk'], v.agent_name::text)
"""
