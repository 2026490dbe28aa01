"""The console's pictures, compared with those a human has looked at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.app import App
from textual.pilot import Pilot

from app.console.app import ConsoleApp
from app.console.glyphs import UNICODE

from .desks import OPERATOR, FakeDesk, StandingClock, a_desk
from .running import ReadyHost

SnapCompare = Callable[..., bool]


def a_console() -> ConsoleApp:
    desk = FakeDesk(a_desk())
    return ConsoleApp(
        operator=lambda: OPERATOR, host=ReadyHost, open_desk=desk.open, clock=StandingClock(), glyphs=UNICODE
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


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_the_desk_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(a_console(), terminal_size=size, run_before=after())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_the_review_looks_as_it_should(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(a_console(), terminal_size=size, run_before=after("2", "j", "enter"))
