"""The watchlist: what the desk holds, proposes or has selected, with each thesis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app.console.figures import NOTHING, number, price, trend
from app.console.layout import PaneId
from app.console.panes.base import TablePane
from app.console.state import View
from app.console.text import Line, Piece, Tone, line, outside
from app.console.widgets.table import Column, Row
from storage.plain import clean

if TYPE_CHECKING:
    from storage.snapshot import WatchRow

THESIS_TONES = {"bullish": Tone.GOOD, "bearish": Tone.BAD}


def matches(row: WatchRow, needle: str) -> bool:
    """Whether a row belongs to what the filter asks for."""
    needle = needle.casefold().strip()
    haystack = (row.symbol, row.name, row.sector, row.thesis or "", "held" if row.held else "")
    return any(needle in text.casefold() for text in haystack)


def bar_age(row: WatchRow, view: View) -> Piece:
    """Days between the row's bar and the session the desk has settled; a late bar is marked stale."""
    snapshot = view.state.snapshot
    if row.bar_session is None or snapshot is None or snapshot.header.session is None:
        return Piece(NOTHING, Tone.MUTED)
    days = (snapshot.header.session - row.bar_session).days
    return Piece(f"{view.glyphs.stale}{days}d", Tone.WARN) if days > 0 else Piece("0d", Tone.MUTED)


class WatchPane(TablePane):
    PANE = PaneId.WATCH
    COLUMNS = (
        Column(title="SYM", width=7),
        Column(title="LAST", width=9, right=True),
        Column(title="CHG%", width=7, right=True, drop=1),
        Column(title="SCORE", width=5, right=True, drop=3),
        Column(title="RSI", width=4, right=True, drop=4),
        Column(title="THESIS", width=8, drop=2),
        Column(title="CONF", width=4, right=True, drop=5),
        Column(title="SRC", width=6, drop=6),
        Column(title="AGE", width=4, right=True, drop=7),
        Column(title="WHY", width=14, drop=8, grow=1),
    )

    def rows(self, view: View, width: int) -> Iterable[Row]:
        assert view.state.snapshot is not None
        for row in view.state.snapshot.watch:
            if view.needle and not matches(row, view.needle):
                continue
            held = view.glyphs.held if row.held else ""
            yield Row(
                key=row.symbol,
                cells=(
                    outside(f"{row.symbol} {held}".strip(), Tone.STRONG),
                    Piece(price(row.close)),
                    trend(row.change, view.glyphs),
                    Piece(number(row.score)),
                    Piece(number(row.rsi14)),
                    Piece(row.thesis or NOTHING, THESIS_TONES.get(row.thesis or "", Tone.MUTED)),
                    Piece(number(row.confidence)),
                    outside(row.source or NOTHING, Tone.MUTED),
                    bar_age(row, view),
                    outside(row.reasoning[:300], Tone.MUTED),
                ),
            )

    def nothing(self, view: View) -> list[Line]:
        if view.needle:
            return [
                line(),
                line(Piece(" nothing matches ", Tone.MUTED), Piece(clean(view.needle), Tone.STRONG)),
                line(Piece(" esc clears the filter", Tone.MUTED)),
            ]
        snapshot = view.state.snapshot
        if snapshot is None or not snapshot.followed:
            return self.missing(view, "nothing is watched yet", "screen", _last_screen(view))
        watched = f"{snapshot.followed} symbols are watched"
        if snapshot.header.session is None:
            return self.missing(view, watched, "settle", "their bars come after the next session's close")
        return self.missing(view, f"{watched}, none is near a setup", "screen", _last_screen(view))

    def facts(self, view: View) -> str:
        snapshot = view.state.snapshot
        if snapshot is None:
            return ""
        total = len(snapshot.watch)
        if view.needle:
            shown = sum(matches(row, view.needle) for row in snapshot.watch)
            return f"{shown} of {total} symbols, /{clean(view.needle)}"
        held = sum(row.held for row in snapshot.watch)
        return f"{total} symbols, {held} held {view.glyphs.held}" if held else f"{total} symbols"


def _last_screen(view: View) -> str:
    """What the last screen found, in its own words."""
    runs = view.state.snapshot.runs if view.state.snapshot else ()
    screen = next((run for run in runs if run.slot.value == "screen" and run.state.value == "done"), None)
    if screen is None:
        return "the first screen comes after the next session's close"
    return f"the screen of {screen.session} saw {screen.summary}; a symbol needs 200 sessions of data"
