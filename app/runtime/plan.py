"""What is due, what is late and still worth running, what is too late: pure functions of the desk's clock.

The policy in one place. Ticks may come late, in bunches or not at all (a machine asleep, a leader killed):
each looks at everything that is due and has no run yet, oldest first, so that nothing misfires.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from datetime import date, datetime

from agents.market.calendar import NEW_YORK, is_session, next_session, previous_session
from app.runtime.slots import SLOTS, due_at, slots_of
from storage.records import Slot

ON_TIME_S = 60.0  # a run queued within this of being due counts as on time


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A slot that is due. `too_late`: why it is not run any more, or nothing."""

    session: date
    slot: Slot
    due: datetime
    late_s: float
    too_late: str

    @property
    def late(self) -> bool:
        return self.late_s > 0


def due_slots(
    now: datetime, *, since: datetime, known: Set[tuple[date, Slot]], first: date, slack_s: float = 0.0
) -> Iterator[Planned]:
    """Every slot due after `since` and up to `now` that is not `known`, in the order they are due.

    Looks at sessions from `first` on. `slack_s`: lateness in seconds that is the machine's and no delay (an
    accelerated clock runs on while a job is queued).
    """
    found = [
        Planned(
            session=session,
            slot=slot,
            due=due,
            late_s=late_s if (late_s := (now - due).total_seconds()) > ON_TIME_S + slack_s else 0.0,
            too_late=_too_late(session, slot, now),
        )
        for session in _sessions_between(first, now)
        for slot in slots_of(session)
        if since <= (due := due_at(session, slot)) <= now and (session, slot) not in known
    ]
    order = list(Slot)
    return iter(sorted(found, key=lambda planned: (planned.due, planned.session, order.index(planned.slot))))


def next_due(slot: Slot, after: datetime) -> tuple[date, datetime]:
    """The session and the instant at which a slot is due next, later than `after`."""
    day = after.astimezone(NEW_YORK).date()
    # A slot may be due on the calendar day after its session.
    session = previous_session(day)
    while slot not in slots_of(session) or due_at(session, slot) <= after:
        session = next_session(session)
    return session, due_at(session, slot)


def _too_late(session: date, slot: Slot, now: datetime) -> str:
    rule = SLOTS[slot]
    return rule.too_late if rule.until is not None and now >= rule.until(session) else ""


def _sessions_between(first: date, now: datetime) -> Iterable[date]:
    """Sessions from `first` to New York's today."""
    last = now.astimezone(NEW_YORK).date()
    session = first if is_session(first) else next_session(first)
    while session <= last:
        yield session
        session = next_session(session)
