"""Halting a desk: one question, because stopping is the safe direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from app.console.actions import Scope, bindings_for
from app.console.notes import footer_line
from app.console.text import Line, Tone, outside, paragraph
from app.console.widgets.lines import LineRow

if TYPE_CHECKING:
    from app.console.state import View

NO_REASON = "halted from the console"
SAYS = "All entries stop: what rests is withdrawn, nothing is approved or proposed. Exits and stops go on."


class HaltScreen(ModalScreen[str]):
    """Dismissed with the reason to halt, with "" to change nothing."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.HALT)
    AUTO_FOCUS = "#halt-reason"

    def __init__(self, view: Callable[[], View]) -> None:
        super().__init__()
        self._view = view
        self._over = False

    def compose(self) -> ComposeResult:
        with Vertical(id="halt") as box:
            box.border_title = "Halt"
            yield LineRow(id="halt-text")
            yield Input(
                id="halt-reason", placeholder="why (kept; may stay empty)", max_length=200, compact=True
            )
            yield LineRow(id="halt-keys")

    def on_mount(self) -> None:
        self.call_after_refresh(self.show)

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    def show(self) -> None:
        """Show what a halt does, or the one that stands."""
        text = self.query_one("#halt-text", LineRow)
        width = max(text.size.width, 20)
        snapshot = self._view().state.snapshot
        stands = snapshot.halt if snapshot else None
        lines: list[Line] = paragraph(SAYS, width, tone=Tone.STRONG)
        if stands is not None:
            lines += paragraph(outside(stands.words).text, width, tone=Tone.BAD)
            lines += paragraph("`quorum lift --reason ...` lifts it, at a terminal.", width)
        text.set_lines(lines)
        text.styles.height = len(lines)
        self.query_one("#halt-keys", LineRow).set_lines([footer_line(width, Scope.HALT)])

    @on(Input.Submitted, "#halt-reason")
    def reason_given(self) -> None:
        self.action_halt_now()

    def action_halt_now(self) -> None:
        self._end(self.query_one("#halt-reason", Input).value.strip() or NO_REASON)

    def action_leave_be(self) -> None:
        self._end("")

    def _end(self, reason: str) -> None:
        if not self._over:  # keys may arrive twice before the screen is gone
            self._over = True
            self.dismiss(reason)
