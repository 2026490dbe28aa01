"""Whether a number that an agent states is one it was given; what was not is struck and counted.

Signs are not compared: a fall of 7% and a return of -7% are the same figure told twice. Numbers written out
in words are not recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import combinations
from math import isfinite

from storage.plain import shortened

UNVERIFIED = "[unverified]"
NAME_LONGEST = 40
APART = 0.02  # of the larger one: two agents' values of one figure that lie farther apart contradict


class Unit(StrEnum):
    """What a figure is measured in; it says in which forms it may be told, and how exactly."""

    USD = "usd"
    FRACTION = "fraction"  # 0.05; may be told as 5%
    PERCENT = "percent"  # 25; may be told as 25% or 0.25
    RATIO = "ratio"  # also an index such as RSI
    COUNT = "count"


# How far a stated number may lie from the given one, as a share of it; what it was rounded to always may.
TOLERANCE = {Unit.USD: 0.005, Unit.FRACTION: 0.02, Unit.PERCENT: 0.02, Unit.RATIO: 0.02, Unit.COUNT: 0.0}

_DATE = r"\d{4}-\d{2}-\d{2}"
_NUMBER = re.compile(
    rf"(?P<date>{_DATE})(?!\d)"
    r"|(?P<word>[A-Za-z_^]*)(?P<money>\$?)(?P<digits>\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"(?P<scale>(?:k|K|m|M|bn|b|B)\b)?(?P<percent> ?%| ?percent\b| ?per cent\b)?"
    r"(?P<span>(?:[- ](?:session|day|week|month|year|bar)s?\b)|\))?"
)
_SCALES = {"k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6, "b": 1e9, "B": 1e9, "bn": 1e9}
_INTEGERS = re.compile(r"\d+")


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A number that an agent is given; `source` is the block of data it stands in."""

    name: str
    value: float
    unit: Unit
    source: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number that an agent states. Not grounded: it was not given, and its source is nothing."""

    name: str
    value: float
    grounded: bool
    source: str


@dataclass(frozen=True)
class Checked:
    """A text without the numbers that were not given, and every number it stated."""

    text: str
    figures: tuple[Figure, ...]


class Facts:
    """What one agent was given for one decision."""

    def __init__(self, facts: Iterable[Fact], *, days: Iterable[date] = ()) -> None:
        """`days` are the days that may be named."""
        self._facts = {fact.name: fact for fact in facts if isfinite(fact.value)}
        self._days = {day.isoformat() for day in days}
        # The windows in the names: "RSI(14)" and "200-session average" name a figure and state none.
        self._windows = {digits for name in self._facts for digits in _INTEGERS.findall(name)}

    def metric(self, name: str, value: float) -> Figure:
        """A named number: it must be the one that was given under this name."""
        fact = self._facts.get(name)
        if fact is not None and _tells(fact, abs(value), abs(value) * 1e-3):
            return Figure(name=name, value=value, grounded=True, source=fact.source)
        return Figure(name=shortened(name, NAME_LONGEST), value=value, grounded=False, source="")

    def text(self, said: str, longest: int) -> Checked:
        """A text of a model, harmless and in at most `longest` characters, its numbers checked."""
        figures: list[Figure] = []

        def checked(found: re.Match[str]) -> str:
            if found["date"]:
                return found[0] if found["date"] in self._days else UNVERIFIED
            if found["digits"] in self._windows and (found["word"] or found["span"]):
                return found[0]
            figure = self._stated(found)
            figures.append(figure)
            return found[0] if figure.grounded else f"{found['word']}{UNVERIFIED}{found['span'] or ''}"

        return Checked(_NUMBER.sub(checked, shortened(said, longest)), tuple(dict.fromkeys(figures)))

    def _stated(self, found: re.Match[str]) -> Figure:
        digits = found["digits"].replace(",", "")
        scale = _SCALES.get(found["scale"] or "", 1.0)
        value = float(digits) * scale
        mantissa, _, exponent = digits.lower().partition("e")
        rounding = 0.5 * 10.0 ** min(int(exponent or 0) - len(mantissa.partition(".")[2]), 300) * scale
        for fact in self._facts.values():
            if isfinite(value) and _tells(
                fact, value, rounding, percent=bool(found["percent"]), money=bool(found["money"])
            ):
                return Figure(name=fact.name, value=value, grounded=True, source=fact.source)
        return Figure(name="", value=value if isfinite(value) else 0.0, grounded=False, source="")


def contradictions(stated: Mapping[str, Sequence[Figure]]) -> tuple[str, ...]:
    """Figures of one name that two agents tell differently: "rsi14: research 30, strategy 45"."""
    found: dict[str, str] = {}
    for (one, ones), (other, others) in combinations(stated.items(), 2):
        theirs = {figure.name: figure.value for figure in others if figure.name}
        for figure in ones:
            value = theirs.get(figure.name)
            if value is not None and not _alike(figure.value, value):
                found.setdefault(figure.name, f"{figure.name}: {one} {figure.value:.6g}, {other} {value:.6g}")
    return tuple(found.values())


def _tells(fact: Fact, value: float, rounding: float, *, percent: bool = False, money: bool = False) -> bool:
    """Whether a stated number, sign aside, is this fact in one of the forms its unit allows."""
    given = abs(fact.value)
    match fact.unit:
        case Unit.FRACTION:
            forms = [given * 100] if percent else [given, given * 100]
        case Unit.PERCENT:
            forms = [given] if percent else [given, given / 100]
        case _:
            forms = [] if percent else [given]
    if money and fact.unit is not Unit.USD:
        return False
    return any(abs(value - form) <= max(rounding, TOLERANCE[fact.unit] * form) + 1e-9 for form in forms)


def _alike(one: float, other: float) -> bool:
    one, other = abs(one), abs(other)
    pairs = ((one, other), (one * 100, other), (one, other * 100))
    return any(abs(a - b) <= APART * max(a, b) for a, b in pairs)
