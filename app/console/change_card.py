"""A change the desk would make to itself as the console draws it; the words are those of the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from app.console.figures import utc
from app.console.text import Line, Piece, Tone, fit, line, outside, paragraph
from storage.plain import clean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from storage.changes import ChangeRow
    from storage.proposal_text import Told
    from storage.proposals import ProposalRow

LABEL = 16
NEW_YORK = ZoneInfo("America/New_York")  # where a deferred change's day begins
VERDICTS = {"promising": Tone.GOOD, "worse": Tone.BAD}


def evidence_piece(verdict: str) -> Piece:
    """The verdict of the evidence."""
    return outside(verdict or "unreadable", VERDICTS.get(verdict, Tone.WARN))


def standing(row: ChangeRow | ProposalRow, now: datetime) -> Piece:
    """Where a change is on its way, in words."""
    by = f" by {row.decided_by}" if row.decided_by else ""
    undo = f"undo (u) until {utc(row.effective_at)}, " if row.effective_at and undoable(row, now) else ""
    match row.status.value:
        case "proposed" | "promotable" if row.deferred_until is not None and row.deferred_until > now:
            return Piece(f"deferred until {row.deferred_until.astimezone(NEW_YORK):%Y-%m-%d}", Tone.MUTED)
        case "proposed":
            return Piece("waits for a verdict", Tone.WARN)
        case "promotable":
            return Piece("won its trial: waits for a verdict", Tone.WARN)
        case "refused":
            return outside(f"refused by code: {row.refused_because or ''}", Tone.MUTED)
        case "approved":
            where = "into the shadow" if row.route is not None and row.route.value == "shadow" else "at once"
            return outside(f"{undo}approved {where}{by}", Tone.ACCENT)
        case "shadow":
            return outside(f"on trial in the shadow, approved{by}", Tone.ACCENT)
        case "applied":
            return outside(f"in force, approved{by}; outcome {row.outcome.value}", Tone.GOOD)
        case "rejected":
            return outside(f"{undo}rejected{by}", Tone.MUTED)
        case "rolled_back":
            return outside(f"rolled back by {row.rolled_back_by or 'nobody known'}", Tone.MUTED)
        case other:  # nobody did that
            return Piece(other, Tone.MUTED)


def undoable(row: ChangeRow | ProposalRow, now: datetime) -> bool:
    """Whether the verdict on it can still be taken back."""
    decided = row.status.value in ("approved", "rejected")
    return decided and row.effective_at is not None and row.effective_at > now


def change_lines(told: Iterable[Told], width: int) -> list[Line]:
    """The whole change, in the order it is read: headings, and labels in a column of their own."""
    lines: list[Line] = []
    for one in told:
        tone = Tone(one.weight.value)
        if one.weight.value == "head":
            lines += [line(), line(outside(one.text.upper(), tone))]
            continue
        label = one.label
        for row in paragraph(one.text, width - LABEL, tone=tone) or [line()]:
            lines.append((Piece(fit(clean(label), LABEL, ellipsis="~"), Tone.MUTED), *row))
            label = ""
    return lines
