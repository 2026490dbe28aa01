"""A proposed change as text for a human: what it is, what speaks for it, what was said, what became of it.

The console and the commands tell the same of it in the same words. The standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from storage.learning_records import ALARM_AT, HORIZON_WEEKS, PROMOTE_AT, ROLL_BACK_AT, AdjustmentStatus
from storage.proposal_evidence import ProposalEvidence
from storage.proposal_standing import AdjustmentMeasure, Interval, ProposalStanding, TrialStanding
from storage.proposals import NEW_YORK, ProposalRow

EVENINGS_SHOWN = 20


class Weight(StrEnum):
    """How a piece of text is meant to be read."""

    HEAD = "head"
    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"


OUTCOMES = {"IMPROVED": Weight.GOOD, "WORSENED": Weight.BAD}
DIFF = {"+": Weight.GOOD, "-": Weight.BAD}


@dataclass(frozen=True)
class Told:
    """A sentence or a figure, behind a label or under the one before. Its words may be from outside."""

    text: str
    label: str = ""
    weight: Weight = Weight.PLAIN


def line(row: ProposalRow) -> str:
    """The change and how it stands."""
    verdict = row.evidence.verdict if row.evidence else "evidence unreadable"
    state = str(row.status)
    if row.refused_because:
        state = f"refused: {row.refused_because}"
    elif row.waits and row.deferred_until is not None and row.deferred_until > datetime.now(UTC):
        state = f"deferred until {row.deferred_until.astimezone(NEW_YORK):%Y-%m-%d}"
    elif row.status is AdjustmentStatus.ROLLED_BACK:
        state = f"rolled back by {row.rolled_back_by}"
    elif row.decided_by and row.status is not AdjustmentStatus.EXPIRED:
        state = f"{row.status} by {row.decided_by}"
    outcome = f", {row.outcome}" if row.status == "applied" else ""
    return f"{row.short_id} {row.session} {row.words}: {verdict}; {state}{outcome}"


def proposal_text(row: ProposalRow, standing: ProposalStanding) -> Iterator[Told]:
    """Everything a verdict is given on, and everything after it."""
    if row.bounds:
        yield Told(f"{row.bounds}, hard in code", "bounds")
    yield Told(row.reasoning, "why")
    yield Told(row.expected_impact, "expected")
    if row.expires_at is not None:
        yield Told(f"{row.expires_at:%Y-%m-%d %H:%M}Z, unanswered it is gone", "expires")
    yield from _standing(standing)
    if row.evidence is None:
        said = "what is stored as its evidence cannot be read: it cannot be approved"
        yield Told(said, weight=Weight.BAD)
    else:
        yield from _evidence(row.evidence)
    yield Told(row.digest, "digest")
    if row.diff:
        yield Told("the prompt", weight=Weight.HEAD)
        for changed in row.diff:
            yield Told(changed, weight=DIFF.get(changed[:1], Weight.PLAIN))


def _evidence(found: ProposalEvidence) -> Iterator[Told]:
    window = f", {found.first} to {found.last}" if found.first and found.last else ""
    yield Told(f"evidence: {found.verdict}{window}", weight=Weight.HEAD)
    for sentence in found.sentences:
        yield Told(sentence)
    if found.mean is not None:
        yield Told(f"{found.mean:+.3f} R an opportunity{_between(found.low, found.high)}", "gain")
        yield Told(_r(found.twice_the_costs), "at twice costs")
        yield Told(_r(found.walk_forward), "walk-forward")
        yield Told(str(found.trials), "variants tried")
    if found.chance is not None:
        yield Told(f"{_r(found.shrunk)}, above zero with {found.chance:.0%}", "shrunk")
    for cell in found.by_regime:
        mean = "too few to say" if cell.mean is None else f"{cell.mean:+.3f} R"
        yield Told(f"{mean} over {cell.n}", cell.direction)
    if found.mix is not None:
        mix = found.mix
        shift = f"{dict(mix.before)} -> {dict(mix.after)}"
        yield Told(f"{shift}, p {mix.p_value:.3f}, {mix.cost_usd} dollars", "decisions")
    if found.checks:
        yield Told("the gate", weight=Weight.HEAD)
    for check in found.checks:
        value = "unknown" if check.value is None else f"{check.value:.4g}"
        passed = ("ok", Weight.GOOD) if check.passed else ("NOT", Weight.BAD)
        yield Told(f"{check.name}: {value}, needed {check.needed}", *passed)
    yield from _otherwise(found)
    for gap in found.missing:
        yield Told(gap, "missing", Weight.WARN)
    if found.if_ignored:
        yield Told(found.if_ignored, "if ignored", Weight.WARN)


def _otherwise(found: ProposalEvidence) -> Iterator[Told]:
    """What would have been decided otherwise, where it was looked at: the newest of it."""
    if found.mix is None and found.mean is None:
        return
    head = "the last twenty evenings with it" if found.mix is None else "questions decided otherwise"
    yield Told(head, weight=Weight.HEAD)
    if not found.evenings:
        yield Told("every decision that could be decided again would have been the same")
    if (older := len(found.evenings) - EVENINGS_SHOWN) > 0:
        yield Told(f"{older} older ones are not shown")
    for one in found.evenings[-EVENINGS_SHOWN:]:
        yield Told(f"{one.symbol}: {one.before} -> {one.after}", f"{one.session}")


def _standing(standing: ProposalStanding) -> Iterator[Told]:
    if standing.verdicts or standing.trial is not None or standing.applied_session is not None:
        yield Told("what became of it", weight=Weight.HEAD)
    for said in standing.verdicts:
        why = f": {said.reason}" if said.reason else ""
        yield Told(f"{said.given_at:%Y-%m-%d %H:%M}Z {said.given_by} {said.verb}{why}", "said")
    if standing.trial is not None:
        yield from _trial(standing.trial)
    if standing.applied_session is not None:
        trade = standing.first_trade
        named = (
            f", first named by {trade.short_id} of {trade.session}" if trade else ", no trade names it yet"
        )
        yield Told(f"since {standing.applied_session}{named}", "in force")
    if standing.measure is not None:
        yield from _measure(standing.measure)
    if standing.rolled_back_by is not None:
        why = standing.rolled_back_because or ""
        yield Told(f"by {standing.rolled_back_by}: {why}", "rolled back", Weight.WARN)


def _trial(trial: TrialStanding) -> Iterator[Told]:
    yield Told(f"{trial.state} since {trial.started}, {len(trial.weeks)} of {HORIZON_WEEKS} weeks", "trial")
    wealth = f"E+ {trial.e_up:.2f} of {PROMOTE_AT:.0f}, E- {trial.e_down:.2f} of {ROLL_BACK_AT:.0f}"
    yield Told(f"{wealth}, B {trial.scale:.2f} R, version {trial.champion_version} beside it")
    open_pairs = f", {trial.open_pairs} still open" if trial.open_pairs else ""
    yield Told(f"{_r(trial.mean)} an opportunity over {trial.opportunities}{open_pairs}")
    for cell in trial.by_regime:
        yield Told(f"{cell.direction}: {cell.mean:+.3f} R over {cell.n}")
    if trial.mix is not None:
        mix = trial.mix
        asked = f"{mix.differing} of {sum(mix.champion.values())} decisions differ"
        yield Told(f"{asked}: {dict(mix.champion)} -> {dict(mix.challenger)}, {mix.cost_usd:.4f} dollars")
    if trial.note:
        yield Told(trial.note)


def _measure(measure: AdjustmentMeasure) -> Iterator[Told]:
    before, after = measure.matched
    matched = f"over {before} and {after} trades of the same regimes"
    gain = f"{_r(measure.difference)}{_span(measure.difference_interval)}"
    weight = OUTCOMES.get(measure.outcome, Weight.PLAIN)
    yield Told(f"{measure.outcome}, {gain} {matched}", "outcome", weight)
    sharpe = (
        _figure(measure.sharpe_before, measure.sharpe_before_interval),
        _figure(measure.sharpe_after, measure.sharpe_after_interval),
    )
    rate = (
        _figure(measure.win_rate_before, measure.win_rate_before_interval),
        _figure(measure.win_rate_after, measure.win_rate_after_interval),
    )
    yield Told(f"Sharpe {sharpe[0]} -> {sharpe[1]}")
    yield Told(f"win rate {rate[0]} -> {rate[1]}")
    if measure.detector is not None:
        yield Told(f"watch for getting worse {measure.detector:.1f}, alarm at {ALARM_AT:.0f}")


def _r(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3f} R"


def _figure(value: float | None, interval: Interval | None) -> str:
    return "unknown" if value is None else f"{value:.2f}{_span(interval)}"


def _span(interval: Interval | None) -> str:
    return "" if interval is None else _between(interval.low, interval.high)


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95% {low:+.2f} to {high:+.2f})"
