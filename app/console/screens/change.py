"""The review of one change the desk would make to itself: the only place in the console that answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input

from app.console.actions import Scope, bindings_for
from app.console.change_card import change_lines, evidence_piece, standing, undoable
from app.console.clock import Clock
from app.console.screens.deciding import Card, Deciding
from app.console.text import Line, Piece, Tone, line, outside
from app.console.widgets.lines import LineRow
from storage.learning_records import AdjustmentStatus, ChangeVerb
from storage.plain import clean
from storage.proposal_text import proposal_text

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from app.console.state import View
    from storage.proposal_standing import ProposalStanding
    from storage.proposals import ProposalRow

REASONS = {  # by the key that rejects for it
    "1": "the evidence is too thin",
    "2": "it fits one regime only",
    "3": "it costs more than it brings",
    "4": "not now",
}
WEEK = timedelta(days=7)
IN_PLACE = (AdjustmentStatus.SHADOW, AdjustmentStatus.PROMOTABLE, AdjustmentStatus.APPLIED)


@dataclass(frozen=True, kw_only=True)
class ChangeAnswer:
    """What the operator said to exactly the change that was shown."""

    change_id: UUID
    short_id: str
    digest: str
    verb: ChangeVerb
    typed_id: str = ""
    reason: str = ""
    until: datetime | None = None  # of what is deferred


class ChangeScreen(Deciding[ChangeAnswer], inherit_bindings=False):
    """At once is the risky way and asks for the id; into the shadow trades nothing and needs one key."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CHANGE)
    SCOPE = Scope.CHANGE

    def __init__(
        self, row: ProposalRow, became: ProposalStanding, view: Callable[[], View], clock: Clock
    ) -> None:
        super().__init__(view, clock)
        self.row = row
        self._became = became

    def compose(self) -> ComposeResult:
        with Vertical(id="review") as box:
            box.border_title = "Proposed change"
            yield LineRow(id="headline")
            yield Card(id="card")
            yield LineRow(id="status")
            yield Input(
                id="reason", placeholder="why, for a rejection: the desk learns from it", compact=True
            )
            yield Input(
                id="typed",
                placeholder=f"a, then type {clean(self.row.short_id)} and enter, to open At once",
                compact=True,
            )
            with Horizontal(id="verdicts"):
                yield Button("Reject (r)", id="reject", compact=True)
                yield Button("At once", id="approve", compact=True, disabled=True)
            yield LineRow(id="keys")

    def on_mount(self) -> None:
        super().on_mount()
        for field in ("#reason", "#typed", "#verdicts"):
            self.query_one(field).display = self.row.waits

    @property
    def short_id(self) -> str:
        return self.row.short_id

    @property
    def risky(self) -> bool:
        return True

    @property
    def expires_at(self) -> datetime | None:
        return self.row.expires_at if self.row.waits else None

    def headline(self) -> Line:
        found = self.row.evidence
        verdict = evidence_piece(found.verdict if found else "")
        stands = standing(self.row, self._clock.now())
        return line(outside(self.row.words, Tone.STRONG), "  ", verdict, "  ", stands)

    def card_lines(self, width: int) -> list[Line]:
        return change_lines(proposal_text(self.row, self._became), width)

    def idle_status(self) -> Line:
        if self.row.waits:
            return line(Piece("if ignored: it is gone when it expires", Tone.WARN))
        if undoable(self.row, self._clock.now()):
            return line(Piece("u takes the verdict back", Tone.ACCENT))
        if self._in_place:
            return line(Piece("b rolls it back", Tone.ACCENT))
        return line(Piece("nothing is left to decide", Tone.MUTED))

    def void_because(self) -> str:
        snapshot = self._view().state.snapshot
        expires = self.expires_at
        if expires is not None and self._clock.now() >= expires:
            return "it expired: it is gone"
        if self.row.waits and self.row.evidence is None:
            return "its evidence cannot be read"
        if self.row.waits and not self.row.sound:
            return "what is stored is not what was proposed"
        if snapshot is None or snapshot.taken_at <= self._became.read_at:
            return ""  # what is shown here is newer
        row = next((row for row in snapshot.changes if row.id == self.row.id), None)
        if row is None:  # older than what a screen always has
            return "it is gone from the desk" if self.row.waits else ""
        if row.status is not self.row.status:
            return f"meanwhile: {standing(row, self._clock.now()).text}"
        if row.digest != self.row.digest:
            return "the proposal changed; close and open it again"
        return ""

    @property
    def _in_place(self) -> bool:
        """Whether it can be rolled back: also what is past its time to undo and not carried out yet."""
        approved = self.row.status is AdjustmentStatus.APPROVED
        return self.row.status in IN_PLACE or (approved and not undoable(self.row, self._clock.now()))

    def _say(
        self, verb: ChangeVerb, *, reason: str = "", until: datetime | None = None, may: bool = True
    ) -> None:
        """Answer; a key that means nothing for this change as it stands only beeps."""
        if not may:
            self.app.bell()
            return
        at_once = verb is ChangeVerb.AT_ONCE
        self.decide(
            ChangeAnswer(
                change_id=self.row.id,
                short_id=self.row.short_id,
                digest=self.row.digest,
                verb=verb,
                typed_id=self.row.short_id if at_once else "",
                reason=reason,
                until=until,
            ),
            approves=at_once,
        )

    def action_reject(self) -> None:
        """Reject with what was typed; without a reason go to the field for it."""
        field = self.query_one("#reason", Input)
        reason = clean(field.value).strip()
        if self.row.waits and not reason:
            field.focus()
            return
        self._say(ChangeVerb.REJECTED, reason=reason, may=self.row.waits)

    def action_reject_for(self, key: str) -> None:
        """Reject, and say why with the same key."""
        self._say(ChangeVerb.REJECTED, reason=REASONS[key], may=self.row.waits)

    def action_shadow(self) -> None:
        self._say(ChangeVerb.SHADOW, may=self.row.waits and not self.row.no_shadow)

    def action_approve(self) -> None:
        """Go to the field its id is typed into."""
        if self.row.waits:
            self.query_one("#typed", Input).focus()
        else:
            self.app.bell()

    def action_defer_a_week(self) -> None:
        self._say(ChangeVerb.DEFERRED, until=self._clock.now() + WEEK, may=self.row.waits)

    def action_take_verdict_back(self) -> None:
        self._say(ChangeVerb.UNDONE, may=undoable(self.row, self._clock.now()))

    def action_roll_back(self) -> None:
        self._say(ChangeVerb.ROLLED_BACK, reason="by hand", may=self._in_place)

    @on(Button.Pressed, "#reject")
    def reject_pressed(self) -> None:
        self.action_reject()

    @on(Input.Submitted, "#reason")
    def reason_given(self) -> None:
        """Enter in the field ends the reason; it is another key that rejects."""
        self.query_one("#reject", Button).focus()

    @on(Button.Pressed, "#approve")
    def approve_pressed(self) -> None:
        self._say(ChangeVerb.AT_ONCE, may=self.row.waits)
