"""The agents of a desk that lives in the present: what each does, how a human holds or hurries it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app.console.agent_card import agent_lines, agent_state, next_run
from app.console.state import ConsoleState, View
from app.console.text import Line
from storage.desk import Desk
from storage.records import AgentName, RunState, Slot
from storage.snapshot import AgentRow, DeskSnapshot
from tests.storage import desk_builder as build
from tests.storage.desk_builder import SESSIONS, writing

from .desks import NOW, FakeDesk, a_desk
from .paper import a_new_desk, a_paper_desk, a_troubled_desk, agent_row, at, nobody_leads
from .running import running


def view_of(snapshot: DeskSnapshot) -> View:
    return View(state=ConsoleState(snapshot=snapshot), now=NOW)


def read(lines: list[Line]) -> str:
    return "\n".join("".join(piece.text for piece in line) for line in lines)


REST = agent_row(AgentName.RESEARCH)


@pytest.mark.parametrize(
    ("row", "roomy", "narrow"),
    [
        (REST, "· idle", "· idle"),
        (
            replace(REST, symbol="AAPL", working_since=NOW - timedelta(seconds=12)),
            "▸ working AAPL 12s",
            "▸ AAPL 12s",
        ),
        (replace(REST, working_since=NOW - timedelta(minutes=4)), "▸ working 4m", "▸ working"),
        (
            replace(REST, paused_by="ada", paused_at=at("02 13:40")),
            "║ paused by ada since 13:40Z",
            "║ paused",
        ),
        (
            replace(REST, paused_by="ada", paused_at=at("01 13:40"), failures=3),
            "║ paused by ada since 03-01 13:40",
            "║ paused",
        ),
        (replace(REST, failures=2), "! 2 failed", "! 2 failed"),
    ],
)
def test_what_an_agent_does_is_a_sign_and_a_word(row: AgentRow, roomy: str, narrow: str) -> None:
    snapshot = a_paper_desk()
    state = agent_state(row, view_of(snapshot), snapshot)
    assert state.within(40).text == roomy
    assert state.within(11).text == narrow


def test_work_under_a_leader_that_is_gone_is_doubtful() -> None:
    snapshot = nobody_leads()
    row = replace(REST, symbol="AAPL", working_since=NOW - timedelta(seconds=90))
    assert agent_state(row, view_of(snapshot), snapshot).within(40).text == "~ working AAPL 90s"


def test_the_next_run_counts_down_by_the_desks_clock() -> None:
    wall = a_paper_desk()
    view = replace(view_of(wall), now=NOW + timedelta(seconds=60))
    assert next_run(REST, view, wall).within(30).text == "deliberate in 9h25m"
    fast = a_paper_desk(speed=300.0)
    view = replace(view_of(fast), now=NOW + timedelta(seconds=60))
    assert next_run(REST, view, fast).within(30).text == "deliberate in 4h26m"
    assert next_run(REST, view, fast).within(16).text == "deliberate 4h26m"
    assert next_run(REST, view, fast).within(9).text == "4h26m"
    new = a_new_desk()
    assert next_run(REST, view_of(new), new).within(30).text == "deliberate in 9h26m, skipped"


def test_the_detail_tells_everything_of_an_agent() -> None:
    snapshot = a_troubled_desk()
    strategy = next(row for row in snapshot.agents if row.agent is AgentName.STRATEGY)
    text = read(agent_lines(strategy, view_of(snapshot), 54))
    for part in (
        "paused    by bob since 2026-03-02 13:40:00Z",
        "failures  none in a row",
        "next      deliberate in 9h26m",
        "by rules, 2 tasks, 100% answered",
        "2 setups: CAT, GE",
        "deliberate     03-02 23:30Z  for 2026-03-02",
    ):
        assert part in text
    new = a_new_desk()
    assert "skipped: lacks settled bars: FMP_API_KEY is not set" in read(
        agent_lines(new.agents[0], view_of(new), 60)
    )


async def test_a_replays_agents_are_shown_as_ever_and_cannot_be_held() -> None:
    desk = FakeDesk(a_desk())
    async with running(desk, size=(80, 24)) as console:
        await console.press("6")
        assert "TASKS" in console.text and "NOW" not in console.text
        await console.press("p", "t")
        await console.until(lambda: "a replay runs its agents by itself" in console.text)
        assert desk.told == []


async def test_the_keys_work_only_where_the_agent_is_in_sight() -> None:
    desk = FakeDesk(a_paper_desk())
    async with running(desk) as console:
        await console.press("p", "t")
        await console.until(lambda: "go to the agents pane (6) and choose one" in console.text)
        await console.press("6", "j", "p")
        await console.until(lambda: desk.told == [("pause", "research")])
        await console.press("enter", "t")  # its detail is in front now
        await console.until(lambda: desk.told[1:] == [("run now", "research")])
        await console.press("1", "t")
        assert len(desk.told) == 2


async def test_a_paused_agent_is_resumed() -> None:
    desk = FakeDesk(a_troubled_desk())
    async with running(desk) as console:
        await console.press("6", "j", "j", "j", "p")
        await console.until(lambda: desk.told == [("resume", "strategy")])
        await console.until(lambda: "resume strategy: resume strategy taken" in console.text)


async def test_a_command_that_is_not_taken_says_that_nothing_changed() -> None:
    desk = FakeDesk(a_paper_desk(), refuses="no [/x] \x1b[2J way")
    async with running(desk) as console:
        await console.press("6", "p")
        await console.until(lambda: "pause regime REFUSED, nothing changed: no [/x]" in console.text)
        desk.away = "the server is gone"
        await console.press("t")
        await console.until(lambda: "desk is away: ConnectionError: the server is gone" in console.text)
        console.app.clear_notifications()
        await console.press("7", "f")
        await console.until(lambda: console.text.count("! fault") >= 2)
        assert "\x1b" not in console.text


async def test_the_real_desk_takes_a_pause_a_resume_and_a_run_now(database: str) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with writing(database) as session:
        build.found_paper(session)
        session.add_all(build.agent_state(agent) for agent in AgentName)
        session.add(build.scheduled(Slot.REGIME, tomorrow, AgentName.REGIME))
        session.add(build.run(SESSIONS[0], Slot.REGIME, state=RunState.FAILED, summary="no answer"))
        session.add(build.leader())

    def row(query: str) -> tuple[object, ...] | None:
        with psycopg.connect(database) as connection:
            return connection.execute(query.encode()).fetchone()

    paused = "select paused_by from agent_states where agent_name = 'regime'"
    async with running(FakeDesk(a_desk()), open_desk=lambda conninfo: Desk(database)) as console:
        await console.press("6")
        await console.until(lambda: "! 1 failed" in console.text)
        await console.press("p")
        await console.until(lambda: row(paused) == ("ada",) and "║ paused" in console.text)
        await console.press("p")
        await console.until(lambda: row(paused) == (None,) and "! 1 failed" in console.text)
        await console.press("t")
        asked = ("queued", "ada")
        await console.until(lambda: row("select state, asked_by from runs") == asked)
        await console.press("t")
        await console.until(lambda: "is queued already" in console.text)
        console.app.clear_notifications()
        await console.press("7", "f")
        await console.until(lambda: "ada: regime paused" in console.text and "asked by ada" in console.text)
