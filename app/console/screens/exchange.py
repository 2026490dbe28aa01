"""The exact words behind a decision: what each model was sent and what it answered, as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from app.console.actions import Scope, bindings_for
from app.console.figures import utc
from app.console.text import Line, Piece, Tone, line, outside, paragraph
from app.console.widgets.lines import LinesView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.exchanges import Exchange

BY_RULES = "no model had a part in this decision: every vote was given by rules"
AT_ONCE = 4_000  # characters that are made harmless in one go


def exchange_lines(exchanges: Sequence[Exchange], width: int) -> list[Line]:
    """Every exchange, whole."""
    if not exchanges:
        return paragraph(BY_RULES, width, tone=Tone.MUTED)
    lines: list[Line] = []
    for row in exchanges:
        version = f", prompt v{row.prompt_version}" if row.prompt_version else ""
        took = f", {row.latency_ms:,} ms" if row.latency_ms is not None else ""
        lines += [
            line(Piece(f"{row.agent.value} ", Tone.STRONG), outside(f"{row.model}{version}", Tone.ACCENT)),
            *paragraph(
                f"{utc(row.at)} {row.state}, ${row.cost_usd:.4f}, {row.tokens:,} tokens{took}",
                width,
                tone=Tone.MUTED,
            ),
        ]
        if row.error:
            lines += paragraph(row.error, width, tone=Tone.WARN)
        for heading, text in row.parts:
            lines.append(line(Piece(heading.upper(), Tone.HEAD)))
            lines += _whole(text, width)
        lines.append(line())
    return lines


def _whole(text: str, width: int) -> list[Line]:
    """A text with its own lines kept, however long it is."""
    return [
        row
        for own in text.splitlines()
        for start in range(0, max(len(own), 1), AT_ONCE)
        for row in (paragraph(own[start : start + AT_ONCE], width, indent=2) or [line()])
    ]


class ExchangeScreen(ModalScreen[None], inherit_bindings=False):
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.EXCHANGE)
    AUTO_FOCUS = "LinesView"

    def __init__(self, symbol: str, exchanges: Sequence[Exchange]) -> None:
        super().__init__()
        self._symbol = symbol
        self._exchanges = exchanges

    def compose(self) -> ComposeResult:
        with Vertical(id="exchange") as box:
            box.border_title = "Prompts and answers"
            box.border_subtitle = "esc closes"
            yield LinesView(id="exchange-text")

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    @on(events.ScreenResume)
    def resumed(self) -> None:
        self.show()

    def show(self) -> None:
        text = self.query_one(LinesView)
        width = max(text.room, 30)
        head = line(outside(self._symbol, Tone.STRONG))
        text.set_lines([head, line(), *exchange_lines(self._exchanges, width)])

    def action_close_exchange(self) -> None:
        self.dismiss(None)
