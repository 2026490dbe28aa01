"""A page that is read once and shown: the digest, how the nights of learning went."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from app.console.actions import Scope, bindings_for
from app.console.text import Line, Tone, paragraph
from app.console.widgets.lines import LinesView


class Page(ModalScreen[None], inherit_bindings=False):
    """Asks as it opens; what extends it gives what was read, or why it could not be, to `shown`."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.READING)
    AUTO_FOCUS = "LinesView"
    NAME: ClassVar[str]  # its id, for the style sheet
    HEADING: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._read = False
        self._problem = ""

    def ask(self) -> None:
        """Have it read; the answer comes as a message."""
        raise NotImplementedError

    def page_lines(self, width: int) -> list[Line]:
        """What was read."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with Vertical(id=self.NAME) as box:
            box.border_title = self.HEADING
            box.border_subtitle = "esc closes"
            yield LinesView(id=f"{self.NAME}-text")

    def on_mount(self) -> None:
        self.ask()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def shown(self, problem: str) -> None:
        """It was read, or could not be."""
        self._read, self._problem = True, problem
        self._show()

    def _show(self) -> None:
        text = self.query_one(LinesView)
        width = max(text.room, 30)
        if not self._read:
            text.set_lines(paragraph("reading ...", width, tone=Tone.MUTED))
        elif self._problem:
            text.set_lines(paragraph(self._problem, width, tone=Tone.BAD))
        else:
            text.set_lines(self.page_lines(width))

    def action_close_reading(self) -> None:
        self.dismiss(None)
