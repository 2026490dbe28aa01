"""Other words for a role, from the idea to the shadow: tried on what it was asked, beside it, on no card."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from agents.learning import prompt_shadow, watching
from agents.learning.prompt_ideas import judge_prompt
from agents.learning.runs import Key, Run, SimulatedTrade
from agents.learning.source import HistoryEvidence
from agents.market.calendar import next_session
from agents.roles.asking import Models
from agents.roles.learning import PromptIdea
from app.runtime.changes import take_effect
from storage.learning_records import AdjustmentRoute
from storage.memory import AgentMemory, DecisionPair
from storage.proposal_standing import read_standing
from storage.proposal_text import proposal_text
from storage.proposals import approve, read_proposals
from storage.records import AgentName, Direction, ExitReason, SetupType, Slot, Volatility, uuid7
from storage.versions import prompt_text
from tests.learning.test_search import WARM_UP
from tests.learning.worlds import world
from tests.llm.desk import counted
from tests.runtime.stage import ADA, FIRST, SECOND, Stage
from tests.runtime.test_learning_loop import tonight
from tests.runtime.test_models_evening import EVENING, Agreeable, asked_on

THIRD = next_session(SECOND)
FRIDAY = date(2007, 1, 12)
HOLDING = prompt_text("When in doubt: hold.", "Say what you think.")
ALIKE = prompt_text("You look into shares for a small desk.", "Say what you think.")
# One evening's research seventeen times over, about symbols nobody has, with the votes it led to.
MANY = """
    with one as (
        select i.id as asked, d.id as argued, v.id as voted
          from llm_interactions i join votes v on v.interaction_id = i.id
          join deliberations d on d.id = v.deliberation_id
         where i.agent_name = 'research' and i.success limit 1
    ), calls as (
        insert into llm_interactions
        select (jsonb_populate_record(i, jsonb_build_object('id', md5('i' || n)::uuid, 'symbol', 'X' || n,
                                                            'idempotency_key', null))).*
          from one join llm_interactions i on i.id = one.asked, generate_series(1, 17) n
        returning 1
    ), argued as (
        insert into deliberations
        select (jsonb_populate_record(d, jsonb_build_object('id', md5('d' || n)::uuid, 'symbol', 'X' || n,
                                                            'rank', 100 + n))).*
          from one join deliberations d on d.id = one.argued, generate_series(1, 17) n
        returning 1
    )
    insert into votes
    select (jsonb_populate_record(v, jsonb_build_object('id', md5('v' || n)::uuid,
            'deliberation_id', md5('d' || n)::uuid, 'interaction_id', md5('i' || n)::uuid))).*
      from one join votes v on v.id = one.voted, generate_series(1, 17) n
"""
FORGET = "delete from deliberations where symbol ~ '^X[0-9]+$'"


class Divided(Agreeable):
    """For every second share; for none where it is told to hold."""

    turn = 0

    def says(self, body: Mapping[str, Any]) -> str:
        answer = json.loads(super().says(body))
        if "thesis" in answer:
            self.turn += 1
            holds = "hold" in json.dumps(body["system"]) and "When in doubt" in json.dumps(body["system"])
            answer["thesis"] = "neutral" if holds else ("bullish", "bearish")[self.turn % 2]
        return json.dumps(answer)


@asynccontextmanager
async def memory(stage: Stage) -> AsyncIterator[AgentMemory]:
    async with AsyncSession(stage.engine) as database, database.begin():
        yield AgentMemory(database)


@pytest.mark.long
async def test_a_prompt_goes_through_the_shadow_and_never_reaches_a_card(stage: Stage) -> None:
    with Divided() as claude:
        async with asked_on(stage, claude.url) as desk:
            models = desk.bench.parts.models
            assert models is not None
            await desk.play(FIRST, *EVENING)
            await stage.do(MANY)
            lent = counted(stage.conninfo) - claude.bill  # what the copies count for
            night = replace(await tonight(stage, FIRST), expires_at=datetime.now(UTC) + timedelta(days=14))
            async with memory(stage) as told:
                for text in (HOLDING, ALIKE, "Buy all."):
                    idea = PromptIdea(agent=AgentName.RESEARCH, text=text, reasoning="it was told")
                    await told.store_adjustment(await judge_prompt(told, night, models, idea), now=night.now)
            await stage.do(FORGET)
            (alike,) = await _judged(stage)
            await _into_the_shadow(stage, alike)

            bill = claude.bill
            await desk.play(SECOND, *EVENING, Slot.LEARN)
            assert await stage.rows("select started, state from experiments") == [(SECOND, "running")]
            await desk.play(THIRD, *EVENING)
            before = await _cards(stage)
            asked = len(claude.asked)
            run = await desk.play(THIRD, Slot.LEARN)
            assert run.state == "done", run.summary
            assert await _cards(stage) == before
            decisions = await stage.rows(
                "select s.session, s.symbol, s.champion, s.challenger, s.cost_usd, c.prompt_id is null,"
                " c.session, c.symbol is null from shadow_decisions s join llm_interactions c"
                " on c.id = s.challenger_interaction_id order by 2"
            )
            assert decisions and len(claude.asked) == asked + len(decisions)
            assert {(row[0], *row[5:]) for row in decisions} == {(THIRD, True, THIRD, True)}
            voted = "select count(*) from votes v join shadow_decisions s on s.challenger_interaction_id"
            assert await stage.rows(f"{voted} = v.interaction_id") == [(0,)]
            assert 0 < sum(row[4] for row in decisions) <= Decimal("0.10")
            assert counted(stage.conninfo) - lent == claude.bill > bill
            assert "decisions tonight for" in run.summary

            paid, asked = claude.bill, len(claude.asked)
            await _forget_the_night(stage)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(prompt_shadow, "MOST_EVENING_USD", Decimal(0))
                run = await desk.play(THIRD, Slot.LEARN)
            assert f"0 decisions tonight for 0.0000 dollars, {len(decisions)} without" in run.summary

            # The night again, as after a crash before it was kept: nothing is asked, nothing paid twice.
            await _forget_the_night(stage)
            await desk.play(THIRD, Slot.LEARN)
            assert (claude.bill, len(claude.asked)) == (paid, asked)
            again = await stage.rows("select count(*) from shadow_decisions")
            assert again == [(len(decisions),)]
            await _shown(stage, len(decisions))
            await _stopped(stage, models)


async def _forget_the_night(stage: Stage) -> None:
    await stage.do("delete from shadow_decisions")
    await stage.do("delete from loop_stages where session = %s", THIRD)
    await stage.do("delete from runs where slot = 'learn' and session = %s", THIRD)


async def _judged(stage: Stage) -> list[Any]:
    """What became of the three ideas; the one that waits."""
    rows = await stage.rows(
        "select new_value, status, refused_because, evidence -> 'mix' ->> 'after' from strategy_adjustments"
        " order by created_at, id"
    )
    held, alike, formless = rows
    assert held[:2] == (HOLDING, "refused") and held[2].startswith("its decisions collapse: 100% hold")
    assert json.loads(held[3]).keys() == {"neutral"}
    assert alike[:2] == (ALIKE, "proposed")
    assert formless[1] == "refused" and "a line of three dashes" in formless[2]
    with psycopg.connect(stage.conninfo, autocommit=True) as connection:
        return [row for row in read_proposals(connection, most=5) if row.waits]


async def _into_the_shadow(stage: Stage, alike: Any) -> None:
    assert "+You look into shares for a small desk." in alike.diff
    assert any("dollars an evening more; at 0.10 it stops" in line for line in alike.evidence.sentences)

    def say() -> None:
        with psycopg.connect(stage.conninfo, autocommit=True) as connection:
            told = approve(connection, alike.id, alike.digest, AdjustmentRoute.SHADOW, "", ADA)
            assert told.accepted, told.message

    await asyncio.to_thread(say)
    assert "goes into the shadow" in (await take_effect(stage.engine))[0]


async def _cards(stage: Stage) -> list[list[tuple[Any, ...]]]:
    tables = ("approvals", "votes", "deliberations")
    return [await stage.rows(f"select t::text from {table} t order by 1") for table in tables]


async def _shown(stage: Stage, count: int) -> None:
    with psycopg.connect(stage.conninfo, autocommit=True) as connection:
        row = next(row for row in read_proposals(connection, most=5) if row.status == "shadow")
        standing = read_standing(connection, row.id)
        assert standing.trial is not None and standing.trial.mix is not None
        assert sum(standing.trial.mix.challenger.values()) == count
        assert f"of {count} decisions differ" in "\n".join(part.text for part in proposal_text(row, standing))


async def _stopped(stage: Stage, models: Models) -> None:
    """Taken back by itself: as it takes to holding, and as the words beside it are gone."""
    made = world(1, pull=0.0, stocks=1, length=300)
    source = HistoryEvidence(made, made.days[WARM_UP])
    ids = (
        await stage.rows("select champion_interaction_id, challenger_interaction_id from shadow_decisions")
    )[0]
    await stage.do("delete from shadow_decisions")
    async with memory(stage) as told:
        (trial,) = [one.trial for one in await prompt_shadow.look(told, await _friday(stage), source, None)]
        assert trial.experiment is not None
        pairs = [
            DecisionPair(
                session=THIRD,
                symbol=f"Y{number}",
                champion=("bearish", "neutral")[number % 2],
                challenger="neutral",
                champion_interaction=ids[0],
                challenger_interaction=ids[1],
                cost_usd=Decimal(0),
                decided_at=datetime.now(UTC),
            )
            for number in range(40)
        ]
        await told.store_decisions(trial.experiment, pairs)
        (stopped,) = await prompt_shadow.look(told, await _friday(stage), source, None)
        assert stopped.stop.startswith("its decisions collapse: 100% hold")

    await stage.do(
        "update agent_prompts set system_message = 'Other.' where agent_name = 'research' and active"
    )
    async with memory(stage) as told:
        looks = await prompt_shadow.look(told, await _friday(stage), source, models)
        assert [one.stop for one in looks] == [prompt_shadow.GONE]
        await told.hold_changes()
        seen = await watching.act(told, await _friday(stage), looks)
        assert "rolled back" in seen.sentences[0]
    assert await stage.rows(
        "select status, rolled_back_because from strategy_adjustments where status not in ('refused')"
    ) == [("rolled_back", prompt_shadow.GONE)]
    assert await stage.rows("select state from experiments") == [("rolled_back",)]


async def _friday(stage: Stage) -> Any:
    return await tonight(stage, FRIDAY)


@pytest.mark.parametrize(
    ("champion", "challenger", "is_open", "expected"),
    [
        ("bullish", "neutral", False, (0.7, 0.0, date(2007, 1, 9))),
        ("bearish", "bullish", False, (0.0, 0.7, date(2007, 1, 9))),
        ("bullish", "bullish", False, (0.7, 0.7, date(2007, 1, 9))),
        ("bullish", "neutral", True, (None, 0.0, None)),
        ("neutral", "bearish", False, None),
    ],
)
def test_who_is_for_a_share_takes_the_trade_of_the_rules_and_who_is_not_skips_it(
    champion: str, challenger: str, is_open: bool, expected: tuple[object, ...] | None
) -> None:
    key = Key(FIRST, "KO")
    trade = SimulatedTrade(
        key=key,
        setup=SetupType.MOMENTUM,
        direction=Direction.BULL,
        volatility=Volatility.NORMAL_VOL,
        entered=SECOND,
        shares=10,
        entry_price=Decimal(50),
        stop=Decimal(48),
        target=Decimal(56),
        exited=date(2007, 1, 9),
        exit_price=Decimal(52),
        exit_reason=ExitReason.TAKE_PROFIT,
        r=0.7,
    )
    run = Run(
        sessions=(FIRST,), trades={key: trade}, open_ended=0, still_open=frozenset({key} if is_open else ())
    )
    decision = DecisionPair(
        session=FIRST,
        symbol="KO",
        champion=champion,
        challenger=challenger,
        champion_interaction=uuid7(),
        challenger_interaction=uuid7(),
        cost_usd=Decimal(0),
        decided_at=datetime(2007, 1, 6, tzinfo=UTC),
    )
    pair = prompt_shadow.paired(run, decision, FRIDAY)
    assert (pair and (pair.champion_r, pair.challenger_r, pair.resolved)) == expected
    assert prompt_shadow.paired(run, replace(decision, symbol="PEP"), FRIDAY) is None
