"""The stationary bootstrap (Politis and Romano 1994): it resamples, and keeps neighbours in time together."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agents.market.bars import FloatArray

DRAWS = 1000
SEED = 20
CONFIDENCE = 0.95

Indices = NDArray[np.int64]


def resamples(periods: int, block: float, draws: int = DRAWS, seed: int = SEED) -> Iterator[Indices]:
    """Index arrays of `periods` values each: runs of geometric length, `block` on average, wrapped around."""
    if periods < 1 or block < 1:
        raise ValueError(f"expected periods and a block from one on, was {periods} and {block}")
    generator = np.random.default_rng(seed)
    places = np.arange(periods)
    for _ in range(draws):
        starts = generator.integers(periods, size=periods)
        begins = generator.random(periods) <= 1 / block
        begins[0] = True
        since = np.maximum.accumulate(np.where(begins, places, 0))
        yield (starts[since] + places - since) % periods


def usual_block(periods: int) -> int:
    """The cube root of the length, which is the order of the optimal block; at least one."""
    return max(1, round(math.cbrt(periods)))


def ratio_interval(
    totals: FloatArray, counts: FloatArray, *, draws: int = DRAWS, seed: int = SEED
) -> tuple[float, float] | None:
    """The 95% percentile interval of sum(totals) / sum(counts), whole periods resampled together.

    So a week with many trades stays one piece of evidence. None below eight periods that hold anything.
    """
    if int((counts > 0).sum()) < 8:
        return None
    means = []
    for indices in resamples(len(totals), usual_block(len(totals)), draws, seed):
        held = counts[indices].sum()
        if held > 0:
            means.append(float(totals[indices].sum() / held))
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
