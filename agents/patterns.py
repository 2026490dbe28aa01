"""What past trades say of a kind of trade, and of a change: shrunk rates with their n, never bare ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from agents.market.indicators import SESSIONS_PER_YEAR
from agents.statistics import Estimate, Tally, mean_interval, shrunk, wilson
from storage.memory import AdjustmentMeasure, PatternFilter, Span
from storage.records import AdjustmentOutcome

EVEN_CHANCE = 0.5
LEAST_TRADES = 5  # on either side of a change, or nothing is said of it
STANDARD_ERRORS = 1.96


@dataclass(frozen=True, kw_only=True)
class PatternLevel:
    """Trades of one filter: `rate` is shrunk to the level above, the interval is Wilson's of the bare one."""

    name: str
    tally: Tally
    rate: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """The levels from all trades of the desk down to those asked about, and the results of the last in R."""

    levels: tuple[PatternLevel, ...]
    r: Estimate


def levels_of(wanted: PatternFilter) -> tuple[tuple[str, PatternFilter], ...]:
    """The filters that shrink into each other: all trades, the setup, setup x regime, all that is asked."""
    chain = (
        ("all trades", PatternFilter(first=wanted.first, last=wanted.last)),
        ("setup", PatternFilter(setup=wanted.setup, first=wanted.first, last=wanted.last)),
        (
            "setup in regime",
            PatternFilter(setup=wanted.setup, regime=wanted.regime, first=wanted.first, last=wanted.last),
        ),
        ("as asked", wanted),
    )
    kept: list[tuple[str, PatternFilter]] = []
    for name, level in chain:
        if not kept or level != kept[-1][1]:
            kept.append((name, level))
    return tuple(kept)


def pattern(levels: Sequence[tuple[str, Tally]], r: Sequence[float]) -> Pattern:
    """Shrink each level to the one above, p = (k + 20 p_parent) / (n + 20), the first to an even chance."""
    parent, found = EVEN_CHANCE, []
    for name, tally in levels:
        parent = shrunk(tally, parent)
        low, high = wilson(tally)
        found.append(PatternLevel(name=name, tally=tally, rate=parent, low=low, high=high))
    return Pattern(levels=tuple(found), r=mean_interval(r))


def measured(before: Span, after: Span) -> AdjustmentMeasure:
    """A change by the trades and closes before and after it.

    It improved or worsened the desk when the mean results in R differ by more than 1.96 standard errors
    (Welch), is neutral below, and pending with fewer than five trades on either side. Nothing was randomised:
    another market explains a difference as well as the change does.
    """
    return AdjustmentMeasure(
        outcome=_outcome(before.r, after.r),
        sharpe_before=_sharpe(before.returns),
        sharpe_after=_sharpe(after.returns),
        win_rate_before=_win_rate(before.r),
        win_rate_after=_win_rate(after.r),
    )


def _outcome(before: Sequence[float], after: Sequence[float]) -> AdjustmentOutcome:
    if min(len(before), len(after)) < LEAST_TRADES:
        return AdjustmentOutcome.PENDING
    error = math.sqrt(stdev(before) ** 2 / len(before) + stdev(after) ** 2 / len(after))
    difference = fmean(after) - fmean(before)
    if abs(difference) <= STANDARD_ERRORS * error:
        return AdjustmentOutcome.NEUTRAL
    return AdjustmentOutcome.IMPROVED if difference > 0 else AdjustmentOutcome.WORSENED


def _sharpe(returns: Sequence[float]) -> float | None:
    """Annual, of daily returns, without a risk-free rate; None below two or without any spread."""
    if len(returns) < 2 or stdev(returns) == 0:
        return None
    return fmean(returns) / stdev(returns) * math.sqrt(SESSIONS_PER_YEAR)


def _win_rate(r: Sequence[float]) -> float | None:
    return fmean(value > 0 for value in r) if r else None
