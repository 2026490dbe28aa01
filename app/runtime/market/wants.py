"""What each slot wants of the vendor: which endpoints, of which symbols, how urgently; pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from agents.market.bars import BENCHMARK_FUND
from agents.market.calendar import next_session
from agents.market.fmp.lifetimes import last_settled
from agents.market.planner import Ask, CallPlan, PastCall, SlotWant, plan_calls
from app.runtime.slots import due_at, slots_of
from storage.calls import Priority
from storage.quota_standing import Standing
from storage.records import Slot

BARS = "historical-price-eod/full"
QUOTE, BEFORE_OPEN = "quote", "aftermarket-quote"
DIVIDENDS, SPLITS, EARNINGS, PROFILE = "dividends", "splits", "earnings", "profile"
METRICS, RATIOS = "key-metrics-ttm", "ratios-ttm"
ARTICLES = "fmp-articles"

SLOW = (EARNINGS, PROFILE, METRICS, RATIOS)  # good for days: asked once, whichever slot comes first
DAILY = (BARS, SPLITS, DIVIDENDS)  # good for a session
ALL_BARS_BYTES = 60_000  # five years, packed; a few days are as small as a quote
TYPICAL_BYTES = {
    BARS: 1_500,
    QUOTE: 500,
    BEFORE_OPEN: 250,
    DIVIDENDS: 4_000,
    SPLITS: 500,
    EARNINGS: 2_000,
    PROFILE: 1_800,
    METRICS: 1_500,
    RATIOS: 2_000,
    ARTICLES: 40_000,
}
ASKING = (  # the slots that ask, for a plan of the day
    Slot.CORPORATE_ACTIONS,
    Slot.NEWS,
    Slot.RECHECK,
    Slot.OPEN,
    Slot.MARK_NOON,
    Slot.MARK_LATE,
    Slot.SETTLE,
    Slot.SCREEN,
    Slot.SETTLE_EVENING,
)
NEEDED: Mapping[Slot, tuple[str, ...]] = {  # a slot whose endpoint the key may not ask at all is skipped
    Slot.CORPORATE_ACTIONS: (SPLITS,),
    Slot.RECHECK: (BEFORE_OPEN,),
    Slot.OPEN: (),
    Slot.MARK_NOON: (QUOTE,),
    Slot.MARK_LATE: (QUOTE,),
    Slot.SETTLE: (BARS,),
    Slot.SCREEN: (BARS,),
}


@dataclass(frozen=True, kw_only=True)
class Names:
    """The symbols a desk has to do with. One that is held is in `held` alone, and so on down."""

    held: tuple[str, ...]
    waiting: tuple[str, ...]  # of entries still to come
    watched: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every symbol whose bars are kept, the yardstick too."""
        return tuple(dict.fromkeys((*self.held, *self.waiting, *self.watched, BENCHMARK_FUND)))


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Until when an answer is good, and since when it is there."""

    fetched_at: datetime
    expires_at: datetime


Shelf = Callable[[str, str], Kept | None]  # endpoint and symbol -> what is kept of it
Wanted = tuple[Priority, str, str]


def wanted(slot: Slot, names: Names, *, settled: bool = False) -> Iterator[Wanted]:
    """Priority, endpoint and symbol ("" where there is none) of everything a slot reads.

    `settled`: the session's bars are there by now, and tell its open better than a quote.
    """
    held, waiting, watched = names.held, names.waiting, names.watched
    match slot:
        case Slot.CORPORATE_ACTIONS:
            for endpoint in (SPLITS, DIVIDENDS):
                yield from ((Priority.POSITIONS, endpoint, symbol) for symbol in held)
                yield from ((Priority.APPROVALS, endpoint, symbol) for symbol in waiting)
        case Slot.NEWS:
            yield Priority.WATCHLIST, ARTICLES, ""
        case Slot.RECHECK:
            yield from ((Priority.APPROVALS, BEFORE_OPEN, symbol) for symbol in waiting)
        case Slot.OPEN if waiting and settled:
            yield from ((Priority.APPROVALS, BARS, symbol) for symbol in waiting)
            yield from ((Priority.EXITS, BARS, symbol) for symbol in held)
        case Slot.OPEN if waiting:
            yield from ((Priority.APPROVALS, QUOTE, symbol) for symbol in waiting)
            yield from ((Priority.POSITIONS, QUOTE, symbol) for symbol in held)
        case Slot.MARK_NOON | Slot.MARK_LATE:
            yield from ((Priority.POSITIONS, QUOTE, symbol) for symbol in held)
        case Slot.SETTLE | Slot.SETTLE_EVENING | Slot.SETTLE_MORNING:
            yield from ((Priority.EXITS, BARS, symbol) for symbol in held)
            if slot is Slot.SETTLE:
                # Kept since the morning, unless nobody looked: no bar may meet a stop of another basis.
                for endpoint in (SPLITS, DIVIDENDS, EARNINGS):
                    yield from ((Priority.POSITIONS, endpoint, symbol) for symbol in held)
            if BENCHMARK_FUND not in held:
                yield Priority.POSITIONS, BARS, BENCHMARK_FUND
            yield from ((Priority.APPROVALS, BARS, symbol) for symbol in waiting)
            yield from ((Priority.WATCHLIST, BARS, symbol) for symbol in watched if symbol != BENCHMARK_FUND)
            if slot is Slot.SETTLE_EVENING:  # by then the calls of the evening before count no more
                yield from _figures(names)
        case Slot.SCREEN:
            for endpoint in (PROFILE, EARNINGS):
                yield from ((Priority.WATCHLIST, endpoint, symbol) for symbol in (*held, *waiting, *watched))
            yield from _figures(names)


def _figures(names: Names) -> Iterator[Wanted]:
    for endpoint in (METRICS, RATIOS):
        yield from ((Priority.DISCOVERY, endpoint, symbol) for symbol in (*names.waiting, *names.watched))


def job_of(slot: Slot, session: date) -> str:
    """What its calls are counted under."""
    return f"{slot} of {session}"


def plan_for(
    slot: Slot, session: date, names: Names, shelf: Shelf, standing: Standing, now: datetime
) -> CallPlan:
    """The calls of this slot, and of every slot to the end of the next session, by what there is room for.

    What is good for days, or for the rest of its day, is asked by the first slot that finds it expired; what
    that must defer, by the last one.
    """
    slots = [(slot, session, now), *_to_come(slot, session, now)]
    asked: set[tuple[str, str, date | None]] = set()
    wants: list[SlotWant] = []
    for each, day, due in slots:
        fresh = []
        for want in wanted(each, names, settled=last_settled(due) >= day):
            _, endpoint, symbol = want
            name = (endpoint, symbol, day if endpoint in DAILY else None)
            if name in asked:
                continue
            fresh.append(want)
            kept = shelf(endpoint, symbol)
            if endpoint in (*DAILY, *SLOW) and (kept is None or kept.expires_at <= due):
                asked.add(name)
        wants += _slot_wants(each, day, due, fresh, shelf, standing)
    first = _plan(now, wants, standing)
    put_off = [(part.priority, item.ask) for part in first.slots for item in part.deferred]
    again = [(priority, ask) for priority, ask in put_off if ask.endpoint in SLOW]
    if not again or len(slots) == 1:
        return first
    return _plan(now, _with(wants, *slots[-1], again), standing)


def _to_come(slot: Slot, session: date, now: datetime) -> Iterator[tuple[Slot, date, datetime]]:
    for day in (session, next_session(session)):
        for each in slots_of(day):
            due = due_at(day, each)
            if each in ASKING and due > now and (each, day) != (slot, session):
                yield each, day, due


def _slot_wants(
    slot: Slot, day: date, due: datetime, wants: Iterable[Wanted], shelf: Shelf, standing: Standing
) -> list[SlotWant]:
    by_priority: dict[Priority, list[Ask]] = {}
    for priority, endpoint, symbol in wants:
        if _refused(standing, endpoint, symbol, due):
            continue
        kept = shelf(endpoint, symbol)
        size = ALL_BARS_BYTES if endpoint == BARS and kept is None else TYPICAL_BYTES[endpoint]
        by_priority.setdefault(priority, []).append(
            Ask(
                endpoint=endpoint,
                symbol=symbol,
                typical_bytes=size,
                cached_at=kept.fetched_at if kept else None,
                expires_at=kept.expires_at if kept else None,
            )
        )
    return [
        SlotWant(slot=slot, job=job_of(slot, day), due_at=due, priority=priority, asks=tuple(asks))
        for priority, asks in sorted(by_priority.items())
    ]


def _refused(standing: Standing, endpoint: str, symbol: str, at: datetime) -> bool:
    refusals = (standing.refused.get((endpoint, "")), standing.refused.get((endpoint, symbol)))
    return any(until is not None and until > at for until in refusals)


def _with(
    wants: list[SlotWant], slot: Slot, session: date, due: datetime, more: list[tuple[Priority, Ask]]
) -> list[SlotWant]:
    """The wants with more asks in the slot named; in a want of their own where it has none that urgent."""
    left: dict[Priority, list[Ask]] = {}
    for priority, ask in more:
        left.setdefault(priority, []).append(ask)
    job = job_of(slot, session)
    grown = [
        replace(want, asks=(*want.asks, *left.pop(want.priority, ()))) if want.job == job else want
        for want in wants
    ]
    return grown + [
        SlotWant(slot=slot, job=job, due_at=due, priority=priority, asks=tuple(asks))
        for priority, asks in left.items()
    ]


def _plan(now: datetime, wants: Iterable[SlotWant], standing: Standing) -> CallPlan:
    return plan_calls(
        now,
        [PastCall(at=at, priority=priority) for at, priority in standing.past],
        wants,
        standing.rules,
        blocked_until=standing.blocked_until,
    )
