"""Telling an agent what to do: pause, go on, run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.console.commands import AgentCommand
from app.console.layout import PaneId
from app.console.messages import AgentTold
from app.console.screens.desk_frame import DeskFrame
from app.console.state import lives

if TYPE_CHECKING:
    from storage.snapshot import AgentRow


class TellingAgents(DeskFrame, inherit_bindings=False):
    def action_pause_agent(self) -> None:
        row = self._chosen_agent()
        if row is not None:
            paused = row.paused_by is not None
            command = AgentCommand.RESUME if paused else AgentCommand.PAUSE
            self.post_message(AgentTold(command, row.agent))

    def action_run_agent(self) -> None:
        row = self._chosen_agent()
        if row is not None:
            self.post_message(AgentTold(AgentCommand.RUN_NOW, row.agent))

    def _chosen_agent(self) -> AgentRow | None:
        """The agent under the cursor of its pane, also while its detail is in front; else say where it is."""
        snapshot, chosen = self.view_of_app().state.snapshot, self.selection
        in_front = self.front in (PaneId.AGENTS, PaneId.DETAIL)
        if snapshot is not None and in_front and chosen is not None and chosen.kind is PaneId.AGENTS:
            row = next((row for row in snapshot.agents if row.agent.value == chosen.key), None)
            if row is not None and lives(snapshot):
                return row
            if row is not None:
                self.notify("a replay runs its agents by itself: none can be paused or hurried", timeout=5)
                return None
        self.notify(f"go to the agents pane ({PaneId.AGENTS.key}) and choose one", timeout=5)
        return None
