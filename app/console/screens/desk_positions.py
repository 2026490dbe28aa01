"""What a human does to what is held: sell it, move its stop, take such a request back, sell everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.commands import Ask
from app.console.layout import PaneId
from app.console.messages import PositionAsked, TakeBackAsked
from app.console.screens.desk_frame import DeskFrame

if TYPE_CHECKING:
    from storage.snapshot import PositionRow


class HoldingPositions(DeskFrame, inherit_bindings=False):
    def action_close_position(self) -> None:
        if (row := self._chosen_position()) is not None:
            self.post_message(PositionAsked(Ask.CLOSE, row))

    def action_move_stop(self) -> None:
        if (row := self._chosen_position()) is not None:
            self.post_message(PositionAsked(Ask.STOP, row))

    def action_take_back(self) -> None:
        if (row := self._chosen_position()) is not None:
            self.post_message(TakeBackAsked(row.symbol))

    def action_flatten(self) -> None:
        snapshot = self.view_of_app().state.snapshot
        if snapshot is None or not snapshot.positions:
            self.notify("nothing is held", timeout=3)
            return
        self.post_message(PositionAsked(Ask.FLATTEN, None))

    def _chosen_position(self) -> PositionRow | None:
        """The position under the cursor, also while its detail is in front; else say where it is."""
        snapshot, chosen = self.view_of_app().state.snapshot, self.selection
        in_front = self.front in (PaneId.POSITIONS, PaneId.DETAIL)
        if snapshot is not None and in_front and chosen is not None and chosen.kind is PaneId.POSITIONS:
            row = next((row for row in snapshot.positions if str(row.id) == chosen.key), None)
            if row is not None:
                return row
        self.notify(f"go to the positions pane ({PaneId.POSITIONS.key}) and choose one", timeout=5)
        return None
