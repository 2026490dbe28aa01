"""The help: every key, read from the registry."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from app.console.actions import Scope, actions_for
from app.console.text import Line, Piece, Tone, line, paragraph
from app.console.widgets.lines import LinesView

KEYS = 11
MEANING = (
    "A HISTORY desk replays real prices; nothing is traded. A PAPER desk lives in the present: a runtime "
    "leads it and stays when the console leaves. Every proposal waits for a verdict; no answer rejects it. "
    "Numbers carry the session and the time they are of."
)


def help_lines(width: int) -> list[Line]:
    """Every action with its keys, by where it applies."""
    lines: list[Line] = [*paragraph(MEANING, width), line()]
    for scope in Scope:
        lines.append(line(Piece(scope.value, Tone.HEAD)))
        for action in actions_for(scope):
            keys = action.shown or ": only"
            first, *rest = paragraph(action.help, width - KEYS) or [line()]
            lines.append((Piece(f" {keys:<{KEYS - 1}}", Tone.KEY), *first))
            lines += [(Piece(" " * KEYS), *more) for more in rest]
        lines.append(line())
    return lines


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q", "close", "close", id="help.close"),
    ]
    AUTO_FOCUS = "LinesView"

    def compose(self) -> ComposeResult:
        with Vertical(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            yield LinesView(id="help-text")

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    def show(self) -> None:
        text = self.query_one(LinesView)
        text.set_lines(help_lines(max(text.room, 30)))

    def action_close(self) -> None:
        self.dismiss(None)
