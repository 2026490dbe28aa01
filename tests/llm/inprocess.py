"""A gateway whose server and ledger live in the test's own process: thousands of answers in seconds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr

from agents.gateway import Gateway
from agents.llm.claude import Claude
from agents.llm.models import ModelSettings, Provider
from agents.llm.outcome import Fault, Reply
from agents.llm.questions import Prompt
from agents.llm.wire import read_reply
from agents.prompts import first_version
from agents.roles.asking import Models
from storage.records import AgentName
from storage.spending import CallEnd, PlannedCall, RecordedAnswer, SpendLimits, Standing, TokenCount
from tests.standins.claude import ClaudeStandIn

WIDE = SpendLimits(
    call_usd=Decimal(5),
    agent_day_usd=Decimal(1_000),
    day_usd=Decimal(1_000),
    month_usd=Decimal(10_000),
    equity_share_year=Decimal("0.1"),
)


class NearClaude(Claude):
    """The client without a wire: the stand-in's bodies, read as those of a server are."""

    def __init__(self, standin: ClaudeStandIn) -> None:
        super().__init__(SecretStr("sk-test"), base_url=None, provider=Provider.ANTHROPIC)
        self._standin = standin

    async def ready(self) -> None:
        return

    async def send(self, body: Mapping[str, Any], *, timeout_s: float) -> Reply | Fault:
        return read_reply(json.dumps(self._standin.said(dict(body))).encode(), "req_near")


class LedgerInMemory:
    """Counts, and refuses nothing."""

    def __init__(self) -> None:
        self.open: dict[UUID, PlannedCall] = {}
        self.spent = Decimal(0)

    async def standing(self) -> Standing:
        return Standing(
            at=datetime.now(UTC), caps=WIDE.caps(None), today_usd=Decimal(0), month_usd=Decimal(0)
        )

    async def recorded(self, agent: AgentName, idempotency_key: str, question: str) -> RecordedAnswer | None:
        return None

    async def reserve(self, call: PlannedCall, interaction_id: UUID) -> None:
        self.open[interaction_id] = call

    async def settle(self, interaction_id: UUID, end: CallEnd, *, cost: Decimal, tokens: TokenCount) -> None:
        del self.open[interaction_id]
        self.spent += cost

    async def reject(self, interaction_id: UUID, why: str) -> None:
        return

    async def release(self, interaction_id: UUID, end: CallEnd) -> None:
        del self.open[interaction_id]

    async def keep(self, interaction_id: UUID, end: CallEnd) -> None:
        del self.open[interaction_id]

    async def name_batch(self, interaction_ids: Sequence[UUID], batch_id: str) -> None:
        raise NotImplementedError

    async def open_batches(self) -> tuple[frozenset[str], frozenset[UUID]]:
        raise NotImplementedError

    async def calls_of_batch(self, batch_id: str) -> dict[UUID, PlannedCall]:
        raise NotImplementedError


class FirstWords:
    """The prompts as the code brings them."""

    def __init__(self) -> None:
        self._ids = {agent: uuid4() for agent in AgentName}

    async def champion(self, agent: AgentName) -> Prompt | None:
        words = first_version(agent)
        return Prompt(id=self._ids[agent], version=1, system=words.system, instruction=words.template)


@asynccontextmanager
async def wired_models(standin: ClaudeStandIn) -> AsyncIterator[Models]:
    """The same over HTTP, where waits take no time."""

    async def no_time(seconds: float) -> None:
        return

    claude = Claude(SecretStr("sk-test"), base_url=standin.url, provider=Provider.ANTHROPIC)
    gateway = Gateway(claude, LedgerInMemory(), ModelSettings(timeout_s=1), sleep=no_time)
    try:
        yield Models(gateway=gateway, prompts=FirstWords())
    finally:
        await gateway.close()


STANDS_STILL = datetime(2024, 3, 8, tzinfo=UTC)


def near_models(standin: ClaudeStandIn, ledger: LedgerInMemory | None = None) -> Models:
    """What roles ask through."""
    gateway = Gateway(
        NearClaude(standin),
        ledger or LedgerInMemory(),
        ModelSettings(),
        clock=lambda: STANDS_STILL,  # a repair says when it was: the same run asks the same
    )
    return Models(gateway=gateway, prompts=FirstWords())
