"""The command palette's content: the registry's actions by name."""

from __future__ import annotations

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from app.console.actions import Action, Scope, palette_actions


class DeskCommands(Provider):
    async def discover(self) -> Hits:
        for action in palette_actions():
            yield DiscoveryHit(self._title(action), partial(self._run, action), help=action.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action in palette_actions():
            score = matcher.match(f"{action.label} {action.help}")
            if score > 0:
                yield Hit(score, self._title(action), partial(self._run, action), help=action.help)

    @staticmethod
    def _title(action: Action) -> str:
        return f"{action.label} ({action.shown})" if action.shown else action.label

    async def _run(self, action: Action) -> None:
        target = self.app if action.scope is Scope.APP else self.screen
        await target.run_action(action.id)
