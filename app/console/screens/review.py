"""The review of one approval: the only place in the console that takes a verdict.

A slip can never approve: the focus starts on Reject, what decides is dead until the card could have been
read, a risky card asks for its id, and the card locks when what it shows is no longer so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from app.console.actions import Scope, bindings_for
from app.console.card import card_lines, headline, if_ignored
from app.console.clock import Clock
from app.console.figures import countdown
from app.console.messages import ExchangesAsked
from app.console.notes import footer_line
from app.console.text import Line, Piece, Tone, cut, line
from app.console.widgets.lines import LineRow, LinesView
from storage.plain import clean

if TYPE_CHECKING:
    from uuid import UUID

    from app.console.state import View
    from storage.snapshot import ApprovalRow

REASONS = {  # by the key that rejects for it
    "1": "extended",
    "2": "event",
    "3": "correlated",
    "4": "news",
    "5": "poor_reward_risk",
}
ARM_S = 0.8  # keys typed before the card could be read are ignored


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the operator decided on exactly the card that was shown."""

    approval_id: UUID
    symbol: str
    digest: str
    approve: bool
    typed_id: str = ""
    reason: str = "other"  # of a rejection, a word of REASONS


class Card(LinesView, can_focus=False):
    """The card's text; it scrolls by the dialog's keys, so the focus stays on the buttons."""


class ReviewScreen(ModalScreen["Verdict | None"], inherit_bindings=False):
    """Dismissed with the verdict, or with None when the operator decides later."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.REVIEW)
    AUTO_FOCUS = "#reject"

    def __init__(self, row: ApprovalRow, view: Callable[[], View], clock: Clock) -> None:
        super().__init__()
        self.row = row
        self._view = view
        self._clock = clock
        self._shown_at: float | None = None
        self._approve_open_at: float | None = None
        self._decided = False
        self._void = ""  # why this card can never be decided any more
        self.locked = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="review") as box:
            box.border_title = "Review"
            box.set_class(self.row.risky, "-risky")
            yield LineRow(id="headline")
            yield Card(id="card")
            yield LineRow(id="status")
            if self.row.risky:
                yield Input(
                    id="typed",
                    placeholder=f"a, then type {clean(self.row.short_id)} and enter, to open Approve",
                    compact=True,
                )
            with Horizontal(id="verdicts"):
                yield Button("Reject (r)", id="reject", compact=True)
                yield Button(
                    "Approve" if self.row.risky else "Approve (a)",
                    id="approve",
                    compact=True,
                    disabled=self.row.risky,
                )
            yield LineRow(id="keys")

    def on_mount(self) -> None:
        self.set_interval(0.2, self.tick)
        # The delay runs from the moment the card is on the terminal, not from when it was made.
        self.call_after_refresh(self._arm)

    def _arm(self) -> None:
        self._shown_at = self._clock.monotonic()
        self.tick()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    # What it shows

    def show(self) -> None:
        """Show the card as it stands now; it locks when it is no longer what was opened."""
        self._check()
        view = self._view()
        card = self.query_one(Card)
        self.query_one("#headline", LineRow).set_lines([headline(self.row)])
        card.set_lines(card_lines(self.row, view, max(card.room, 20)))
        self.query_one("#keys", LineRow).set_lines([footer_line(self.size.width - 6, Scope.REVIEW)])
        self.tick()

    def tick(self) -> None:
        """Time has passed: expiry, arming, and the line that says so."""
        self._check()
        status = self.query_one("#status", LineRow)
        status.set_class(bool(self.locked), "-locked")
        ellipsis = self._view().glyphs.ellipsis
        status.set_lines([cut(self._status(), max(status.size.width, 1), ellipsis=ellipsis)])
        self.query_one("#reject", Button).disabled = bool(self.locked)
        self.query_one("#approve", Button).disabled = bool(self.locked) or not self._id_typed

    def _status(self) -> Line:
        if self.locked:
            return line(Piece(f" LOCKED: {self.locked}. ", Tone.ALERT), Piece(" esc closes", Tone.MUTED))
        expires = self.row.expires_at
        left = ""
        if expires is not None:
            left = f"expires in {countdown((expires - self._clock.now()).total_seconds())}; "
        if not self.armed:
            return line(Piece(f"{left}read first: keys open in a moment", Tone.MUTED))
        if self.row.risky and self._typed and not self._id_typed:
            return line(Piece(f"{left}{clean(self._typed)} is not {clean(self.row.short_id)}", Tone.WARN))
        if self.row.risky and self._id_typed:
            ready = "enter on Approve approves" if self._approve_open else "Approve opens in a moment"
            return line(Piece(f"{left}the id is right: {ready}", Tone.WARN))
        return line(Piece(f"{left}if ignored: {if_ignored(self.row, self._view())}", Tone.WARN))

    def _check(self) -> None:
        state = self._view().state
        if not self._void:
            self._void = self._void_because()
        locked = self._void or clean(state.closed_because)
        if self.locked and not locked:
            self._shown_at = self._clock.monotonic()  # what comes back is read anew before it is decided
            self.call_after_refresh(self.query_one("#reject", Button).focus)
        self.locked = locked

    def _void_because(self) -> str:
        state = self._view().state
        row = state.approval(self.row.id)
        if row is not None and (row.state, row.digest) == (self.row.state, self.row.digest):
            self.row = row  # the same card, whose time may have been counted anew
        expires = self.row.expires_at
        if expires is not None and self._clock.now() >= expires:
            return "the card expired, which rejects it"
        if state.snapshot is None:
            return ""
        if row is None:
            return "the card is gone from the desk"
        if row.state is not self.row.state:
            by = f" by {clean(row.decided_by)}" if row.decided_by else ""
            return f"the card was {row.state.value}{by} meanwhile"
        if row.digest != self.row.digest:
            return "the proposal changed; close and open it again"
        return ""

    # What decides

    @property
    def armed(self) -> bool:
        """Whether the card has been on the screen long enough to have been read."""
        return self._shown_at is not None and self._clock.monotonic() - self._shown_at >= ARM_S

    @property
    def _id_typed(self) -> bool:
        return not self.row.risky or self._typed.casefold() == self.row.short_id.casefold()

    @property
    def _typed(self) -> str:
        return self.query_one("#typed", Input).value.strip()

    @property
    def _approve_open(self) -> bool:
        """A risky card's Approve has its own delay: the enter that ends the id must not press it."""
        if not self.row.risky:
            return True
        opened = self._approve_open_at
        return self._id_typed and opened is not None and self._clock.monotonic() - opened >= ARM_S

    def _decide(self, *, approve: bool, reason: str = "other") -> None:
        self._check()
        if self._decided or self.locked or not self.armed or (approve and not self._approve_open):
            self.app.bell()
            self.tick()
            return
        self._decided = True
        self.dismiss(
            Verdict(
                approval_id=self.row.id,
                symbol=self.row.terms.symbol,
                digest=self.row.digest,
                approve=approve,
                typed_id=self.row.short_id if self.row.risky and approve else "",
                reason=reason,
            )
        )

    def action_reject(self) -> None:
        self._decide(approve=False)

    def action_reject_for(self, key: str) -> None:
        """Reject, and say why with the same key."""
        self._decide(approve=False, reason=REASONS[key])

    def action_approve(self) -> None:
        """Approve a low-risk card; on a risky one go to the field its id is typed into."""
        if self.row.risky:
            self.query_one("#typed", Input).focus()
        else:
            self._decide(approve=True)

    def action_next_field(self) -> None:
        self.focus_next()

    def action_previous_field(self) -> None:
        self.focus_previous()

    def action_exchanges(self) -> None:
        """Read the words behind the card; the keys that decide it open anew afterwards."""
        self._shown_at = None
        self.post_message(ExchangesAsked(self.row.id))

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

    @on(Button.Pressed, "#reject")
    def reject_pressed(self) -> None:
        self._decide(approve=False)

    @on(Button.Pressed, "#approve")
    def approve_pressed(self) -> None:
        self._decide(approve=True)

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
