"""What every dialog that takes a verdict has, so that a slip can never approve.

The focus starts on Reject; what decides is dead until the text could have been read; what is risky asks for
its id, and opens only some time after it was typed; all of it locks when what is shown is no longer so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual import events, on
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from app.console.actions import Scope
from app.console.clock import Clock
from app.console.figures import countdown
from app.console.notes import footer_line
from app.console.text import Line, Piece, Tone, cut, line
from app.console.widgets.lines import LineRow, LinesView
from storage.plain import clean

if TYPE_CHECKING:
    from datetime import datetime

    from app.console.state import View

Answer = TypeVar("Answer")

ARM_S = 0.8  # keys typed before the text could be read are ignored


class Card(LinesView, can_focus=False):
    """The text to be read; it scrolls by the dialog's keys, so the focus stays on the buttons."""


class Deciding(ModalScreen["Answer | None"], Generic[Answer], inherit_bindings=False):
    """Dismissed with the verdict, or with None when the operator decides later.

    What extends it composes `#headline`, `#card`, `#status`, `#keys`, the buttons `#reject` and `#approve`,
    and the field `#typed` where an id is asked for.
    """

    AUTO_FOCUS = "#reject"
    SCOPE: ClassVar[Scope]

    def __init__(self, view: Callable[[], View], clock: Clock) -> None:
        super().__init__()
        self._view = view
        self._clock = clock
        self._shown_at: float | None = None
        self._approve_open_at: float | None = None
        self._decided = False
        self._void = ""  # why this can never be decided any more
        self.locked = ""

    # What is decided; for what extends this

    @property
    def short_id(self) -> str:
        """What a risky approval asks to be typed."""
        raise NotImplementedError

    @property
    def risky(self) -> bool:
        """Whether `#approve` asks for the id."""
        raise NotImplementedError

    @property
    def expires_at(self) -> datetime | None:
        """When it is rejected by itself."""
        raise NotImplementedError

    def headline(self) -> Line:
        raise NotImplementedError

    def card_lines(self, width: int) -> list[Line]:
        raise NotImplementedError

    def idle_status(self) -> Line:
        """What the status says while everything is open and nothing is typed."""
        raise NotImplementedError

    def void_because(self) -> str:
        """Why what is shown is no longer so, or nothing."""
        raise NotImplementedError

    # What it shows

    def on_mount(self) -> None:
        self.set_interval(0.2, self.tick)
        # The delay runs from the moment the text is on the terminal, not from when it was made.
        self.call_after_refresh(self._arm)

    def _arm(self) -> None:
        self._shown_at = self._clock.monotonic()
        self.tick()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    def show(self) -> None:
        """Show it as it stands now; it locks when it is no longer what was opened."""
        self.check()
        card = self.query_one(Card)
        self.query_one("#headline", LineRow).set_lines([self.headline()])
        card.set_lines(self.card_lines(max(card.room, 20)))
        self.query_one("#keys", LineRow).set_lines([footer_line(self.size.width - 6, self.SCOPE)])
        self.tick()

    def tick(self) -> None:
        """Time has passed: expiry, arming, and the line that says so."""
        self.check()
        status = self.query_one("#status", LineRow)
        status.set_class(bool(self.locked), "-locked")
        ellipsis = self._view().glyphs.ellipsis
        status.set_lines([cut(self._status(), max(status.size.width, 1), ellipsis=ellipsis)])
        self.query_one("#reject", Button).disabled = bool(self.locked)
        self.query_one("#approve", Button).disabled = bool(self.locked) or not self._id_typed

    def _status(self) -> Line:
        if self.locked:
            return line(Piece(f" LOCKED: {self.locked}. ", Tone.ALERT), Piece(" esc closes", Tone.MUTED))
        expires = self.expires_at
        left = ""
        if expires is not None:
            left = f"expires in {countdown((expires - self._clock.now()).total_seconds())}; "
        if not self.armed:
            return line(Piece(f"{left}read first: keys open in a moment", Tone.MUTED))
        if self.risky and self._typed and not self._id_typed:
            return line(Piece(f"{left}{clean(self._typed)} is not {clean(self.short_id)}", Tone.WARN))
        if self.risky and self._id_typed:
            ready = "enter on Approve approves" if self.approve_open else "Approve opens in a moment"
            return line(Piece(f"{left}the id is right: {ready}", Tone.WARN))
        return line(Piece(left, Tone.WARN), *self.idle_status())

    def check(self) -> None:
        """Lock it, or open it anew, by how things stand."""
        state = self._view().state
        if not self._void:
            self._void = self.void_because()
        locked = self._void or clean(state.closed_because)
        if self.locked and not locked:
            self._shown_at = self._clock.monotonic()  # what comes back is read anew before it is decided
            self.call_after_refresh(self.query_one("#reject", Button).focus)
        self.locked = locked

    # What decides

    @property
    def armed(self) -> bool:
        """Whether the text has been on the screen long enough to have been read."""
        return self._shown_at is not None and self._clock.monotonic() - self._shown_at >= ARM_S

    @property
    def _id_typed(self) -> bool:
        return not self.risky or self._typed.casefold() == self.short_id.casefold()

    @property
    def _typed(self) -> str:
        return self.query_one("#typed", Input).value.strip()

    @property
    def approve_open(self) -> bool:
        """What is risky has its own delay: the enter that ends the id must not press Approve."""
        if not self.risky:
            return True
        opened = self._approve_open_at
        return self._id_typed and opened is not None and self._clock.monotonic() - opened >= ARM_S

    def decide(self, answer: Answer, *, approves: bool = False) -> None:
        """Dismiss with the answer, once, if it may be given now; else beep."""
        self.check()
        if self._decided or self.locked or not self.armed or (approves and not self.approve_open):
            self.app.bell()
            self.tick()
            return
        self._decided = True
        self.dismiss(answer)

    def unread(self) -> None:
        """Something else covers the text: it is read anew before it is decided."""
        self._shown_at = None

    def action_next_field(self) -> None:
        self.focus_next()

    def action_previous_field(self) -> None:
        self.focus_previous()

    def action_nudge(self) -> None:
        self.app.bell()

    def action_defer(self) -> None:
        if not self._decided:
            self._decided = True
            self.dismiss(None)

    def action_scroll(self, key: str) -> None:
        card = self.query_one(Card)
        match key:
            case "up" | "k":
                card.action_cursor_up()
            case "down" | "j":
                card.action_cursor_down()
            case "pageup":
                card.action_page_up()
            case _:
                card.action_page_down()

    @on(Input.Changed, "#typed")
    def id_typed(self) -> None:
        self._approve_open_at = self._clock.monotonic() if self._id_typed else None
        self.tick()

    @on(Input.Submitted, "#typed")
    def id_entered(self) -> None:
        if self._id_typed and not self.locked:
            self._approve_open_at = self._clock.monotonic()
            self.query_one("#approve", Button).focus()
        else:
            self.app.bell()

    @on(events.ScreenResume)
    def resumed(self) -> None:
        self.show()
        if self._shown_at is None:
            self.call_after_refresh(self._arm)
