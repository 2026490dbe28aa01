"""The agents: what each does now, what it did last, when it works next, and who answered for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app.console.agent_card import agent_state, next_run
from app.console.figures import NOTHING, number, percent
from app.console.layout import PaneId
from app.console.panes.base import TablePane
from app.console.state import View, lives
from app.console.text import Line, Piece, Tone, outside
from app.console.widgets.table import Column, Row, fit_columns

if TYPE_CHECKING:
    from storage.snapshot import AgentRow, DeskSnapshot

# A replay's agents all work in one go: how well they answered is all there is to tell.
REPLAY = (
    Column(title="AGENT", width=8),
    Column(title="BY", width=5),
    Column(title="TASKS", width=5, right=True, drop=2),
    Column(title="ABST", width=4, right=True, drop=3),
    Column(title="ANS%", width=4, right=True, drop=1),
    Column(title="MS", width=5, right=True, drop=4),
    Column(title="LAST", width=10, drop=5),
    Column(title="RESULT", width=16, drop=6, grow=1),
)
RAIL = (
    Column(title="AGENT", width=8),
    Column(title="NOW", width=11, grow=1),
    Column(title="NEXT", width=12, grow=2),
)
ROOMY_FROM = 60
ROOMY = (
    Column(title="AGENT", width=8),
    Column(title="NOW", width=28),
    Column(title="NEXT", width=16, grow=1),
    Column(title="FAIL", width=4, right=True, drop=3),
    Column(title="BY", width=5, drop=4),
    Column(title="MS", width=6, right=True, drop=5),
    Column(title="LAST", width=5, drop=2),
    Column(title="RESULT", width=16, drop=1, grow=3),
)


class AgentsPane(TablePane):
    PANE = PaneId.AGENTS
    COLUMNS = REPLAY

    def paint(self, view: View, width: int) -> None:
        snapshot = view.state.snapshot
        if snapshot is not None and lives(snapshot):
            self.body.set_columns(ROOMY if width >= ROOMY_FROM else RAIL)
        else:
            self.body.set_columns(REPLAY)
        super().paint(view, width)

    def rows(self, view: View, width: int) -> Iterable[Row]:
        snapshot = view.state.snapshot
        assert snapshot is not None
        cells = self._live if lives(snapshot) else self._replayed
        for row in snapshot.agents:
            yield Row(key=row.agent.value, cells=cells(row, view, snapshot, width))

    def _live(self, row: AgentRow, view: View, snapshot: DeskSnapshot, width: int) -> tuple[Piece, ...]:
        room = dict(fit_columns(self.body.columns, max(width - 1, 0)))
        cells = (
            Piece(row.agent.value, Tone.STRONG),
            agent_state(row, view, snapshot).within(room.get(1, 0)),
            next_run(row, view, snapshot).within(room.get(2, 0)),
            Piece(f"{row.failures}", Tone.BAD if row.failures else Tone.MUTED),
            outside(row.source or NOTHING),
            Piece(number(row.latency_ms), Tone.MUTED),
            Piece(f"{row.last_session:%m-%d}" if row.last_session else "never", Tone.MUTED),
            outside(row.last_result),
        )
        return cells[: len(self.body.columns)]

    def _replayed(self, row: AgentRow, view: View, snapshot: DeskSnapshot, width: int) -> tuple[Piece, ...]:
        return (
            Piece(row.agent.value, Tone.STRONG),
            outside(row.source or NOTHING),
            Piece(f"{row.tasks}"),
            Piece(f"{row.abstained}", Tone.WARN if row.abstained else Tone.MUTED),
            Piece(percent(row.success_rate, 0).rstrip("%")),
            Piece(number(row.latency_ms), Tone.MUTED),
            Piece(f"{row.last_session or 'never'}", Tone.MUTED),
            outside(row.last_result),
        )

    def as_of(self, view: View) -> str:
        return self.read_at(view)

    def nothing(self, view: View) -> list[Line]:
        return self.missing(
            view, "no agent has worked yet", "regime", "they start after the first session's close"
        )
