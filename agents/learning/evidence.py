"""What history says about one change: figures, the gate they must pass, and a verdict in plain sentences.

The gate's thresholds are engineering defaults. "Inconclusive, keep the champion" is the normal verdict: with
a few trades a week a small improvement cannot be proven. A prompt can never pass: its model may know the
outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from statistics import fmean, stdev

import numpy as np

from agents.learning.bootstrap import ratio_interval
from agents.learning.claims import CELL
from agents.learning.evalues import Shrunk, shrunk_effect
from agents.learning.pairs import Pairs
from agents.learning.pbo import BLOCKS, means, overfitting_probability
from agents.learning.sharpe import dsr, record_of
from agents.learning.spa import spa_p_value
from agents.learning.space import ParameterChange
from agents.learning.walk_forward import walk_forward
from agents.market.bars import FloatArray
from agents.statistics import Estimate
from storage.records import Direction

LEAST_TRADES = 100
LEAST_GAIN = 0.01  # R an opportunity: less is not worth a change
LEAST_DSR = 0.95
MOST_PBO = 0.20
MOST_P = 0.10
PLATEAU = 0.70


class HistoryVerdict(StrEnum):
    """What history alone can say; only the first may be put to a human, and then only into the shadow."""

    PROMISING = "promising"
    INCONCLUSIVE = "inconclusive"
    WORSE = "worse"


@dataclass(frozen=True)
class GateCheck:
    """One condition of the gate; `value` is None where there was nothing to compute it from."""

    name: str
    value: float | None
    needed: str
    passed: bool


@dataclass(frozen=True)
class RegimeCell:
    """The gain in one direction of the market; `mean` is None below 30 pairs, which are only shown shrunk."""

    direction: Direction
    n: int
    mean: float | None
    shrunk: float | None


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """What stands beside every figure: R a trade of both by rules alone, and the index bought and held.

    `index_return` is a fraction over the whole span; None without an index.
    """

    champion_r: float | None
    champion_trades: int
    challenger_r: float | None
    challenger_trades: int
    index_symbol: str | None
    index_return: float | None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One variant that was run: the change and its pairs with the champion."""

    change: ParameterChange
    pairs: Pairs


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The record of one change, frozen as it was judged. Gains are in R an opportunity.

    `estimate` has the stationary-bootstrap interval; `twice_the_costs` is the mean gain at doubled costs;
    `trials` is every variant ever run, this search's included; `walk_forward` the mean gain, on what came
    after, of whatever variant was best before; `weakest` the year without which the gain is smallest, and
    that gain.
    """

    change: ParameterChange
    verdict: HistoryVerdict
    first: date
    last: date
    estimate: Estimate
    effect: Shrunk | None
    by_regime: tuple[RegimeCell, ...]
    twice_the_costs: float | None
    trials: int
    walk_forward: float | None
    weakest: tuple[int, float] | None
    plateau: float | None
    checks: tuple[GateCheck, ...]
    baselines: Baselines
    sentences: tuple[str, ...]

    @property
    def failed(self) -> tuple[GateCheck, ...]:
        return tuple(check for check in self.checks if not check.passed)


def judge(
    trial: Trial,
    *,
    others: Sequence[Trial],
    trials_ever: int,
    twice: Pairs,
    neighbours: Sequence[float] | None,
    sessions: Sequence[date],
    hold: int,
    baselines: Baselines,
) -> Evidence:
    """Judge one variant among all that were run with it.

    `others` are those, itself included; `trials_ever` counts every variant ever run, those included. `twice`
    are the pairs at doubled costs, `neighbours` the mean gains of the variants a step to either side, or None
    for a yes or no, which has none, `hold` the most sessions from a signal to the end of its trade.
    ValueError when the count is below the variants given.
    """
    if trials_ever < len(others):
        raise ValueError(f"expected at least {len(others)} trials ever, was {trials_ever}")
    pairs, gains = trial.pairs, np.column_stack([other.pairs.totals for other in others])
    records = np.column_stack([other.pairs.own for other in others])
    place = next(place for place, other in enumerate(others) if other is trial)
    interval = ratio_interval(pairs.totals, pairs.counts)
    estimate = Estimate(
        n=pairs.n,
        mean=pairs.mean if pairs.n else None,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
    )
    cells = _cells(pairs)
    walked = _walked(others, sessions, hold)
    years = _without_each_year(pairs)
    weakest = min(years.items(), key=lambda item: (item[1], item[0])) if len(years) > 1 else None
    plateau = fmean(neighbours) / pairs.mean if neighbours and pairs.mean > 0 else None
    claimed = [cell for cell in cells if cell.mean is not None]
    checks = (
        _at_least("trades", float(pairs.traded), LEAST_TRADES),
        GateCheck(
            "regimes", float(len(claimed)), f"one with {CELL} pairs, no claim for others", bool(claimed)
        ),
        _at_least("gain", estimate.mean, LEAST_GAIN),
        _above("interval", estimate.low),
        _at_least("deflated Sharpe ratio", _deflated(records, place, trials_ever), LEAST_DSR),
        _at_most("overfitting", _overfitting(records), MOST_PBO),
        _at_most("superior ability", spa_p_value(gains, place) if len(gains) >= 8 else None, MOST_P),
        _above("walk-forward", walked),
        _above("twice the costs", twice.mean if twice.n else None),
        _above("without any one year", weakest[1] if weakest else None),
        GateCheck("plateau", None, "nothing: a yes or no has no neighbours", True)
        if neighbours is None
        else _at_least("plateau", plateau, PLATEAU),
    )
    verdict = _verdict(checks, estimate)
    return Evidence(
        change=trial.change,
        verdict=verdict,
        first=sessions[0],
        last=sessions[-1],
        estimate=estimate,
        effect=_shrunk(pairs),
        by_regime=cells,
        twice_the_costs=twice.mean if twice.n else None,
        trials=trials_ever,
        walk_forward=walked,
        weakest=weakest,
        plateau=plateau,
        checks=checks,
        baselines=baselines,
        sentences=_sentences(trial.change, verdict, estimate, cells, checks, trials_ever, baselines),
    )


def _verdict(checks: Sequence[GateCheck], estimate: Estimate) -> HistoryVerdict:
    if all(check.passed for check in checks):
        return HistoryVerdict.PROMISING
    if estimate.high is not None and estimate.high < 0:
        return HistoryVerdict.WORSE
    return HistoryVerdict.INCONCLUSIVE


def _deflated(records: FloatArray, place: int, trials: int) -> float | None:
    """The deflated Sharpe ratio of a variant's own weeks, against the spread of all of this search."""
    found = [record_of(column.tolist()) for column in records.T]
    own = found[place]
    if own is None:
        return None
    ratios = [record.sharpe for record in found if record is not None]
    return dsr(own, trials, float(np.var(ratios, ddof=1)) if len(ratios) > 1 else 0.0)


def _overfitting(records: FloatArray) -> float | None:
    if records.shape[1] < 2 or records.shape[0] < 2 * BLOCKS:
        return None
    return overfitting_probability(records, performance=means)  # variants are ranked by what they gain


def _walked(others: Sequence[Trial], sessions: Sequence[date], hold: int) -> float | None:
    """The mean gain on the tests of what was best on each training part; the champion where nothing was."""
    total, n = 0.0, 0
    for fold in walk_forward(sessions, longest_hold=hold):
        trained = [other.pairs.within(fold.train_first, fold.train_last).mean for other in others]
        best = int(np.argmax(trained))
        if trained[best] > 0:
            tested = others[best].pairs.within(fold.test_first, fold.test_last)
            total, n = total + tested.mean * tested.n, n + tested.n
    return total / n if n else None


def _without_each_year(pairs: Pairs) -> Mapping[int, float]:
    """The mean gain without the pairs of each year."""
    years = sorted({pair.key.session.year for pair in pairs.pairs})
    left = {year: [pair.gain for pair in pairs.pairs if pair.key.session.year != year] for year in years}
    return {year: fmean(gains) for year, gains in left.items() if gains}


def _cells(pairs: Pairs) -> tuple[RegimeCell, ...]:
    cells = []
    for direction in Direction:
        gains = [pair.gain for pair in pairs.pairs if pair.direction is direction]
        if gains:
            shrunk = _effect(gains)
            cells.append(
                RegimeCell(
                    direction=direction,
                    n=len(gains),
                    mean=fmean(gains) if len(gains) >= CELL else None,
                    shrunk=shrunk.mean if shrunk is not None else None,
                )
            )
    return tuple(cells)


def _shrunk(pairs: Pairs) -> Shrunk | None:
    return _effect([pair.gain for pair in pairs.pairs])


def _effect(gains: Sequence[float]) -> Shrunk | None:
    """The effect pulled to the prior; None where the gains do not vary."""
    deviation = stdev(gains) if len(gains) > 1 else 0.0
    return shrunk_effect(fmean(gains), deviation, len(gains)) if deviation > 0 else None


def _at_least(name: str, value: float | None, bound: float) -> GateCheck:
    return GateCheck(name, value, f"at least {bound:g}", value is not None and value >= bound)


def _at_most(name: str, value: float | None, bound: float) -> GateCheck:
    return GateCheck(name, value, f"at most {bound:g}", value is not None and value <= bound)


def _above(name: str, value: float | None) -> GateCheck:
    return GateCheck(name, value, "above 0", value is not None and value > 0)


def _sentences(
    change: ParameterChange,
    verdict: HistoryVerdict,
    estimate: Estimate,
    cells: Sequence[RegimeCell],
    checks: Sequence[GateCheck],
    trials: int,
    baselines: Baselines,
) -> tuple[str, ...]:
    if estimate.mean is None:
        return (f"{change}: no trade was different, history says nothing.",)
    interval = "" if estimate.low is None else f" (95% {estimate.low:+.3f} to {estimate.high:+.3f})"
    said = [
        f"{change}: {verdict}. {estimate.mean:+.3f} R an opportunity{interval} over {estimate.n}, "
        f"best of {trials} variants ever run.",
        "By regime: "
        + "; ".join(
            f"{cell.direction} {cell.mean:+.3f} over {cell.n}"
            if cell.mean is not None
            else f"{cell.direction} only {cell.n}"
            for cell in cells
        )
        + ".",
    ]
    if baselines.champion_r is not None and baselines.challenger_r is not None:
        held = ""
        if baselines.index_return is not None:
            held = f"; {baselines.index_symbol} bought and held {baselines.index_return:+.1%}"
        said.append(
            f"Champion {baselines.champion_r:+.3f} R a trade over {baselines.champion_trades}, challenger "
            f"{baselines.challenger_r:+.3f} over {baselines.challenger_trades}{held}."
        )
    failed = [
        f"{check.name} {'unknown' if check.value is None else f'{check.value:.3g}'}, needed {check.needed}"
        for check in checks
        if not check.passed
    ]
    said.append(f"Not met: {'; '.join(failed)}." if failed else "Every condition of the gate is met.")
    return tuple(said)
