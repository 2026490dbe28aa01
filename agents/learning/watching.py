"""The shadow: champion and challenger on every opportunity, week by week, until one of them has won.

Both are run by the rules they were frozen with, over the sessions since the trial began and none later than
tonight. An opportunity counts in the week in which both results are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from statistics import stdev

import numpy as np

from agents.learning.evalues import Bets, Monitor, Verdict, Week, bets_for, watched
from agents.learning.pairs import Pairs, monday
from agents.learning.runs import Key, Run
from agents.learning.source import EvidenceSource
from agents.learning.space import DeskRules, ParameterChange, changed
from agents.learning.tonight import Tonight, aside, rules_of
from storage.learning_records import AdjustmentStatus, ExperimentState
from storage.memory import AgentMemory, ChangeOnTrial, PairOnTrial, TrialReading
from storage.memory.nights import THE_LOOP

# Where history holds too few pairs to know the scale of a trial: engineering defaults, on the careful side.
DEVIATION = 1.0
A_WEEK = 2.0
LEAST_PAIRS = 30

_STATES = {
    Verdict.WATCH: ExperimentState.RUNNING,
    Verdict.PROMOTE: ExperimentState.PROMOTABLE,
    Verdict.ROLL_BACK: ExperimentState.ROLLED_BACK,
    Verdict.EXPIRE: ExperimentState.EXPIRED,
}


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a night's watch came to: opportunities looked at, and a sentence for each trial."""

    pairs: int
    trials: int
    sentences: tuple[str, ...]
    sang: tuple[str, ...] = ()  # trials that noise would have promoted tonight


async def watch(memory: AgentMemory, tonight: Tonight, source: EvidenceSource) -> Watched:
    """Begin the trials that are due, look at all of them, and act on what they have come to."""
    pairs, said, sang = 0, [], []
    trials = await memory.on_trial()
    for trial in trials:
        if trial.experiment is None:
            said.append(await _begin(memory, tonight, source, trial))
            continue
        told = await _pairs(memory, tonight, source, trial)
        await memory.store_pairs(trial.experiment, told)
        known = await memory.pairs_of(trial.experiment)
        pairs += len(told)
        noise = _noise(trial, known, tonight)
        if noise:
            sang.append(trial.short_id)
        said.append(await _judge(memory, tonight, trial, known, blocked=noise))
    return Watched(pairs=pairs, trials=len(trials), sentences=tuple(said), sang=tuple(sang))


async def _begin(memory: AgentMemory, tonight: Tonight, source: EvidenceSource, trial: ChangeOnTrial) -> str:
    """Freeze the scale of a trial by what history says of its differences, before its first session."""
    simulator = source.past(tonight.session)
    pairs = None
    if simulator is not None:
        champion = await aside(simulator.run(tonight.rules, tonight.costs))
        other = changed(tonight.rules, [_change(trial)])
        pairs = Pairs.of(champion, await aside(simulator.run(other, tonight.costs)))
    bets = _bets(pairs)
    await memory.begin_trial(
        trial.id,
        version=tonight.version,
        started=tonight.session,
        scale=bets.scale,
        block_weeks=bets.weeks,
    )
    return f"{trial.short_id} on trial from {tonight.session}, B {bets.scale:.2f} R"


def _bets(pairs: Pairs | None) -> Bets:
    gains = [] if pairs is None else [pair.gain for pair in pairs.pairs]
    if pairs is None or len(gains) < LEAST_PAIRS or stdev(gains) == 0:
        return bets_for(DEVIATION, A_WEEK)
    means = [float(mean) for mean in pairs.totals / np.maximum(pairs.counts, 1)]
    return bets_for(stdev(gains), len(gains) / len(pairs.weeks), means)


async def _pairs(
    memory: AgentMemory, tonight: Tonight, source: EvidenceSource, trial: ChangeOnTrial
) -> list[PairOnTrial]:
    """Every opportunity since the trial began, as far as its results are known."""
    assert trial.started is not None and trial.champion_version is not None
    rules = rules_of(await memory.version(trial.champion_version))
    simulator = source.since(trial.started, tonight.session)
    champion = await aside(simulator.run(rules, tonight.costs))
    challenger = await aside(simulator.run(_challenger(rules, trial), tonight.costs))
    return told_pairs(champion, challenger, tonight.session)


def told_pairs(champion: Run, challenger: Run, session: date) -> list[PairOnTrial]:
    """The pairs of two runs; resolved where both results are known by the close of `session`."""
    found = []
    for key in sorted({*champion.trades, *challenger.trades}):
        ours, theirs = _r(champion, key), _r(challenger, key)
        either = champion.trades.get(key) or challenger.trades[key]
        known = ours is not None and theirs is not None
        ends = [run.trades[key].exited for run in (champion, challenger) if key in run.trades]
        found.append(
            PairOnTrial(
                session=key.session,
                symbol=key.symbol,
                direction=either.direction,
                champion_r=ours,
                challenger_r=theirs,
                resolved=min(max(ends), session) if known else None,
            )
        )
    return found


def _r(run: Run, key: Key) -> float | None:
    """What an opportunity came to: 0 R where it was skipped, None while its trade is open."""
    if key in run.still_open:
        return None
    return run.trades[key].r if key in run.trades else 0.0


async def _judge(
    memory: AgentMemory,
    tonight: Tonight,
    trial: ChangeOnTrial,
    pairs: Sequence[PairOnTrial],
    *,
    blocked: bool,
) -> str:
    assert trial.experiment is not None
    weeks = _weeks(trial, pairs, tonight)
    state = watched(_bets_of(trial), [week for _, week in weeks])
    note = f"{trial.short_id}: week {len(weeks)}, E+ {state.e_up:.2f}, E- {state.e_down:.2f}"
    if blocked and state.verdict is Verdict.PROMOTE:
        note += "; noise would have been promoted as well: not promoted"
        state = watched(_bets_of(trial), [week for _, week in weeks[:-1]])
    elif trial.status is AdjustmentStatus.SHADOW and state.verdict is Verdict.PROMOTE:
        await memory.make_promotable(trial.id, expires_at=tonight.expires_at)
        note += "; it has won and waits for a human"
    elif state.verdict is Verdict.ROLL_BACK:
        reason = f"E- {state.e_down:.2f} after {len(weeks)} weeks in the shadow"
        await memory.roll_back(trial.id, by=THE_LOOP, reason=reason)
        note += "; rolled back"
    elif state.verdict is Verdict.EXPIRE:
        await memory.expire(trial.id)
        note += "; its time is up, the champion stays"
    await memory.store_reading(trial.experiment, _reading(state, weeks, note), session=tonight.session)
    return note


def _reading(state: Monitor, weeks: Sequence[tuple[date, Week]], note: str) -> TrialReading:
    return TrialReading(
        weeks=[
            {"monday": day.isoformat(), "total": week.total, "opportunities": week.opportunities}
            for day, week in weeks
        ],
        e_up=state.e_up,
        e_down=state.e_down,
        opportunities=sum(week.opportunities for _, week in weeks),
        mean=state.mean,
        state=_STATES[state.verdict],
        note=note,
    )


def _weeks(trial: ChangeOnTrial, pairs: Sequence[PairOnTrial], tonight: Tonight) -> list[tuple[date, Week]]:
    """The weeks of a trial that are over, by their Mondays; a pair counts where it was resolved."""
    assert trial.started is not None
    last = monday(tonight.session) - timedelta(weeks=0 if tonight.ends_week else 1)
    day, weeks = monday(trial.started), []
    while day <= last:
        gains = [
            pair.challenger_r - pair.champion_r
            for pair in pairs
            if pair.resolved is not None
            and pair.challenger_r is not None
            and pair.champion_r is not None
            and monday(pair.resolved) == day
        ]
        weeks.append((day, Week(sum(gains), len(gains))))
        day += timedelta(weeks=1)
    return weeks


def _noise(trial: ChangeOnTrial, pairs: Sequence[PairOnTrial], tonight: Tonight) -> bool:
    """The canary: the same weeks with random signs. Whether they would be promoted tonight."""
    weeks = [week for _, week in _weeks(trial, pairs, tonight)]
    coins = np.random.default_rng(tonight.session.toordinal()).integers(0, 2, len(weeks)) * 2 - 1
    turned = [Week(sign * week.total, week.opportunities) for sign, week in zip(coins, weeks, strict=True)]
    return watched(_bets_of(trial), turned).verdict is Verdict.PROMOTE


def _bets_of(trial: ChangeOnTrial) -> Bets:
    assert trial.scale is not None and trial.block_weeks is not None
    return Bets(scale=trial.scale, weeks=trial.block_weeks)


def _change(trial: ChangeOnTrial) -> ParameterChange:
    return ParameterChange(trial.parameter, Decimal(trial.old_value), Decimal(trial.new_value))


def _challenger(rules: DeskRules, trial: ChangeOnTrial) -> DeskRules:
    return changed(rules, [_change(trial)])
