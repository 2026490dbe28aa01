"""Sentences that more than one place shows, kept in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.actions import Scope, footer_actions
from app.console.glyphs import Glyphs
from app.console.text import EMPTY, Line, Piece, Tone, clean, cut, line, width_of

if TYPE_CHECKING:
    from app.console.state import ConsoleState

HISTORY_NOTE = "HISTORY: real prices, no money. A live paper desk: a later version, FMP_API_KEY in .env"
AFTER_QUIT = "The replay pauses here and resumes at the next start."
FIRST_DESK = "history"  # what `quorum` alone opens
FRESH_COMMAND = "quorum console --fresh"


def banner_text(state: ConsoleState) -> str:
    """The note above the panes: what this desk is, or what to do now that its history has ended."""
    snapshot = state.snapshot
    if snapshot is None or snapshot.header.kind.value != "history":
        return ""
    header = snapshot.header
    if header.state.value == "finished":
        again = f"; start again: {FRESH_COMMAND}" if header.name == FIRST_DESK else ""
        return f"history ended on {header.last_session}{again}"
    return HISTORY_NOTE


def banner_line(text: str, width: int, glyphs: Glyphs) -> Line:
    """The note with the key that hides it."""
    if not text:
        return EMPTY
    hide = " (x hides) "
    body = cut(line(Piece(f" {clean(text)}")), width - len(hide), ellipsis=glyphs.ellipsis)
    return (*body, Piece(" " * (width - width_of(body) - len(hide))), Piece(hide, Tone.MUTED))


def footer_line(width: int, *scopes: Scope) -> Line:
    """The keys that matter most, as many as fit, in reading order of their importance."""
    pieces: list[Piece] = [Piece(" ")]
    for action in footer_actions(*scopes):
        more = (Piece(action.shown, Tone.KEY), Piece(f" {action.label}  ", Tone.MUTED))
        if width_of(pieces) + width_of(more) - 2 <= width:
            pieces += more
    return tuple(pieces)
