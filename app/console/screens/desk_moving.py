"""Moving about the desk: panes, zoom, filter, the way back, the approvals that wait."""

from __future__ import annotations

from textual import on
from textual.widgets import Input

from app.console.layout import PaneId, Size
from app.console.notes import banner_text
from app.console.screens.desk_frame import DeskFrame
from app.console.widgets.table import Table


class Moving(DeskFrame, inherit_bindings=False):
    def action_pane(self, key: str) -> None:
        self.came_from = None
        self.choose(list(PaneId)[int(key) - 1])

    def action_next_pane(self) -> None:
        self._step(1)

    def action_previous_pane(self) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        order = list(PaneId)
        if self.size_class is not Size.PLAIN and not self.zoomed:
            order = [pane for pane, _ in self.plan.places]
        here = order.index(self.front) if self.front in order else 0
        self.choose(order[(here + step) % len(order)])

    def action_zoom(self) -> None:
        if self.size_class is Size.PLAIN and not self.zoomed:
            self.notify("one pane at a time fits here already", timeout=3)
            return
        self.zoomed = not self.zoomed
        self.choose(self.front)

    def action_filter(self) -> None:
        self.choose(PaneId.WATCH)
        self.filter.display = True
        self.filter.focus()

    @on(Input.Changed, "#filter")
    def filter_typed(self, event: Input.Changed) -> None:
        self.needle = event.value
        self.pane(PaneId.WATCH).show(self.view)

    @on(Input.Submitted, "#filter")
    def filter_done(self) -> None:
        self.filter.display = False
        self.choose(PaneId.WATCH)

    def action_back(self) -> None:
        if self.filter.display or self.needle:
            self.filter.value = ""
            self.filter.display = False
            self.choose(PaneId.WATCH)
        elif self.zoomed:
            self.action_zoom()
        elif self.came_from is not None:
            pane, self.came_from = self.came_from, None
            self.choose(pane)

    def action_banner(self) -> None:
        text = banner_text(self.view_of_app().state)
        self.note_hidden = "" if self.note_hidden == text else text
        self.show_note(self.view)

    def action_next_pending(self) -> None:
        self._to_pending(1)

    def action_previous_pending(self) -> None:
        self._to_pending(-1)

    def _to_pending(self, step: int) -> None:
        snapshot = self.view_of_app().state.snapshot
        keys = [str(row.id) for row in snapshot.pending] if snapshot else []
        if not keys:
            self.notify("no approval waits for a verdict", timeout=3)
            return
        table = self.pane(PaneId.APPROVALS).body
        assert isinstance(table, Table)
        visited = self.front is PaneId.APPROVALS and table.cursor_key in keys
        index = (keys.index(table.cursor_key) + step) % len(keys) if visited else 0 if step > 0 else -1
        self.choose(PaneId.APPROVALS)
        table.select(keys[index])
