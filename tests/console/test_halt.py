"""S stops the desk with one question; typed-ahead keys and double presses ask and tell once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.console.screens.desk import DeskScreen
from app.console.screens.halt import NO_REASON, HaltScreen
from storage.records import HaltRow, uuid7

from .desks import NOW, FakeDesk
from .paper import a_paper_desk
from .running import running

HOSTILE = "[/x] \x1b[31mstop"


@pytest.mark.parametrize("pane", ["1", "2", "7"])
async def test_s_asks_once_and_enter_halts(pane: str) -> None:
    desk = FakeDesk(a_paper_desk())
    async with running(desk) as console:
        await console.press(pane, "S")
        await console.until(lambda: "All entries stop" in console.text)
        await console.press("enter")
        await console.until(lambda: bool(desk.told))
        assert desk.told == [("halt", NO_REASON)] and isinstance(console.app.screen, DeskScreen)


async def test_what_is_typed_is_the_reason_and_keys_typed_into_it_do_nothing_else() -> None:
    desk = FakeDesk(a_paper_desk())
    async with running(desk) as console:
        await console.press("S")
        await console.until(lambda: isinstance(console.app.screen, HaltScreen))
        await console.press("q", "S", "enter", "enter")
        await console.until(lambda: bool(desk.told))
        assert desk.told == [("halt", "qS")]


async def test_escape_changes_nothing() -> None:
    desk = FakeDesk(a_paper_desk())
    async with running(desk) as console:
        await console.press("S")
        await console.until(lambda: isinstance(console.app.screen, HaltScreen))
        await console.press("escape")
        assert isinstance(console.app.screen, DeskScreen) and desk.told == []


async def test_the_strip_says_who_halted_it_and_the_question_why() -> None:
    halt = HaltRow(id=uuid7(), at=NOW, halted_by=HOSTILE, halted_from="", reason=HOSTILE)
    async with running(FakeDesk(replace(a_paper_desk(), halt=halt))) as console:
        await console.until(lambda: "HALTED" in console.text)
        await console.press("S")
        await console.until(lambda: "quorum lift" in console.text)
        assert "[/x]" in console.text and "\x1b" not in console.text
