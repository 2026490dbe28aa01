"""The shadow: champion and challenger on every opportunity, week by week, until one of them has won.

Both are run by the rules they were frozen with, over the sessions since the trial began and none later than
tonight. An opportunity counts in the week in which both results are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum, auto
from statistics import stdev

import numpy as np

from agents.learning.evalues import Bets, Monitor, Verdict, Week, bets_for, watched
from agents.learning.pairs import Pairs, monday
from agents.learning.runs import Key, Run
from agents.learning.source import EvidenceSource
from agents.learning.space import DeskRules, ParameterChange, Sense, changed, space
from agents.learning.tonight import Tonight, aside, rules_of
from storage.learning_records import AdjustmentKind, AdjustmentStatus, ExperimentState
from storage.memory import AgentMemory, ChangeOnTrial, DecisionPair, PairOnTrial, TrialReading
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
class Look:
    """What a trial shows tonight: its pairs, or the scale it is to begin with.

    `decisions` are a prompt's, made tonight; `stop` is why it is taken back whatever its weeks say; `note` is
    what else there is to say.
    """

    trial: ChangeOnTrial
    pairs: tuple[PairOnTrial, ...] = ()
    begins: Bets | None = None
    decisions: tuple[DecisionPair, ...] = ()
    stop: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a night's watch came to: opportunities looked at, a sentence for each trial, alarms."""

    pairs: int
    trials: int
    sentences: tuple[str, ...]
    alarms: tuple[str, ...] = ()
    sang: tuple[str, ...] = ()  # trials that noise would have promoted tonight
    taken_back: bool = False  # whether the rules in force are others than when the night began


class _Ended(Enum):
    """How a trial ended tonight, as far as the operator must hear of it."""

    NOT = auto()
    BACK = auto()  # the change was rolled back
    TIGHT = auto()  # it should be, but it tightened a limit: only a human widens one again


async def look(memory: AgentMemory, tonight: Tonight, source: EvidenceSource) -> tuple[Look, ...]:
    """Run both sides of every trial of a parameter up to tonight. It takes minutes and holds nothing."""
    found = []
    for trial in await memory.on_trial(AdjustmentKind.PARAMETER):
        row = space().get(trial.parameter)
        if row is None or not row.replayable:  # history cannot show what it does
            continue
        version = await memory.version(trial.champion_version or _champion(tonight, trial))
        sides = rules_of(version), changed(rules_of(version), [_change(trial)])
        if trial.experiment is None:
            found.append(Look(trial=trial, begins=await _scale(tonight, source, *sides)))
        else:
            found.append(Look(trial=trial, pairs=await _pairs(tonight, source, trial, *sides)))
    return tuple(found)


async def act(memory: AgentMemory, tonight: Tonight, looks: Sequence[Look]) -> Watched:
    """Begin the trials that are due and act on what the others have come to, in a short transaction.

    What a human has decided while history was run counts: such a trial is left alone. Where noise would be
    promoted in one trial, none is tonight.
    """
    standing = {trial.id: trial for kind in AdjustmentKind for trial in await memory.on_trial(kind)}
    pairs, said, alarms, taken_back = 0, [], [], False
    known: list[tuple[ChangeOnTrial, Sequence[PairOnTrial], str]] = []
    begins: list[tuple[ChangeOnTrial, Bets]] = []
    for one in looks:
        trial = standing.get(one.trial.id)
        if trial is None:
            continue
        if trial.experiment is not None:
            await memory.store_decisions(trial.experiment, one.decisions)
            await memory.store_pairs(trial.experiment, one.pairs)
        if one.stop:
            if await memory.roll_back(trial.id, by=THE_LOOP, reason=one.stop):
                said.append(f"{trial.short_id} rolled back: {one.stop}")
        elif trial.experiment is None:
            if one.begins is not None:
                begins.append((trial, one.begins))
        else:
            known.append((trial, await memory.pairs_of(trial.experiment), one.note))
            pairs += len(one.pairs)
    sang = [trial.short_id for trial, of, _ in known if trial.in_shadow and _noise(trial, of, tonight)]
    for trial, of, besides in known:
        note, ended = await _judge(memory, tonight, trial, of, blocked=bool(sang), besides=besides)
        said.append(note)
        if ended is not _Ended.NOT and not trial.in_shadow:
            alarms.append(note)
        taken_back = taken_back or (ended is _Ended.BACK and not trial.in_shadow)
    for trial, bets in begins if not taken_back else ():  # or it would run beside rules that are gone
        said.append(await _begin(memory, tonight, trial, bets))
    return Watched(
        pairs=pairs,
        trials=len(looks),
        sentences=tuple(said),
        alarms=tuple(alarms),
        sang=tuple(sang),
        taken_back=taken_back,
    )


async def _scale(
    tonight: Tonight, source: EvidenceSource, champion: DeskRules, challenger: DeskRules
) -> Bets:
    """The scale of a trial by what history says of its differences, before its first session."""
    simulator = source.past(tonight.session)
    if simulator is None:
        return scale_of(None)
    before = await aside(simulator.run(champion, tonight.costs))
    return scale_of(Pairs.of(before, await aside(simulator.run(challenger, tonight.costs))))


async def _begin(memory: AgentMemory, tonight: Tonight, trial: ChangeOnTrial, bets: Bets) -> str:
    await memory.begin_trial(
        trial.id,
        version=_champion(tonight, trial),
        started=tonight.session,
        scale=bets.scale,
        block_weeks=bets.weeks,
    )
    return f"{trial.short_id} on trial from {tonight.session}, B {bets.scale:.2f} R"


def _champion(tonight: Tonight, trial: ChangeOnTrial) -> int:
    """The version beside which a trial runs: of a change in force what stood before it."""
    return tonight.version if trial.applied_version is None else trial.applied_version - 1


def scale_of(pairs: Pairs | None) -> Bets:
    """The bets of a trial by the differences history knows; careful ones where it knows too few."""
    gains = [] if pairs is None else [pair.gain for pair in pairs.pairs]
    if pairs is None or len(gains) < LEAST_PAIRS or stdev(gains) == 0:
        return bets_for(DEVIATION, A_WEEK)
    means = [float(mean) for mean in pairs.totals / np.maximum(pairs.counts, 1)]
    return bets_for(stdev(gains), len(gains) / len(pairs.weeks), means)


async def _pairs(
    tonight: Tonight,
    source: EvidenceSource,
    trial: ChangeOnTrial,
    champion: DeskRules,
    challenger: DeskRules,
) -> tuple[PairOnTrial, ...]:
    """Every opportunity since the trial began, as far as its results are known."""
    assert trial.started is not None
    simulator = source.since(trial.started, tonight.session)
    before = await aside(simulator.run(champion, tonight.costs))
    after = await aside(simulator.run(challenger, tonight.costs))
    return tuple(told_pairs(before, after, tonight.session))


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
    besides: str,
) -> tuple[str, _Ended]:
    """Act on the weeks of a trial; what is to be said of it, and how it ended."""
    assert trial.experiment is not None
    weeks = _weeks(trial, pairs, tonight)
    state = watched(_bets_of(trial), [week for _, week in weeks])
    note = f"{trial.short_id}: week {len(weeks)}, E+ {state.e_up:.2f}, E- {state.e_down:.2f}"
    if besides:
        note += f"; {besides}"
    ends, ended = _STATES[state.verdict], _Ended.NOT
    if state.verdict is Verdict.PROMOTE and blocked and trial.in_shadow:
        ends = ExperimentState.RUNNING
        note += "; noise would have been promoted as well: not promoted"
    elif state.verdict is Verdict.PROMOTE and trial.in_shadow:
        await memory.make_promotable(trial.id, expires_at=tonight.expires_at)
        note += "; it has won and waits for a human"
    elif state.verdict is Verdict.ROLL_BACK and _tightened(trial):
        ends, ended = ExperimentState.EXPIRED, _Ended.TIGHT
        note += "; it got worse, but it tightened what limits a loss: only a human rolls it back"
    elif state.verdict is Verdict.ROLL_BACK:
        where = "in force" if trial.status is AdjustmentStatus.APPLIED else "in the shadow"
        reason = f"E- {state.e_down:.2f} after {len(weeks)} weeks {where}"
        if await memory.roll_back(trial.id, by=THE_LOOP, reason=reason):
            ended = _Ended.BACK
            note += "; rolled back"
    elif state.verdict is Verdict.EXPIRE and trial.status is AdjustmentStatus.APPLIED:
        note += "; its trial is over, it stays in force"
    elif state.verdict is Verdict.EXPIRE:
        await memory.expire(trial.id, session=tonight.session)
        note += "; its time is up, the champion stays"
    reading = _reading(state, ends, weeks, note)
    await memory.store_reading(trial.experiment, reading, session=tonight.session)
    return note, ended


def _tightened(trial: ChangeOnTrial) -> bool:
    """Whether it is in force and may only ever tighten: to take it back is to widen."""
    return trial.status is AdjustmentStatus.APPLIED and space()[trial.parameter].sense is not Sense.FREE


def _reading(
    state: Monitor, ends: ExperimentState, weeks: Sequence[tuple[date, Week]], note: str
) -> TrialReading:
    return TrialReading(
        weeks=[
            {"monday": day.isoformat(), "total": week.total, "opportunities": week.opportunities}
            for day, week in weeks
        ],
        e_up=state.e_up,
        e_down=state.e_down,
        opportunities=sum(week.opportunities for _, week in weeks),
        mean=state.mean,
        state=ends,
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
