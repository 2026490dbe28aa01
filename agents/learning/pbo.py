"""The probability of backtest overfitting, by combinatorially symmetric cross-validation.

Bailey, Borwein, Lopez de Prado and Zhu 2017. One matrix's figure is itself noisy (on pure noise with 20
configurations it spreads from .20 to .73), so nothing is ever decided on it alone.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np

from agents.market.bars import FloatArray

BLOCKS = 10

Performance = Callable[[FloatArray], FloatArray]


def sharpe_ratios(returns: FloatArray) -> FloatArray:
    """Mean over standard deviation of every column; 0 for one that does not move."""
    deviation = returns.std(axis=0, ddof=1)
    moving = deviation > 1e-12
    ratios: FloatArray = np.where(moving, returns.mean(axis=0) / np.where(moving, deviation, 1.0), 0.0)
    return ratios


def means(returns: FloatArray) -> FloatArray:
    """The mean of every column."""
    found: FloatArray = returns.mean(axis=0)
    return found


def overfitting_probability(
    returns: FloatArray, blocks: int = BLOCKS, performance: Performance = sharpe_ratios
) -> float:
    """How often the winner of one half of the history is below the median in the other half, 0-1.

    `returns` is periods x configurations, without missing values; blocks are runs of periods, as equal as
    they can be. `performance` must be what the winner is chosen by. ValueError with fewer than two
    configurations, fewer than two periods a block, or an odd number of blocks.
    """
    periods, configurations = returns.shape
    if configurations < 2 or blocks < 2 or blocks % 2 or periods < 2 * blocks:
        raise ValueError(
            f"expected two configurations and an even number of blocks of two periods, "
            f"was {configurations} over {periods} periods in {blocks} blocks"
        )
    parts = np.array_split(returns, blocks)
    below = halves = 0
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[index] for index in chosen])
        outside = np.concatenate([parts[index] for index in range(blocks) if index not in chosen])
        winner = int(np.argmax(performance(inside)))
        scores = performance(outside)
        # The mean rank of equals, so that configurations that do the same are neither above nor below.
        rank = float((scores < scores[winner]).sum() + ((scores == scores[winner]).sum() + 1) / 2)
        below += rank / (configurations + 1) <= 0.5
        halves += 1
    return below / halves
