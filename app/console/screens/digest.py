"""The last day as the desk summed it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from app.console.actions import Scope, bindings_for
from app.console.figures import full
from app.console.messages import DigestRead
from app.console.text import Line, Piece, Tone, line, outside, paragraph
from app.console.widgets.lines import LinesView

if TYPE_CHECKING:
    from app.console.readings import Readings
    from storage.digest import StoredDigest

NONE_YET = "no day has been summed up yet: the digest comes at 18:45 New York, once the close is settled"
LOUD = ("missed", "warnings")


def digest_lines(digest: StoredDigest | None, width: int) -> list[Line]:
    """The digest under its headings."""
    if digest is None:
        return paragraph(NONE_YET, width, tone=Tone.MUTED)
    written = f", written {full(digest.written_at)}" if digest.written_at else ""
    lines = [line(Piece(f"{digest.session}", Tone.STRONG), Piece(written, Tone.MUTED))]
    if not digest.sections:
        return [*lines, line(), *paragraph(digest.summary, width)]
    for section in digest.sections:
        tone = Tone.WARN if section.heading in LOUD else Tone.PLAIN
        lines += [line(), line(outside(section.heading.upper(), Tone.HEAD))]
        for told in section.lines:
            lines += paragraph(told, width, indent=2, tone=tone)
    return lines


class DigestScreen(ModalScreen[None], inherit_bindings=False):
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.READING)
    AUTO_FOCUS = "LinesView"

    def __init__(self, readings: Readings) -> None:
        super().__init__()
        self._readings = readings
        self._read: DigestRead | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="digest") as box:
            box.border_title = "Digest"
            box.border_subtitle = "esc closes"
            yield LinesView(id="digest-text")

    def on_mount(self) -> None:
        self._readings.read_digest(self.post_message)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    @on(DigestRead)
    def digest_read(self, message: DigestRead) -> None:
        self._read = message
        self._show()

    def _show(self) -> None:
        text, read = self.query_one(LinesView), self._read
        width = max(text.room, 30)
        if read is None:
            text.set_lines(paragraph("reading ...", width, tone=Tone.MUTED))
        elif read.problem:
            text.set_lines(paragraph(read.problem, width, tone=Tone.BAD))
        else:
            text.set_lines(digest_lines(read.digest, width))

    def action_close_reading(self) -> None:
        self.dismiss(None)
