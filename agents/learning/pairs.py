"""Champion and challenger on the same opportunities: a trade that one of them skips is 0 R for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from agents.learning.runs import Key, Run
from agents.market.bars import FloatArray
from storage.records import Direction

SURE = 1.645  # standard errors: one side of 95%


@dataclass(frozen=True)
class Pair:
    """One opportunity that at least one of the two traded; results in R, `direction` is the market's."""

    key: Key
    direction: Direction
    champion: float
    challenger: float

    @property
    def gain(self) -> float:
        return self.challenger - self.champion


@dataclass(frozen=True)
class Pairs:
    """The pairs of two runs, by session and symbol, over the weeks of a history.

    A week is known by its Monday. `traded` is how many of the pairs the challenger traded.
    """

    pairs: tuple[Pair, ...]
    weeks: tuple[date, ...]
    traded: int

    @classmethod
    def of(cls, champion: Run, challenger: Run) -> "Pairs":
        """ValueError unless both runs are over the same sessions."""
        if champion.sessions != challenger.sessions:
            raise ValueError("expected two runs over the same sessions")
        ours, theirs = champion.trades, challenger.trades
        either = {**theirs, **ours}
        pairs = tuple(
            Pair(
                key=key,
                direction=either[key].direction,
                champion=ours[key].r if key in ours else 0.0,
                challenger=theirs[key].r if key in theirs else 0.0,
            )
            for key in sorted(either)
        )
        return cls(pairs, weeks_of(champion.sessions), len(theirs))

    def within(self, first: date, last: date) -> "Pairs":
        """The pairs decided from `first` to `last`, over the weeks in between."""
        kept = tuple(pair for pair in self.pairs if first <= pair.key.session <= last)
        weeks = tuple(week for week in self.weeks if monday(first) <= week <= last)
        return Pairs(kept, weeks, sum(pair.challenger != 0 for pair in kept))

    def turned(self, signs: Mapping[date, int]) -> "Pairs":
        """The pairs with champion and challenger exchanged in the weeks whose sign is -1."""
        return Pairs(
            tuple(
                pair
                if signs[monday(pair.key.session)] > 0
                else Pair(pair.key, pair.direction, pair.challenger, pair.champion)
                for pair in self.pairs
            ),
            self.weeks,
            self.traded,
        )

    @property
    def n(self) -> int:
        return len(self.pairs)

    @property
    def mean(self) -> float:
        """The mean gain of an opportunity in R; 0 without any."""
        return sum(pair.gain for pair in self.pairs) / self.n if self.pairs else 0.0

    @cached_property
    def totals(self) -> FloatArray:
        """The sum of the gains of each week, R; 0 in a week without opportunities."""
        return self._by_week(pair.gain for pair in self.pairs)

    @cached_property
    def own(self) -> FloatArray:
        """What the challenger itself made each week, R."""
        return self._by_week(pair.challenger for pair in self.pairs)

    @property
    def surely(self) -> float:
        """The gain a week, R, less 1.645 of its standard errors: what is large and sure ranks first."""
        weeks = len(self.totals)
        if weeks < 2:
            return 0.0
        return float(self.totals.mean() - SURE * self.totals.std(ddof=1) / np.sqrt(weeks))

    @cached_property
    def counts(self) -> FloatArray:
        """The opportunities of each week."""
        return self._by_week(1.0 for _ in self.pairs)

    def _by_week(self, values: Iterable[float]) -> FloatArray:
        places = {week: place for place, week in enumerate(self.weeks)}
        sums = np.zeros(len(self.weeks))
        for pair, value in zip(self.pairs, values, strict=True):
            sums[places[monday(pair.key.session)]] += value
        return sums


def monday(session: date) -> date:
    """The Monday of the session's week."""
    return session - timedelta(days=session.weekday())


def weeks_of(sessions: Iterable[date]) -> tuple[date, ...]:
    return tuple(sorted({monday(session) for session in sessions}))
