"""The review of one approval: the only place in the console that takes a verdict on a trade."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input

from app.console.actions import Scope, bindings_for
from app.console.card import card_lines, headline, if_ignored
from app.console.clock import Clock
from app.console.messages import ExchangesAsked
from app.console.screens.deciding import Card, Deciding
from app.console.text import Line, Piece, Tone, line
from app.console.widgets.lines import LineRow
from storage.plain import clean

if TYPE_CHECKING:
    from datetime import datetime
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


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the operator decided on exactly the card that was shown."""

    approval_id: UUID
    symbol: str
    digest: str
    approve: bool
    typed_id: str = ""
    reason: str = "other"  # of a rejection, a word of REASONS


class ReviewScreen(Deciding[Verdict], inherit_bindings=False):
    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.REVIEW)
    SCOPE = Scope.REVIEW

    def __init__(self, row: ApprovalRow, view: Callable[[], View], clock: Clock) -> None:
        super().__init__(view, clock)
        self.row = row

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

    @property
    def short_id(self) -> str:
        return self.row.short_id

    @property
    def risky(self) -> bool:
        return self.row.risky

    @property
    def expires_at(self) -> datetime | None:
        return self.row.expires_at

    def headline(self) -> Line:
        return headline(self.row)

    def card_lines(self, width: int) -> list[Line]:
        return card_lines(self.row, self._view(), width)

    def idle_status(self) -> Line:
        return line(Piece(f"if ignored: {if_ignored(self.row, self._view())}", Tone.WARN))

    def void_because(self) -> str:
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

    def _verdict(self, *, approve: bool, reason: str = "other") -> None:
        self.decide(
            Verdict(
                approval_id=self.row.id,
                symbol=self.row.terms.symbol,
                digest=self.row.digest,
                approve=approve,
                typed_id=self.row.short_id if self.row.risky and approve else "",
                reason=reason,
            ),
            approves=approve,
        )

    def action_reject(self) -> None:
        self._verdict(approve=False)

    def action_reject_for(self, key: str) -> None:
        """Reject, and say why with the same key."""
        self._verdict(approve=False, reason=REASONS[key])

    def action_approve(self) -> None:
        """Approve a low-risk card; on a risky one go to the field its id is typed into."""
        if self.row.risky:
            self.query_one("#typed", Input).focus()
        else:
            self._verdict(approve=True)

    def action_exchanges(self) -> None:
        """Read the words behind the card; the keys that decide it open anew afterwards."""
        self.unread()
        self.post_message(ExchangesAsked(self.row.id))

    @on(Button.Pressed, "#reject")
    def reject_pressed(self) -> None:
        self._verdict(approve=False)

    @on(Button.Pressed, "#approve")
    def approve_pressed(self) -> None:
        self._verdict(approve=True)
