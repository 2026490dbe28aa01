"""The rules twin of the learning agent: it looks around the champion and proposes what history bears out.

Deterministic: the same history and rules give the same night. Every variant that is run is counted for ever,
also when a night runs it again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import fmean

import numpy as np

from agents.learning.claims import CELL
from agents.learning.evidence import (
    LEAST_GAIN,
    LEAST_TRADES,
    Baselines,
    Evidence,
    HistoryVerdict,
    Trial,
    judge,
)
from agents.learning.pairs import Pairs
from agents.learning.simulation import Run, Simulator, doubled, longest_hold
from agents.learning.space import (
    DeskRules,
    Parameter,
    ParameterChange,
    RefusedChange,
    changed,
    sift,
    space,
    value_of,
    why_not,
)
from agents.learning.walk_forward import walk_forward
from agents.trading.costs import Costs
from storage.records import SetupType

REACH = 2  # steps from the champion that are tried to either side
MOST_LOOKED_AT = 3  # variants a night that are judged


@dataclass(frozen=True)
class Proposal:
    """A change that history bears out; a human decides whether it goes into the shadow."""

    change: ParameterChange
    reason: str
    evidence: Evidence


@dataclass(frozen=True)
class Canary:
    """The same search on noise: the weeks' differences with random signs. `promoted` must be empty."""

    seed: int
    promoted: tuple[ParameterChange, ...]

    @property
    def sang(self) -> bool:
        """Whether noise would have been promoted: then nothing is, tonight."""
        return bool(self.promoted)


@dataclass(frozen=True, kw_only=True)
class Night:
    """One night's search. `tried` are all variants run, for the registry; `missing` says what history lacks.

    `evidence` is of every variant judged, `proposals` are those that may go to a human, `refused` what would
    have been proposed and why it is not.
    """

    trades: int
    tried: tuple[ParameterChange, ...]
    evidence: tuple[Evidence, ...]
    proposals: tuple[Proposal, ...]
    refused: tuple[RefusedChange, ...]
    missing: tuple[str, ...]
    canary: Canary | None


async def search(
    simulator: Simulator,
    rules: DeskRules,
    costs: Costs,
    *,
    trials_before: int,
    in_flight: Collection[str] = (),
    rejected: Collection[tuple[str, Decimal]] = (),
    only: Collection[str] | None = None,
) -> Night:
    """Try every replayable parameter two steps down and up, and judge the best of each family.

    `trials_before` is the count of the registry; `in_flight` are families with a change on trial, which are
    left alone; `rejected` as in `sift`; `only` are names of parameters, all when None. Each variant's row
    belongs into the registry before anybody sees a result.
    """
    sessions = simulator.sessions
    champion = await simulator.run(rules, costs)
    held = champion.trades
    hold = longest_hold(rules)
    missing = _missing(champion, sessions, hold)
    if len(held) < LEAST_TRADES or not walk_forward(sessions, longest_hold=hold):
        return _quiet(len(held), missing)
    counts = {kind: sum(trade.setup is kind for trade in held.values()) for kind in SetupType}
    rows = [
        row
        for name, row in space().items()
        if row.replayable
        and row.family not in in_flight
        and (only is None or name in only)
        and _is_traded(row, counts)
    ]
    trials = [
        Trial(change=change, pairs=Pairs.of(champion, await simulator.run(changed(rules, [change]), costs)))
        for row in rows
        for change in _around(row, rules, value_of(rules, row.name), REACH)
    ]
    leaders = _leaders(trials)
    doubles = doubled(costs)
    dear = await simulator.run(rules, doubles) if leaders else champion
    beside: list[list[Trial]] = []
    for leader in leaders:
        near = _around(space()[leader.change.name], rules, leader.change.new, 1)
        found = [await _trial(simulator, champion, rules, costs, change) for change in near]
        beside.append(found)
    tried = (*trials, *(trial for some in beside for trial in some))
    ever = trials_before + len(tried)
    evidence = []
    for leader, near_ones in zip(leaders, beside, strict=True):
        other = changed(rules, [leader.change])
        evidence.append(
            judge(
                leader,
                others=tried,
                trials_ever=ever,
                twice=Pairs.of(dear, await simulator.run(other, doubles)),
                neighbours=[one.pairs.mean for one in near_ones],
                sessions=sessions,
                hold=longest_hold(rules, other),
                baselines=_baselines(champion, await simulator.run(other, costs)),
            )
        )
    canary = noise_canary(
        trials, sessions=sessions, hold=hold, trials_ever=ever, seed=sessions[-1].toordinal()
    )
    proposals, refused = _proposals(evidence, rules, in_flight, rejected, canary)
    return Night(
        trades=len(held),
        tried=tuple(trial.change for trial in tried),
        evidence=tuple(evidence),
        proposals=proposals,
        refused=refused,
        missing=missing,
        canary=canary,
    )


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
        for leader in _leaders(turned)
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


async def _trial(
    simulator: Simulator, champion: Run, rules: DeskRules, costs: Costs, change: ParameterChange
) -> Trial:
    return Trial(
        change=change, pairs=Pairs.of(champion, await simulator.run(changed(rules, [change]), costs))
    )


def _around(row: Parameter, rules: DeskRules, middle: Decimal, steps: int) -> list[ParameterChange]:
    """The changes that lead so many steps down and up from `middle`, as far as they may be proposed at all.

    A bound nearer than that is tried itself, where it lies on a step.
    """
    old = value_of(rules, row.name)
    found = []
    for sign in (-1, 1):
        for count in range(steps, 0, -1):
            change = ParameterChange(row.name, old, middle + sign * count * row.step)
            if why_not(change, rules) is None:
                found.append(change)
                break
    return found


def _leaders(trials: Iterable[Trial]) -> list[Trial]:
    """The best variant of each family that gained enough, best first: by the gain that is sure."""
    best: dict[str, tuple[float, Trial]] = {}
    for trial in trials:
        family, surely = space()[trial.change.name].family, trial.pairs.surely
        if trial.pairs.mean >= LEAST_GAIN and (family not in best or surely > best[family][0]):
            best[family] = (surely, trial)
    ranked = sorted(best.values(), key=lambda found: (-found[0], found[1].change.name))
    return [trial for _, trial in ranked[:MOST_LOOKED_AT]]


def _proposals(
    evidence: Sequence[Evidence],
    rules: DeskRules,
    in_flight: Collection[str],
    rejected: Collection[tuple[str, Decimal]],
    canary: Canary,
) -> tuple[tuple[Proposal, ...], tuple[RefusedChange, ...]]:
    promising = {one.change: one for one in evidence if one.verdict is HistoryVerdict.PROMISING}
    taken, refused = sift(promising, rules, in_flight=in_flight, rejected=rejected)
    if canary.sang:
        blocked = [
            RefusedChange(change, "noise would have been promoted tonight as well") for change in taken
        ]
        return (), (*refused, *blocked)
    return tuple(Proposal(change, _reason(promising[change]), promising[change]) for change in taken), refused


def _reason(evidence: Evidence) -> str:
    row = space()[evidence.change.name]
    meaning = row.meaning[0].lower() + row.meaning[1:]
    return f"{evidence.sentences[0]} It is the {meaning}."


def _missing(champion: Run, sessions: Sequence[date], hold: int) -> tuple[str, ...]:
    """What history would have to have more of, in words."""
    held = champion.trades
    said = []
    if len(held) < LEAST_TRADES:
        said.append(f"{len(held)} trades in {len(sessions)} sessions of history, {LEAST_TRADES} are needed")
    if not walk_forward(sessions, longest_hold=hold):
        said.append(f"{len(sessions)} sessions of history are too few for folds with a gap of {hold}")
    for kind in SetupType:
        count = sum(trade.setup is kind for trade in held.values())
        if count < CELL:
            said.append(f"{kind.replace('_', ' ')}: {count} trades, {CELL} are needed to vary it")
    return tuple(said)


def _is_traded(row: Parameter, counts: dict[SetupType, int]) -> bool:
    """Whether there is anything to learn from: a setup's parameters need trades of that setup."""
    place = row.name.split(".")
    return place[0] != "setups" or counts[SetupType(place[1])] >= CELL


def _baselines(champion: Run, challenger: Run) -> Baselines:
    return Baselines(
        champion_r=_mean_r(champion),
        champion_trades=len(champion.trades),
        challenger_r=_mean_r(challenger),
        challenger_trades=len(challenger.trades),
        index_symbol=champion.index_symbol,
        index_return=champion.index_return,
    )


def _mean_r(run: Run) -> float | None:
    return fmean(trade.r for trade in run.trades.values()) if run.trades else None


def _quiet(trades: int, missing: tuple[str, ...]) -> Night:
    return Night(trades=trades, tried=(), evidence=(), proposals=(), refused=(), missing=missing, canary=None)
