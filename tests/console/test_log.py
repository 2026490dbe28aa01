"""The log is one list by the wall's clock: runs, what was done to the desk, what happened to the console."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.console.panes.log import LogPane
from app.console.state import ConsoleEvent, ConsoleState, View
from app.console.widgets.table import Row
from storage.records import OperationKind, RunState, Slot
from storage.snapshot import DeskSnapshot

from .desks import NOW, FakeDesk, a_desk
from .paper import a_paper_desk, a_troubled_desk, at, operation, run_row
from .running import running


def logged(snapshot: DeskSnapshot, *events: ConsoleEvent) -> list[str]:
    """The rows as the operator reads them, without the columns' widths."""
    view = View(state=ConsoleState(snapshot=snapshot, events=events), now=NOW)
    rows: list[Row] = list(LogPane().rows(view, 100))
    assert len({row.key for row in rows}) == len(rows)
    return [" ".join(piece.text for piece in row.cells if piece.text) for row in rows]


def test_what_is_not_over_comes_first_then_everything_by_the_walls_clock() -> None:
    event = ConsoleEvent(at=at("02 13:50"), text="the host runs")
    assert logged(a_troubled_desk(), event)[:10] == [
        "due 13:45Z news ▸ running try 2, asked by ada 2026-03-02",
        "due 12:00Z corp actions · queued waits for a worker 2026-03-02",
        "13:58:00Z desk run now ada: news of 2026-03-02 asked to run now",
        "13:50:00Z console note the host runs",
        "13:40:00Z desk pause bob: strategy paused",
        "13:39:00Z desk ! rescued trader-1:4242: 1 job of a worker that died",
        "12:00:00Z desk caught up trader-1:4242: 1 slot that came due meanwhile",
        "11:58:00Z desk leads trader-1:4242: leads as number 7",
        "01:00:02Z learn ! failed try 3: TimeoutError: no answer after 3600 s 2026-02-27 1.25",
        "00:19:02Z digest ✓ done late 17m: equity $105,412.11 2026-02-27 1.25",
    ]


def test_another_day_is_told_by_its_date() -> None:
    assert "02-27 23:45 digest ✓ done equity $105,412.11, heat 0.82% 2026-02-27 1.25" in logged(
        a_paper_desk()
    )


def test_a_fault_of_the_machine_and_a_leader_that_left_are_told_apart() -> None:
    snapshot = replace(
        a_paper_desk(),
        operations=(
            operation("02 13:59", OperationKind.FAULT, "trader-1:4242", "the clock jumped"),
            operation("02 13:00", OperationKind.STEPPED_DOWN, "trader-2:9", "asked to stop by ada"),
        ),
    )
    lines = logged(snapshot)
    assert lines[0] == "13:59:00Z desk ! fault trader-1:4242: the clock jumped"
    assert "13:00:00Z desk left trader-2:9: asked to stop by ada" in lines


def test_a_simulated_clock_is_never_taken_for_the_walls() -> None:
    replayed = a_desk()
    assert logged(replayed)[0].startswith("14:03:20Z digest")
    untold = replace(replayed, runs=tuple(replace(run, finished_at=None) for run in replayed.runs[:2]))
    assert logged(untold, ConsoleEvent(at=NOW, text="the host runs"))[:2] == [
        "14:03:22Z console note the host runs",
        "desk 23:00Z digest ✓ done equity $105,412.11, heat 0.82% 2018-02-06 0.04",
    ]
    rehearsed = a_paper_desk(
        more_runs=[run_row(Slot.SETTLE, at("02 13:00"), RunState.DONE, "98 bars", late_s=300)], speed=300.0
    )
    assert any("settle ✓ done 98 bars" in text for text in logged(rehearsed))  # a second late is not late


async def test_the_detail_of_a_line_tells_it_whole() -> None:
    async with running(FakeDesk(a_troubled_desk()), size=(120, 40)) as console:
        await console.press("7", "enter")
        await console.until(lambda: "news of 2026-03-02  ▸ running" in console.text)
        assert "2026-03-02 13:45Z by the desk's clock" in console.text and "not yet" in console.text
        await console.press("escape", "j", "j", "j", "enter")
        await console.until(lambda: "desk: run now at 2026-03-02 13:58:00Z" in console.text)
        assert "ada" in console.text


@pytest.mark.long
async def test_hostile_words_of_machines_and_humans_are_shown_and_obeyed_nowhere() -> None:
    text = "[/x] \x1b[2J \u202e" + "y" * 400
    calm = a_troubled_desk()
    assert calm.leader is not None
    desk = FakeDesk(
        replace(
            calm,
            header=replace(calm.header, name="[/x]\x1b[2J"),
            leader=replace(calm.leader, host=text),
            schedule=tuple(replace(row, lacks=text) for row in calm.schedule),
            operations=tuple(replace(row, who=text, text=text) for row in calm.operations),
            runs=tuple(replace(run, summary=text, asked_by=text, agent=text) for run in calm.runs),
            agents=tuple(
                replace(row, last_result=text, source=text, paused_by=text, symbol=text)
                if index % 2
                else replace(row, symbol=text, working_since=NOW - timedelta(seconds=3))
                for index, row in enumerate(calm.agents)
            ),
        )
    )
    async with running(desk, size=(200, 60)) as console:
        for keys in (("6", "enter"), ("6", "j", "enter"), ("7", "enter"), ("7", "j", "j", "j", "enter")):
            await console.press(*keys)
            assert "\x1b" not in console.text and "\u202e" not in console.text
        await console.press("ctrl+q")
        await console.until(lambda: "keeps running" in console.text)
        assert "\x1b" not in console.text and "\x1b" not in console.app.parting
