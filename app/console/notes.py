"""Sentences that more than one place shows, kept in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.actions import Scope, footer_actions
from app.console.figures import utc
from app.console.glyphs import Glyphs
from app.console.machine import lacking, next_words, running, slot_words, stopping
from app.console.state import Link, View, lives
from app.console.text import EMPTY, Line, Piece, Tone, cut, line, width_of
from storage.plain import clean

if TYPE_CHECKING:
    from app.console.state import ConsoleState
    from storage.snapshot import DeskSnapshot

HISTORY_NOTE = "HISTORY: real prices, no money. The live paper desk: ./quorum --desk paper"
AFTER_QUIT = "The replay pauses here and resumes at the next start."
FIRST_DESK = "history"  # what `quorum` alone opens
MAIN_DESK = "paper"  # what commands are about unless told otherwise
FRESH_COMMAND = "quorum console --fresh"


def banner_text(state: ConsoleState) -> str:
    """The note above the panes: what this desk is or lacks, or what to do now that its history has ended."""
    snapshot = state.snapshot
    if snapshot is None:
        return ""
    if lives(snapshot):
        return _lacks_text(snapshot)
    header = snapshot.header
    if header.state.value == "finished":
        again = f"; start again: {FRESH_COMMAND}" if header.name == FIRST_DESK else ""
        return f"history ended on {header.last_session}{again}"
    return HISTORY_NOTE


def _lacks_text(snapshot: DeskSnapshot) -> str:
    """What the desk lacks; the slots come last, where a narrow screen cuts them off."""
    parts = []
    for what, slots in lacking(snapshot):
        parts.append(f"{what}; skipped at no cost: {', '.join(map(slot_words, slots))}")
    return f"{snapshot.header.kind.value.upper()}: {'. '.join(parts)}" if parts else ""


def banner_line(text: str, width: int, glyphs: Glyphs) -> Line:
    """The note with the key that hides it."""
    if not text:
        return EMPTY
    hide = " (x hides) "
    body = cut(line(Piece(f" {clean(text)}")), width - len(hide), ellipsis=glyphs.ellipsis)
    return (*body, Piece(" " * (width - width_of(body) - len(hide))), Piece(hide, Tone.MUTED))


def footer_line(width: int, *scopes: Scope, first: tuple[str, ...] = ()) -> Line:
    """The keys that matter most, as many as fit; the actions named `first` matter most here."""
    pieces: list[Piece] = [Piece(" ")]
    for action in sorted(footer_actions(*scopes), key=lambda action: action.id not in first):
        more = (Piece(action.shown, Tone.KEY), Piece(f" {action.label}  ", Tone.MUTED))
        if width_of(pieces) + width_of(more) - 2 <= width:
            pieces += more
    return tuple(pieces)


def keeps_running(state: ConsoleState) -> bool:
    """Whether a runtime leads the desk, so that it goes on without this console."""
    snapshot = state.snapshot
    return snapshot is not None and lives(snapshot) and snapshot.led and not stopping(snapshot)


def leaving_lines(view: View) -> list[str]:
    """What becomes of the desk when the operator leaves, as it stands now."""
    snapshot = view.state.snapshot
    if snapshot is None or snapshot.leader is None:
        return []
    name, leader = clean(snapshot.header.name), snapshot.leader
    where = f"(pid {leader.pid} on {clean(leader.host)})"
    waiting = len(snapshot.pending)
    cards = f"{waiting} approval{'s wait' if waiting != 1 else ' waits'} for a verdict." if waiting else ""
    now = [slot_words(run.slot) for run in running(snapshot)]
    works = f"Now {', '.join(now)}, then {next_words(view, snapshot)}." if now else ""
    if view.state.link is Link.AWAY:
        first = f"The desk {name} ran when it was last read, at {utc(snapshot.taken_at)} {where}."
        return [first, "Its database is away now: it can be left, but not be asked to stop."]
    if not snapshot.led:
        return [f"Nobody leads the desk {name} any more.", cards]
    return [f"The desk {name} keeps running {where}.", works or f"Next: {next_words(view, snapshot)}.", cards]


def parting(state: ConsoleState) -> str:
    """What the process says once the screen is gone: what goes on, and how to end it or come back."""
    snapshot = state.snapshot
    if snapshot is None:
        if state.desk == FIRST_DESK:
            return AFTER_QUIT
        return f"The desk {clean(state.desk)} was not read.".replace("  ", " ")
    if not lives(snapshot):
        return AFTER_QUIT
    name = clean(snapshot.header.name)
    if stopping(snapshot):
        return after_stop(state)
    if snapshot.led and state.link is Link.AWAY:
        return f"The desk {name} ran at {utc(snapshot.taken_at)}, when it was last read; nothing was stopped."
    if snapshot.led:
        return (
            f"The desk {name} keeps running; `./quorum stop{_option(name)}` ends it, "
            f"`./quorum --desk {name}` comes back."
        )
    return f"Nobody leads the desk {name}; `./quorum --desk {name}` starts it again."


def _option(name: str) -> str:
    return "" if name == MAIN_DESK else f" --desk {name}"


def after_stop(state: ConsoleState, *, answered: bool = True) -> str:
    """What the process says once the desk has been asked to stop."""
    name = clean(state.snapshot.header.name) if state.snapshot else clean(state.desk)
    if not answered:
        return f"The desk {name} was asked to stop and has not answered; `./quorum --desk {name}` shows it."
    return f"The desk {name} was asked to stop; `./quorum --desk {name}` starts it again."
