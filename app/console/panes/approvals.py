"""The approvals: those that wait for a verdict, then what became of the decided ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app.console.card import if_ignored
from app.console.figures import percent, price, utc
from app.console.layout import PaneId
from app.console.panes.base import TablePane
from app.console.state import View
from app.console.text import Line, Piece, Tone, line, outside, paragraph
from app.console.widgets.table import Column, Row

if TYPE_CHECKING:
    from storage.snapshot import ApprovalRow, DeskSnapshot


def fate(row: ApprovalRow, view: View) -> Piece:
    """What became of a card, in words."""
    by = f" by {row.decided_by}" if row.decided_by else ""
    match row.state.value:
        case "pending":
            # What is still to come must not read as what has been.
            otherwise = if_ignored(row, view)
            return Piece(f"else {otherwise}" if otherwise.startswith("rejected") else otherwise, Tone.WARN)
        case "rejected":
            why = f": {row.decision_reason}" if row.decision_reason else ""
            return outside(f"rejected{by}{why}", Tone.MUTED)
        case "expired":
            return Piece("expired: nobody answered, so rejected", Tone.MUTED)
        case _:
            pass
    match row.order_state.value if row.order_state else "":
        case "filled":
            return outside(f"filled, approved{by}", Tone.GOOD)
        case "skipped":
            return outside(f"skipped: {row.order_note or 'outside its price band'}", Tone.WARN)
        case "resting":
            return outside(f"approved{by}, waits for the open", Tone.ACCENT)
        case _:
            pass
    if row.effective_at is not None and row.effective_at > view.now:
        return outside(f"approved{by}, undo (u) until {utc(row.effective_at)}", Tone.ACCENT)
    return outside(f"approved{by}", Tone.GOOD)


def waiting_first(snapshot: DeskSnapshot) -> tuple[ApprovalRow, ...]:
    """Pending cards before decided ones, each in the desk's own order."""
    decided = tuple(row for row in snapshot.approvals if row not in snapshot.pending)
    return snapshot.pending + decided


class ApprovalsPane(TablePane):
    PANE = PaneId.APPROVALS
    COLUMNS = (
        Column(title="ID", width=10),
        Column(title="ENTRY", width=15, right=True, drop=3),
        Column(title="STOP", width=8, right=True, drop=5),
        Column(title="SHRS", width=5, right=True, drop=6),
        Column(title="RISK", width=6, right=True, drop=2),
        Column(title="CARD", width=5, drop=1),
        Column(title="DESK SAYS", width=9, drop=4),
        Column(title="STATE", width=27, grow=1),
    )

    def rows(self, view: View, width: int) -> Iterable[Row]:
        assert view.state.snapshot is not None
        for row in waiting_first(view.state.snapshot):
            pending = row.state.value == "pending"
            tone = Tone.STRONG if pending else Tone.MUTED
            terms = row.terms
            yield Row(
                key=str(row.id),
                cells=(
                    outside(row.short_id, tone),  # begins with the symbol
                    Piece(f"{price(terms.min_entry)}{view.glyphs.dash}{price(terms.max_entry)}"),
                    Piece(price(terms.stop)),
                    Piece(f"{terms.max_shares:,}"),
                    Piece(percent(row.risk_fraction)),
                    Piece("RISKY", Tone.WARN) if row.risky else Piece("low", Tone.MUTED),
                    Piece(row.recommendation.value, Tone.PLAIN if pending else Tone.MUTED),
                    fate(row, view),
                ),
            )

    def nothing(self, view: View) -> list[Line]:
        lines = self.missing(
            view,
            "nothing waits for a verdict",
            "deliberate",
            "proposals arrive after a session's close, when the desk has deliberated",
        )
        evening = view.state.snapshot.evening if view.state.snapshot else None
        if evening is None:
            return lines
        why = f"{evening.session}: {evening.funnel.sentence} (w opens it)"
        return [*lines, *paragraph(why, max(self.body.room - 1, 24), indent=1, tone=Tone.MUTED)]

    def facts(self, view: View) -> str:
        snapshot = view.state.snapshot
        if snapshot is None:
            return ""
        if view.state.closed_because:
            return "verdicts are closed"
        waiting = len(snapshot.pending)
        return f"{waiting} waiting, enter reviews" if waiting else "none waiting"


def pending_note(snapshot: DeskSnapshot) -> str:
    """How many cards wait, for the tab row."""
    return f"*{len(snapshot.pending)}" if snapshot.pending else ""


def decided_line(row: ApprovalRow) -> Line:
    """Who decided a card and when, for the detail."""
    when = utc(row.decided_at) if row.decided_at else ""
    return line(outside(f"{row.state.value} by {row.decided_by or 'the desk'} {when}".rstrip()))
