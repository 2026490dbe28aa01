"""The funnel of one evening: how many symbols were left after each rung, and what stopped the others.

The evening's rows are only counted again here; nothing is decided.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import TypeVar

from storage.records import ApprovalState, OrderState

# What a deliberation was denied by, beside the limits, which are every other name.
_NO_THESIS = ("held", "setup")
_OUTVOTED = ("consensus",)

WAITING = "awaits a verdict"

_PRECISE = ("fresh", "history", "liquidity")  # a symbol counts under the first of these it fails


class RungName(StrEnum):
    """The rungs in their order, by the name the operator reads."""

    UNIVERSE = "universe"
    FRESH = "fresh"
    SCREENED = "screened"
    THESIS = "thesis"
    VOTED = "voted"
    LIMITS = "within limits"
    APPROVED = "approved"
    FILLED = "filled"


@dataclass(frozen=True, kw_only=True)
class RungDenial:
    """Why symbols stopped at a rung. The screen only counts most of its failures: then no symbol is named."""

    reason: str
    count: int
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.count < 1 or len(self.symbols) not in (0, self.count):
            raise ValueError(f"expected {self.count} symbols or none for {self.reason}: {self.symbols}")


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One rung: `entered` symbols came, `left` went on. ValueError unless the denials are the difference."""

    name: RungName
    entered: int
    left: int
    denials: tuple[RungDenial, ...]

    def __post_init__(self) -> None:
        if self.left < 0 or self.left + self.denied != self.entered:
            raise ValueError(
                f"expected {self.entered} symbols to leave {self.name} or stop there, "
                f"{self.left} left and {self.denied} stopped"
            )

    @property
    def denied(self) -> int:
        return sum(denial.count for denial in self.denials)


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """All rungs in order; what leaves one enters the next, or ValueError."""

    session: date
    rungs: tuple[Rung, ...]
    fault: str = ""  # why the rows could not be counted; then every rung is empty

    def __post_init__(self) -> None:
        if tuple(rung.name for rung in self.rungs) != tuple(RungName):
            raise ValueError("expected every rung once and in order")
        for above, below in pairwise(self.rungs):
            if above.left != below.entered:
                raise ValueError(
                    f"expected the {above.left} that left {above.name} to enter {below.name}, "
                    f"{below.entered} did"
                )

    @classmethod
    def uncounted(cls, session: date, why: str) -> "Funnel":
        """The funnel of an evening whose rows do not fit together: it counts nothing and says why."""
        rungs = tuple(Rung(name=name, entered=0, left=0, denials=()) for name in RungName)
        return cls(session=session, rungs=rungs, fault=why)

    def rung(self, name: RungName) -> Rung:
        return next(rung for rung in self.rungs if rung.name is name)

    @property
    def last(self) -> Rung | None:
        """The rung where the last candidate fell; None when something was filled or there was no universe."""
        return next((rung for rung in self.rungs if rung.entered and not rung.left), None)

    @property
    def sentence(self) -> str:
        """Why there was no trade, or how many there were."""
        if self.fault:
            return f"The evening cannot be counted, its rows do not fit together: {self.fault}."
        first, filled, last = self.rungs[0], self.rungs[-1].left, self.last
        if filled:
            return f"{filled} of {first.left} symbols became {'a trade' if filled == 1 else 'trades'}."
        if last is None:
            return "No trade: the universe is empty."
        waiting = [symbol for denial in last.denials if denial.reason == WAITING for symbol in denial.symbols]
        if waiting:
            return f"{len(waiting)} of {first.left} symbols wait for a verdict: {', '.join(waiting)}."
        reasons = "; ".join(_words(denial) for denial in last.denials)
        whom = "the last candidate" if last.entered == 1 else f"the last {last.entered} candidates"
        return f"No trade: {whom} of {first.left} stopped at '{last.name}' ({reasons})."


@dataclass(frozen=True, kw_only=True)
class ScreenCounts:
    """The screen as counts: `with_data` had a fresh bar and enough history, `failures` are its filters'."""

    universe: int
    with_data: int
    passed: int
    selected: tuple[str, ...]
    failures: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Deliberated:
    """A candidate the agents were asked about; `denied_by` as `Deliberation` has it, None when proposed."""

    symbol: str
    denied_by: str | None


@dataclass(frozen=True)
class Answered:
    """The approval of a proposal."""

    symbol: str
    state: ApprovalState


@dataclass(frozen=True)
class Ordered:
    """The entry order of an approval; `reason` says why it was skipped."""

    symbol: str
    state: OrderState
    reason: str | None = None


ItemT = TypeVar("ItemT", Deliberated, Answered, Ordered)


def funnel(
    session: date,
    screen: ScreenCounts,
    deliberations: Iterable[Deliberated],
    approvals: Iterable[Answered] = (),
    orders: Iterable[Ordered] = (),
) -> Funnel:
    """Count one evening. While it runs, what has not happened yet counts as stopped, and says so.

    ValueError when a symbol turns up twice on a rung or on one it never reached.
    """
    # A verdict may be undone and an order need not exist yet: each rung asks only about what came to it.
    fates = {item.symbol: _fate(item.denied_by) for item in _once(deliberations)}
    verdicts = {item.symbol: _verdict(item.state) for item in _once(approvals)}
    fills = {item.symbol: _fill(item) for item in _once(orders)}
    _reached(fates, screen.selected, RungName.THESIS)

    def stop_at(rung: RungName) -> dict[str, str]:
        return {symbol: fate[1] for symbol, fate in fates.items() if fate and fate[0] is rung}

    not_asked = {symbol: "not deliberated" for symbol in screen.selected if symbol not in fates}
    thesis = _rung(RungName.THESIS, screen.selected, not_asked | stop_at(RungName.THESIS))
    voters = tuple(s for s in screen.selected if s in fates and s not in stop_at(RungName.THESIS))
    voted = _rung(RungName.VOTED, voters, stop_at(RungName.VOTED))
    backed = tuple(s for s in voters if s not in stop_at(RungName.VOTED))
    limits = _rung(RungName.LIMITS, backed, stop_at(RungName.LIMITS))
    proposed = tuple(s for s in backed if s not in stop_at(RungName.LIMITS))
    _reached(verdicts, proposed, RungName.APPROVED)
    unapproved = {s: why for s in proposed if (why := verdicts.get(s, "not asked yet"))}
    approved = tuple(s for s in proposed if s not in unapproved)
    _reached(fills, approved, RungName.FILLED)
    unfilled = {s: why for s in approved if (why := fills.get(s, "no order yet"))}
    return Funnel(
        session=session,
        rungs=(
            *_screen_rungs(screen),
            thesis,
            voted,
            limits,
            _rung(RungName.APPROVED, proposed, unapproved),
            _rung(RungName.FILLED, approved, unfilled),
        ),
    )


def _screen_rungs(screen: ScreenCounts) -> tuple[Rung, Rung, Rung]:
    """Universe, fresh and screened. Filters that a symbol can fail together are named together."""
    failed = dict(screen.failures)
    stale = [RungDenial(reason=name, count=failed[name]) for name in _PRECISE[:2] if failed.get(name)]
    thin = failed.get(_PRECISE[2], 0)
    others = [name for name, count in screen.failures if count and name not in _PRECISE]
    counts = (
        (_PRECISE[2], thin),
        (" or ".join(others) or "other filters", screen.with_data - thin - screen.passed),
        ("not among the best", screen.passed - len(screen.selected)),
    )
    return (
        Rung(name=RungName.UNIVERSE, entered=screen.universe, left=screen.universe, denials=()),
        Rung(name=RungName.FRESH, entered=screen.universe, left=screen.with_data, denials=tuple(stale)),
        Rung(
            name=RungName.SCREENED,
            entered=screen.with_data,
            left=len(screen.selected),
            denials=tuple(RungDenial(reason=reason, count=count) for reason, count in counts if count),
        ),
    )


def _rung(name: RungName, entered: tuple[str, ...], stopped: dict[str, str]) -> Rung:
    reasons = sorted(set(stopped.values()))
    grouped = ((why, tuple(sorted(s for s in stopped if stopped[s] == why))) for why in reasons)
    denials = tuple(RungDenial(reason=why, count=len(named), symbols=named) for why, named in grouped)
    return Rung(name=name, entered=len(entered), left=len(entered) - len(stopped), denials=denials)


def _fate(denied_by: str | None) -> tuple[RungName, str] | None:
    """Where a deliberation stopped and why; None when it became a proposal."""
    if denied_by is None:
        return None
    if denied_by in _NO_THESIS:
        return RungName.THESIS, denied_by
    return (RungName.VOTED if denied_by in _OUTVOTED else RungName.LIMITS), denied_by


def _verdict(state: ApprovalState) -> str | None:
    if state is ApprovalState.APPROVED:
        return None
    return WAITING if state is ApprovalState.PENDING else state.value


def _fill(order: Ordered) -> str | None:
    if order.state is OrderState.FILLED:
        return None
    return "order rests" if order.state is OrderState.RESTING else order.reason or order.state.value


def _once(items: Iterable[ItemT]) -> list[ItemT]:
    found = list(items)
    symbols = [item.symbol for item in found]
    if len(set(symbols)) < len(symbols):
        raise ValueError(f"expected every symbol once, was {', '.join(sorted(symbols))}")
    return found


def _reached(symbols: Iterable[str], came: Iterable[str], rung: RungName) -> None:
    strangers = sorted(set(symbols) - set(came))
    if strangers:
        raise ValueError(f"expected only symbols that reached '{rung}', was {', '.join(strangers)}")


def _words(denial: RungDenial) -> str:
    return f"{denial.reason}: {', '.join(denial.symbols) or denial.count}"
