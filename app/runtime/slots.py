"""The slots of a session: when each is due, who takes part, what it needs, until when it is worth running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import partial

from agents.market.calendar import NEW_YORK, close_time, is_half_day, next_session, open_time
from storage.records import AgentName, Queue, Slot

DESK = "desk"  # who a run belongs to when no single agent answers for it

# What a replay walks through: it has no vendor, and the time between its slots does not pass.
REPLAYED = (
    Slot.CORPORATE_ACTIONS,
    Slot.CUTOFF,
    Slot.OPEN,
    Slot.SETTLE,
    Slot.REGIME,
    Slot.SCREEN,
    Slot.DELIBERATE,
    Slot.DIGEST,
)

# What AGENT_ORCHESTRATOR_ENABLED switches: agents that look for trades, argue over them and learn. The regime
# is read all the same, by its rule alone: it tightens the stops of what is held.
ORCHESTRATED = frozenset({Slot.NEWS, Slot.DELIBERATE, Slot.LEARN})
AGENTS_OFF = "AGENT_ORCHESTRATOR_ENABLED is off"


class Need(StrEnum):
    """What a slot cannot do without; app/wiring.py knows which of them a desk has."""

    BARS = "settled bars"
    QUOTES = "quotes"
    NEWS = "news"
    CORPORATE_ACTIONS = "corporate actions"
    LEARNING = "a learning loop"


Instant = Callable[[date], datetime]


@dataclass(frozen=True, kw_only=True)
class SlotRule:
    """`until` None: however late, it is still run. `lane`: jobs of one lane are done one by one, in order."""

    due: Instant
    queue: Queue = Queue.IO
    lane: str = "day"
    agents: tuple[AgentName, ...] = ()
    needs: Need | None = None
    after: tuple[Slot, ...] = ()  # of the same session, and done
    until: Instant | None = None
    too_late: str = ""
    half_days: bool = True
    most_s: float = 300.0  # a run that takes longer has failed

    @property
    def owner(self) -> AgentName | None:
        """The one agent that answers for the slot: while it is paused the slot is skipped."""
        return self.agents[0] if len(self.agents) == 1 else None


def due_at(session: date, slot: Slot) -> datetime:
    """When a slot of a session is due, UTC. The session must have the slot."""
    return SLOTS[slot].due(session)


def slots_of(session: date) -> list[Slot]:
    """The slots a session has, in the order they are due."""
    return [slot for slot, rule in SLOTS.items() if rule.half_days or not is_half_day(session)]


def owner_of(slot: Slot) -> str:
    """Who a run of this slot belongs to."""
    return SLOTS[slot].owner or DESK


def _at(hour: int, minute: int = 0, days: int = 0) -> Instant:
    """A New York time of the session, or of the calendar days after it."""

    def instant(session: date) -> datetime:
        day = session + timedelta(days=days)
        return datetime.combine(day, time(hour, minute), NEW_YORK).astimezone(UTC)

    return instant


def _next(slot: Slot) -> Instant:
    """When the next session's own such slot is due."""
    return lambda session: due_at(next_session(session), slot)


def _around(bell: Instant, minutes: int) -> Instant:
    return lambda session: bell(session) + timedelta(minutes=minutes)


_cutoff = _around(open_time, -5)
_for_the_open = partial(SlotRule, until=_cutoff, too_late="the orders for this open had been sent")
_for_the_next_open = partial(
    SlotRule, until=_next(Slot.CUTOFF), too_late="the open it would propose for has passed"
)

SLOTS: dict[Slot, SlotRule] = {
    Slot.CORPORATE_ACTIONS: SlotRule(
        due=_at(7),
        needs=Need.CORPORATE_ACTIONS,
        until=_next(Slot.CORPORATE_ACTIONS),
        too_late="the next session's check covers it",
    ),
    Slot.NEWS: _for_the_open(due=_at(8, 45), lane="news", agents=(AgentName.NEWS,), needs=Need.NEWS),
    Slot.RECHECK: _for_the_open(due=_at(9, 10), needs=Need.QUOTES),
    # Always: approvals nobody acted on must end. After the open it places no order.
    Slot.CUTOFF: SlotRule(due=_cutoff),
    # Always: orders that rested before the open were filled at it, whenever we look.
    Slot.OPEN: SlotRule(due=_around(open_time, 5), needs=Need.BARS, after=(Slot.CUTOFF,)),
    Slot.MARK_NOON: SlotRule(
        due=_at(12, 30),
        lane="marks",
        needs=Need.QUOTES,
        until=lambda session: min(_at(15, 30)(session), close_time(session)),
        too_late="the session had closed, or the next mark was due",
    ),
    Slot.MARK_LATE: SlotRule(
        due=_at(15, 30),
        lane="marks",
        needs=Need.QUOTES,
        until=close_time,
        too_late="the session had closed",
        half_days=False,
    ),
    Slot.SETTLE: SlotRule(due=_around(close_time, 90), needs=Need.BARS),
    Slot.REGIME: SlotRule(
        due=_at(18),
        queue=Queue.COMPUTE,
        agents=(AgentName.REGIME,),
        needs=Need.BARS,
        after=(Slot.SETTLE,),
    ),
    Slot.SCREEN: _for_the_next_open(
        due=_at(18, 5), queue=Queue.COMPUTE, needs=Need.BARS, after=(Slot.SETTLE,), most_s=900.0
    ),
    Slot.DELIBERATE: _for_the_next_open(
        due=_at(18, 30),
        queue=Queue.COMPUTE,
        agents=(AgentName.RESEARCH, AgentName.NEWS, AgentName.STRATEGY, AgentName.RISK),
        needs=Need.BARS,
        after=(Slot.REGIME, Slot.SCREEN),
        most_s=1800.0,
    ),
    Slot.DIGEST: SlotRule(due=_at(18, 45), after=(Slot.SETTLE,), needs=Need.BARS),
    Slot.SETTLE_EVENING: SlotRule(
        due=_at(20),
        needs=Need.BARS,
        after=(Slot.SETTLE,),
        until=_at(7, days=1),
        too_late="the morning's look for late bars covers it",
    ),
    Slot.LEARN: SlotRule(
        due=_at(20),
        queue=Queue.COMPUTE,
        lane="learn",
        agents=(AgentName.LEARNING,),
        needs=Need.LEARNING,
        until=_next(Slot.LEARN),
        too_late="the next night measures it too",
        most_s=3600.0,
    ),
    Slot.HOUSEKEEPING: SlotRule(
        due=_at(0, 10, days=1),
        lane="housekeeping",
        until=_next(Slot.HOUSEKEEPING),
        too_late="the next night tidies up for it",
    ),
    Slot.SETTLE_MORNING: SlotRule(
        due=_at(7, days=1),
        needs=Need.BARS,
        after=(Slot.SETTLE,),
        until=_next(Slot.SETTLE),
        too_late="the next settle covers it",
    ),
}
assert tuple(SLOTS) == tuple(Slot)
