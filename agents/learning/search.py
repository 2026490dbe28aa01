"""The rules twin of the learning agent: it looks around the champion and proposes what history bears out.

Deterministic: the same history and rules give the same night. Every variant that is run is counted for ever,
also when a night runs it again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean

from agents.learning.claims import CELL
from agents.learning.evidence import (
    LEAST_TRADES,
    Baselines,
    Evidence,
    HistoryVerdict,
    Trial,
    judge,
)
from agents.learning.pairs import Pairs
from agents.learning.ranking import Canary, leaders, noise_canary
from agents.learning.runs import Run, Simulator, doubled, longest_hold
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

NOISE = "noise would have been promoted tonight as well"
SILENT = "history cannot speak of it: it changes what the account may hold, not how a trade goes"


@dataclass(frozen=True)
class Proposal:
    """A change that history bears out; a human decides whether it goes into the shadow."""

    change: ParameterChange
    reason: str
    evidence: Evidence


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
    rejected: Collection[ParameterChange] = (),
    only: Collection[str] | None = None,
) -> Night:
    """Try every replayable parameter two steps down and up, and judge the best of each family.

    `trials_before` is the count of the registry; `in_flight` are families with a change on trial, which are
    left alone; `rejected` as in `sift`; `only` are names of parameters, all when None. Each variant's row
    belongs into the registry before anybody sees a result.
    """
    bench = await _Bench.of(simulator, rules, costs)
    if bench.is_too_short:
        return bench.quiet(())
    rows = [
        row
        for name, row in space().items()
        if row.replayable and row.family not in in_flight and (only is None or name in only)
    ]
    trials = [
        await bench.trial(change)
        for row in rows
        if bench.is_traded(row)
        for change in _around(row, rules, value_of(rules, row.name), REACH)
    ]
    evidence, tried = await bench.judged(leaders(trials), trials, trials_before)
    canary = noise_canary(
        trials,
        sessions=simulator.sessions,
        hold=longest_hold(rules),
        trials_ever=trials_before + len(tried),
        seed=simulator.sessions[-1].toordinal(),
    )
    promising = [one.change for one in evidence if one.verdict is HistoryVerdict.PROMISING]
    taken, refused = sift(promising, rules, in_flight=in_flight, rejected=rejected)
    return _night(bench, tried, evidence, taken, refused, canary)


async def examine(
    simulator: Simulator,
    rules: DeskRules,
    costs: Costs,
    changes: Iterable[ParameterChange],
    *,
    trials_before: int,
    in_flight: Collection[str] = (),
    rejected: Collection[ParameterChange] = (),
) -> Night:
    """Judge what somebody else proposed tonight, a model or a human, by the same gate as the search's own.

    Refused are, besides those of `sift`, changes that a history of single trades cannot speak of.
    """
    taken, refused = sift(changes, rules, in_flight=in_flight, rejected=rejected)
    silent = [RefusedChange(one, SILENT) for one in taken if not space()[one.name].replayable]
    spoken = [one for one in taken if space()[one.name].replayable]
    bench = await _Bench.of(simulator, rules, costs)
    if bench.is_too_short:
        return bench.quiet((*refused, *silent))
    trials = [await bench.trial(change) for change in spoken]
    evidence, tried = await bench.judged(trials, trials, trials_before)
    promising = [one.change for one in evidence if one.verdict is HistoryVerdict.PROMISING]
    return _night(bench, tried, evidence, promising, (*refused, *silent), None)


@dataclass(frozen=True)
class _Bench:
    """The champion on its history, and what is measured against it."""

    simulator: Simulator
    rules: DeskRules
    costs: Costs
    champion: Run

    @classmethod
    async def of(cls, simulator: Simulator, rules: DeskRules, costs: Costs) -> "_Bench":
        return cls(simulator, rules, costs, await simulator.run(rules, costs))

    @property
    def is_too_short(self) -> bool:
        """Whether there are too few trades, or too few sessions for folds, to judge anything."""
        folds = walk_forward(self.simulator.sessions, longest_hold=longest_hold(self.rules))
        return len(self.champion.trades) < LEAST_TRADES or not folds

    @property
    def missing(self) -> tuple[str, ...]:
        """What history would have to have more of, in words."""
        trades, sessions = self.champion.trades, self.simulator.sessions
        hold = longest_hold(self.rules)
        said = []
        if len(trades) < LEAST_TRADES:
            said.append(
                f"{len(trades)} trades in {len(sessions)} sessions of history, {LEAST_TRADES} are needed"
            )
        if not walk_forward(sessions, longest_hold=hold):
            said.append(f"{len(sessions)} sessions of history are too few for folds with a gap of {hold}")
        for kind in SetupType:
            if (count := self._count(kind)) < CELL:
                said.append(f"{kind.replace('_', ' ')}: {count} trades, {CELL} are needed to vary it")
        return tuple(said)

    def is_traded(self, row: Parameter) -> bool:
        """Whether there is anything to learn from: a setup's parameters need trades of that setup."""
        place = row.name.split(".")
        return place[0] != "setups" or self._count(SetupType(place[1])) >= CELL

    async def trial(self, change: ParameterChange) -> Trial:
        run = await self.simulator.run(changed(self.rules, [change]), self.costs)
        return Trial(change=change, pairs=Pairs.of(self.champion, run))

    async def judged(
        self, chosen: Sequence[Trial], trials: Sequence[Trial], trials_before: int
    ) -> tuple[tuple[Evidence, ...], tuple[Trial, ...]]:
        """The evidence on the chosen ones, and every variant that was run, their neighbours included."""
        if not chosen:
            return (), tuple(trials)
        neighbours = [
            [await self.trial(change) for change in _beside(leader.change, self.rules)] for leader in chosen
        ]
        tried = (*trials, *(trial for some in neighbours for trial in some))
        doubles = doubled(self.costs)
        dear = await self.simulator.run(self.rules, doubles)
        evidence = []
        for leader, near in zip(chosen, neighbours, strict=True):
            other = changed(self.rules, [leader.change])
            evidence.append(
                judge(
                    leader,
                    others=tried,
                    trials_ever=trials_before + len(tried),
                    twice=Pairs.of(dear, await self.simulator.run(other, doubles)),
                    neighbours=None
                    if space()[leader.change.name].is_answer
                    else [one.pairs.mean for one in near],
                    sessions=self.simulator.sessions,
                    hold=longest_hold(self.rules, other),
                    baselines=_baselines(self.champion, await self.simulator.run(other, self.costs)),
                )
            )
        return tuple(evidence), tried

    def quiet(self, refused: Sequence[RefusedChange]) -> Night:
        return Night(
            trades=len(self.champion.trades),
            tried=(),
            evidence=(),
            proposals=(),
            refused=tuple(refused),
            missing=self.missing,
            canary=None,
        )

    def _count(self, kind: SetupType) -> int:
        return sum(trade.setup is kind for trade in self.champion.trades.values())


def _night(
    bench: _Bench,
    tried: Sequence[Trial],
    evidence: Sequence[Evidence],
    promising: Sequence[ParameterChange],
    refused: Sequence[RefusedChange],
    canary: Canary | None,
) -> Night:
    """What was found; where noise would have been promoted as well, nothing is proposed."""
    found = {one.change: one for one in evidence}
    blocked = promising if canary is not None and canary.sang else ()
    return Night(
        trades=len(bench.champion.trades),
        tried=tuple(trial.change for trial in tried),
        evidence=tuple(evidence),
        proposals=tuple(
            Proposal(change, _reason(found[change]), found[change])
            for change in promising
            if change not in blocked
        ),
        refused=(*refused, *(RefusedChange(change, NOISE) for change in blocked)),
        missing=bench.missing,
        canary=canary,
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


def _beside(change: ParameterChange, rules: DeskRules) -> list[ParameterChange]:
    """The changes that lead a step less far and a step farther, but not to the champion itself."""
    return _around(space()[change.name], rules, change.new, 1)


def _reason(evidence: Evidence) -> str:
    row = space()[evidence.change.name]
    meaning = row.meaning[0].lower() + row.meaning[1:]
    return f"{evidence.sentences[0]} It {'says' if row.is_answer else 'is the'} {meaning}."


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
