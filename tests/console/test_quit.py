"""Leaving: a replay pauses, a desk that is led goes on unless asked to stop, a lost terminal asks nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.console.notes import AFTER_QUIT, parting
from app.console.screens.desk import DeskScreen
from app.console.screens.quit import QuitScreen
from app.console.state import ConsoleState, Link
from storage.snapshot import DeskSnapshot

from .desks import FakeDesk, a_desk
from .paper import a_paper_desk, a_troubled_desk, leader, nobody_leads
from .running import Console, running

RUNS_ON = "The desk paper keeps running; `./quorum stop` ends it, `./quorum --desk paper` comes back."


def ended(console: Console) -> bool:
    return not console.app.is_running or console.app._exit


def asking(console: Console) -> bool:
    return isinstance(console.app.screen, QuitScreen)


async def test_a_replay_is_left_at_once() -> None:
    async with running(FakeDesk(a_desk())) as console:
        await console.pilot.press("ctrl+q")
        assert ended(console) and console.app.parting == AFTER_QUIT


async def test_a_desk_that_is_led_says_what_goes_on_and_enter_leaves_it() -> None:
    desk = FakeDesk(a_paper_desk())
    async with running(desk) as console:
        await console.press("ctrl+q")
        await console.until(lambda: "The desk paper keeps running (pid 4242 on trader-1)." in console.text)
        assert "Next: recheck in 6m." in console.text and "2 approvals wait for a verdict." in console.text
        assert console.app.focused is console.app.screen.query_one("#leave")
        await console.pilot.press("enter")
        assert ended(console) and console.app.parting == RUNS_ON and desk.told == []


async def test_escape_goes_back_and_leaves_nothing_open() -> None:
    async with running(FakeDesk(a_troubled_desk())) as console:
        await console.press("ctrl+q")
        await console.until(lambda: "Now news, then recheck in 6m." in console.text)
        await console.press("escape")
        assert isinstance(console.app.screen, DeskScreen) and not ended(console)


async def test_the_second_ctrl_q_leaves_at_once() -> None:
    desk = FakeDesk(a_paper_desk())
    async with running(desk) as console:
        await console.pilot.press("ctrl+q", "ctrl+q")
        assert ended(console) and console.app.parting == RUNS_ON and desk.told == []


@pytest.mark.parametrize("keys", [("s",), ("tab", "enter")], ids=["s", "button"])
async def test_stopping_it_too_leaves_once_the_desk_has_taken_it(keys: tuple[str, ...]) -> None:
    desk = FakeDesk(a_paper_desk())
    desk.answers.clear()
    async with running(desk) as console:
        await console.press("ctrl+q", *keys)
        await console.until(lambda: "asking the desk to stop" in console.text)
        await console.press("s")  # asked once is enough
        desk.answers.set()
        await console.until(lambda: ended(console))
        assert desk.told == [("stop", "")]
        assert (
            console.app.parting
            == "The desk paper was asked to stop; `./quorum --desk paper` starts it again."
        )


@pytest.mark.parametrize("away", [False, True])
async def test_a_desk_that_does_not_take_it_is_not_left(away: bool) -> None:
    desk = FakeDesk(a_paper_desk(), refuses="no runtime [/x] has ever led this desk")
    async with running(desk) as console:
        await console.press("ctrl+q")
        if away:
            desk.away = "the server [/x] is gone"
        await console.press("s")
        says = "not taken, the desk is away" if away else "! not stopped: no runtime [/x] has ever led"
        await console.until(lambda: says in console.text)
        assert asking(console) and not ended(console)
        await console.press("escape")
        assert isinstance(console.app.screen, DeskScreen)


async def test_leaving_before_the_desk_has_answered_says_so() -> None:
    desk = FakeDesk(a_paper_desk())
    desk.answers.clear()
    async with running(desk) as console:
        await console.press("ctrl+q", "s")
        await console.until(lambda: console.app._stop_answered is False)
        await console.pilot.press("ctrl+q")
        assert ended(console) and "was asked to stop and has not answered" in console.app.parting
        desk.answers.set()


async def test_going_back_while_the_desk_is_asked_stays_and_is_told_later() -> None:
    desk = FakeDesk(a_paper_desk())
    desk.answers.clear()
    async with running(desk) as console:
        await console.press("ctrl+q", "s")
        await console.until(lambda: console.app._stop_answered is False)
        await console.press("escape")
        desk.answers.set()
        await console.until(lambda: "stop the desk: stop  taken" in console.text)
        assert isinstance(console.app.screen, DeskScreen) and not ended(console)


async def test_where_nobody_leads_it_is_left_at_once_and_said_so() -> None:
    async with running(FakeDesk(nobody_leads())) as console:
        await console.pilot.press("ctrl+q")
        assert ended(console)
        assert console.app.parting == "Nobody leads the desk paper; `./quorum --desk paper` starts it again."


async def test_a_lost_terminal_asks_nothing_and_stops_nothing() -> None:
    desk = FakeDesk(a_paper_desk())
    async with running(desk) as console:
        console.app.leave()
        await console.until(lambda: ended(console))
        assert desk.told == []


@pytest.mark.parametrize(
    ("snapshot", "link", "says"),
    [
        (a_paper_desk(), Link.UP, RUNS_ON),
        (a_paper_desk(), Link.AWAY, "ran at 14:03:22Z, when it was last read; nothing was stopped"),
        (a_paper_desk(leads=leader(stop_asked_by="bob")), Link.UP, "The desk paper was asked to stop"),
        (nobody_leads(), Link.UP, "Nobody leads the desk paper"),
        (None, Link.AWAY, "The desk second was not read"),
    ],
    ids=["led", "away", "stopping", "unled", "unread"],
)
def test_the_last_line_says_what_goes_on(snapshot: DeskSnapshot | None, link: Link, says: str) -> None:
    assert says in parting(ConsoleState(snapshot=snapshot, link=link, desk="second"))


def test_a_desk_by_another_name_is_named_in_what_ends_it() -> None:
    snapshot = a_paper_desk()
    other = replace(snapshot, header=replace(snapshot.header, name="rehearsal"))
    assert "`./quorum stop --desk rehearsal`" in parting(ConsoleState(snapshot=other, link=Link.UP))
