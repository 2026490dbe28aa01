"""Why there was no trade: the rungs of the last evening, and what stopped candidates at the one chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from app.console.actions import Scope, bindings_for
from app.console.card import consensus_lines
from app.console.state import View
from app.console.text import Line, Piece, Tone, line, outside, paragraph
from app.console.widgets.lines import LineRow, LinesView
from app.console.widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from storage.evening import Evening
    from storage.funnel import Rung, RungDenial

NOT_YET = "no evening has been screened yet: a session's screen comes after its close"
COLUMNS = (
    Column(title="RUNG", width=14),
    Column(title="CAME", width=6, right=True),
    Column(title="WENT ON", width=8, right=True),
    Column(title="STOPPED BY", width=20, grow=1),
)


def rung_rows(evening: Evening) -> list[Row]:
    """The rungs in order, each with what stopped candidates there."""
    return [
        Row(
            key=rung.name.value,
            cells=(
                Piece(rung.name.value, Tone.STRONG if rung.entered else Tone.MUTED),
                Piece(f"{rung.entered:,}"),
                Piece(f"{rung.left:,}", Tone.GOOD if rung.left else Tone.MUTED),
                outside(", ".join(f"{denial.reason} {denial.count}" for denial in rung.denials), Tone.WARN),
            ),
        )
        for rung in evening.funnel.rungs
    ]


def denial_lines(rung: Rung, evening: Evening, width: int) -> list[Line]:
    """Every denial of a rung: its count, and of each candidate that was argued over what was said."""
    lines = [
        line(Piece(rung.name.value.upper(), Tone.HEAD), f"  {rung.entered:,} came, {rung.left:,} went on")
    ]
    if not rung.denials:
        return [*lines, *paragraph("nothing was stopped here", width, tone=Tone.MUTED)]
    for denial in rung.denials:
        lines += _denial(denial, evening, width)
    return lines


def _denial(denial: RungDenial, evening: Evening, width: int) -> list[Line]:
    lines = [line(), line(outside(denial.reason, Tone.WARN), f": {denial.count:,}")]
    argued = {row.symbol: row for row in evening.argued}
    for symbol in denial.symbols:
        row = argued.get(symbol)
        lines.append(line("  ", outside(symbol, Tone.STRONG)))
        if row is not None:
            lines += consensus_lines(row.consensus, width, indent=4)
            lines += paragraph(row.note or row.reasoning, width, indent=4, tone=Tone.MUTED)
    return lines


class WhyScreen(ModalScreen[None], inherit_bindings=False):
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.WHY)
    AUTO_FOCUS = "Table"

    def __init__(self, view: Callable[[], View]) -> None:
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        with Vertical(id="why") as box:
            box.border_title = "Why"
            box.border_subtitle = "up and down choose a rung, esc closes"
            yield LineRow(id="why-sentence")
            yield Table(COLUMNS, glyphs=self._view().glyphs, id="rungs")
            yield LinesView(id="denials")

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    @on(events.ScreenResume)
    def resumed(self) -> None:
        self.show()

    @property
    def _evening(self) -> Evening | None:
        snapshot = self._view().state.snapshot
        return snapshot.evening if snapshot is not None else None

    def show(self) -> None:
        """Show the last evening as it stands now."""
        evening, table = self._evening, self.query_one(Table)
        sentence = f"{evening.session}: {evening.funnel.sentence}" if evening else NOT_YET
        self.query_one("#why-sentence", LineRow).set_lines(
            paragraph(sentence, max(table.room, 20), tone=Tone.STRONG, most=3)
        )
        table.set_rows(rung_rows(evening) if evening else ())
        if evening is not None and not table.has_class("-opened"):
            table.add_class("-opened")
            last = evening.funnel.last or evening.funnel.rungs[-1]
            table.select(last.name.value)
        self._show_denials()

    def _show_denials(self) -> None:
        evening, chosen = self._evening, self.query_one(Table).cursor_key
        denials = self.query_one("#denials", LinesView)
        rung = (
            next((rung for rung in evening.funnel.rungs if rung.name.value == chosen), None)
            if evening
            else None
        )
        denials.set_lines(denial_lines(rung, evening, max(denials.room, 20)) if rung and evening else ())

    @on(Table.Highlighted)
    def rung_chosen(self) -> None:
        self._show_denials()

    @on(Table.Opened)
    def rung_opened(self) -> None:
        self.query_one("#denials", LinesView).focus()

    def action_next_part(self) -> None:
        self.focus_next()

    def action_close_why(self) -> None:
        self.dismiss(None)
