"""What an applied change came to: the trades and closes before it and after it, regime by regime."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from agents.market.indicators import SESSIONS_PER_YEAR
from agents.statistics import Tally, wilson
from storage.learning_records import AdjustmentOutcome
from storage.memory import AdjustmentMeasure, Interval, Span
from storage.records import Direction

LEAST_TRADES = 5  # on either side of a change, or nothing is said of it
STANDARD_ERRORS = 1.96


def measured(before: Span, after: Span) -> AdjustmentMeasure:
    """A change by the trades and closes before and after it, regime by regime.

    It improved or worsened the desk when the mean results in R differ by more than 1.96 standard errors
    (Welch, in each regime), is neutral below, and pending with fewer than five trades on either side. Nothing
    was randomised: another market explains a difference as well as the change does.
    """
    difference, error, matched = _difference(before, after)
    return AdjustmentMeasure(
        outcome=_outcome(difference, error, matched),
        sharpe_before=_sharpe(before.returns),
        sharpe_after=_sharpe(after.returns),
        win_rate_before=_win_rate(before.r),
        win_rate_after=_win_rate(after.r),
        sharpe_before_interval=_sharpe_interval(before.returns),
        sharpe_after_interval=_sharpe_interval(after.returns),
        win_rate_before_interval=_win_rate_interval(before.r),
        win_rate_after_interval=_win_rate_interval(after.r),
        difference=difference,
        difference_interval=None if difference is None else _around(difference, error),
        matched=matched,
    )


def _difference(before: Span, after: Span) -> tuple[float | None, float, tuple[int, int]]:
    """The matched difference in R, its standard error, and the trades it rests on."""
    old, new = _by_regime(before), _by_regime(after)
    both = [name for name in new if min(len(old.get(name, ())), len(new[name])) > 1]
    counts = sum(len(old[name]) for name in both), sum(len(new[name]) for name in both)
    if not both:
        return None, 0.0, counts
    difference = variance = 0.0
    for name in both:
        weight = len(new[name]) / counts[1]
        difference += weight * (fmean(new[name]) - fmean(old[name]))
        spread = stdev(old[name]) ** 2 / len(old[name]) + stdev(new[name]) ** 2 / len(new[name])
        variance += weight**2 * spread
    return difference, math.sqrt(variance), counts


def _by_regime(span: Span) -> dict[Direction | None, list[float]]:
    """Results by the direction of the market; all under None where it was not kept."""
    found: dict[Direction | None, list[float]] = {}
    for r, regime in zip(span.r, span.regimes or (None,) * len(span.r), strict=True):
        found.setdefault(regime, []).append(r)
    return found


def _outcome(difference: float | None, error: float, matched: tuple[int, int]) -> AdjustmentOutcome:
    if difference is None or min(matched) < LEAST_TRADES:
        return AdjustmentOutcome.PENDING
    if abs(difference) <= STANDARD_ERRORS * error:
        return AdjustmentOutcome.NEUTRAL
    return AdjustmentOutcome.IMPROVED if difference > 0 else AdjustmentOutcome.WORSENED


def _around(value: float, error: float) -> Interval:
    return Interval(low=value - STANDARD_ERRORS * error, high=value + STANDARD_ERRORS * error)


def _sharpe(returns: Sequence[float]) -> float | None:
    """Annual, of daily returns, without a risk-free rate; None below two or without any spread."""
    if len(returns) < 2 or stdev(returns) == 0:
        return None
    return fmean(returns) / stdev(returns) * math.sqrt(SESSIONS_PER_YEAR)


def _sharpe_interval(returns: Sequence[float]) -> Interval | None:
    """By the error sqrt((1 + SR^2 / 2) / n) of a Sharpe ratio a session (Lo 2002), independent sessions."""
    annual = _sharpe(returns)
    if annual is None:
        return None
    daily = annual / math.sqrt(SESSIONS_PER_YEAR)
    return _around(annual, math.sqrt((1 + daily**2 / 2) / len(returns) * SESSIONS_PER_YEAR))


def _win_rate(r: Sequence[float]) -> float | None:
    return fmean(value > 0 for value in r) if r else None


def _win_rate_interval(r: Sequence[float]) -> Interval | None:
    if not r:
        return None
    low, high = wilson(Tally(wins=sum(value > 0 for value in r), trades=len(r)))
    return Interval(low=low, high=high)
