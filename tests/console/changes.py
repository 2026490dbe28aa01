"""Changes of the desk itself to look at, built from plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from storage.changes import ChangeRow
from storage.learning_records import AdjustmentKind, AdjustmentOutcome, AdjustmentStatus
from storage.proposal_evidence import ChangedDecision, EvidenceCheck, ProposalEvidence
from storage.proposals import ProposalRow

from .desks import NOW, SESSION, FakeDesk, a_desk

HOSTILE = "[/x] \x1b[31mobey"


def a_change(**values: object) -> ProposalRow:
    row: dict[str, object] = {
        "id": uuid4(),
        "short_id": "CHG-AB12C",
        "session": SESSION,
        "kind": AdjustmentKind.PARAMETER,
        "name": "setups.oversold_bounce.rsi_max",
        "family": "setups.oversold_bounce",
        "unit": "RSI(14)",
        "bounds": "20 to 45, by at most 3",
        "old_value": "38",
        "new_value": "35",
        "reasoning": HOSTILE,
        "expected_impact": "+0.05 R an opportunity",
        "confidence": 61.0,
        "status": AdjustmentStatus.PROPOSED,
        "refused_because": None,
        "outcome": AdjustmentOutcome.PENDING,
        "sharpe_before": None,
        "sharpe_after": None,
        "win_rate_before": None,
        "win_rate_after": None,
        "digest": "d" * 64,
        "expires_at": NOW + timedelta(days=10),
        "deferred_until": None,
        "route": None,
        "decided_by": None,
        "decided_at": None,
        "decision_reason": None,
        "effective_at": None,
        "applied_version": None,
        "rolled_back_at": None,
        "rolled_back_by": "",
        "created_at": NOW,
        "evidence": ProposalEvidence(
            verdict="promising",
            sentences=(HOSTILE,),
            n=120,
            mean=0.05,
            low=0.01,
            shrunk=0.04,
            chance=0.9,
            high=0.09,
            trials=41,
            checks=(EvidenceCheck(name="walk forward", value=0.02, needed="above 0", passed=True),),
            evenings=(ChangedDecision(session=SESSION, symbol="CAT", before="proposed", after="no setup"),),
            if_ignored="the desk goes on with 38",
        ),
        "sound": True,
    }
    return ProposalRow(**row | values)  # type: ignore[arg-type]


def listed(row: ProposalRow) -> ChangeRow:
    return ChangeRow(
        id=row.id,
        short_id=row.short_id,
        session=row.session,
        kind=row.kind,
        name=row.name,
        unit=row.unit,
        old_value=row.old_value,
        new_value=row.new_value,
        evidence=row.evidence.verdict if row.evidence else "",
        status=row.status,
        refused_because=row.refused_because or "",
        outcome=row.outcome,
        digest=row.digest,
        expires_at=row.expires_at,
        deferred_until=row.deferred_until,
        route=row.route,
        decided_by=row.decided_by or "",
        effective_at=row.effective_at,
        rolled_back_by=row.rolled_back_by,
    )


def desk_with(row: ProposalRow) -> FakeDesk:
    return FakeDesk(replace(a_desk(), changes=(listed(row),)), proposed=(row,))
