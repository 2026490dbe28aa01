"""The second row of the strip on a desk that lives in the present: what is wrong, what runs, what comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from app.console.machine import desk_now
from app.console.panes.regime import RegimePane
from app.console.state import ConsoleState, HostHealth, Link, View
from app.console.strip import strip_lines
from storage.records import AgentName, Rung, RunState, Slot
from storage.snapshot import DeskSnapshot, LadderRow

from .desks import NOW, FakeDesk, a_desk
from .paper import (
    a_new_desk,
    a_paper_desk,
    a_troubled_desk,
    agent_row,
    at,
    leader,
    nobody_leads,
    run_row,
)
from .running import running


def second(snapshot: DeskSnapshot, width: int = 160, *, passed_s: float = 0, link: Link = Link.UP) -> str:
    state = ConsoleState(snapshot=snapshot, link=link, host=HostHealth.RUNNING)
    view = View(state=state, now=NOW + timedelta(seconds=passed_s))
    return "".join(piece.text for piece in strip_lines(view, width)[1]).strip()


FAILED = run_row(Slot.SCREEN, at("01 23:05"), RunState.FAILED, "no answer")
QUEUED = run_row(Slot.CORPORATE_ACTIONS, at("02 13:59"), RunState.QUEUED)


@pytest.mark.parametrize(
    ("snapshot", "says"),
    [
        (a_paper_desk(), "next recheck in 6m | desk ok | db ok"),
        (a_paper_desk(more_runs=[FAILED]), "! screen failed | next recheck"),
        (a_paper_desk(more_runs=[FAILED, replace(FAILED, slot=Slot.REGIME)]), "! 2 runs failed"),
        (a_paper_desk(more_runs=[QUEUED]), "! corp actions late 4m"),
        (nobody_leads(), "! nobody leads 12s"),
        (a_paper_desk(leads=leader(silent_s=120, ended=True)), "! nobody leads 2m"),
        (replace(a_paper_desk(), leader=None), "! nobody leads | db ok"),
        (a_paper_desk(leads=leader(stop_asked_by="bob")), "desk stopping for bob"),
        (a_paper_desk(workers=0), "! nobody serves compute, 2 waiting"),
        (a_new_desk(), "next recheck in 6m (will be skipped)"),
        (replace(a_paper_desk(), schedule=()), "next nothing scheduled"),
        (a_troubled_desk(), "▸ news runs, then recheck in 6m"),
        (a_troubled_desk(), "! learning failed 2x"),
        (a_paper_desk(speed=300.0), "desk clock 2026-03-02 14:03Z 300x | next recheck in 6m"),
    ],
)
def test_what_is_wrong_and_what_comes_is_in_the_strip(snapshot: DeskSnapshot, says: str) -> None:
    assert says in second(snapshot)


@pytest.mark.parametrize(
    "quiet",
    [
        a_paper_desk(more_runs=[replace(FAILED, desk_time=NOW - timedelta(hours=25))]),
        a_paper_desk(more_runs=[replace(QUEUED, desk_time=NOW - timedelta(seconds=50))]),
        a_paper_desk(more_runs=[replace(QUEUED, desk_time=at("01 12:00"), asked_by="ada")]),
        a_paper_desk(more_runs=[replace(QUEUED, desk_time=NOW - timedelta(hours=2))], speed=300.0),
    ],
    ids=["failed days ago", "just queued", "asked for again", "a rehearsal runs fast"],
)
def test_what_is_in_order_raises_no_alarm(quiet: DeskSnapshot) -> None:
    assert "!" not in second(quiet)


def test_a_slot_nobody_started_is_late() -> None:
    assert "recheck in 8s" in second(a_paper_desk(), passed_s=390)
    assert "recheck due now" in second(a_paper_desk(), passed_s=398)
    assert "! recheck late 3m | next cutoff" in second(a_paper_desk(), passed_s=580)


def test_paused_agents_are_named_when_none_fails() -> None:
    paused = replace(agent_row(AgentName.NEWS), paused_by="bob")
    assert "news paused" in second(a_paper_desk(agents=[paused]))
    both = [paused, replace(agent_row(AgentName.RISK), paused_by="bob")]
    assert "2 agents paused" in second(a_paper_desk(agents=both))
    failing = replace(agent_row(AgentName.RISK), failures=3)
    assert "! risk failed 3x" in second(a_paper_desk(agents=[paused, failing]))


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_strip_is_never_wider_than_the_screen(width: int) -> None:
    text = second(nobody_leads(snapshot=a_troubled_desk()), width)
    assert len(text) <= width - 10
    assert "! nobody leads 12s" in text and "failed" in text


def test_out_of_reach_the_leader_is_not_called_well() -> None:
    text = second(a_paper_desk(), link=Link.AWAY)
    assert "desk out of sight" in text and "desk ok" not in text


def test_a_rehearsals_clock_runs_on_and_a_replays_stands() -> None:
    later = View(state=ConsoleState(), now=NOW + timedelta(seconds=10))
    assert desk_now(later, a_paper_desk(speed=300.0)) == NOW + timedelta(minutes=50)
    assert desk_now(later, a_desk()) == a_desk().header.desk_time


async def test_verdicts_on_a_led_desk_need_the_database_and_not_the_host() -> None:
    state = ConsoleState(snapshot=a_paper_desk(), link=Link.UP, host=HostHealth.RESTARTING)
    assert state.closed_because == ""
    assert "the database is away" in replace(state, link=Link.AWAY).closed_because
    assert "the desk's host is away" in replace(state, snapshot=a_desk()).closed_because


async def test_what_a_desk_lacks_stands_above_the_panes_until_it_is_hidden() -> None:
    desk = FakeDesk(a_new_desk())
    says = "PAPER: FMP_API_KEY is not set; skipped at no cost: corp actions, news, recheck, open"
    async with running(desk) as console:
        assert says in console.text
        await console.press("x")
        assert says not in console.text
        later = replace(desk.current, schedule=desk.current.schedule[3:] + desk.current.schedule[:3])
        desk.show(later)
        await console.until(lambda: console.app.state.snapshot is later)
        assert says not in console.text
        await console.press("x")
        assert says in console.text
        desk.show(a_paper_desk())
        await console.until(lambda: says not in console.text)


async def test_a_desk_that_watches_symbols_without_bars_says_when_those_come() -> None:
    desk = replace(a_new_desk(lacks={}), followed=78)
    async with running(FakeDesk(desk), size=(120, 40)) as console:
        assert "78 symbols are watched" in console.text and "nothing is watched" not in console.text
        assert "settle in 8h26m, at 2026-03-02 22:30Z" in console.text


async def test_a_desk_without_data_says_what_is_missing_and_when_it_comes() -> None:
    async with running(FakeDesk(a_new_desk(lacks={})), size=(120, 40)) as console:
        for part in (
            "nothing is watched yet",
            "screen in 9h01m, at 2026-03-02 23:05Z",
            "nothing waits for a verdict",
            "deliberate in 9h26m, at 2026-03-02 23:30Z",
            "open in 31m, at 2026-03-02 14:35Z",
            "regime in 8h56m, at 2026-03-02",
            "settle in 8h26m, at 2026-03-02",
            "no session settled yet",
        ):
            assert part in console.text
        await console.press("7")
        assert "trader-1:4242: leads" in console.text
    async with running(FakeDesk(replace(a_new_desk(), schedule=(), leader=None))) as console:
        assert "nothing is scheduled: no runtime has led this desk yet" in console.text
    async with running(FakeDesk(a_new_desk())) as console:
        assert "screen is skipped each session: lacks settled bars: FMP_API_KEY is not set" in console.text


def standing(rung: Rung, **changes: object) -> DeskSnapshot:
    ladder = LadderRow(session=NOW.date(), rung=rung, drawdown=0.161, halted_since=None, probation_left=0)
    return replace(a_desk(), ladder=replace(ladder, **changes))  # type: ignore[arg-type]


def test_the_ladder_is_named_while_it_holds_anything_back() -> None:
    assert "below its high" not in second(standing(Rung.FULL))
    assert "! half size, 16.1% below its high" in second(standing(Rung.HALF))
    halted = standing(Rung.HALT, halted_since=date(2018, 2, 5))
    assert "! HALTED since 2018-02-05, 16.1% below its high" in second(halted)
    assert "! HALTED" in second(halted, 80)
    probation = standing(Rung.FULL, probation_left=7)
    assert "! quarter size, 7 trades of probation left" in second(probation)


async def test_the_regime_pane_tells_settled_cash_from_what_is_to_come() -> None:
    desk = standing(Rung.QUARTER)
    last = replace(desk.equity[-1], unsettled=Decimal("5000.00"), settles_on=date(2018, 2, 7))
    desk = replace(desk, equity=(*desk.equity[:-1], last))
    pane = RegimePane()
    state = ConsoleState(snapshot=desk, link=Link.UP, host=HostHealth.RUNNING)
    lines = ["".join(piece.text for piece in row) for row in pane.content(View(state=state, now=NOW), 40)]
    assert "cash       $73,100.00 settled" in lines
    assert "           $5,000.00 settles 2018-02-07" in lines
    assert "ladder     quarter size, 16.1% below its" in lines
