"""`quorum spend`: what models have cost, and what the budget still allows."""

from __future__ import annotations

import json
from decimal import Decimal

from storage.engine import open_engine
from storage.records import AgentName, uuid7
from storage.spend import PostgresSpendLedger
from storage.spending import CallEnd, SpendLimits, TokenCount
from tests.app.test_runtime_commands import Here, here, paper  # noqa: F401 - fixtures
from tests.llm.test_budget import planned

LIMITS = SpendLimits(
    call_usd=Decimal("0.25"),
    agent_day_usd=Decimal(1),
    day_usd=Decimal(2),
    month_usd=Decimal(40),
    equity_share_year=Decimal("0.01"),
)


async def spent(conninfo: str) -> None:
    engine = open_engine(conninfo)
    ledger = PostgresSpendLedger(engine, LIMITS)
    settled, lost = uuid7(), uuid7()
    await ledger.reserve(planned("0.20"), settled)
    await ledger.settle(
        settled, CallEnd(error=None), cost=Decimal("0.05"), tokens=TokenCount(input=60, cache_read=40)
    )
    await ledger.reserve(planned("0.10", agent=AgentName.RISK), lost)
    await ledger.keep(lost, CallEnd(error="\x1b[2Jtimeout: no answer"))
    await engine.dispose()


async def test_the_command_tells_the_day_the_month_and_the_rung(here: Here, paper: str) -> None:  # noqa: F811
    await spent(paper)
    lines = {line[:11].strip(): line[11:] for line in here.run("spend").out.splitlines()}
    assert lines["today"] == "0.1500 dollars of 2.00"
    assert lines["month"].startswith("0.1500 dollars of 40.00, ")
    assert lines["uncertain"] == "0.1000 dollars perhaps billed, counted as spent"
    assert lines["ladder"].startswith("full, more again at ")
    assert lines["risk"] == "0.1000 today, 0.1000 in 1 calls"
    assert lines["model"].endswith("0.1500 in 2 calls, 40% of the input from caches")
    assert lines["last call"].endswith("risk, claude-haiku-5-5, uncertain, timeout: no answer")
    assert lines["prices"] == "test"


async def test_as_json_every_number_is_there(here: Here, paper: str) -> None:  # noqa: F811
    await spent(paper)
    told = json.loads(here.run("spend", "--json").out)
    assert (told["desk"], told["today_usd"], told["uncertain_usd"]) == ("paper", 0.15, 0.1)
    assert (told["rung"], told["standing"]["caps"]["day_usd"]) == ("full", 2.0)
    assert [row["agent"] for row in told["agents"]] == ["risk", "news"]
    assert told["last"]["state"] == "uncertain"


async def test_a_desk_nobody_has_led_has_no_caps(here: Here, paper: str) -> None:  # noqa: F811
    out = here.run("spend").out
    assert "0.0000 dollars, no cap is set" in out
    assert "no caps are set: a runtime of this desk sets them when it leads" in out
    assert json.loads(here.run("spend", "--json").out)["rung"] is None
