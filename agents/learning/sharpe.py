"""How far a Sharpe ratio is to be believed: sampling error, short records, and the best of many trials.

Ratios are per period (a week, a session), never annualised unless a name says so; kurtosis is raw, 3 for a
normal. Formulas: Bailey and Lopez de Prado 2012 (PSR, MinTRL), 2014 (DSR) and, with Borwein and Zhu, 2014
(MinBTL).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

EULER_GAMMA = 0.5772156649015329
NORMAL = NormalDist()
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Record:
    """The moments of a series of returns, one value a period; `sharpe` is mean over standard deviation."""

    n: int
    sharpe: float
    skew: float = 0.0
    kurtosis: float = 3.0

    @property
    def variance(self) -> float:
        """The variance of the Sharpe ratio's estimate, times the number of periods less one."""
        value = 1 - self.skew * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2
        if not value > 0:
            raise ValueError(f"expected moments that a series can have, was {self}")
        return value


def record_of(returns: Sequence[float]) -> Record | None:
    """The moments of a series; None below three values or where all are the same.

    The deviation is the sample's (n - 1), skew and kurtosis are the population's, as in the papers.
    """
    values = np.asarray(returns, dtype=np.float64)
    if len(values) < 3:
        return None
    centred = values - values.mean()
    deviation = float(np.sqrt((centred**2).mean()))
    if deviation <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return None
    return Record(
        n=len(values),
        sharpe=float(values.mean() / values.std(ddof=1)),
        skew=float((centred**3).mean() / deviation**3),
        kurtosis=float((centred**4).mean() / deviation**4),
    )


def psr(record: Record, benchmark: float = 0.0) -> float:
    """The probability that the true Sharpe ratio is above `benchmark`."""
    return NORMAL.cdf((record.sharpe - benchmark) * math.sqrt(record.n - 1) / math.sqrt(record.variance))


def expected_maximum(trials: int) -> float:
    """What the best of so many independent standard normal trials is expected to be; 0 for a single one."""
    if trials < 1:
        raise ValueError(f"expected at least one trial, was {trials}")
    if trials == 1:
        return 0.0
    first, second = NORMAL.inv_cdf(1 - 1 / trials), NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return (1 - EULER_GAMMA) * first + EULER_GAMMA * second


def deflated_benchmark(trials: int, variance: float) -> float:
    """SR0: the Sharpe ratio the best of so many trials without any skill is expected to show.

    `variance` is that of the trials' Sharpe ratios.
    """
    if variance < 0:
        raise ValueError(f"expected a variance from zero on, was {variance}")
    return math.sqrt(variance) * expected_maximum(trials)


def dsr(record: Record, trials: int, variance: float) -> float:
    """The deflated Sharpe ratio: the probability that skill, not the number of trials, made this record."""
    return psr(record, deflated_benchmark(trials, variance))


def min_track_record(record: Record, benchmark: float = 0.0, confidence: float = CONFIDENCE) -> float:
    """MinTRL: how many periods the record must last to be above `benchmark` with this confidence.

    Infinity when it is not above it. Only the moments of the record are used, not its length.
    """
    if record.sharpe <= benchmark:
        return math.inf
    z = NORMAL.inv_cdf(confidence)
    return 1 + record.variance * (z / (record.sharpe - benchmark)) ** 2


def min_backtest_years(trials: int, target: float = 1.0) -> float:
    """MinBTL: years below which the best of so many trials shows the annual Sharpe `target` by luck."""
    if target <= 0:
        raise ValueError(f"expected a target above zero, was {target}")
    return (expected_maximum(trials) / target) ** 2
