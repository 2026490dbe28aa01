"""What opens over the desk or is asked of the app: a card, the funnel, the prompts, a halt, an undo."""

from __future__ import annotations

from textual import on

from app.console.change_card import undoable
from app.console.layout import PaneId
from app.console.messages import (
    ChangeAsked,
    ChangeUndoAsked,
    ExchangesAsked,
    HaltAsked,
    LoopAsked,
    RefreshAsked,
    ReviewAsked,
    UndoAsked,
    WhyAsked,
)
from app.console.screens.desk_frame import DeskFrame
from app.console.widgets.table import Table


class Opening(DeskFrame, inherit_bindings=False):
    @on(Table.Opened)
    def row_opened(self, event: Table.Opened) -> None:
        state = self.view_of_app().state
        if self.front is PaneId.APPROVALS and state.snapshot is not None:
            for row in state.snapshot.pending:
                if str(row.id) == event.key:
                    self.post_message(ReviewAsked(row.id))
                    return
        if self.front is PaneId.CHANGES and state.snapshot is not None:
            for change in state.snapshot.changes:
                if str(change.id) == event.key:
                    self.post_message(ChangeAsked(change.id))
                    return
        self.came_from = self.front
        self.choose(PaneId.DETAIL)

    def action_why(self) -> None:
        self.post_message(WhyAsked())

    def action_exchanges(self) -> None:
        snapshot, chosen = self.view_of_app().state.snapshot, self.selection
        if snapshot is not None and chosen is not None and chosen.kind is PaneId.APPROVALS:
            for row in snapshot.approvals:
                if str(row.id) == chosen.key:
                    self.post_message(ExchangesAsked(row.id))
                    return
        self.notify(f"go to the approvals pane ({PaneId.APPROVALS.key}) and choose one", timeout=5)

    def action_halt(self) -> None:
        self.post_message(HaltAsked())

    def action_undo(self) -> None:
        view = self.view_of_app()
        snapshot, chosen = view.state.snapshot, self.selection
        if snapshot is not None and chosen is not None and chosen.kind is PaneId.CHANGES:
            row = next((row for row in snapshot.changes if str(row.id) == chosen.key), None)
            if row is not None and undoable(row, view.now):
                self.post_message(ChangeUndoAsked(row.id))
            else:  # a verdict on a trade is another matter: it must not be taken back in its place
                self.notify("no verdict on this change can be taken back now", timeout=5)
            return
        self.post_message(UndoAsked())

    def action_loop(self) -> None:
        self.post_message(LoopAsked())

    def action_refresh_desk(self) -> None:
        self.post_message(RefreshAsked())
