"""The first stage of a night: how well the desk forecasts, what it costs, what applied changes came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from statistics import fmean, stdev

from agents.learning.before_after import measured
from agents.learning.evalues import Degradation, Week, bets_for
from agents.learning.pairs import monday
from agents.learning.tonight import Tonight
from agents.market.calendar import NEW_YORK
from storage.learning_records import ALARM_AT, AdjustmentOutcome
from storage.memory import AgentMemory, AppliedChange, ResolvedArgument, StoredTrade
from storage.records import AgentName

MEASURED_FOR = timedelta(days=60)  # after a change, and as long before it
WATCHED_FOR = timedelta(days=364)  # the detector's own pace is a year
MOST_RESOLVED = 1000
LEAST_TRADES = 10  # before a change, or its detector has no scale


async def calibrate(memory: AgentMemory, tonight: Tonight) -> int:
    """Log the Brier scores of pool and base rate and the cost of a decision; how many outcomes there are."""
    resolved = await memory.resolved(before=tonight.now, most=MOST_RESOLVED)
    figures = brier(resolved)
    decisions, cost = await memory.proposals_and_cost()
    if decisions:
        figures["cost per decision"] = float(cost) / decisions
    counts = await memory.outcome_counts(tonight.session)
    figures |= {
        "outcomes resolved": float(counts.resolved),
        "outcomes pending": float(counts.pending),
        "outcomes blocked": float(counts.blocked),
    }
    await memory.log_metrics(
        {(AgentName.LEARNING, name): value for name, value in figures.items()},
        session=tonight.session,
        now=tonight.now,
    )
    return counts.resolved


def brier(resolved: Sequence[ResolvedArgument]) -> dict[str, float]:
    """Mean squared errors of the pool's probabilities and of the base rate on the same outcomes."""
    both = [(one.pooled, one.base_rate, one.won) for one in resolved if one.pooled is not None]
    if not both:
        return {}
    pooled = fmean((p - won) ** 2 for p, _, won in both)
    base = fmean((b - won) ** 2 for _, b, won in both)
    return {
        "brier": pooled,
        "brier of the base rate": base,
        "brier skill": 1 - pooled / base if base else 0.0,
    }


async def judge_applied(
    memory: AgentMemory, tonight: Tonight, trades: Sequence[StoredTrade]
) -> tuple[str, ...]:
    """Measure every change in force that is due, and watch each for getting worse; sentences of alarms."""
    alarms = []
    for change in await memory.in_force():
        since = _evening(change)
        if not since <= tonight.now <= since + WATCHED_FOR:
            continue
        level = detector(trades, change, tonight)
        earlier = change.measure or {}
        outcome = earlier.get("outcome", AdjustmentOutcome.PENDING)
        # With too few trades after 60 days it is measured on, for as long as it is watched.
        if tonight.now <= since + MEASURED_FOR or outcome == AdjustmentOutcome.PENDING:
            before = await memory.span(since - MEASURED_FOR, since, before=change.version)
            after = await memory.span(since, tonight.now, since=change.version)
            measure = replace(measured(before, after), detector=level)
            await memory.store_adjustment_outcome(change.id, measure, now=tonight.now)
            if measure.outcome is AdjustmentOutcome.WORSENED and outcome != AdjustmentOutcome.WORSENED:
                alarms.append(
                    f"{change.short_id}: the desk has been worse since {change.parameter} was changed on "
                    f"{change.applied}, {measure.difference:+.2f} R a trade; roll it back or look closer"
                )
        elif level is not None:
            await memory.store_detector(change.id, level)
        was = float(str(earlier.get("detector") or 0.0))
        if level is not None and level >= ALARM_AT > was:
            alarms.append(
                f"{change.short_id}: {change.parameter} has been getting worse since {change.applied} "
                f"(detector {level:.0f}, alarm at {ALARM_AT:.0f}); roll it back or look closer"
            )
    return tuple(alarms)


def detector(trades: Sequence[StoredTrade], change: AppliedChange, tonight: Tonight) -> float | None:
    """The level of the degradation watch on the desk's weekly mean R; None without a scale from before."""
    before = [trade for trade in trades if trade.closed < change.applied]
    results = [trade.r for trade in before]
    if len(results) < LEAST_TRADES or stdev(results) == 0:
        return None
    weeks = max(1, (change.applied - before[0].closed).days // 7)
    watch = Degradation(bets=bets_for(stdev(results), len(results) / weeks))
    day, last = monday(change.applied), monday(tonight.session)
    while day < last:
        found = [
            trade.r for trade in trades if trade.entered > change.applied and monday(trade.closed) == day
        ]
        watch = watch.after(Week(sum(found), len(found)))
        day += timedelta(weeks=1)
    return watch.level


def _evening(change: AppliedChange) -> datetime:
    """From when on trades are under the change: the end of the day it came into force on."""
    return datetime.combine(change.applied, time(20), NEW_YORK).astimezone(UTC)
