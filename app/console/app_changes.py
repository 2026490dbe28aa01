"""The app's part about changes of the desk itself: opening one, answering it, reading of the nights."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import App

from app.console.messages import ChangeAsked, ChangeRead, ChangeUndoAsked, LoopAsked

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.console.changing import Changing
    from app.console.clock import Clock
    from app.console.screens.change import ChangeAnswer
    from app.console.state import View


class ChangesApp(App[None]):
    """Extended by the console's app, which gives it what it reads with."""

    REFUSAL_S: ClassVar[float] = 20.0
    commands: Changing
    clock: Clock
    view: Callable[[], View]

    @on(ChangeAsked)
    def change_asked(self, message: ChangeAsked) -> None:
        self.commands.read_change(self.post_message, message.change_id)

    @on(ChangeRead)
    def change_read(self, message: ChangeRead) -> None:
        from app.console.screens.change import ChangeScreen
        from app.console.screens.desk import DeskScreen

        if message.found is None:
            self.notify(message.problem, severity="error", timeout=self.REFUSAL_S, markup=False)
        elif isinstance(self.screen, DeskScreen):  # whatever was opened meanwhile is not covered
            self.push_screen(ChangeScreen(*message.found, self.view, self.clock), self._answered_change)

    def _answered_change(self, answer: ChangeAnswer | None) -> None:
        if answer is not None:
            self.commands.answer_change(answer)

    @on(ChangeUndoAsked)
    def change_undo_asked(self, message: ChangeUndoAsked) -> None:
        self.commands.undo_change(message.change_id)

    @on(LoopAsked)
    def loop_asked(self) -> None:
        from app.console.screens.loop import LoopScreen

        if not isinstance(self.screen, LoopScreen):
            self.push_screen(LoopScreen(self.commands))
