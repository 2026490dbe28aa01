"""Which calls of the coming slots fit the quota, and which must wait; pure functions.

Calls are placed by priority, then by when they are due, the cheapest first, ties by symbol. A call is placed
only where every window of 24 hours that would hold it still keeps to the limit of each call in it. So no call
waits for one of lower priority, and nothing but exits ever reaches into their reserve.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from agents.market.calendar import NEW_YORK
from storage.calls import Priority
from storage.quota_rules import WINDOW, QuotaRules
from storage.quota_snapshot import PlannedSlotRow


@dataclass(frozen=True, kw_only=True)
class PastCall:
    """A call that was counted."""

    at: datetime
    priority: Priority


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One call that a slot would make, and what the cache holds of its answer."""

    endpoint: str
    symbol: str  # "" when the endpoint takes none
    typical_bytes: int
    cached_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SlotWant:
    """What a slot asks at one priority. A slot with held and watched names has two of these."""

    slot: str
    job: str  # as in the ledger, such as "settle of 2026-03-02"
    due_at: datetime
    priority: Priority
    asks: tuple[Ask, ...]


@dataclass(frozen=True, kw_only=True)
class Served:
    """Answered from the cache without a call; `age` when it is due."""

    ask: Ask
    age: timedelta


@dataclass(frozen=True, kw_only=True)
class Deferred:
    """A call that does not fit; `age` of the stale answer that is served for it, None where there is none."""

    ask: Ask
    why: str
    age: timedelta | None


@dataclass(frozen=True, kw_only=True)
class PlannedSlot:
    """A SlotWant and what becomes of each ask; `len(calls)` is what its job should reserve."""

    slot: str
    job: str
    due_at: datetime
    priority: Priority
    calls: tuple[Ask, ...]
    served: tuple[Served, ...]
    deferred: tuple[Deferred, ...]


@dataclass(frozen=True, kw_only=True)
class CallPlan:
    """Every slot in the order it is due, higher priorities first."""

    made_at: datetime
    slots: tuple[PlannedSlot, ...]

    @property
    def dry_at(self) -> datetime | None:
        """When the first call must wait; None when all fit."""
        return min((slot.due_at for slot in self.slots if slot.deferred), default=None)

    @property
    def forecast(self) -> str:
        return forecast(self.made_at, self.dry_at)

    def on(self, day: date) -> tuple[PlannedSlot, ...]:
        """The slots due on a New York day."""
        return tuple(slot for slot in self.slots if slot.due_at.astimezone(NEW_YORK).date() == day)

    def rows(self) -> tuple[PlannedSlotRow, ...]:
        """As the desk keeps it for screens."""
        return tuple(_row(slot) for slot in self.slots)


def forecast(made_at: datetime, dry_at: datetime | None) -> str:
    """When a plan runs dry, in words: "dry at 15:40 New York", "never today"."""
    if dry_at is None:
        return "never today"
    local = dry_at.astimezone(NEW_YORK)
    if local.date() == made_at.astimezone(NEW_YORK).date():
        return f"dry at {local:%H:%M} New York"
    return f"never today, dry at {local:%H:%M} New York on {local:%Y-%m-%d}"


def plan_calls(
    now: datetime,
    past: Iterable[PastCall],
    wants: Iterable[SlotWant],
    rules: QuotaRules,
    *,
    blocked_until: datetime | None = None,
) -> CallPlan:
    """Place what the slots want after `past`; what is overdue counts as due now.

    `blocked_until`: the vendor takes no call before. Each want of one job, slot and priority stands once.
    """
    window = _Window(call.at for call in past if call.at > now - WINDOW)
    ordered = sorted(wants, key=lambda want: (want.due_at, want.priority, want.job, want.slot))
    due = [max(want.due_at, now) for want in ordered]
    calls: list[list[Ask]] = [[] for _ in ordered]
    deferred: list[list[Deferred]] = [[] for _ in ordered]
    served: list[list[Served]] = [[] for _ in ordered]
    queue: list[tuple[Priority, datetime, int, str, str, str, int, Ask]] = []
    for index, want in enumerate(ordered):
        for ask in sorted(set(want.asks), key=_order):
            if ask.cached_at is not None and ask.expires_at is not None and ask.expires_at > due[index]:
                served[index].append(Served(ask=ask, age=due[index] - ask.cached_at))
                continue
            queue.append((want.priority, due[index], *_order(ask), want.job, index, ask))
    for priority, at, *_, index, ask in sorted(queue, key=lambda entry: entry[:-1]):
        blocked = blocked_until is not None and at < blocked_until
        why = "the vendor takes no call then" if blocked else window.place(at, priority, rules)
        if not why:
            calls[index].append(ask)
            continue
        age = at - ask.cached_at if ask.cached_at is not None else None
        deferred[index].append(Deferred(ask=ask, why=why, age=age))
    return CallPlan(
        made_at=now,
        slots=tuple(
            PlannedSlot(
                slot=want.slot,
                job=want.job,
                due_at=due[index],
                priority=want.priority,
                calls=tuple(calls[index]),
                served=tuple(served[index]),
                deferred=tuple(deferred[index]),
            )
            for index, want in enumerate(ordered)
        ),
    )


class _Window:
    """The calls made and placed, in order of time, each with the count of the window it ends."""

    def __init__(self, made: Iterable[datetime]) -> None:
        self._times = sorted(made)
        self._counts = [0] * len(self._times)  # of calls made nothing is asked any more
        self._mosts: list[int] = [1] * len(self._times)
        self._names = [""] * len(self._times)

    def place(self, at: datetime, priority: Priority, rules: QuotaRules) -> str:
        """Take the call in; or leave all as it was and say what stands against it."""
        most = rules.calls_for(priority)
        end = bisect_right(self._times, at)
        count = end - bisect_right(self._times, at - WINDOW) + 1
        if count > most:
            reserved = "" if priority is Priority.EXITS else f", {rules.exits_reserve} more are for exits"
            return f"{count - 1} of {most} calls of 24 h are taken by then{reserved}"
        first, last = bisect_left(self._times, at), bisect_left(self._times, at + WINDOW)
        for index in range(first, last):
            if self._counts[index] + 1 > self._mosts[index]:
                local = self._times[index].astimezone(NEW_YORK)
                return f"the room is kept for {self._names[index]} at {local:%m-%d %H:%M} New York"
        for index in range(first, last):
            self._counts[index] += bool(self._counts[index])
        self._times.insert(end, at)
        self._counts.insert(end, count)
        self._mosts.insert(end, most)
        self._names.insert(end, priority.name.lower())
        return ""


def _order(ask: Ask) -> tuple[int, str, str]:
    return ask.typical_bytes, ask.symbol, ask.endpoint


def _row(slot: PlannedSlot) -> PlannedSlotRow:
    asks = [*slot.calls, *(item.ask for item in slot.deferred)]
    return PlannedSlotRow(
        slot=slot.slot,
        job=slot.job,
        due_at=slot.due_at,
        priority=slot.priority.name.lower(),
        endpoints=_names(ask.endpoint for ask in asks),
        symbols=_names(ask.symbol for ask in slot.calls),
        calls=len(slot.calls),
        served=len(slot.served),
        oldest_served_s=max((item.age.total_seconds() for item in slot.served), default=None),
        deferred=len(slot.deferred),
        deferred_symbols=_names(item.ask.symbol for item in slot.deferred),
        why=slot.deferred[0].why if slot.deferred else "",
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
