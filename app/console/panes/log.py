"""The log: what happened to the console itself, then the desk's runs, latest first."""

from __future__ import annotations

from collections.abc import Iterable

from app.console.figures import utc
from app.console.layout import PaneId
from app.console.panes.base import TablePane
from app.console.state import View
from app.console.text import Line, Piece, Tone, line, outside
from app.console.widgets.table import Column, Row

OWN_EVENTS = 4  # the console's own latest, above the runs


class LogPane(TablePane):
    PANE = PaneId.LOG
    COLUMNS = (
        Column(title="WHEN", width=10),
        Column(title="WHAT", width=10),
        Column(title="STATE", width=7, drop=1),
        Column(title="SUMMARY", width=20, grow=1),
        Column(title="SECS", width=6, right=True, drop=2),
    )

    def paint(self, view: View, width: int) -> None:
        # Before the first snapshot the console's own events are all there is to know, so they are not hidden.
        if view.state.snapshot is None and view.state.events:
            self.body.glyphs = view.glyphs
            self.body.set_rows(list(self._own(view)))
        else:
            super().paint(view, width)

    def rows(self, view: View, width: int) -> Iterable[Row]:
        assert view.state.snapshot is not None
        yield from self._own(view)
        for run in view.state.snapshot.runs:
            skipped = run.state.value == "skipped"
            yield Row(
                key=f"{run.session} {run.slot.value}",
                cells=(
                    Piece(f"{run.session}", Tone.MUTED),
                    Piece(run.slot.value, Tone.STRONG),
                    Piece(run.state.value, Tone.WARN if skipped else Tone.MUTED),
                    outside(run.summary),
                    Piece(f"{run.seconds:.2f}", Tone.MUTED),
                ),
            )

    def _own(self, view: View) -> Iterable[Row]:
        for event in view.state.events[:OWN_EVENTS]:
            yield Row(
                key=event.key,
                cells=(
                    Piece(utc(event.at), Tone.MUTED),
                    Piece("console", Tone.ACCENT),
                    Piece("! fault", Tone.BAD) if event.bad else Piece("note", Tone.MUTED),
                    outside(event.text, Tone.BAD if event.bad else Tone.PLAIN),
                    Piece(""),
                ),
            )

    def nothing(self, view: View) -> list[Line]:
        return [
            line(),
            line(Piece(" no step has run yet", Tone.STRONG)),
            line(Piece(" each step of a session leaves one line here", Tone.MUTED)),
        ]
