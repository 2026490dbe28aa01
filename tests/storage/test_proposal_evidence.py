"""Evidence survives its way through JSON, and the digest covers all of it."""

from __future__ import annotations

import json
from datetime import date

import pytest

from storage.learning_records import AdjustmentKind
from storage.proposal_evidence import (
    ChangedDecision,
    DecisionMix,
    EvidenceCheck,
    ProposalEvidence,
    RegimeGain,
    evidence_from_json,
    proposal_digest,
)
from storage.records import Direction

WHOLE = ProposalEvidence(
    verdict="inconclusive",
    sentences=("one", "[/x] two"),
    first=date(2008, 1, 2),
    last=date(2009, 12, 31),
    n=40,
    mean=0.1,
    low=-0.2,
    high=0.4,
    trials=12,
    by_regime=(RegimeGain(direction=Direction.BEAR, n=9, mean=None, shrunk=0.03),),
    checks=(EvidenceCheck(name="trades", value=40.0, needed="at least 100", passed=False),),
    evenings=(ChangedDecision(session=date(2009, 12, 30), symbol="AAPL", before="none", after="bounce"),),
    mix=DecisionMix(before={"for": 3}, after={"for": 1, "abstain": 2}, p_value=0.4, cost_usd="0.02"),
    missing=("no sector of XYZ",),
)


def test_evidence_comes_back_equal() -> None:
    stored = json.loads(json.dumps(WHOLE.to_json()))
    assert evidence_from_json(stored) == WHOLE
    assert evidence_from_json(ProposalEvidence(verdict="worse", sentences=()).to_json()).mix is None


def test_a_field_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError, match="surprise"):
        evidence_from_json({**WHOLE.to_json(), "surprise": 1})


@pytest.mark.parametrize("place", range(5))
def test_the_digest_covers_the_change_and_the_evidence(place: int) -> None:
    told = [AdjustmentKind.PARAMETER, "setups.momentum.rsi_min", "50", "51", WHOLE.to_json()]
    other = list(told)
    other[place] = AdjustmentKind.PROMPT if place == 0 else {"n": 41} if place == 4 else "else"
    assert proposal_digest(*told) == proposal_digest(*told)  # type: ignore[arg-type]
    assert proposal_digest(*other) != proposal_digest(*told)  # type: ignore[arg-type]
