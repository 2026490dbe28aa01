"""The log: runs, what was done to the desk as a machine, what happened to the console; latest first.

Everything is ordered by the wall's clock alone, because a desk's own clock may be simulated.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from app.console.figures import age, minute, wall
from app.console.layout import PaneId
from app.console.machine import LATE_S, slot_words
from app.console.panes.base import TablePane
from app.console.state import ConsoleEvent, View
from app.console.text import Line, Piece, Tone, outside
from app.console.widgets.table import Column, Row

if TYPE_CHECKING:
    from storage.snapshot import DeskHeader, OperationRow, RunRow

UNFINISHED = {"running": 1, "queued": 0}  # what is not over stands above everything that is
KINDS = {
    "led": "leads",
    "stepped_down": "left",
    "fault": "! fault",
    "rescued": "! rescued",
    "rearm": "re-armed",
}
KIND_TONES = {
    "alert": Tone.BAD,
    "fault": Tone.BAD,
    "rescued": Tone.WARN,
    "stop": Tone.WARN,
    "pause": Tone.WARN,
    "rearm": Tone.WARN,
}


def run_key(run: RunRow) -> str:
    return f"{run.session} {run.slot.value} {run.agent}"


def operation_key(row: OperationRow) -> str:
    return f"{row.at.isoformat()} {row.kind.value} {row.who} {row.text}"


def kind_words(row: OperationRow) -> Piece:
    kind = row.kind.value
    return Piece(KINDS.get(kind, kind.replace("_", " ")), KIND_TONES.get(kind, Tone.MUTED))


def run_state(run: RunRow, view: View) -> Piece:
    """A sign and a word for how far a run has come."""
    g = view.glyphs
    match run.state.value:
        case "queued":
            return Piece(f"{g.idle} queued", Tone.ACCENT)
        case "running":
            return Piece(f"{g.working} running", Tone.ACCENT)
        case "skipped":
            return Piece(f"{g.flat} skipped", Tone.WARN)
        case "failed":
            return Piece("! failed", Tone.BAD)
        case _:
            return Piece(f"{g.passed} done", Tone.MUTED)


def run_notes(run: RunRow, header: DeskHeader) -> list[str]:
    """What was out of the ordinary about a run."""
    notes = []
    if run.late_s > LATE_S * header.clock_speed:
        notes.append(f"late {age(run.late_s)}")
    if run.attempts > 1:
        notes.append(f"try {run.attempts}")
    if run.asked_by is not None:
        notes.append(f"asked by {run.asked_by}")
    return notes


class LogPane(TablePane):
    PANE = PaneId.LOG
    COLUMNS = (
        Column(title="WHEN", width=11),
        Column(title="WHAT", width=14),
        Column(title="STATE", width=9, drop=1),
        Column(title="SUMMARY", width=20, grow=1),
        Column(title="SESSION", width=10, drop=3),
        Column(title="SECS", width=6, right=True, drop=2),
    )

    def paint(self, view: View, width: int) -> None:
        # Before the first snapshot the console's own events are all there is to know, so they are not hidden.
        if view.state.snapshot is None and view.state.events:
            self.body.glyphs = view.glyphs
            self.body.set_rows([_event(event, view) for event in view.state.events])
        else:
            super().paint(view, width)

    def rows(self, view: View, width: int) -> Iterable[Row]:
        snapshot = view.state.snapshot
        assert snapshot is not None
        waiting = [run for run in snapshot.runs if run.state.value in UNFINISHED]
        waiting.sort(key=lambda run: UNFINISHED[run.state.value], reverse=True)
        yield from (_run(run, view, snapshot.header) for run in waiting)
        timed = [(event.at, _event(event, view)) for event in view.state.events]
        timed += [(row.at, _operation(row, view)) for row in snapshot.operations]
        untimed: list[Row] = []
        for run in snapshot.runs:
            if run.state.value in UNFINISHED:
                continue
            if run.finished_at is None:
                untimed.append(_run(run, view, snapshot.header))
            else:
                timed.append((run.finished_at, _run(run, view, snapshot.header)))
        timed.sort(key=_instant, reverse=True)  # stable: what has the same instant stays in its order
        yield from (row for _, row in timed)
        yield from untimed

    def as_of(self, view: View) -> str:
        return self.read_at(view)

    def nothing(self, view: View) -> list[Line]:
        return self.missing(
            view, "no step has run yet", "settle", "each step of a session leaves one line here"
        )


def _instant(timed: tuple[datetime, Row]) -> datetime:
    return timed[0]


def _run(run: RunRow, view: View, header: DeskHeader) -> Row:
    if run.finished_at is not None:
        when = wall(run.finished_at, view.now)
    else:  # the desk's own clock, and said to be so
        when = f"{'due' if run.state.value in UNFINISHED else 'desk'} {minute(run.desk_time)}"
    notes = run_notes(run, header)
    summary = ": ".join(filter(None, (", ".join(notes), run.summary)))
    return Row(
        key=run_key(run),
        cells=(
            Piece(when, Tone.MUTED),
            Piece(slot_words(run.slot), Tone.STRONG),
            run_state(run, view),
            outside(summary, Tone.BAD if run.state.value == "failed" else Tone.PLAIN),
            Piece(f"{run.session}", Tone.MUTED),
            Piece("" if run.seconds is None else f"{run.seconds:.2f}", Tone.MUTED),
        ),
    )


def _operation(row: OperationRow, view: View) -> Row:
    tone = Tone.BAD if row.kind.value == "fault" else Tone.PLAIN
    return Row(
        key=operation_key(row),
        cells=(
            Piece(wall(row.at, view.now), Tone.MUTED),
            Piece("desk", Tone.ACCENT),
            kind_words(row),
            outside(f"{row.who}: {row.text}", tone),
            Piece(""),
            Piece(""),
        ),
    )


def _event(event: ConsoleEvent, view: View) -> Row:
    return Row(
        key=event.key,
        cells=(
            Piece(wall(event.at, view.now), Tone.MUTED),
            Piece("console", Tone.ACCENT),
            Piece("! fault", Tone.BAD) if event.bad else Piece("note", Tone.MUTED),
            outside(event.text, Tone.BAD if event.bad else Tone.PLAIN),
            Piece(""),
            Piece(""),
        ),
    )
