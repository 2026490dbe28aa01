"""Corporate actions, and the basis of prices that follows from them.

A split changes what one share is: the prices before and after it are on different bases. A pack keeps all its
bars on one basis of a later date, with a factor back to the prices as traded; here the two are reconciled.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from agents.market.bars import Basis, DateArray, FloatArray
from storage.records import ActionKind as ActionKind

# Vendors write 3:1 as 3.000003 and 1:3 as 0.333333333333. A ratio this close to one of small whole numbers is
# that one: of 300 shares, 1:3 leaves 100 and 0.333333333333 would leave 99.
RATIO_NOISE = Fraction(2, 1_000_000)
LARGEST_DENOMINATOR = 100

# How far the step of the factor on a split's day may lie from the split's ratio, as a share of it.
FACTOR_TOLERANCE = 0.005


# An action is known by these three: where two sources differ on its value, it is still one action.
ActionKey: TypeAlias = tuple[str, date, ActionKind]


@dataclass(frozen=True, kw_only=True)
class CorporateAction:
    """One action as its source states it; it takes effect before the open of `ex_date`.

    `value` is new shares for each old share of a split (0.1 is a reverse split 1:10), dollars a share of a
    dividend, raw: for shares as they are on the ex-date, after a split of the same day. A symbol change has
    `new_symbol` instead. ValueError when the one that belongs to the kind is missing; whether the value makes
    sense is for `agents.trading.corporate` to say.
    """

    symbol: str
    ex_date: date
    kind: ActionKind
    source: str
    value: Decimal | None = None
    new_symbol: str | None = None

    def __post_init__(self) -> None:
        renamed = self.kind is ActionKind.SYMBOL_CHANGE
        if (not self.new_symbol) if renamed else (self.value is None or not self.value.is_finite()):
            lacking = "a new symbol" if renamed else "a finite value"
            raise ValueError(f"expected {lacking} for the {self.kind} of {self.symbol} on {self.ex_date}")

    @property
    def key(self) -> ActionKey:
        """What the action is known by."""
        return (self.symbol, self.ex_date, self.kind)

    @property
    def amount(self) -> Decimal:
        """The value of a split or dividend; ValueError for a symbol change, which has none."""
        if self.value is None:
            raise ValueError(f"the {self.kind} of {self.symbol} on {self.ex_date} has no value")
        return self.value

    @property
    def ratio(self) -> Fraction:
        """New shares for each old share, exactly: the noise of a vendor's rounding is taken off."""
        stated = Fraction(self.amount)
        nearest = stated.limit_denominator(LARGEST_DENOMINATOR)
        return nearest if abs(nearest - stated) <= RATIO_NOISE * abs(stated) else stated


# The order in which actions of one day take effect: a dividend is paid on the new shares of a split, and only
# then does the symbol change, because the day's actions are told under the old one.
_ORDER = {kind: place for place, kind in enumerate(ActionKind)}


@dataclass(frozen=True, eq=False)
class Actions:
    """Corporate actions in the order in which they take effect: by ex-date, then symbol, then kind."""

    ordered: tuple[CorporateAction, ...]
    _days: Mapping[date, tuple[CorporateAction, ...]] = field(init=False, repr=False)
    _symbols: Mapping[str, tuple[CorporateAction, ...]] = field(init=False, repr=False)

    def __init__(self, actions: Iterable[CorporateAction] = ()) -> None:
        ordered = sorted(actions, key=in_order)
        days: dict[date, list[CorporateAction]] = {}
        symbols: dict[str, list[CorporateAction]] = {}
        for action in ordered:
            days.setdefault(action.ex_date, []).append(action)
            symbols.setdefault(action.symbol, []).append(action)
        object.__setattr__(self, "ordered", tuple(ordered))
        object.__setattr__(self, "_days", MappingProxyType({day: tuple(some) for day, some in days.items()}))
        object.__setattr__(
            self, "_symbols", MappingProxyType({symbol: tuple(some) for symbol, some in symbols.items()})
        )

    def on(self, session: date) -> tuple[CorporateAction, ...]:
        """The actions that take effect before the open of `session`."""
        return self._days.get(session, ())

    def between(self, first: date, last: date) -> tuple[CorporateAction, ...]:
        """The actions with an ex-date from `first` to `last`, both included."""
        begin = bisect_left(self.ordered, first, key=_ex_date)
        return self.ordered[begin : bisect_right(self.ordered, last, lo=begin, key=_ex_date)]

    def of(self, symbol: str) -> tuple[CorporateAction, ...]:
        """The actions of the symbol, oldest first; it is the symbol of that time."""
        return self._symbols.get(symbol, ())

    def __iter__(self) -> Iterator[CorporateAction]:
        return iter(self.ordered)

    def __len__(self) -> int:
        return len(self.ordered)


def _ex_date(action: CorporateAction) -> date:
    return action.ex_date


def in_order(action: CorporateAction) -> tuple[date, str, int]:
    """The sort key of actions: the order in which they take effect."""
    return (action.ex_date, action.symbol, _ORDER[action.kind])


@dataclass(frozen=True)
class DataNote:
    """Something in a pack's data that does not fit together, and what was made of it."""

    symbol: str
    session: date
    what: str


@dataclass(frozen=True)
class Reconciled:
    """One symbol's basis of prices, the actions that it bears out, and notes on what does not fit."""

    basis: Basis
    actions: tuple[CorporateAction, ...]
    notes: tuple[DataNote, ...]


def reconcile(
    symbol: str, sessions: DateArray, factors: FloatArray, actions: Sequence[CorporateAction]
) -> Reconciled:
    """Hold the symbol's splits against the steps of its factor (adjusted price x factor = price as traded).

    `sessions` and `factors` are one value a bar, oldest first. A split by whose ratio the factor does not
    step is left out: shares that change their basis without the prices would make money from nothing. A
    split before the first bar or after the last has no prices that could speak against it. A split between
    two bars changes the basis on its ex-date, not at the next bar.
    """
    splits = sorted((action for action in actions if action.kind is ActionKind.SPLIT), key=in_order)
    gaps: dict[int, list[CorporateAction]] = {}  # splits by the number of bars before them
    for split in splits:
        gaps.setdefault(int(np.searchsorted(sessions, np.datetime64(split.ex_date, "D"))), []).append(split)
    starts: dict[date, float] = {}
    steps = np.flatnonzero(factors[1:] != factors[:-1]) + 1
    for index in [0, *steps.tolist()] if len(factors) else []:
        starts[sessions[index].item()] = float(factors[index])
    left_out: set[ActionKey] = set()
    notes: list[DataNote] = []
    for index, some in gaps.items():
        if index == 0:
            continue
        if index < len(factors):
            step, told = float(factors[index - 1] / factors[index]), float(_product(some))
            if not abs(step / told - 1) <= FACTOR_TOLERANCE:
                left_out.update(split.key for split in some)
                what = f"a split of {told:.6g} is told, prices change their basis by {step:.6g}: left out"
                notes.append(DataNote(symbol, some[0].ex_date, what))
                continue
        basis = float(factors[index - 1])
        for split in some:
            basis /= float(split.ratio)
            if index == len(factors) or split.ex_date < sessions[index].item():
                starts[split.ex_date] = basis
    explained = {action.ex_date for action in actions}
    for index in steps.tolist():
        day, step = sessions[index].item(), float(factors[index - 1] / factors[index])
        if index not in gaps and day not in explained and abs(step - 1) > FACTOR_TOLERANCE:
            notes.append(DataNote(symbol, day, f"prices change their basis by {step:.6g} without any action"))
    return Reconciled(
        basis=Basis.of(starts),
        actions=tuple(action for action in actions if action.key not in left_out),
        notes=tuple(sorted(notes, key=lambda note: note.session)),
    )


def _product(splits: Iterable[CorporateAction]) -> Fraction:
    product = Fraction(1)
    for split in splits:
        product *= split.ratio
    return product
