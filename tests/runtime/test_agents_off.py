"""AGENT_ORCHESTRATOR_ENABLED is off: the clock calls no agent, and the desk keeps everything it has."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.market.calendar import next_session
from agents.market.clock import SystemClock
from agents.market.history import HistoryPack
from app.runtime.live import LiveDesk, Rehearsal
from app.runtime.slots import AGENTS_OFF
from app.settings import load_settings
from app.wiring import scheduled_models, scheduled_sources, workbench
from storage.records import DeskKind, RunState, Slot
from tests.app.books import assert_books_balance
from tests.runtime.stage import FIRST, SECOND, Stage

CALLED = (Slot.NEWS, Slot.DELIBERATE, Slot.LEARN)
LONGEST = 40  # sessions; by then a position has met its stop, its target or its time


@pytest.mark.long
async def test_what_was_approved_is_bought_and_its_exits_are_kept_while_no_agent_argues(stage: Stage) -> None:
    await stage.evening(FIRST)
    assert await stage.approve_all() == 2
    sources = replace(stage.bench.sources, agents=False)
    stage = replace(stage, bench=replace(stage.bench, sources=sources))
    kept = (Slot.CUTOFF, Slot.OPEN, Slot.SETTLE)
    for slot in (*kept, Slot.REGIME, Slot.SCREEN, Slot.DIGEST):
        assert (await stage.play(SECOND, slot)).state is RunState.DONE
    assert await stage.rows("select count(*) from positions") == [(2,)]
    for slot in CALLED:
        run = await stage.play(SECOND, slot)
        assert (run.state, run.summary) == (RunState.SKIPPED, AGENTS_OFF)
    session, played = SECOND, 0
    while played < LONGEST and await stage.rows("select count(*) from trade_outcomes") == [(0,)]:
        session, played = next_session(session), played + 1
        await stage.play(session, *kept)
    assert played < LONGEST
    assert await stage.rows("select count(*) from approvals") == [(2,)]
    await asyncio.to_thread(assert_books_balance, stage.conninfo)


@pytest.mark.parametrize("switch", ["true", "false"])
async def test_the_switch_reaches_the_leader_and_its_workers(
    database: str, sample: HistoryPack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    monkeypatch.setenv("AGENT_ORCHESTRATOR_ENABLED", switch)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a key")
    settings = load_settings(tmp_path / ".env")
    rehearsal = Rehearsal(pack=sample, first=FIRST, speed=1.0)
    desk = LiveDesk(
        name="paper",
        conninfo=database,
        kind=DeskKind.PAPER,
        clock=SystemClock(),
        founded=datetime.now(UTC),
        first_session=FIRST,
        history_digest="",
    )
    async with scheduled_models(settings, desk) as models:
        bench = workbench(settings, desk, rehearsal, models, None)
    assert (bench.parts.models is None) is (switch == "false")
    for sources in (bench.sources, scheduled_sources(settings, desk, rehearsal, None)):
        off = {slot for slot in Slot if sources.lacks(slot) == AGENTS_OFF}
        assert off == (set(CALLED) if switch == "false" else set())
