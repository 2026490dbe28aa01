"""The console's pictures, compared with those a human has looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from textual.app import App
from textual.pilot import Pilot

from app.console.app import ConsoleApp
from app.console.glyphs import UNICODE
from storage.proposals import ProposalRow
from storage.snapshot import DeskSnapshot

from .changes import a_change, desk_with
from .desks import OPERATOR, FakeDesk, StandingClock, a_desk
from .paper import a_dry_quota, a_new_desk, a_paper_desk, a_quota, a_troubled_desk, nobody_leads
from .running import ReadyHost

SnapCompare = Callable[..., bool]

SMALL, WIDE, FULL = (
    pytest.param((80, 24), id="80x24"),
    pytest.param((120, 40), id="120x40"),
    pytest.param((200, 60), id="200x60"),
)


def a_console(snapshot: DeskSnapshot, proposed: tuple[ProposalRow, ...] = ()) -> ConsoleApp:
    return ConsoleApp(
        operator=lambda: OPERATOR,
        host=lambda post: ReadyHost(post, snapshot.header.name),
        open_desk=FakeDesk(snapshot, proposed=proposed).open,
        clock=StandingClock(),
        glyphs=UNICODE,
    )


def after(*keys: str) -> Callable[[Pilot[None]], object]:
    """Press keys once the first snapshot is on the screen."""

    async def press(pilot: Pilot[None]) -> None:
        app: App[None] = pilot.app
        assert isinstance(app, ConsoleApp)
        while app.state.snapshot is None:
            await pilot.pause(0.01)
        await pilot.press(*keys)
        await pilot.pause()
        if app.feed is not None:
            app.feed.stop()
            app.feed.join(2.0)

    return press


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_the_desk_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(a_console(a_desk()), terminal_size=size, run_before=after())


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_the_review_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(a_console(a_desk()), terminal_size=size, run_before=after("2", "j", "enter"))


@pytest.mark.parametrize("size", [SMALL, WIDE, FULL])
def test_a_led_desk_and_its_agents_look_as_they_should(
    snap_compare: SnapCompare, size: tuple[int, int]
) -> None:
    """At 120x40 the agent's detail is open."""
    keys = ("6", "j", "j", "j", *(("enter",) if size == (120, 40) else ()))
    assert snap_compare(a_console(a_troubled_desk()), terminal_size=size, run_before=after(*keys))


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_the_log_of_a_led_desk_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(a_console(a_troubled_desk()), terminal_size=size, run_before=after("7"))


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_a_desk_without_data_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(
        a_console(nobody_leads(snapshot=a_new_desk())), terminal_size=size, run_before=after()
    )


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_leaving_a_led_desk_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(a_console(a_troubled_desk()), terminal_size=size, run_before=after("ctrl+q"))


@pytest.mark.parametrize("size", [SMALL, WIDE, FULL])
def test_a_quota_with_room_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    desk = replace(a_paper_desk(), quota=a_quota())
    assert snap_compare(a_console(desk), terminal_size=size, run_before=after("5"))


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_a_quota_that_is_gone_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    desk = replace(a_paper_desk(), quota=a_dry_quota())
    assert snap_compare(a_console(desk), terminal_size=size, run_before=after("5"))


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_the_review_of_a_change_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    row = a_change(id=UUID(int=7))
    console = a_console(desk_with(row).current, proposed=(row,))
    assert snap_compare(console, terminal_size=size, run_before=after("9", "enter"))
