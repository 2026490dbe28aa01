"""Which variants deserve a closer look, and whether noise would get through it: the nightly canary."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from agents.learning.evidence import LEAST_GAIN, Baselines, HistoryVerdict, Trial, judge
from agents.learning.space import ParameterChange, space

MOST_LOOKED_AT = 3  # variants a night that are judged


@dataclass(frozen=True)
class Canary:
    """The same search on noise: the weeks' differences with random signs. `promoted` must be empty."""

    seed: int
    promoted: tuple[ParameterChange, ...]

    @property
    def sang(self) -> bool:
        """Whether noise would have been promoted: then nothing is, tonight."""
        return bool(self.promoted)


def leaders(trials: Iterable[Trial]) -> list[Trial]:
    """The best variant of each family that gained enough, best first: by the gain that is sure."""
    best: dict[str, tuple[float, Trial]] = {}
    for trial in trials:
        family, surely = space()[trial.change.name].family, trial.pairs.surely
        if trial.pairs.mean >= LEAST_GAIN and (family not in best or surely > best[family][0]):
            best[family] = (surely, trial)
    ranked = sorted(best.values(), key=lambda found: (-found[0], found[1].change.name))
    return [trial for _, trial in ranked[:MOST_LOOKED_AT]]


def noise_canary(
    trials: Sequence[Trial], *, sessions: Sequence[date], hold: int, trials_ever: int, seed: int
) -> Canary:
    """Turn the differences of each week around or not, by a coin, the same for all variants, and judge again.

    Nothing in it is better than the champion any more, whatever there was. Costs and neighbours are not
    asked, so that it is promoted rather too easily.
    """
    weeks = sorted({week for trial in trials for week in trial.pairs.weeks})
    coins = np.random.default_rng(seed).integers(0, 2, len(weeks)) * 2 - 1
    signs = dict(zip(weeks, coins.tolist(), strict=True))
    turned = [Trial(change=trial.change, pairs=trial.pairs.turned(signs)) for trial in trials]
    nothing = Baselines(
        champion_r=None,
        champion_trades=0,
        challenger_r=None,
        challenger_trades=0,
        index_symbol=None,
        index_return=None,
    )
    promoted = [
        leader.change
        for leader in leaders(turned)
        if judge(
            leader,
            others=turned,
            trials_ever=max(trials_ever, len(turned)),
            twice=leader.pairs,
            neighbours=[leader.pairs.mean],
            sessions=sessions,
            hold=hold,
            baselines=nothing,
        ).verdict
        is HistoryVerdict.PROMISING
    ]
    return Canary(seed, tuple(promoted))
