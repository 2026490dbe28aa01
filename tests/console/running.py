"""A console without a terminal: a fake desk, a host that is ready at once, a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from textual.pilot import Pilot

from app.console.app import ConsoleApp, Post
from app.console.feed import OpenDesk
from app.console.glyphs import UNICODE, Glyphs
from app.console.messages import HostReady
from app.console.screens.desk import DeskScreen
from app.console.screens.review import ReviewScreen

from .desks import OPERATOR, FakeDesk, StandingClock


@dataclass
class ReadyHost:
    """A host whose desk can be read at once."""

    post: Post
    desk: str = "history"

    def start(self) -> None:
        self.post(HostReady(self.desk, "fake"))

    def close(self, wait_s: float) -> None:
        """Nothing runs."""


@dataclass
class Console:
    """A running console and what a test does with it."""

    app: ConsoleApp
    pilot: Pilot[None]
    desk: FakeDesk
    clock: StandingClock

    @property
    def text(self) -> str:
        """The screen as the operator reads it."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    @property
    def front(self) -> DeskScreen:
        return self.app.desk_screen

    @property
    def review(self) -> ReviewScreen:
        screen = self.app.screen
        assert isinstance(screen, ReviewScreen)
        return screen

    async def until(self, happened: Callable[[], bool], within_s: float = 30.0) -> None:
        """Let the app work until something has happened."""
        limit = monotonic() + within_s
        while not happened():
            assert monotonic() < limit, f"did not happen within {within_s} s; the screen says:\n{self.text}"
            await self.pilot.pause(0.01)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def open_review(self, *, armed: bool = True) -> ReviewScreen:
        """Open the approval under the cursor; with `armed`, after it could be read."""
        await self.press("2", "enter")
        await self.until(
            lambda: isinstance(self.app.screen, ReviewScreen) and self.review._shown_at is not None
        )
        if armed:
            self.clock.pass_time(1.0)
        return self.review


@asynccontextmanager
async def running(
    desk: FakeDesk,
    *,
    size: tuple[int, int] = (120, 40),
    glyphs: Glyphs = UNICODE,
    open_desk: OpenDesk | None = None,
) -> AsyncIterator[Console]:
    """A console over the desk, or over the one that `open_desk` opens, once it shows its first snapshot."""
    clock = StandingClock() if open_desk is None else StandingClock(datetime.now(UTC))
    app = ConsoleApp(
        operator=lambda: OPERATOR,
        host=lambda post: ReadyHost(post, desk.current.header.name),
        open_desk=open_desk or desk.open,
        clock=clock,
        glyphs=glyphs,
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        console = Console(app, pilot, desk, clock)
        await console.until(lambda: app.state.snapshot is not None or bool(desk.away))
        try:
            yield console
        finally:
            if app.feed is not None:
                app.feed.stop()
                app.feed.join(2.0)
