"""Watching a change forward in time with betting e-values, which may be looked at every week.

Two arms decide on every opportunity; D = R of the challenger less R of the champion, where a skip is 0 R. A
week's mean X becomes y = X / B cut off to -1..1 with B = 2 s / sqrt(opportunities a week), and a gambler bets
the share l of his wealth on y. Without an effect no bet pays on average, so wealth beyond 1 / alpha is
evidence at alpha however often one looks (Waudby-Smith and Ramdas 2024; Shin, Ramdas and Rinaldo 2022 for the
detector). Scale, block and horizon are frozen before the first week.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist, fmean
from typing import Self

from storage.learning_records import ALARM_AT, HORIZON_WEEKS, PROMOTE_AT, ROLL_BACK_AT

BETS = (0.1, 0.25, 0.5, 0.75, 0.95)
MOST_AUTOCORRELATION = 0.15

PRIOR_MEAN = 0.05  # R, of the effect of a change
PRIOR_DEVIATION = 0.15


class Verdict(StrEnum):
    """What the watch over a challenger has come to; a promotion is still a human's to approve."""

    WATCH = "watch"
    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    EXPIRE = "expire"


@dataclass(frozen=True)
class Week:
    """The differences of one week: their sum in R, and how many opportunities there were."""

    total: float
    opportunities: int

    def __post_init__(self) -> None:
        if self.opportunities < 0 or not math.isfinite(self.total):
            raise ValueError(f"expected a sum over opportunities, was {self}")


@dataclass(frozen=True, kw_only=True)
class Bets:
    """The scale that is frozen before the first week: B in R, and how many weeks make one bet."""

    scale: float
    weeks: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0 and self.weeks in (1, 2)):
            raise ValueError(f"expected a scale above zero and one or two weeks, was {self}")

    def clipped(self, mean: float) -> float:
        return max(-1.0, min(1.0, mean / self.scale))


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """A challenger under watch, as of its last week; `after` gives the next state and changes nothing.

    `up` and `down` are the wealth of each bet that the challenger is better, and that it is worse. `gained`
    and `blocks` add up the unclipped means; `open` are weeks of a block that is not full yet. A verdict
    stays.
    """

    bets: Bets
    up: tuple[float, ...] = (1.0,) * len(BETS)
    down: tuple[float, ...] = (1.0,) * len(BETS)
    gained: float = 0.0
    blocks: int = 0
    weeks: int = 0
    open: tuple[Week, ...] = ()
    verdict: Verdict = Verdict.WATCH

    @property
    def e_up(self) -> float:
        """E+: evidence against "the challenger is not better"."""
        return fmean(self.up)

    @property
    def e_down(self) -> float:
        """E-: evidence against "the challenger is not worse"."""
        return fmean(self.down)

    @property
    def mean(self) -> float | None:
        """The mean of the weekly differences as they were, in R; None before the first."""
        return self.gained / self.blocks if self.blocks else None

    def after(self, week: Week) -> "Monitor":
        """The state after one more week; a week without opportunities passes, but nothing is bet on it."""
        if self.verdict is not Verdict.WATCH:
            return self
        state = replace(self, weeks=self.weeks + 1, open=(*self.open, week))
        if len(state.open) == self.bets.weeks:
            state = state._bet()
        return replace(state, verdict=state._judged())

    def _bet(self) -> "Monitor":
        opportunities = sum(week.opportunities for week in self.open)
        if not opportunities:
            return replace(self, open=())
        mean = math.fsum(week.total for week in self.open) / opportunities
        y = self.bets.clipped(mean)
        return replace(
            self,
            up=tuple(wealth * (1 + bet * y) for wealth, bet in zip(self.up, BETS, strict=True)),
            down=tuple(wealth * (1 - bet * y) for wealth, bet in zip(self.down, BETS, strict=True)),
            gained=self.gained + mean,
            blocks=self.blocks + 1,
            open=(),
        )

    def _judged(self) -> Verdict:
        if self.e_down >= ROLL_BACK_AT:
            return Verdict.ROLL_BACK
        if self.e_up >= PROMOTE_AT and self.gained > 0:
            return Verdict.PROMOTE
        return Verdict.EXPIRE if self.weeks >= HORIZON_WEEKS else Verdict.WATCH


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """What was applied, under watch for getting worse: the Shiryaev-Roberts detector on weekly means in R.

    It is slow by design: below the alarm at 52 a sound strategy runs 52 weeks on average. The drawdown ladder
    is what protects the account at once.
    """

    bets: Bets
    levels: tuple[float, ...] = (0.0,) * len(BETS)
    open: tuple[Week, ...] = ()

    @property
    def level(self) -> float:
        return fmean(self.levels)

    @property
    def alarm(self) -> bool:
        return self.level >= ALARM_AT

    def after(self, week: Week) -> Self:
        """The state after one more week of the applied version's own results, in R."""
        weeks = (*self.open, week)
        if len(weeks) < self.bets.weeks:
            return replace(self, open=weeks)
        opportunities = sum(one.opportunities for one in weeks)
        if not opportunities:
            return replace(self, open=())
        y = self.bets.clipped(math.fsum(one.total for one in weeks) / opportunities)
        levels = tuple((level + 1) * (1 - bet * y) for level, bet in zip(self.levels, BETS, strict=True))
        return replace(self, levels=levels, open=())


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """An effect in R pulled to the prior, and the chance that it is above zero."""

    mean: float
    deviation: float
    above_zero: float


def bets_for(deviation: float, a_week: float, history: Sequence[float] = ()) -> Bets:
    """The bets of a watch still to begin, from the deviation of D in R and the opportunities expected a week.

    B = 2 s / sqrt(n). Where the weekly means of `history` follow each other with more than .15 two weeks make
    one bet. ValueError unless both figures are above zero.
    """
    if not (deviation > 0 and a_week > 0):
        raise ValueError(f"expected a deviation and opportunities above zero, was {deviation} and {a_week}")
    weeks = 2 if autocorrelation(history) > MOST_AUTOCORRELATION else 1
    return Bets(scale=2 * deviation / math.sqrt(a_week * weeks), weeks=weeks)


def autocorrelation(values: Sequence[float]) -> float:
    """The lag-1 autocorrelation; 0 below ten values or where none differs."""
    if len(values) < 10:
        return 0.0
    mean = fmean(values)
    total = math.fsum((value - mean) ** 2 for value in values)
    if total <= 0:
        return 0.0
    return math.fsum((one - mean) * (two - mean) for one, two in itertools.pairwise(values)) / total


def watched(bets: Bets, weeks: Iterable[Week]) -> Monitor:
    """The state after all these weeks."""
    state = Monitor(bets=bets)
    for week in weeks:
        state = state.after(week)
    return state


def shrunk_effect(mean: float, deviation: float, n: int) -> Shrunk:
    """The posterior of an effect under the prior N(.05, .15^2) R, from n differences of this deviation."""
    if not (deviation > 0 and n > 0):
        raise ValueError(f"expected a deviation and values above zero, was {deviation} and {n}")
    prior, seen = 1 / PRIOR_DEVIATION**2, n / deviation**2
    posterior = NormalDist((prior * PRIOR_MEAN + seen * mean) / (prior + seen), 1 / math.sqrt(prior + seen))
    return Shrunk(mean=posterior.mean, deviation=posterior.stdev, above_zero=1 - posterior.cdf(0))
