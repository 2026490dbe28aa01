"""Leaving a desk that goes on without the console: leave it running, or stop it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button

from app.console.actions import Scope, bindings_for
from app.console.messages import StopAsked
from app.console.notes import footer_line, leaving_lines
from app.console.text import Line, Piece, Tone, line, paragraph
from app.console.widgets.lines import LineRow

if TYPE_CHECKING:
    from app.console.state import View


class QuitScreen(ModalScreen[bool]):
    """Dismissed with True to leave, with False to stay; it stays open while the desk is asked to stop."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.QUIT)
    AUTO_FOCUS = "#leave"

    def __init__(self, view: Callable[[], View]) -> None:
        super().__init__()
        self._view = view
        self._problem = ""
        self._over = False
        self.asking = False  # the desk has been asked to stop and has not answered

    def compose(self) -> ComposeResult:
        with Vertical(id="quit") as box:
            box.border_title = "Leave"
            yield LineRow(id="quit-text")
            yield LineRow(id="quit-status")
            with Horizontal(id="choices"):
                yield Button("Leave it running", id="leave", compact=True)
                yield Button("Stop it too (s)", id="stop", compact=True)
            yield LineRow(id="quit-keys")

    def on_mount(self) -> None:
        self.set_interval(1.0, self.show)

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    @on(events.ScreenResume)
    def resumed(self) -> None:
        self.call_after_refresh(self.show)

    def show(self) -> None:
        """Show what goes on as it stands now."""
        text = self.query_one("#quit-text", LineRow)
        width = max(text.size.width, 20)
        first, *rest = [*leaving_lines(self._view()), ""]
        lines: list[Line] = paragraph(first, width, tone=Tone.STRONG)
        for more in rest:
            lines += paragraph(more, width)
        text.set_lines(lines)
        text.styles.height = len(lines)
        status = self.query_one("#quit-status", LineRow)
        said = paragraph(self._problem, width, tone=Tone.BAD)
        if self.asking:
            said = [line(Piece("asking the desk to stop ...", Tone.WARN))]
        status.set_lines(said)
        status.styles.height = max(len(said), 1)
        self.query_one("#quit-keys", LineRow).set_lines([footer_line(width, Scope.QUIT)])

    def refuse(self, why: str) -> None:
        """The desk was not stopped: say so and stay."""
        self.asking = False
        self._problem = f"! not stopped: {why}"
        self.query_one("#leave", Button).focus()
        self.show()

    def action_leave(self) -> None:
        self._end(leaves=True)

    def action_stay(self) -> None:
        self._end(leaves=False)

    def _end(self, *, leaves: bool) -> None:
        if not self._over:  # keys may arrive twice before the screen is gone
            self._over = True
            self.dismiss(leaves)

    def action_stop_too(self) -> None:
        if self.asking:
            self.app.bell()
            return
        self.asking = True
        self._problem = ""
        self.show()
        self.post_message(StopAsked())

    @on(Button.Pressed, "#leave")
    def leave_pressed(self) -> None:
        self.action_leave()

    @on(Button.Pressed, "#stop")
    def stop_pressed(self) -> None:
        self.action_stop_too()
