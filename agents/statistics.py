"""The few statistics that more than one room needs: shrunk rates, their intervals, means, log odds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

SHRINKAGE = 20.0  # trades a parent's rate counts for; fixed, because fitting it diverges
CONFIDENCE = 0.95

# Student's t at 97.5% for 1 to 10 degrees of freedom; above, the expansion is within 0.001.
_T_975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


@dataclass(frozen=True)
class Tally:
    """How many of so many trades won."""

    wins: int
    trades: int

    def __post_init__(self) -> None:
        if not 0 <= self.wins <= self.trades:
            raise ValueError(f"expected 0 to {self.trades} wins, was {self.wins}")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and its 95% interval, in the unit of the values; None where there are too few to say."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


def shrunk(tally: Tally, parent: float, strength: float = SHRINKAGE) -> float:
    """A rate pulled to its parent's, (k + S p) / (n + S): beta-binomial shrinkage with S trades' weight."""
    if not 0 <= parent <= 1 or strength <= 0:
        raise ValueError(f"expected a rate from 0 to 1 and a strength above 0, was {parent} and {strength}")
    return (tally.wins + strength * parent) / (tally.trades + strength)


def base_rate(desk: Tally, setup: Tally, cell: Tally) -> float:
    """The win rate to expect of a setup in a regime, before anybody has spoken.

    Shrunk downwards through the levels: an even chance, all trades of the desk, those of the setup, those of
    the setup in this regime (`cell`). Each tally contains the next, and only trades closed by now.
    """
    return shrunk(cell, shrunk(setup, shrunk(desk, 0.5)))


def wilson(tally: Tally, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927); 0 to 1 without trades."""
    if tally.trades == 0:
        return 0.0, 1.0
    n = tally.trades
    rate = tally.wins / n
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Sequence[float]) -> Estimate:
    """The mean with Student's 95% interval; no interval below two values."""
    n = len(values)
    if n == 0:
        return Estimate(n=0, mean=None, low=None, high=None)
    mean = fmean(values)
    if n == 1:
        return Estimate(n=1, mean=mean, low=None, high=None)
    half = t_975(n - 1) * stdev(values) / math.sqrt(n)
    return Estimate(n=n, mean=mean, low=mean - half, high=mean + half)


def t_975(freedom: int) -> float:
    """Student's t at 97.5%: tabulated to 10 degrees of freedom, then Abramowitz and Stegun 26.7.5."""
    if freedom < 1:
        raise ValueError(f"expected at least 1 degree of freedom, was {freedom}")
    if freedom <= len(_T_975):
        return _T_975[freedom - 1]
    z = NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def logit(probability: float) -> float:
    """The log odds of a probability strictly between 0 and 1."""
    return math.log(probability / (1 - probability))


def logistic(log_odds: float) -> float:
    """The probability of log odds, without overflow at either end."""
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    return math.exp(log_odds) / (1 + math.exp(log_odds))
