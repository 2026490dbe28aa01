"""While a desk is halted nothing is entered, whatever the order of things, and what is held still leaves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from app.commands.drill import run_drill
from storage.desk import Desk
from storage.halt import LOCK, new_halt
from storage.records import Slot
from storage.server import Server
from tests.runtime.stage import ADA, FIRST, SECOND, Stage


def halted(stage: Stage) -> None:
    with Desk(stage.conninfo) as desk:
        assert desk.halt(new_halt("test", ADA, datetime.now(UTC))).accepted


def lifted(stage: Stage) -> None:
    with Desk(stage.conninfo) as desk:
        assert desk.lift("test", operator=ADA).accepted


async def entries(stage: Stage) -> list[tuple[str, str]]:
    return [
        (str(row[0]), str(row[1]))
        for row in await stage.rows("select state, coalesce(denied_by, '') from orders order by symbol")
    ]


async def test_halted_before_the_cutoff_no_order_is_placed(stage: Stage) -> None:
    await stage.evening(FIRST)
    assert await stage.approve_all() == 2
    halted(stage)
    run = await stage.play(SECOND, Slot.CUTOFF)
    assert run.summary.startswith("halted by ada: test; 0 approved for the open")
    assert await entries(stage) == [("skipped", "halt")] * 2
    lifted(stage)
    await stage.play(SECOND, Slot.OPEN)
    assert await stage.rows("select 1 from fills") == []


async def test_halted_after_the_cutoff_what_rests_is_withdrawn(stage: Stage) -> None:
    await stage.evening(FIRST)
    await stage.approve_all()
    await stage.play(SECOND, Slot.CUTOFF)
    halted(stage)
    run = await stage.play(SECOND, Slot.OPEN)
    assert run.summary == "skipped NVDA, skipped MSFT; halted by ada: test"
    assert await entries(stage) == [("skipped", "halt")] * 2
    assert await stage.rows("select 1 from fills") == []


async def test_lifted_before_the_open_what_was_approved_goes_on(stage: Stage) -> None:
    await stage.evening(FIRST)
    await stage.approve_all()
    halted(stage)
    lifted(stage)
    await stage.play(SECOND, Slot.CUTOFF, Slot.OPEN)
    assert len(await stage.rows("select 1 from fills")) == 2


async def test_a_halted_evening_proposes_nothing(stage: Stage) -> None:
    halted(stage)
    run = await stage.evening(FIRST)
    assert run.summary == "halted by ada: test; nothing is proposed"
    assert await stage.rows("select 1 from approvals") == []


async def test_a_halt_waits_for_an_open_under_way_and_the_open_for_a_halt(stage: Stage) -> None:
    await stage.evening(FIRST)
    await stage.approve_all()
    await stage.play(SECOND, Slot.CUTOFF)
    with psycopg.connect(stage.conninfo) as other:  # as a halt that has not committed yet
        other.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        other.execute(
            "insert into halts (id, at, halted_by, halted_from, reason)"
            " values (gen_random_uuid(), now(), 'bob', '', 'race')"
        )
        opening = asyncio.create_task(stage.play(SECOND, Slot.OPEN))
        waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted and objid = %s"
        async with asyncio.timeout(30):
            while not (await stage.rows(waits, LOCK))[0][0]:
                await asyncio.sleep(0.02)
        other.commit()
    run = await opening
    assert run.summary.endswith("halted by bob: race")
    assert await stage.rows("select 1 from fills") == []


@pytest.mark.long
def test_the_drill_says_that_the_halt_holds(
    databases: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.commands.drill.open_server", lambda *_: databases)
    assert run_drill()
    said = capsys.readouterr().out
    assert "NOT" not in said and said.count("ok ") == 11
