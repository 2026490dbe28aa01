"""Each size of terminal shows what fits into it, and says what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual import events

from app.console.glyphs import ASCII
from app.console.layout import PaneId, Size, plan, size_class
from app.console.notes import HISTORY_NOTE
from app.console.screens.review import ReviewScreen
from app.console.text import Piece, fit
from app.console.widgets.table import Column, fit_columns
from storage.plain import clean
from storage.records import DeskState

from .desks import FakeDesk, a_desk, watch_row
from .running import running


async def test_a_small_terminal_shows_one_pane_and_the_names_of_all() -> None:
    async with running(FakeDesk(a_desk()), size=(80, 24)) as console:
        assert "[1 Watch] 2 Appr*2 3 Pos 4 Regime 5 Quota 6 Agents 7 Log 8 Detail 9 Chg" in console.text
        assert "AAPL" in console.text and "CAT-1f7a" not in console.text
        await console.press("2")
        assert "CAT-1f7a" in console.text and "AXP" not in console.text
        for line in console.text.splitlines():
            assert len(line) <= 80


async def test_a_wide_terminal_shows_a_rail_and_a_main_column() -> None:
    async with running(FakeDesk(a_desk()), size=(120, 40)) as console:
        for part in ("P(bear)", "FMP CALLS", "AGENT", "AAPL", "CAT-1f7a", "3 Positions", "57 closed"):
            assert part in console.text
        assert "the host runs" not in console.text
        await console.press("7")
        assert "the host runs" in console.text and "57 closed" not in console.text


async def test_a_large_terminal_adds_the_detail_and_the_log() -> None:
    async with running(FakeDesk(a_desk()), size=(200, 60)) as console:
        for part in ("AAPL Apple Inc.", "confidence 74 of 100", "57 closed", "the host runs", "CAT-1f7a"):
            assert part in console.text
        await console.press("j")
        assert "AXP American Express" in console.text


async def test_too_small_a_terminal_says_what_it_needs_and_recovers() -> None:
    async with running(FakeDesk(a_desk()), size=(59, 14)) as console:
        assert "need 60x15" in console.text and "AAPL" not in console.text
        await console.pilot.resize_terminal(80, 24)
        await console.until(lambda: "AAPL" in console.text)
        assert "need 60x15" not in console.text


async def test_below_80x24_there_are_the_strip_and_one_list() -> None:
    async with running(FakeDesk(a_desk()), size=(64, 18)) as console:
        assert "HISTORY" in console.text and "AAPL" in console.text
        assert "? help" not in console.text and HISTORY_NOTE[:30] not in console.text


async def test_the_note_can_be_hidden_and_the_end_of_history_says_how_to_start_again() -> None:
    desk = FakeDesk(a_desk())
    async with running(desk) as console:
        assert HISTORY_NOTE[:60] in console.text
        await console.press("x")
        assert HISTORY_NOTE[:60] not in console.text
        ended = a_desk(state=DeskState.FINISHED)
        desk.show(ended)
        await console.until(lambda: "start again: quorum console --fresh" in console.text)
        desk.show(replace(ended, header=replace(ended.header, name="mine")))
        await console.until(lambda: "HISTORY  mine" in console.text)
        assert "history ended on 2018-02-07" in console.text and "start again" not in console.text


async def test_before_the_first_snapshot_the_screen_says_what_happens() -> None:
    desk = FakeDesk(a_desk(), away="no such socket")
    async with running(desk) as console:
        await console.until(
            lambda: "! db away" in console.text and "ConnectionError: no such socket" in console.text
        )
        assert "HISTORY" in console.text and "data appear here" in console.text
        desk.away = ""
        await console.until(lambda: "AAPL" in console.text)


async def test_the_filter_narrows_the_watchlist_and_escape_clears_it() -> None:
    async with running(FakeDesk(a_desk()), size=(80, 24)) as console:
        await console.press("slash", "b", "o", "e")
        assert "Boeing" not in console.text and "│ BA " in console.text.replace("▌", " ")
        assert "AXP" not in console.text and "1 of 16 symbols, /boe" in console.text
        await console.press("enter")
        assert "1 of 16" in console.text
        await console.press("escape")
        assert "AXP" in console.text


async def test_zoom_gives_the_pane_the_screen_and_takes_it_back() -> None:
    async with running(FakeDesk(a_desk())) as console:
        await console.press("2", "f")
        assert "zoomed" in console.text and "AAPL" not in console.text
        await console.press("escape")
        assert "AAPL" in console.text


async def test_the_cursor_stays_on_its_row_when_the_rows_move() -> None:
    desk = FakeDesk(a_desk())
    async with running(desk, size=(80, 24)) as console:
        await console.press("j", "j")
        assert console.front.selection is not None and console.front.selection.key == "BA"
        desk.show(a_desk(watch=[watch_row(index) for index in (9, 8, 7, 2, 1)]))
        await console.until(lambda: "AAPL" not in console.text)
        assert "▌BA" in console.text


async def test_keys_typed_ahead_of_the_screen_find_the_rows_of_the_pane_they_chose() -> None:
    async with running(FakeDesk(a_desk()), size=(80, 24)) as console:
        for key in ("2", "j", "enter"):
            console.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await console.until(lambda: isinstance(console.app.screen, ReviewScreen))
        assert console.review.row.terms.symbol == "GE"


async def test_hidden_panes_and_panes_under_a_dialog_do_no_work() -> None:
    desk = FakeDesk(a_desk())
    async with running(desk, size=(80, 24)) as console:
        assert not console.front.pane(PaneId.REGIME).in_sight
        await console.open_review()
        before = console.front.pane(PaneId.APPROVALS).view
        desk.show(a_desk(watch=[]))
        await console.until(lambda: console.app.state.snapshot is desk.current)
        assert console.front.pane(PaneId.APPROVALS).view is before
        await console.press("escape")
        await console.until(lambda: console.front.pane(PaneId.APPROVALS).view is not before)


async def test_a_terminal_without_utf8_gets_ascii_only() -> None:
    async with running(FakeDesk(a_desk()), glyphs=ASCII) as console:
        assert console.text.isascii()


@pytest.mark.parametrize(
    ("cells", "expected"), [((80, 24), Size.PLAIN), ((120, 40), Size.WIDE), ((200, 60), Size.FULL)]
)
def test_panes_never_overlap_and_fill_the_body(cells: tuple[int, int], expected: Size) -> None:
    width, height = cells[0], cells[1] - 4
    size = size_class(*cells)
    assert size is expected
    shown = plan(size, width, height, front=PaneId.WATCH, slot=PaneId.LOG, zoomed=False)
    regions = [region for _, region in shown.places]
    assert sum(region.area for region in regions) == width * height
    assert all(not a.overlaps(b) for i, a in enumerate(regions) for b in regions[i + 1 :])


def test_columns_drop_by_priority_and_never_wrap() -> None:
    columns = [
        Column(title="A", width=5),
        Column(title="B", width=5, drop=2),
        Column(title="C", width=5, drop=1),
    ]
    assert fit_columns(columns, 17) == [(0, 5), (1, 5), (2, 5)]
    assert fit_columns(columns, 16) == [(0, 5), (2, 5)]
    assert fit_columns(columns, 6) == [(0, 5)]


def test_a_text_is_cut_to_cells_not_to_characters() -> None:
    assert fit("日本語", 5, ellipsis="…") == "日本…"
    assert Piece(clean("a\x1b[31mb\x1b]0;t\x07c\r\nd\u202e\u200b")).text == "abc d"
