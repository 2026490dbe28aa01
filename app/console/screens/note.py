"""Writing about a trade: one line, which is a note or tags."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from app.console.actions import Scope, bindings_for
from app.console.notes import footer_line
from app.console.text import Tone, line, outside, paragraph
from app.console.widgets.lines import LineRow

SAYS = "A note, or tags: +late puts one on, -fomo takes one off. Everything that is written stays on record."


class NoteScreen(ModalScreen[str]):
    """Dismissed with what was written, with "" for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.NOTE)
    AUTO_FOCUS = "#note-words"

    def __init__(self, symbol: str) -> None:
        super().__init__()
        self._symbol = symbol
        self._over = False

    def compose(self) -> ComposeResult:
        with Vertical(id="note") as box:
            box.border_title = "Note"
            yield LineRow(id="note-text")
            yield Input(id="note-words", placeholder="what to keep", max_length=1000, compact=True)
            yield LineRow(id="note-keys")

    def on_mount(self) -> None:
        self.call_after_refresh(self.show)

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    def show(self) -> None:
        text = self.query_one("#note-text", LineRow)
        width = max(text.size.width, 20)
        lines = [line(outside(self._symbol, Tone.STRONG)), *paragraph(SAYS, width, tone=Tone.MUTED)]
        text.set_lines(lines)
        text.styles.height = len(lines)
        self.query_one("#note-keys", LineRow).set_lines([footer_line(width, Scope.NOTE)])

    @on(Input.Submitted, "#note-words")
    def words_given(self) -> None:
        self.action_keep_note()

    def action_keep_note(self) -> None:
        self._end(self.query_one("#note-words", Input).value.strip())

    def action_drop_note(self) -> None:
        self._end("")

    def _end(self, words: str) -> None:
        if not self._over:  # keys may arrive twice before the screen is gone
            self._over = True
            self.dismiss(words)
