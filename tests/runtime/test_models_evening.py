"""An evening with a model before every role: paid once, linked to its calls, and never in the way."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from agents.roles.asking import Models
from app.runtime.prompts import StoredPrompts
from app.settings import Settings
from app.wiring import desk_parts
from storage.desk import Desk
from storage.records import DeskKind, RunState, Slot
from tests.llm.desk import asking, counted
from tests.runtime.stage import FIRST, SECOND, Stage
from tests.standins.claude import ClaudeStandIn

EVENING = (Slot.SETTLE, Slot.REGIME, Slot.SCREEN, Slot.DELIBERATE, Slot.DIGEST)
VOTES = """
    select d.symbol, v.agent_name, v.source, v.interaction_id is not null, v.stance, v.reason
      from votes v join deliberations d on d.id = v.deliberation_id
     where d.session = %s order by d.symbol, v.agent_name
"""
TERMS = """
    select symbol, max_shares, max_risk, stop, target, max_entry
      from approvals where created_session = %s order by symbol
"""


class Agreeable(ClaudeStandIn):
    """A model that is for whatever shows."""

    def says(self, body: Mapping[str, Any]) -> str:
        answer = json.loads(super().says(body))
        offered = re.search(r'"setup": "(\w+)"', str(body["messages"]))
        likes = {"thesis": "bullish", "objection": "none", "scale": 1.0, "tuning": []}
        likes |= {"setup": offered[1]} if offered else {}
        return json.dumps(answer | {name: value for name, value in likes.items() if name in answer})


@asynccontextmanager
async def asked_on(stage: Stage, url: str) -> AsyncIterator[Stage]:
    """The stage with models before its agents."""
    async with asking(stage.conninfo, url) as desk:
        models = Models(gateway=desk.gateway, prompts=StoredPrompts(stage.engine))
        parts = desk_parts(Settings(_env_file=None), DeskKind.HISTORY, models)
        yield replace(stage, bench=replace(stage.bench, parts=parts))


async def forget(stage: Stage, *slots: Slot) -> None:
    """As if the process had died before the slots' transactions were committed."""
    for table in ("approvals", "votes", "deliberations"):
        await stage.do(f"delete from {table}")
    await stage.do("delete from runs where slot = any(%s)", [slot.value for slot in slots])


async def sources(stage: Stage, session: object) -> set[str]:
    return {row[2] for row in await stage.rows(VOTES, session)}


async def test_every_vote_names_its_model_and_the_call_that_answered(stage: Stage) -> None:
    with Agreeable() as claude:
        async with asked_on(stage, claude.url) as desk:
            run = await desk.play(FIRST, *EVENING)
            assert run.state is RunState.DONE
            votes = await stage.rows(VOTES, FIRST)
            asked = {(row[1], row[2]) for row in votes if row[3]}
            assert {("research", "claude-sonnet-5-5"), ("strategy", "claude-sonnet-5-5")} <= asked
            assert ("news", "rules", False) in {row[1:4] for row in votes}
            calls = await stage.rows(
                "select distinct agent_name, session, symbol is null, prompt_id is null from llm_interactions"
            )
            assert {row[0] for row in calls} >= {"regime", "research", "strategy"}
            assert {row[1] for row in calls} == {FIRST}
            assert {row[0] for row in calls if row[2]} == {"regime"}
            assert not any(row[3] for row in calls)
            ((source, comment, linked),) = await stage.rows(
                "select source, comment, interaction_id is not null from regime_readings"
            )
            assert (source, linked) == ("claude-haiku-5-5", True) and comment
            assert counted(stage.conninfo) == claude.bill > 0
            metrics = await stage.rows("select agent_name, cost_usd, success_rate from agent_metrics")
            assert sum(row[1] for row in metrics) == claude.bill
            assert {row[2] for row in metrics if row[1]} == {1.0}
            with Desk(stage.conninfo) as screen:
                snapshot = screen.snapshot()
                assert snapshot is not None and snapshot.regime is not None
                assert snapshot.regime.comment == comment
                assert snapshot.spend.decisions >= len(snapshot.pending) > 0
                assert 0 < (snapshot.spend.per_decision_usd or 0) * snapshot.spend.decisions < claude.bill
                for card in snapshot.pending:
                    exchanges = screen.exchanges(card.id)
                    by_model = {vote.agent: vote.cost_usd for vote in card.votes if vote.cost_usd is not None}
                    assert {row.agent: row.cost_usd for row in exchanges} == by_model != {}
                    assert all(row.asked in claude.asked and row.prompt_version == 1 for row in exchanges)
                    assert {heading for heading, _ in exchanges[0].parts} == {
                        "system",
                        "instruction",
                        "data",
                        "answer",
                    }
            figures = await stage.rows("select name from agent_measurements where agent_name = 'research'")
            assert {"numbers stated", "numbers struck"} <= {row[0] for row in figures}


async def test_work_that_is_done_again_is_not_paid_again(stage: Stage) -> None:
    with Agreeable() as claude:
        async with asked_on(stage, claude.url) as desk:
            await desk.play(FIRST, *EVENING)
            first, calls, bill = await stage.rows(VOTES, FIRST), len(claude.asked), claude.bill
            await forget(stage, Slot.DELIBERATE, Slot.DIGEST)
            run = await desk.play(FIRST, Slot.DELIBERATE, Slot.DIGEST)
            assert run.state is RunState.DONE
            assert await stage.rows(VOTES, FIRST) == first
            assert (len(claude.asked), claude.bill) == (calls, bill)


@pytest.mark.long
@pytest.mark.parametrize(
    ("scenario", "why"),
    [("529", "overloaded"), ("not JSON", "garbled"), ("bad JSON", "invalid"), ("dead", "unreachable")],
)
async def test_without_a_server_the_evening_runs_on_rules_and_recovers_by_itself(
    stage: Stage, scenario: str, why: str
) -> None:
    await stage.play(FIRST, *EVENING)
    by_rules, terms = await stage.rows(VOTES, FIRST), await stage.rows(TERMS, FIRST)
    assert terms and {row[2] for row in by_rules} == {"rules"}
    await forget(stage, *EVENING)
    for table in ("equity", "regime_readings", "screener_results", "agent_metrics", "ladder_readings"):
        await stage.do(f"delete from {table}")
    await stage.do("delete from bars where session = %s", FIRST)

    with ClaudeStandIn(scenario="ok" if scenario == "dead" else scenario) as claude:
        url = "http://127.0.0.1:9" if scenario == "dead" else claude.url
        async with asked_on(stage, url) as desk:
            run = await desk.play(FIRST, *EVENING)
        assert run.state is RunState.DONE
        assert await stage.rows(TERMS, FIRST) == terms
        votes = await stage.rows(VOTES, FIRST)
        assert [row[:2] + row[4:] for row in votes] == [row[:2] + row[4:] for row in by_rules]
        assert {row[2] for row in votes} <= {"rules", f"rules: {why}", "rules: parked"}
        assert any(row[2].startswith("rules: ") for row in votes)

        claude.scenario = "ok"
        await stage.do("update llm_interactions set parked_until = now() where parked_until is not null")
        async with asked_on(stage, claude.url) as desk:
            await desk.play(SECOND, Slot.CORPORATE_ACTIONS, Slot.CUTOFF, Slot.OPEN, *EVENING)
        assert "claude-sonnet-5-5" in await sources(stage, SECOND)


async def test_a_hostile_model_ends_no_evening_and_passes_no_limit(stage: Stage) -> None:
    await stage.play(FIRST, *EVENING)
    most = {row[0]: row[1] for row in await stage.rows(TERMS, FIRST)}
    await forget(stage, Slot.DELIBERATE, Slot.DIGEST)
    with ClaudeStandIn(scenario="hostile") as claude:
        async with asked_on(stage, claude.url) as desk:
            run = await desk.play(FIRST, Slot.DELIBERATE, Slot.DIGEST)
    assert run.state is RunState.DONE
    assert await stage.rows("select 1 from votes where interaction_id is not null")
    assert all(row[2] <= 500 for row in await stage.rows(TERMS, FIRST)) and most
    assert counted(stage.conninfo) == claude.bill
