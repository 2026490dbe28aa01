"""What a screen is told of the spend is what the ledger enforces."""

from __future__ import annotations

from decimal import Decimal

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from agents.llm.models import ModelSettings
from storage.engine import open_engine
from storage.records import AgentName
from storage.snapshot import SpendRow
from storage.snapshot_spend import read_spend
from storage.spend import PostgresSpendLedger, put_into_force
from storage.spending import CallState, Rung
from tests.standins.claude import ClaudeStandIn

from .desk import asking, budget, counted, question


def spend_of(conninfo: str) -> SpendRow:
    with psycopg.connect(conninfo) as connection:
        return read_spend(connection)


async def test_the_screen_and_the_ledger_say_the_same(database: str) -> None:
    settings = ModelSettings(budget=budget(day_usd="2.00", month_usd="40.00"))
    with ClaudeStandIn() as claude:
        claude.play("ok", "not JSON", "ok", "429 3600 s")
        async with asking(database, claude.url, settings) as desk:
            for _ in range(2):
                await desk.gateway.ask(question())
            for _ in range(2):
                await desk.gateway.ask(question(AgentName.RESEARCH))
            standing = await desk.ledger.standing()
    spend = spend_of(database)
    assert spend.standing is not None
    assert (spend.standing.today_usd, spend.standing.month_usd) == (standing.today_usd, standing.month_usd)
    assert spend.standing.caps == standing.caps
    assert spend.standing.rung is standing.rung is Rung.FULL
    assert spend.today_usd == spend.month_usd == counted(database)
    assert spend.uncertain_usd == counted(database, "uncertain") > 0
    assert (spend.held_usd, spend.calls) == (Decimal(0), 4)
    assert {row.agent: row.calls for row in spend.agents} == {AgentName.NEWS: 2, AgentName.RESEARCH: 2}
    assert sum(row.month_usd for row in spend.agents) == sum(row.month_usd for row in spend.models)
    assert [(park.model, park.because) for park in spend.parks] == [
        ("claude-sonnet-5-5", "throttled: HTTP 429: slow down")
    ]
    assert spend.last is not None
    assert (spend.last.state, spend.last.cost_usd) == (CallState.RELEASED, Decimal(0))
    assert spend.last.price_source.startswith("genai-prices ")
    assert spend.projected_usd is not None
    assert spend.projected_usd >= spend.month_usd


async def test_the_caps_follow_the_desks_equity(database: str) -> None:
    engine = open_engine(database)
    async with AsyncSession(engine) as session, session.begin():
        await put_into_force(session, ModelSettings().budget.limits)
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into equity (session, equity, cash, positions_value, heat, drawdown, day_return)"
            " values ('2026-11-24', 20000, 20000, 0, 0, 0, 0)"
        )
    standing = await PostgresSpendLedger(engine, ModelSettings().budget.limits).standing()
    await engine.dispose()
    spend = spend_of(database)
    assert spend.standing is not None
    assert spend.standing.caps == standing.caps
    assert standing.caps.day_usd == Decimal(200) / 365
