"""The evening with a policy in force or nobody there, and what became of what nobody answered."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from agents.market.calendar import next_session
from storage.desk import Desk
from storage.policies import PolicyDraft
from storage.records import SetupType, Slot
from tests.runtime.stage import ADA, FIRST, SECOND, Stage

DRAFT = PolicyDraft(setups=tuple(SetupType), max_risk=0.005, min_probability=0.0, a_day=1, max_heat=0.015)


def policy_in_force(conninfo: str, draft: PolicyDraft = DRAFT) -> str:
    with Desk(conninfo) as desk:
        assert desk.propose_policy(draft, operator=ADA).accepted
        name = desk.policies()[0].short_id
        assert desk.approve_policy(name, typed_id=name, operator=ADA).accepted
    return name


async def test_a_policy_approves_one_and_leaves_the_other_to_the_human(stage: Stage) -> None:
    name = await asyncio.to_thread(policy_in_force, stage.conninfo)
    await stage.evening(FIRST)
    run = await stage.play(FIRST, Slot.DIGEST)
    assert f"NVDA approved by policy {name}." in run.summary
    assert await stage.rows("select symbol, state, decided_by from approvals order by 1") == [
        ("MSFT", "pending", None),
        ("NVDA", "approved", f"policy {name} v1"),
    ]
    assert await stage.rows("select verb, given_by from verdicts") == [("approved", f"policy {name} v1")]
    with Desk(stage.conninfo) as desk:
        (asked,) = [row for row in desk.snapshot().approvals if row.decided_by]  # type: ignore[union-attr]
        assert desk.undo(asked.id, operator=ADA).accepted
    await stage.play(SECOND, Slot.CUTOFF, Slot.OPEN)
    assert await stage.rows("select 1 from fills") == []


async def test_after_the_cutoff_a_policy_has_no_more_say_than_a_human(stage: Stage) -> None:
    """As of a desk that was down overnight and comes back between the cutoff and the open."""
    await asyncio.to_thread(policy_in_force, stage.conninfo)
    await stage.evening(FIRST)
    await stage.do("update approvals set expires_at = now() - interval '2 minutes'")
    await stage.play(FIRST, Slot.DIGEST)
    await stage.play(SECOND, Slot.CUTOFF)
    assert await stage.rows("select distinct state from approvals") == [("expired",)]
    assert await stage.rows("select 1 from orders") == []


async def test_a_policy_that_is_off_says_why_and_does_nothing(stage: Stage) -> None:
    name = await asyncio.to_thread(policy_in_force, stage.conninfo)
    await stage.evening(FIRST)
    await stage.do("update ladder_readings set rung = 'half'")
    run = await stage.play(FIRST, Slot.DIGEST)
    assert f"policy {name} does not act: the ladder stands at half." in run.summary
    assert await stage.rows("select count(*) from verdicts") == [(0,)]


async def test_bounds_changed_behind_its_back_do_nothing(stage: Stage) -> None:
    name = await asyncio.to_thread(policy_in_force, stage.conninfo)
    await stage.do("update policies set a_day = 2")
    await stage.evening(FIRST)
    run = await stage.play(FIRST, Slot.DIGEST)
    assert f"policy {name} does not act: its bounds were changed." in run.summary
    assert await stage.rows("select count(*) from verdicts") == [(0,)]


async def test_while_nobody_is_there_nothing_is_proposed_or_entered(stage: Stage) -> None:
    await stage.evening(FIRST)
    await stage.approve_all()

    def leave(until: datetime) -> None:
        with Desk(stage.conninfo) as desk:
            assert desk.leave(until, "sailing", operator=ADA).accepted

    await asyncio.to_thread(leave, stage.clock.shown + timedelta(days=30))
    run = await stage.play(SECOND, Slot.CUTOFF)
    assert run.summary.startswith("ada is away until")
    assert await stage.rows("select distinct state, denied_by from orders") == [("skipped", "away")]
    assert (await stage.evening(SECOND)).summary.endswith("nothing is proposed")


@pytest.mark.long
async def test_what_nobody_answered_is_followed_to_its_end(stage: Stage) -> None:
    await stage.evening(FIRST)
    await stage.play(SECOND, Slot.CUTOFF, Slot.SETTLE, Slot.DIGEST)
    with Desk(stage.conninfo) as desk:
        early = desk.snapshot()
    assert early is not None and early.missed is not None
    assert early.missed.words.startswith("2 missed this week")  # loud from the first evening on
    session, told = next_session(SECOND), []
    for _ in range(25):
        await stage.play(session, Slot.CUTOFF, Slot.SETTLE)
        await stage.play(session, Slot.DIGEST)
        told = await stage.rows("select symbol, what_if_r, what_if_note from approvals order by 1")
        if all(row[2] for row in told):
            break
        session = next_session(session)
    assert [row[0] for row in told] == ["MSFT", "NVDA"]
    assert all(row[1] is not None and -3 < row[1] < 5 for row in told)
    with Desk(stage.conninfo) as desk:
        snapshot = desk.snapshot()
    assert snapshot is not None and snapshot.missed is not None
