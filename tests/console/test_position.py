"""What is sold by hand is typed out: no key, typed ahead or pressed twice, sells anything by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from app.console.screens.desk import DeskScreen
from app.console.screens.position import PositionScreen

from .desks import NOW, FakeDesk, a_desk
from .running import Console, running


def asked(console: Console) -> PositionScreen:
    assert isinstance(console.app.screen, PositionScreen)
    return console.app.screen


async def open_dialog(console: Console, key: str, *, armed: bool = True) -> None:
    await console.press("3", key)
    await console.until(
        lambda: isinstance(console.app.screen, PositionScreen) and console.app.screen._shown_at is not None
    )
    if armed:
        console.clock.pass_time(1.0)
        asked(console).tick()
        await console.pilot.pause()


async def test_closing_asks_for_the_symbol_and_tells_the_desk_once() -> None:
    desk = FakeDesk(a_desk())
    symbol = desk.current.positions[0].symbol
    async with running(desk) as console:
        await open_dialog(console, "c")
        await console.press(*"nvd", "enter")
        assert desk.told == []
        assert "is not" in asked(console).problem
        await console.press(*["backspace"] * 3, *symbol, "enter", "enter")
        await console.until(lambda: bool(desk.told))
        assert desk.told == [("close", symbol)]
        assert isinstance(console.app.screen, DeskScreen)


async def test_what_is_typed_before_the_question_could_be_read_goes_nowhere() -> None:
    desk = FakeDesk(a_desk())
    symbol = desk.current.positions[0].symbol
    async with running(desk) as console:
        await open_dialog(console, "c", armed=False)
        await console.press(*symbol, "enter")
        assert desk.told == []
        await console.press("escape")
        assert isinstance(console.app.screen, DeskScreen)
        assert desk.told == []


@pytest.mark.parametrize("key", ["c", "m", "F"])
async def test_a_question_about_what_has_changed_is_locked(key: str) -> None:
    desk = FakeDesk(a_desk())
    async with running(desk) as console:
        await open_dialog(console, key)
        rows = desk.current.positions
        desk.show(replace(desk.current, positions=(replace(rows[0], shares=rows[0].shares + 1), *rows[1:])))
        await console.until(lambda: "LOCKED" in console.text)
        await console.press(*rows[0].symbol, "enter")
        assert desk.told == []


async def test_a_stop_goes_up_freely_and_down_with_the_trades_id() -> None:
    desk = FakeDesk(a_desk())
    first, *others = desk.current.positions
    row = replace(first, short_id="MSFT-7f3a", initial_stop=first.stop - 5)
    desk.current = replace(desk.current, positions=(row, *others))
    async with running(desk) as console:
        await open_dialog(console, "m")
        up = str(row.stop + Decimal("0.50"))
        await console.press(*(("full_stop" if char == "." else char) for char in up), "enter")
        await console.until(lambda: len(desk.told) == 1)
        assert desk.told[0] == (f"stop {up}", row.symbol)
        await open_dialog(console, "m")
        down = str(int(row.stop) - 1)
        await console.press(*down, "enter")
        assert len(desk.told) == 1
        await console.press(*"wrong", "enter")
        assert len(desk.told) == 1
        await console.press(*["backspace"] * 5, *"msft", "minus", *"7f3a", "enter")
        await console.until(lambda: len(desk.told) == 2)
        assert desk.told[1] == (f"stop {down} MSFT-7f3a", row.symbol)


async def test_flattening_asks_for_the_desks_name_and_taking_back_asks_nothing() -> None:
    desk = FakeDesk(a_desk())
    async with running(desk) as console:
        await open_dialog(console, "F")
        for char in desk.current.header.name:
            await console.press("minus" if char == "-" else char)
        await console.press("enter")
        await console.until(lambda: bool(desk.told))
        assert desk.told == [("flatten", "")]
        await console.press("3", "C")
        await console.until(lambda: len(desk.told) == 2)
        assert desk.told[1] == ("take back", desk.current.positions[0].symbol)


async def test_the_strip_and_the_row_say_what_is_without_a_stop() -> None:
    desk = FakeDesk(a_desk())
    first, *others = desk.current.positions
    bare = replace(first, unprotected_since=NOW - timedelta(seconds=61))
    desk.current = replace(desk.current, positions=(bare, *others))
    async with running(desk, size=(200, 60)) as console:
        await console.until(lambda: f"UNPROTECTED {first.symbol}" in console.text)
        assert "NOBODY" in console.text
        desk.show(replace(desk.current, positions=(first, *others)))
        await console.until(lambda: "UNPROTECTED" not in console.text)
