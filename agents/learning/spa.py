"""Hansen's test of superior predictive ability: is the best of many variants really better than the champion?

Hansen 2005, the studentised statistic with the "consistent" null: variants that are clearly worse do not make
the test easier or harder to pass.
"""

import math

import numpy as np

from agents.learning.bootstrap import DRAWS, SEED, resamples, usual_block
from agents.market.bars import FloatArray


def spa_p_value(
    gains: FloatArray,
    variant: int | None = None,
    *,
    block: float | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
) -> float:
    """The p-value of "no variant is better than the champion", for the best one or for the column `variant`.

    That of one column is the chance that the best of all would do as well as this one by luck (the single
    step of Romano and Wolf 2005), so that another variant's merit does not vouch for it.

    `gains` is periods x variants: what each variant gained over the champion in each period. A column that
    does not vary says nothing and is left out; without any column left the p-value is 1. ValueError below
    eight periods.
    """
    periods = gains.shape[0]
    if periods < 8:
        raise ValueError(f"expected at least 8 periods, was {periods}")
    moving = gains.std(axis=0) > 1e-12
    if not moving.any() or (variant is not None and not moving[variant]):
        return 1.0
    place = None if variant is None else int(moving[:variant].sum())
    gains = gains[:, moving]
    block = usual_block(periods) if block is None else block
    deviation = np.sqrt(long_run_variance(gains, block))
    means = gains.mean(axis=0)
    threshold = -deviation / math.sqrt(periods) * math.sqrt(2 * math.log(math.log(periods)))
    centre = np.where(means >= threshold, means, 0.0)
    ratios = means / deviation
    observed = float(ratios.max() if place is None else ratios[place])
    if observed <= 0:
        return 1.0
    simulated = [
        float(((gains[indices].mean(axis=0) - centre) / deviation).max())
        for indices in resamples(periods, block, draws, seed)
    ]
    return float((np.array(simulated) > observed).mean())


def long_run_variance(gains: FloatArray, block: float) -> FloatArray:
    """The variance of sqrt(periods) x mean under the stationary bootstrap (Politis and Romano 1994)."""
    periods = gains.shape[0]
    centred = gains - gains.mean(axis=0)
    variance: FloatArray = (centred**2).sum(axis=0) / periods
    stay = 1 - 1 / block
    for lag in range(1, periods):
        share = lag / periods
        weight = (1 - share) * stay**lag + share * stay ** (periods - lag)
        if weight > 1e-9:
            variance = variance + 2 * weight * (centred[:-lag] * centred[lag:]).sum(axis=0) / periods
    return np.maximum(variance, 1e-18)
