"""A gateway over the real SDK, a stand-in and a real ledger, with waits that take no time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

import psycopg
from psycopg.rows import dict_row
from pydantic import Field, SecretStr

from agents.gateway import Gateway
from agents.llm.answers import AnswerModel
from agents.llm.batches import Batches
from agents.llm.claude import Claude
from agents.llm.models import Budget, ModelSettings, Provider
from agents.llm.outcome import Waiting
from agents.llm.questions import DataBlock, Prompt, Question
from storage.engine import open_engine
from storage.records import AgentName
from storage.spend import PostgresSpendLedger

KEY = "sk-ant-geheim-4711"


class View(AnswerModel):
    """What the tests ask for."""

    stance: Literal["bullish", "bearish", "neutral"]
    confidence: float = Field(ge=0, le=100)
    reasons: list[str] = Field(min_length=1, max_length=3)


def question(
    agent: AgentName = AgentName.NEWS,
    *,
    data: Sequence[DataBlock] = (),
    key: str | None = None,
    system: str = "You read news for a trading desk.",
) -> Question[View]:
    blocks = tuple(data) or (news("Acme beats estimates."),)
    prompt = Prompt(id=None, version=1, system=system, instruction="Weigh the news.")
    return Question(agent=agent, prompt=prompt, data=blocks, answer=View, idempotency_key=key)


def news(text: str, *, source: str = "a wire") -> DataBlock:
    return DataBlock(name="news", source=source, as_of=date(2026, 11, 25), content={"headline": text})


def budget(**caps: str) -> Budget:
    """A budget that allows all that fits its hard bounds, but for these caps."""
    wide = {"call_usd": "5", "agent_day_usd": "100", "day_usd": "100", "month_usd": "2000"}
    return Budget.model_validate({**wide, "equity_share_year": "0.1", **caps})


@dataclass
class Asking:
    """A gateway, and what it waited for."""

    gateway: Gateway
    ledger: PostgresSpendLedger
    batches: Batches
    waits: list[Waiting] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)


@asynccontextmanager
async def asking(
    conninfo: str, url: str, settings: ModelSettings | None = None, *, key: str = KEY
) -> AsyncIterator[Asking]:
    settings = settings or ModelSettings(budget=budget())
    engine = open_engine(conninfo)
    ledger = PostgresSpendLedger(engine, settings.budget.limits)
    claude = Claude(SecretStr(key), base_url=url, provider=Provider(settings.provider))
    waits: list[Waiting] = []
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    gateway = Gateway(claude, ledger, settings, on_wait=waits.append, sleep=sleep, jitter=lambda: 0.5)
    assert gateway.batches is not None
    try:
        yield Asking(gateway, ledger, gateway.batches, waits, slept)
    finally:
        await gateway.close()
        await engine.dispose()


def rows(conninfo: str) -> list[dict[str, object]]:
    """Every call of the ledger, oldest first."""
    with psycopg.connect(conninfo, row_factory=dict_row) as connection:
        return connection.execute("select * from llm_interactions order by created_at, id").fetchall()


def counted(conninfo: str, *states: str) -> Decimal:
    """What the rows in these states count for; in any state without them."""
    which = states or ("reserved", "settled", "released", "uncertain")
    with psycopg.connect(conninfo) as connection:
        found = connection.execute(
            "select coalesce(sum(cost_usd), 0) from llm_interactions where state = any(%s)", [list(which)]
        ).fetchone()
    assert found is not None
    return Decimal(found[0])


def utc_now() -> datetime:
    return datetime.now(UTC)
