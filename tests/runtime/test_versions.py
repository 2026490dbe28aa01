"""A change comes into force as a version of its own, and one key takes it back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.runtime.founding import set_rules
from storage.learning_records import AdjustmentKind, AdjustmentRoute
from storage.memory import AgentMemory
from storage.proposal_evidence import proposal_digest
from storage.proposal_standing import read_standing
from storage.proposal_text import proposal_text
from storage.proposals import approve, read_proposals, take_back
from storage.records import CommandReceipt, Operator, Slot, uuid7
from storage.versions import apply_change, prompt_text, roll_back
from tests.runtime.stage import ADA, FIRST, Stage
from tests.storage.test_proposals import change

HOLD = "setups.oversold_bounce.max_hold"
APPROVED = """
    insert into strategy_adjustments (id, short_id, session, kind, family, parameter_name, old_value,
        new_value, reasoning, expected_impact, confidence_score, proposed_by, status, outcome, evidence,
        digest, route, typed_id, decided_digest, decided_by, decided_at, effective_at, created_at)
    values (%s, %s, '2007-01-05', %s, %s, %s, %s, %s, '', '', 50, 'learning', 'approved', 'PENDING', '{}',
        %s, %s, %s, %s, 'ada', now(), now() + %s::interval, now())
"""


async def approved(
    stage: Stage,
    name: str,
    old: str,
    new: str,
    *,
    route: str = "at_once",
    kind: str = "parameter",
    after: str = "-1 s",
) -> UUID:
    own = uuid7()
    short = f"CHG-{own.hex[-5:]}"
    digest = proposal_digest(AdjustmentKind(kind), name, old, new, {})
    told = (own, short, kind, name, name, old, new, digest, route, short, digest, after)
    await stage.do(APPROVED, *told)
    return own


async def apply(stage: Stage, change: UUID) -> CommandReceipt:
    async with await psycopg.AsyncConnection.connect(stage.conninfo) as connection:
        return await apply_change(connection, change)


async def back(stage: Stage, change: UUID, operator: Operator = ADA) -> CommandReceipt:
    def act() -> CommandReceipt:
        with psycopg.connect(stage.conninfo) as connection:
            return roll_back(connection, change, operator=operator, reason="it lost")

    return await asyncio.to_thread(act)


async def in_force(stage: Stage, place: str) -> object:
    rows = await stage.rows(f"select {place} from parameter_versions order by version desc limit 1")
    return rows[0][0]


BOUNCE_HOLD = "parameters #> '{setups,oversold_bounce,max_hold}'"


async def test_a_change_is_a_version_and_its_way_back_leaves_later_ones_alone(stage: Stage) -> None:
    first = await approved(stage, HOLD, "10", "12")
    second = await approved(stage, "limits.heat", "0.06", "0.05")
    assert (await apply(stage, first)).message.endswith("10 -> 12, in force as version 2")
    assert (await apply(stage, second)).accepted
    assert not (await apply(stage, first)).accepted
    assert await in_force(stage, BOUNCE_HOLD) == 12
    assert await in_force(stage, "limits -> 'heat'") == 0.05

    assert (await back(stage, first)).accepted
    assert not (await back(stage, first)).accepted
    assert await in_force(stage, BOUNCE_HOLD) == 10
    assert await in_force(stage, "limits -> 'heat'") == 0.05
    versions = await stage.rows("select version, source, adjustment_id from parameter_versions order by 1")
    assert versions == [(1, "settings", None), (2, "loop", first), (3, "loop", second), (4, "loop", first)]
    told = await stage.rows("select status, rolled_back_by from strategy_adjustments order by created_at")
    assert told == [("rolled_back", "ada"), ("applied", None)]
    assert len(await stage.rows("select 1 from operations where kind = 'proposal'")) == 3


async def test_nothing_takes_effect_early_or_from_another_value_than_was_shown(stage: Stage) -> None:
    early = await approved(stage, "limits.heat", "0.06", "0.05", after="1 hour")
    stale = await approved(stage, HOLD, "8", "12")
    assert not (await apply(stage, early)).accepted
    assert "refused: it starts from 8, in force is 10" in (await apply(stage, stale)).message
    assert await stage.rows("select status from strategy_adjustments order by parameter_name") == [
        ("approved",),
        ("refused",),
    ]
    assert await stage.rows("select count(*) from parameter_versions") == [(1,)]


async def test_a_change_sent_into_the_shadow_changes_no_version(stage: Stage) -> None:
    change = await approved(stage, HOLD, "10", "12", route="shadow")
    assert (await apply(stage, change)).accepted
    assert await stage.rows("select status from strategy_adjustments") == [("shadow",)]
    assert await stage.rows("select count(*) from parameter_versions") == [(1,)]
    assert (await back(stage, change)).accepted
    assert await stage.rows("select count(*) from parameter_versions") == [(1,)]


async def test_a_change_outlives_the_same_settings_and_yields_to_others(stage: Stage) -> None:
    change = await approved(stage, HOLD, "10", "12")
    await apply(stage, change)

    async def lead(**settings: object) -> int:
        parts = replace(stage.bench.parts, **settings)  # type: ignore[arg-type]
        async with AsyncSession(stage.engine) as database, database.begin():
            return await set_rules(database, parts, stage.clock.now())

    assert await lead() == 2
    screen = stage.bench.parts.screen.model_copy(update={"max_selected": 7})
    assert await lead(screen=screen) == 3
    assert await in_force(stage, BOUNCE_HOLD) == 10
    assert await stage.rows("select status, rolled_back_by from strategy_adjustments") == [
        ("rolled_back", "the settings")
    ]
    assert await lead(screen=screen) == 3


async def test_a_prompt_is_crowned_and_the_words_before_come_back(stage: Stage) -> None:
    old, new = prompt_text("You are calm.", "Say."), prompt_text("You are bold.", "Say it.")
    await stage.do(
        "insert into agent_prompts (id, agent_name, prompt_version, prompt_template, system_message, active,"
        " created_at) values (gen_random_uuid(), 'news', 1, 'Say.', 'You are calm.', true, now())"
    )
    change = await approved(stage, "news", old, new, kind="prompt")
    assert (await apply(stage, change)).message.endswith("the prompt of news is version 2 now")
    assert (await back(stage, change)).accepted
    prompts = "select prompt_version, system_message, active from agent_prompts where agent_name = 'news'"
    assert await stage.rows(f"{prompts} order by 1") == [
        (1, "You are calm.", False),
        (2, "You are bold.", False),
        (3, "You are calm.", True),
    ]


async def test_words_go_back_past_those_that_were_rolled_back(stage: Stage) -> None:
    words = [prompt_text(f"You are {name}.", "Say.") for name in ("calm", "bold", "kind", "loud")]
    await stage.do(
        "insert into agent_prompts (id, agent_name, prompt_version, prompt_template, system_message, active,"
        " created_at) values (gen_random_uuid(), 'news', 1, 'Say.', 'You are calm.', true, now())"
    )
    bold = await approved(stage, "news", words[0], words[1], kind="prompt", after="-3 s")
    assert (await apply(stage, bold)).accepted
    kind = await approved(stage, "news", words[1], words[2], kind="prompt", after="-2 s")
    assert (await apply(stage, kind)).accepted
    assert (await back(stage, bold)).message.endswith("news stays as a later change has it")
    stale = await approved(stage, "news", words[1], words[3], kind="prompt")
    assert "the words it starts from are not in force any more" in (await apply(stage, stale)).message
    assert (await back(stage, kind)).message.endswith("the prompt of news is version 4 now")
    champion = "select system_message from agent_prompts where agent_name = 'news' and active"
    assert await stage.rows(champion) == [("You are calm.",)]


async def test_an_approval_whose_undo_is_over_is_stopped_before_the_next_step(stage: Stage) -> None:
    due = await approved(stage, HOLD, "10", "12")
    early = await approved(stage, "limits.heat", "0.06", "0.05", after="1 hour")
    assert (await back(stage, due)).accepted
    assert "its approval can be taken back instead" in (await back(stage, early)).message
    assert await stage.rows("select status from strategy_adjustments order by parameter_name desc") == [
        ("rolled_back",),
        ("approved",),
    ]
    assert not (await apply(stage, due)).accepted
    assert await stage.rows("select count(*) from parameter_versions") == [(1,)]


async def test_what_was_changed_after_its_approval_does_not_take_effect(stage: Stage) -> None:
    change = await approved(stage, HOLD, "10", "12")
    await stage.do("update strategy_adjustments set new_value = '14'")
    assert (await apply(stage, change)).message.endswith("it was changed after it was approved")
    assert await in_force(stage, BOUNCE_HOLD) == 10


async def test_versions_are_only_added(stage: Stage) -> None:
    for statement in ("delete from parameter_versions", "update parameter_versions set reason = ''"):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="only ever added to"):
            await stage.do(statement)


async def test_what_was_approved_is_named_by_the_next_trade_after_its_undo_window(stage: Stage) -> None:
    await stage.do("update desk set undo_s = 60, undo_risky_s = 60")
    async with AsyncSession(stage.engine) as database, database.begin():
        told = {"parameter": HOLD, "family": "setups.oversold_bounce", "old_value": "10", "new_value": "12"}
        await AgentMemory(database).store_adjustment(change(**told), now=stage.clock.now())
    with psycopg.connect(stage.conninfo, autocommit=True) as connection:
        (row,) = read_proposals(connection, most=5)
        receipt = approve(connection, row.id, row.digest, AdjustmentRoute.AT_ONCE, row.short_id, ADA)
        assert receipt.accepted, receipt.message
        await stage.play(FIRST, Slot.SETTLE)
        assert await in_force(stage, BOUNCE_HOLD) == 10  # it may still be taken back
        await stage.do("update strategy_adjustments set effective_at = now() - interval '1 s'")
        await stage.play(FIRST, Slot.REGIME, Slot.SCREEN, Slot.DELIBERATE)
        named = "select distinct parameters_version from approvals where created_session = %s"
        assert await stage.rows(named, FIRST) == [(2,)]
        standing = read_standing(connection, row.id)
        assert standing.first_trade is not None and standing.first_trade.parameters_version == 2
        assert "first named by" in "\n".join(part.text for part in proposal_text(row, standing))

        receipt = take_back(connection, row.id, "it lost", ADA)
        assert receipt.message.endswith(f"{HOLD} is 10 again, version 3")
        standing = read_standing(connection, row.id)
    assert [said.verb for said in standing.verdicts] == ["at_once", "rolled_back"]
    assert standing.rolled_back_because == "it lost"
