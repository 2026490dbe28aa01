"""The last day as the desk summed it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on

from app.console.figures import full
from app.console.messages import DigestRead
from app.console.screens.page import Page
from app.console.text import Line, Piece, Tone, line, outside, paragraph

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


class DigestScreen(Page):
    NAME = "digest"
    HEADING = "Digest"

    def __init__(self, readings: Readings) -> None:
        super().__init__()
        self._readings = readings
        self._digest: StoredDigest | None = None

    def ask(self) -> None:
        self._readings.read_digest(self.post_message)

    @on(DigestRead)
    def digest_read(self, message: DigestRead) -> None:
        self._digest = message.digest
        self.shown(message.problem)

    def page_lines(self, width: int) -> list[Line]:
        return digest_lines(self._digest, width)
