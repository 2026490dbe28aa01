"""Opening what is read back: the history, the equity, the digest, patterns; writing about a position."""

from __future__ import annotations

from app.console.layout import PaneId
from app.console.messages import DigestAsked, EquityAsked, HistoryAsked, NoteAsked, PatternsAsked
from app.console.screens.desk_frame import DeskFrame


class Reading(DeskFrame, inherit_bindings=False):
    def action_history(self) -> None:
        self.post_message(HistoryAsked())

    def action_equity(self) -> None:
        self.post_message(EquityAsked())

    def action_digest(self) -> None:
        self.post_message(DigestAsked())

    def action_patterns(self) -> None:
        self.post_message(PatternsAsked())

    def action_write_note(self) -> None:
        snapshot, chosen = self.view_of_app().state.snapshot, self.selection
        if snapshot is not None and chosen is not None and chosen.kind is PaneId.POSITIONS:
            for row in snapshot.positions:
                if str(row.id) == chosen.key:
                    self.post_message(NoteAsked(row.id, row.symbol))
                    return
        self.notify(f"go to the positions pane ({PaneId.POSITIONS.key}) and choose one", timeout=5)
