"""Daily bars kept up to date with few rows: what is stored, and what the vendor says of the last days.

The vendor's bars are split-adjusted: a split divides every bar before it, a restatement changes some. Asked
for a few days more than are missing, its answer overlaps what is stored. Agreement at the far end of the
overlap says that everything before it is still on the same basis; what lies inside is taken from the answer.
Without it all bars must be fetched anew, for bars of two bases must never stand in one series.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from agents.market.bars import Bars
from agents.market.calendar import FIRST_DAY, LAST_DAY, is_session
from agents.market.fmp.models import EodBar

OVERLAP = timedelta(days=7)  # at least two sessions at every holiday
PRICE_NOISE = 1e-5  # share of a price that is rounding
LEAST_NOISE = 1e-4  # dollars: the last decimal of four

COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """The stored bars and the answer are not on the same basis, or do not overlap."""

    why: str


def overlap_start(stored: Bars) -> date | None:
    """From which day to ask, given what is stored; None: from the beginning."""
    if not len(stored):
        return None
    newest: date = stored.sessions[-1].item()
    return newest - OVERLAP


def bars_of_rows(symbol: str, rows: Iterable[EodBar], through: date) -> Bars:
    """The rows as bars, oldest first, up to `through`: the bar of a session that still trades is none.

    Rows on days that are no session are left out; of two rows of a day the first counts.
    """
    days: dict[date, EodBar] = {}
    for row in rows:
        if FIRST_DAY <= row.date <= min(through, LAST_DAY) and is_session(row.date):
            days.setdefault(row.date, row)
    ordered = sorted(days.items())
    return Bars(
        symbol,
        np.array([day for day, _ in ordered], "datetime64[D]"),
        *(np.array([_number(getattr(row, name)) for _, row in ordered], np.float64) for name in COLUMNS),
    )


def joined(stored: Bars, fresh: Bars, start: date) -> Bars | Disagreement:
    """The stored bars before `start` and the fresh ones from it on, which is what a full fetch would give.

    Holds when the vendor changed nothing before `start`, or scaled what is before a split.
    """
    cut = int(np.searchsorted(stored.sessions, np.datetime64(start, "D")))
    if cut == len(stored):
        return Disagreement(why="nothing stored lies in the overlap")
    first = stored.sessions[cut].item()
    if not len(fresh) or fresh.sessions[0].item() != first:
        return Disagreement(why=f"the answer does not begin with the session {first}")
    for name in ("open", "high", "low", "close"):
        before, after = float(getattr(stored, name)[cut]), float(getattr(fresh, name)[0])
        if not _same(before, after):
            return Disagreement(why=f"the {name} of {first} was {before:g} and is now {after:g}")
    if not cut:
        return fresh
    return Bars(
        stored.symbol,
        np.concatenate([stored.sessions[:cut], fresh.sessions]),
        *(np.concatenate([getattr(stored, name)[:cut], getattr(fresh, name)]) for name in COLUMNS),
    )


def _same(a: float, b: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return abs(a - b) <= max(PRICE_NOISE * max(abs(a), abs(b)), LEAST_NOISE)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
