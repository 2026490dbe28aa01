"""The agents: who answered, by rules or by which model, and how well."""

from __future__ import annotations

from collections.abc import Iterable

from app.console.figures import NOTHING, number, percent
from app.console.layout import PaneId
from app.console.panes.base import TablePane
from app.console.state import View
from app.console.text import Line, Piece, Tone, line, outside
from app.console.widgets.table import Column, Row


class AgentsPane(TablePane):
    PANE = PaneId.AGENTS
    COLUMNS = (
        Column(title="AGENT", width=8),
        Column(title="BY", width=5),
        Column(title="TASKS", width=5, right=True, drop=2),
        Column(title="ABST", width=4, right=True, drop=3),
        Column(title="ANS%", width=4, right=True, drop=1),
        Column(title="MS", width=5, right=True, drop=4),
        Column(title="LAST", width=10, drop=5),
        Column(title="RESULT", width=16, drop=6, grow=1),
    )

    def rows(self, view: View, width: int) -> Iterable[Row]:
        assert view.state.snapshot is not None
        for row in view.state.snapshot.agents:
            yield Row(
                key=row.agent.value,
                cells=(
                    Piece(row.agent.value, Tone.STRONG),
                    outside(row.source or NOTHING),
                    Piece(f"{row.tasks}"),
                    Piece(f"{row.abstained}", Tone.WARN if row.abstained else Tone.MUTED),
                    Piece(percent(row.success_rate, 0).rstrip("%")),
                    Piece(number(row.latency_ms), Tone.MUTED),
                    Piece(f"{row.last_session or 'never'}", Tone.MUTED),
                    outside(row.last_result),
                ),
            )

    def nothing(self, view: View) -> list[Line]:
        return [
            line(),
            line(Piece(" no agent has worked yet", Tone.STRONG)),
            line(Piece(" they start after the first session's close", Tone.MUTED)),
        ]
