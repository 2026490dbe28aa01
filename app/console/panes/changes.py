"""What the desk would change about itself: proposals that wait, then what became of the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app.console.change_card import evidence_piece, standing
from app.console.layout import PaneId
from app.console.panes.base import TablePane
from app.console.state import View, lives
from app.console.text import Line, Piece, Tone, outside, paragraph
from app.console.widgets.table import Column, Row

if TYPE_CHECKING:
    from storage.changes import ChangeRow
    from storage.snapshot import DeskSnapshot

STAGES = 5
NIGHTS = "the desk measures itself every night at 20:00 New York and proposes what its evidence carries"
NO_NIGHTS = "a replay learns when it is started with --loop on: quorum replay --loop on --desk NAME"


class ChangesPane(TablePane):
    PANE = PaneId.CHANGES
    COLUMNS = (
        Column(title="ID", width=9),
        Column(title="CHANGE", width=32, grow=1),
        Column(title="EVIDENCE", width=12, drop=1),
        Column(title="STATE", width=24, grow=2),
    )

    def rows(self, view: View, width: int) -> Iterable[Row]:
        assert view.state.snapshot is not None
        for row in view.state.snapshot.changes:
            tone = Tone.STRONG if row.waits else Tone.MUTED
            yield Row(
                key=str(row.id),
                cells=(
                    outside(row.short_id, tone),
                    outside(_short(row), Tone.PLAIN if row.waits else Tone.MUTED),
                    evidence_piece(row.evidence),
                    standing(row, view.now),
                ),
            )

    def as_of(self, view: View) -> str:
        night = view.state.snapshot.night if view.state.snapshot else None
        if night is None:
            return "no night of learning yet"
        part = "" if night.stages >= STAGES else f", {night.stages} of {STAGES} stages"
        return f"night of {night.session}{part}"

    def facts(self, view: View) -> str:
        snapshot = view.state.snapshot
        if snapshot is None:
            return ""
        if snapshot.night is not None and snapshot.night.alarm:
            return "! alarm, L tells"
        return "enter opens, L tells of the nights" if snapshot.changes else "L tells of the nights"

    def nothing(self, view: View) -> list[Line]:
        lines = self.missing(
            view,
            "nothing was ever proposed",
            "learn",
            NIGHTS if view.state.snapshot is None or lives(view.state.snapshot) else NO_NIGHTS,
        )
        night = view.state.snapshot.night if view.state.snapshot else None
        if night is None:
            return lines
        told = f"{night.session}: {night.note}"
        return [*lines, *paragraph(told, max(self.body.room - 1, 24), indent=1, tone=Tone.MUTED)]


def _short(row: ChangeRow) -> str:
    """The values first: a narrow pane cuts the name."""
    return row.words if row.kind.value == "prompt" else f"{row.old_value} -> {row.new_value} {row.name}"


def waiting_changes(snapshot: DeskSnapshot) -> tuple[ChangeRow, ...]:
    """Those that wait for a human and are not put off."""
    now = snapshot.taken_at
    return tuple(
        row
        for row in snapshot.changes
        if row.waits and (row.deferred_until is None or row.deferred_until <= now)
    )


def changes_note(snapshot: DeskSnapshot) -> str:
    """How many wait, for the tab row."""
    waiting = len(waiting_changes(snapshot))
    return f"*{waiting}" if waiting else ""


def change_summary(row: ChangeRow, view: View, width: int) -> list[Line]:
    """A change for the detail: what it is and where it stands; the whole of it opens by enter."""
    return [
        *paragraph(row.words, width, tone=Tone.STRONG),
        (evidence_piece(row.evidence), Piece("  "), standing(row, view.now)),
        *paragraph(f"proposed after {row.session}; go to changes and press enter to read it", width),
    ]
