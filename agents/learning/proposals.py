"""What the search found as it is put before a human: here evidence becomes its stored record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from agents.learning.evidence import Evidence
from agents.learning.runs import Run, SimulatedTrade
from agents.learning.search import Proposal
from agents.learning.space import ParameterChange, RefusedChange, plain, space
from storage.learning_records import AdjustmentKind
from storage.memory import Adjustment
from storage.proposal_evidence import ChangedDecision, EvidenceCheck, ProposalEvidence, RegimeGain
from storage.records import AgentName

EVENINGS = 20
MOST_DECISIONS = 40
NOTHING = ProposalEvidence(verdict="refused", sentences=())


def stored_evidence(
    evidence: Evidence, evenings: Sequence[ChangedDecision] = (), missing: Sequence[str] = ()
) -> ProposalEvidence:
    """The evidence as it is kept with its proposal."""
    base = evidence.baselines
    champion = "no trade" if base.champion_r is None else f"{base.champion_r:+.3f} R a trade"
    return ProposalEvidence(
        verdict=evidence.verdict,
        sentences=evidence.sentences,
        first=evidence.first,
        last=evidence.last,
        n=evidence.estimate.n,
        mean=evidence.estimate.mean,
        low=evidence.estimate.low,
        high=evidence.estimate.high,
        shrunk=evidence.effect.mean if evidence.effect else None,
        chance=evidence.effect.above_zero if evidence.effect else None,
        twice_the_costs=evidence.twice_the_costs,
        walk_forward=evidence.walk_forward,
        plateau=evidence.plateau,
        trials=evidence.trials,
        by_regime=tuple(
            RegimeGain(direction=cell.direction, n=cell.n, mean=cell.mean, shrunk=cell.shrunk)
            for cell in evidence.by_regime
        ),
        checks=tuple(
            EvidenceCheck(name=check.name, value=check.value, needed=check.needed, passed=check.passed)
            for check in evidence.checks
        ),
        champion_r=base.champion_r,
        champion_trades=base.champion_trades,
        challenger_r=base.challenger_r,
        challenger_trades=base.challenger_trades,
        index_symbol=base.index_symbol,
        index_return=base.index_return,
        evenings=tuple(evenings),
        if_ignored=f"The champion stays: {champion} over {base.champion_trades} of this history.",
        missing=tuple(missing),
    )


def changed_evenings(champion: Run, challenger: Run) -> tuple[ChangedDecision, ...]:
    """What the last evenings would have decided otherwise; trades that are still open are left out."""
    shown = set(champion.sessions[-EVENINGS:])
    keys = sorted(
        key
        for key in {*champion.trades, *challenger.trades}
        if key.session in shown and key not in champion.still_open | challenger.still_open
    )
    decisions = []
    for key in keys:
        before, after = _decision(champion.trades.get(key)), _decision(challenger.trades.get(key))
        if before != after:
            decisions.append(
                ChangedDecision(session=key.session, symbol=key.symbol, before=before, after=after)
            )
    return tuple(decisions[-MOST_DECISIONS:])


def proposed(
    proposal: Proposal, evidence: ProposalEvidence, *, session: date, expires_at: datetime | None
) -> Adjustment:
    """A change that history bears out, as it is stored."""
    change, row = proposal.change, space()[proposal.change.name]
    effect = proposal.evidence.effect
    expected = "no effect can be told"
    if evidence.mean is not None and evidence.low is not None and evidence.high is not None:
        expected = (
            f"{evidence.mean:+.3f} R an opportunity (95% {evidence.low:+.3f} to {evidence.high:+.3f}), "
            f"shrunk {evidence.shrunk or 0.0:+.3f}"
        )
    return Adjustment(
        session=session,
        kind=AdjustmentKind.PARAMETER,
        parameter=change.name,
        family=row.family,
        unit=row.unit,
        bounds=row.bounds,
        old_value=plain(change.old),
        new_value=plain(change.new),
        reasoning=proposal.reason,
        expected_impact=expected,
        confidence=round(100 * (effect.above_zero if effect else 0.5), 2),
        proposed_by=AgentName.LEARNING,
        evidence=evidence,
        expires_at=expires_at,
    )


def refused(one: RefusedChange, *, session: date) -> Adjustment:
    """A change that is not put before anybody, with the reason."""
    row = space().get(one.change.name)
    return Adjustment(
        session=session,
        kind=AdjustmentKind.PARAMETER,
        parameter=one.change.name,
        family=row.family if row else "",
        unit=row.unit if row else "",
        bounds=row.bounds if row else "",
        old_value=_value(one.change, old=True),
        new_value=_value(one.change, old=False),
        reasoning="",
        expected_impact="",
        confidence=0.0,
        proposed_by=AgentName.LEARNING,
        evidence=NOTHING,
        refused_because=one.reason,
    )


def _value(change: ParameterChange, *, old: bool) -> str:
    value = change.old if old else change.new
    return plain(value) if value.is_finite() else str(value)


def _decision(trade: SimulatedTrade | None) -> str:
    if trade is None:
        return "no trade"
    return f"{trade.setup.replace('_', ' ')}, stop {trade.stop}, target {trade.target}: {trade.r:+.2f} R"
