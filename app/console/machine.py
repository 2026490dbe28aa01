"""The desk as a machine, read off one view: its clock, what runs, what is due, what is late, what it lacks.

Here and wherever this is shown, `due` is told by the desk's clock, which is not the wall's in a rehearsal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from app.console.figures import age, left
from app.console.state import View, lives
from app.console.text import Piece, Tone, outside
from storage.plain import clean

if TYPE_CHECKING:
    from storage.records import Slot
    from storage.snapshot import DeskSnapshot, RunRow, SlotRow

LATE_S = 60.0  # of the wall's clock: what waits longer is late, what waits shorter is about to begin
LATELY = timedelta(days=1)
SHORT_WORDS = {"corporate_actions": "corp actions"}
NOT_DUE = "nothing is scheduled: no runtime has led this desk yet"


def slot_words(slot: Slot) -> str:
    return SHORT_WORDS.get(slot.value, slot.value.replace("_", " "))


def desk_now(view: View, snapshot: DeskSnapshot) -> datetime:
    """The desk's clock at the view's instant; a replay's stands still between its steps."""
    header = snapshot.header
    if not lives(snapshot):
        return header.desk_time
    passed = max((view.now - snapshot.taken_at).total_seconds(), 0.0)
    return header.desk_time + timedelta(seconds=passed * header.clock_speed)


def until(moment: datetime, view: View, snapshot: DeskSnapshot) -> float:
    """Seconds of the desk's clock until an instant of it; negative once it has passed."""
    return (moment - desk_now(view, snapshot)).total_seconds()


def due_words(slot: Slot, seconds: float) -> str:
    """A slot and its countdown."""
    return f"{slot_words(slot)} in {left(seconds)}" if seconds >= 1 else f"{slot_words(slot)} due now"


def running(snapshot: DeskSnapshot) -> tuple[RunRow, ...]:
    """The runs that are carried out now, the longest at it first."""
    return tuple(run for run in reversed(snapshot.runs) if run.state.value == "running")


def next_due(view: View, snapshot: DeskSnapshot) -> SlotRow | None:
    """The slot that comes next, by the desk's clock."""
    slack = LATE_S * snapshot.header.clock_speed
    return next((row for row in snapshot.schedule if until(row.due_at, view, snapshot) > -slack), None)


def next_words(view: View, snapshot: DeskSnapshot) -> str:
    """What comes next, with its countdown, or that nothing does."""
    row = next_due(view, snapshot)
    if row is None:
        return "nothing scheduled"
    skipped = " (will be skipped)" if row.lacks else ""
    return f"{due_words(row.slot, until(row.due_at, view, snapshot))}{skipped}"


@dataclass(frozen=True, kw_only=True)
class Late:
    """What should have begun and has not."""

    slot: Slot
    seconds: float  # of the desk's clock

    @property
    def words(self) -> str:
        return f"{slot_words(self.slot)} late {age(self.seconds)}"


def late(view: View, snapshot: DeskSnapshot) -> tuple[Late, ...]:
    """What waits in a queue, or was due and was never queued, for too long; the longest first."""
    waiting = [
        (run.slot, run.desk_time)
        for run in snapshot.runs
        if run.state.value == "queued" and run.asked_by is None  # asked for again, an old run is not late
    ]
    waiting += [(row.slot, row.due_at) for row in snapshot.schedule]
    found = [Late(slot=slot, seconds=-until(moment, view, snapshot)) for slot, moment in waiting]
    slack = LATE_S * snapshot.header.clock_speed
    return tuple(
        sorted((one for one in found if one.seconds > slack), key=lambda one: one.seconds, reverse=True)
    )


def failed_lately(view: View, snapshot: DeskSnapshot) -> tuple[RunRow, ...]:
    """The failed runs of the last day of the desk's clock."""
    since = desk_now(view, snapshot) - LATELY
    return tuple(run for run in snapshot.runs if run.state.value == "failed" and run.desk_time > since)


def stopping(snapshot: DeskSnapshot) -> bool:
    """Whether the runtime that leads has been asked to stop."""
    leader = snapshot.leader
    asked = leader.stop_asked_at if leader is not None else None
    return leader is not None and snapshot.led and asked is not None and asked > leader.since


def silent_s(view: View, snapshot: DeskSnapshot) -> float:
    """Seconds since the last sign of life of a leader; 0 where none ever led."""
    leader = snapshot.leader
    if leader is None:
        return 0.0
    return max((view.now - (leader.ended_at or leader.heartbeat_at)).total_seconds(), 0.0)


def lacking(snapshot: DeskSnapshot) -> list[tuple[str, tuple[Slot, ...]]]:
    """What the desk lacks and the slots that are skipped for it, what skips most first.

    "lacks quotes: KEY is not set" and "lacks news: KEY is not set" have one cause, and are told once by it.
    """
    order = [*type(snapshot.schedule[0].slot)] if snapshot.schedule else []
    texts: dict[str, set[str]] = {}
    slots: dict[str, tuple[Slot, ...]] = {}
    for row in sorted(snapshot.schedule, key=lambda row: order.index(row.slot)):
        if row.lacks:
            text = clean(row.lacks)
            cause = text.partition(": ")[2] or text
            texts.setdefault(cause, set()).add(text)
            slots[cause] = (*slots.get(cause, ()), row.slot)
    found = [
        (cause if len(texts[cause]) > 1 else texts[cause].pop(), skipped) for cause, skipped in slots.items()
    ]
    return sorted(found, key=lambda one: len(one[1]), reverse=True)


def comes(view: View, slot: str) -> Piece:
    """When a slot brings what is missing, or why it does not: for panes that have nothing to show yet."""
    snapshot = view.state.snapshot
    row = next((row for row in snapshot.schedule if row.slot.value == slot), None) if snapshot else None
    if snapshot is None or row is None:
        return Piece(NOT_DUE if snapshot is not None and not snapshot.schedule else "", Tone.MUTED)
    if row.lacks:
        return outside(f"{slot_words(row.slot)} is skipped each session: {row.lacks}", Tone.WARN)
    seconds = until(row.due_at, view, snapshot)
    when = f", at {row.due_at.astimezone(UTC):%Y-%m-%d %H:%M}Z" if seconds >= 1 else ""
    return Piece(f"{due_words(row.slot, seconds)}{when}", Tone.ACCENT)
