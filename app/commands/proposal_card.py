"""A proposed change in plain lines: what it is, what speaks for it, what was said, what became of it."""

from __future__ import annotations

from collections.abc import Iterator

from storage.learning_records import ALARM_AT, HORIZON_WEEKS, PROMOTE_AT, ROLL_BACK_AT
from storage.proposal_evidence import ProposalEvidence
from storage.proposal_standing import AdjustmentMeasure, Interval, ProposalStanding, TrialStanding
from storage.proposals import NEW_YORK, ProposalRow

LABEL = 16
EVENINGS_SHOWN = 20


def line(row: ProposalRow) -> str:
    """The change and how it stands."""
    verdict = row.evidence.verdict if row.evidence else "evidence unreadable"
    state = str(row.status)
    if row.refused_because:
        state = f"refused: {row.refused_because}"
    elif row.waits and row.deferred_until is not None:
        state = f"deferred until {row.deferred_until.astimezone(NEW_YORK):%Y-%m-%d}"
    elif row.decided_by:
        state = f"{row.status} by {row.decided_by}"
    outcome = f", {row.outcome}" if row.status == "applied" else ""
    return f"{row.short_id} {row.session} {row.words}: {verdict}; {state}{outcome}"


def card(row: ProposalRow, standing: ProposalStanding) -> Iterator[str]:
    """Everything a verdict is given on, and everything after it."""
    yield line(row)
    yield _labelled("digest", row.digest)
    if row.bounds:
        yield _labelled("bounds", row.bounds)
    yield _labelled("why", row.reasoning)
    yield _labelled("expected", row.expected_impact)
    if row.expires_at is not None:
        yield _labelled("expires", f"{row.expires_at:%Y-%m-%d %H:%M}Z, unanswered it is gone")
    yield from row.diff
    if row.evidence is None:
        yield "  what is stored as its evidence cannot be read: it cannot be approved"
    else:
        yield from _evidence(row.evidence)
    yield from _standing(standing)


def _evidence(found: ProposalEvidence) -> Iterator[str]:
    for sentence in found.sentences:
        yield f"  {sentence}"
    if found.mean is not None:
        yield _labelled("gain", f"{found.mean:+.3f} R an opportunity{_between(found.low, found.high)}")
        yield _labelled("at twice costs", _r(found.twice_the_costs))
        yield _labelled("walk-forward", _r(found.walk_forward))
        yield _labelled("variants tried", str(found.trials))
    if found.chance is not None:
        yield _labelled("shrunk", f"{_r(found.shrunk)}, above zero with {found.chance:.0%}")
    for check in found.checks:
        value = "unknown" if check.value is None else f"{check.value:.4g}"
        yield f"  {'ok ' if check.passed else 'NOT'} {check.name}: {value}, needed {check.needed}"
    for cell in found.by_regime:
        mean = "too few to say" if cell.mean is None else f"{cell.mean:+.3f} R"
        yield f"  {cell.direction}: {mean} over {cell.n}"
    if found.mix is not None:
        mix = found.mix
        shift = f"{dict(mix.before)} -> {dict(mix.after)}"
        yield f"  decisions {shift}, p {mix.p_value:.3f}, {mix.cost_usd} dollars"
    for one in found.evenings[:EVENINGS_SHOWN]:
        yield f"  {one.session} {one.symbol}: {one.before} -> {one.after}"
    for gap in found.missing:
        yield f"  missing: {gap}"
    if found.if_ignored:
        yield f"  if ignored: {found.if_ignored}"


def _standing(standing: ProposalStanding) -> Iterator[str]:
    for said in standing.verdicts:
        why = f": {said.reason}" if said.reason else ""
        yield _labelled("said", f"{said.given_at:%Y-%m-%d %H:%M}Z {said.given_by} {said.verb}{why}")
    if standing.trial is not None:
        yield from _trial(standing.trial)
    if standing.applied_session is not None:
        trade = standing.first_trade
        named = (
            f", first named by {trade.short_id} of {trade.session}" if trade else ", no trade names it yet"
        )
        yield _labelled("in force", f"since {standing.applied_session}{named}")
    if standing.measure is not None:
        yield from _measure(standing.measure)
    if standing.rolled_back_by is not None:
        yield _labelled("rolled back", f"by {standing.rolled_back_by}: {standing.rolled_back_because or ''}")


def _trial(trial: TrialStanding) -> Iterator[str]:
    yield _labelled(
        "trial", f"{trial.state} since {trial.started}, {len(trial.weeks)} of {HORIZON_WEEKS} weeks"
    )
    wealth = f"E+ {trial.e_up:.2f} of {PROMOTE_AT:.0f}, E- {trial.e_down:.2f} of {ROLL_BACK_AT:.0f}"
    yield _labelled("", f"{wealth}, B {trial.scale:.2f} R, version {trial.champion_version} beside it")
    open_pairs = f", {trial.open_pairs} still open" if trial.open_pairs else ""
    yield _labelled("", f"{_r(trial.mean)} an opportunity over {trial.opportunities}{open_pairs}")
    for cell in trial.by_regime:
        yield _labelled("", f"{cell.direction}: {cell.mean:+.3f} R over {cell.n}")
    if trial.mix is not None:
        mix = trial.mix
        asked = f"{mix.differing} of {sum(mix.champion.values())} decisions differ"
        yield _labelled(
            "", f"{asked}: {dict(mix.champion)} -> {dict(mix.challenger)}, {mix.cost_usd:.4f} dollars"
        )
    if trial.note:
        yield _labelled("", trial.note)


def _measure(measure: AdjustmentMeasure) -> Iterator[str]:
    before, after = measure.matched
    matched = f"over {before} and {after} trades of the same regimes"
    yield _labelled(
        "outcome",
        f"{measure.outcome}, {_r(measure.difference)}{_span(measure.difference_interval)} {matched}",
    )
    sharpe = (
        _figure(measure.sharpe_before, measure.sharpe_before_interval),
        _figure(measure.sharpe_after, measure.sharpe_after_interval),
    )
    rate = (
        _figure(measure.win_rate_before, measure.win_rate_before_interval),
        _figure(measure.win_rate_after, measure.win_rate_after_interval),
    )
    yield _labelled("", f"Sharpe {sharpe[0]} -> {sharpe[1]}")
    yield _labelled("", f"win rate {rate[0]} -> {rate[1]}")
    if measure.detector is not None:
        yield _labelled("", f"watch for getting worse {measure.detector:.1f}, alarm at {ALARM_AT:.0f}")


def _labelled(label: str, text: str) -> str:
    return f"  {label:<{LABEL}}{text}"


def _r(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3f} R"


def _figure(value: float | None, interval: Interval | None) -> str:
    return "unknown" if value is None else f"{value:.2f}{_span(interval)}"


def _span(interval: Interval | None) -> str:
    return "" if interval is None else _between(interval.low, interval.high)


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95% {low:+.2f} to {high:+.2f})"
