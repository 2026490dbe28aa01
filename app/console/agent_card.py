"""One agent as text: what it does now, what it did last, when it works next, what holds it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len

from app.console.figures import NOTHING, age, full, minute, percent, wall
from app.console.machine import NOT_DUE, due_words, slot_words, until
from app.console.state import Link, View, lives
from app.console.text import Line, Piece, Tone, labelled, line, outside, paragraph
from storage.plain import clean

if TYPE_CHECKING:
    from storage.snapshot import AgentRow, DeskSnapshot, SlotRow

LABEL = 10
KEYS = "p pauses or resumes it, t runs its last slot again"


@dataclass(frozen=True)
class Wordings:
    """The same thing from its longest to its shortest wording."""

    tone: Tone
    texts: tuple[str, ...]

    def within(self, width: int) -> Piece:
        """The longest that fits."""
        return Piece(
            next((text for text in self.texts if cell_len(text) <= width), self.texts[-1]), self.tone
        )


def agent_state(row: AgentRow, view: View, snapshot: DeskSnapshot) -> Wordings:
    """A sign and a word for what the agent is doing; a pause hides a failure, which has its own column."""
    g = view.glyphs
    if row.paused_by is not None:
        by = f"{g.paused} paused by {clean(row.paused_by)}"
        since = f"{by} since {_since(row.paused_at, view)}" if row.paused_at else by
        return Wordings(Tone.WARN, (since, by, f"{g.paused} paused"))
    if row.working_since is not None:
        took = age((view.now - row.working_since).total_seconds())
        symbol = f"{clean(row.symbol)} " if row.symbol else ""
        # What a leader that is gone, or a database out of reach, said last may be true no more.
        sure = snapshot.led and view.state.link is not Link.AWAY
        sign, tone = (g.working, Tone.ACCENT) if sure else (g.stale, Tone.WARN)
        short = (f"{sign} {symbol}{took}",) if symbol else ()
        return Wordings(tone, (f"{sign} working {symbol}{took}", *short, f"{sign} working"))
    if row.failures:
        return Wordings(Tone.BAD, (f"! {row.failures} failed",))
    return Wordings(Tone.MUTED, (f"{g.idle} idle",))


def _since(moment: datetime, view: View) -> str:
    text = wall(moment, view.now)
    return minute(moment) if text.endswith("Z") else text


def _slot_row(row: AgentRow, snapshot: DeskSnapshot) -> SlotRow | None:
    return next((due for due in snapshot.schedule if due.slot == row.next_slot), None)


def next_run(row: AgentRow, view: View, snapshot: DeskSnapshot) -> Wordings:
    """The agent's next slot and its countdown by the desk's clock, or that it will be skipped."""
    if row.next_slot is None or row.next_due_at is None:
        return Wordings(Tone.MUTED, (NOTHING,))
    seconds = until(row.next_due_at, view, snapshot)
    words = due_words(row.next_slot, seconds)
    due = _slot_row(row, snapshot)
    if due is not None and due.lacks:
        return Wordings(Tone.WARN, (f"{words}, skipped", f"{slot_words(row.next_slot)} skipped", "skipped"))
    short = words.replace(" in ", " ").replace(" due now", " now")
    return Wordings(Tone.PLAIN, (words, short, short.rpartition(" ")[2]))


def agent_lines(row: AgentRow, view: View, width: int) -> list[Line]:
    """Everything known of one agent."""
    snapshot = view.state.snapshot
    assert snapshot is not None
    lines = _live(row, view, snapshot) if lives(snapshot) else []
    session = f" on {row.last_session}" if row.last_session else ""
    lines = [
        line(Piece(row.agent.value, Tone.STRONG), "" if lives(snapshot) else session),
        *lines,
        labelled("answered", *_answered(row), width=LABEL),
        *([] if row.latency_ms is None else [labelled("took", took_text(row.latency_ms), width=LABEL)]),
        line(),
        line(Piece("LAST RESULT", Tone.HEAD), Piece(session, Tone.MUTED)),
        *paragraph(row.last_result or "none yet", width),
    ]
    if lives(snapshot):
        lines += [
            line(),
            *_slots(row, view, snapshot, width),
            line(),
            *paragraph(KEYS, width, tone=Tone.MUTED),
        ]
    return lines


def took_text(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 10_000 else age(milliseconds / 1000)


def _answered(row: AgentRow) -> Sequence[Piece | str]:
    if not row.tasks:
        return (outside(f"by {row.source}") if row.source else Piece("nothing yet", Tone.MUTED),)
    tasks = f"{row.tasks} task{'s' if row.tasks != 1 else ''}"
    abstained = f"{row.abstained} abstained" if row.abstained else ""
    rate = "" if row.success_rate is None else f"{percent(row.success_rate, 0)} answered"
    by = f"by {row.source}" if row.source else ""
    return (outside(", ".join(filter(None, (by, tasks, abstained, rate)))),)


def _live(row: AgentRow, view: View, snapshot: DeskSnapshot) -> list[Line]:
    paused = Piece("no", Tone.MUTED)
    if row.paused_by is not None:
        at = f" since {full(row.paused_at)}" if row.paused_at else ""
        paused = outside(f"by {row.paused_by}{at}", Tone.WARN)
    failures = Piece("none in a row", Tone.MUTED)
    if row.failures:
        failures = Piece(f"! {row.failures} in a row", Tone.BAD)
    upcoming = next_run(row, view, snapshot)
    return [
        line(),
        labelled("now", agent_state(row, view, snapshot).within(40), width=LABEL),
        labelled("paused", paused, width=LABEL),
        labelled("failures", failures, width=LABEL),
        labelled("next", upcoming.within(40), width=LABEL),
    ]


def _slots(row: AgentRow, view: View, snapshot: DeskSnapshot, width: int) -> list[Line]:
    """The agent's part of the schedule, next due first, and what each slot lacks."""
    own = [due for due in snapshot.schedule if row.agent in due.agents]
    lines = [line(Piece("SCHEDULE", Tone.HEAD), Piece(" by the desk's clock", Tone.MUTED))]
    if not own:
        return [*lines, *paragraph("no slot of its own" if snapshot.schedule else NOT_DUE, width)]
    for due in own:
        when = full(due.due_at)[5:16] + "Z"
        lines.append(
            line(f"{slot_words(due.slot):<15}", f"{when}  ", Piece(f"for {due.session}", Tone.MUTED))
        )
        if due.lacks:
            lines += paragraph(f"skipped: {due.lacks}", width, indent=2, tone=Tone.WARN)
    return lines
