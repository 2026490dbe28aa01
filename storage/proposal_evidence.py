"""What is put before a human with a proposed change: figures, checks and sentences, as they were that night.

The learning loop writes it into `strategy_adjustments.evidence`, screens and commands read it. The standard
library alone: the console imports it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

from storage.learning_records import AdjustmentKind
from storage.records import Direction

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EvidenceCheck:
    """One condition of the gate; `value` is None where there was nothing to compute it from."""

    name: str
    value: float | None
    needed: str
    passed: bool


@dataclass(frozen=True, kw_only=True)
class RegimeGain:
    """The gain in one direction of the market, R an opportunity; `mean` is None with too few."""

    direction: Direction
    n: int
    mean: float | None
    shrunk: float | None


@dataclass(frozen=True, kw_only=True)
class ChangedDecision:
    """One decision of the last evenings as it was and as it would have been."""

    session: date
    symbol: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class DecisionMix:
    """How often each decision was taken on the same frozen questions by both prompts, and what asking cost.

    `p_value` is of the exact test that both mixes are one.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    p_value: float
    cost_usd: str


@dataclass(frozen=True, kw_only=True)
class ProposalEvidence:
    """The evidence of one change. Gains are the change's less the champion's, in R an opportunity.

    `low` and `high` bound the mean by 95%; `trials` counts every variant ever run; `evenings` are the
    decisions of the last twenty evenings that would have been others, `missing` what could not be known.
    """

    verdict: str  # promising, inconclusive or worse
    sentences: tuple[str, ...]
    first: date | None = None
    last: date | None = None
    n: int = 0
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    shrunk: float | None = None
    chance: float | None = None  # that the gain is above zero, by the shrunk effect
    twice_the_costs: float | None = None
    walk_forward: float | None = None
    plateau: float | None = None
    trials: int = 0
    by_regime: tuple[RegimeGain, ...] = ()
    checks: tuple[EvidenceCheck, ...] = ()
    champion_r: float | None = None
    champion_trades: int = 0
    challenger_r: float | None = None
    challenger_trades: int = 0
    index_symbol: str | None = None
    index_return: float | None = None
    evenings: tuple[ChangedDecision, ...] = ()
    if_ignored: str = ""
    mix: DecisionMix | None = None
    missing: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """As it is stored; `evidence_from_json` reads it back equal."""
        return json.loads(json.dumps(asdict(self), default=str))  # type: ignore[no-any-return]


def evidence_from_json(stored: Mapping[str, Any]) -> ProposalEvidence:
    """The record behind a stored row; KeyError or TypeError for one of another shape."""
    values = dict(stored)
    unknown = values.keys() - {field.name for field in fields(ProposalEvidence)}
    if unknown:
        raise KeyError(f"expected the fields of ProposalEvidence, was also {sorted(unknown)}")
    for name in ("first", "last"):
        if values.get(name) is not None:
            values[name] = date.fromisoformat(values[name])
    values["by_regime"] = tuple(
        RegimeGain(**{**cell, "direction": Direction(cell["direction"])}) for cell in values["by_regime"]
    )
    values["checks"] = tuple(EvidenceCheck(**check) for check in values["checks"])
    values["evenings"] = tuple(
        ChangedDecision(**{**one, "session": date.fromisoformat(one["session"])})
        for one in values["evenings"]
    )
    values["mix"] = None if values["mix"] is None else DecisionMix(**values["mix"])
    for name in ("sentences", "missing"):
        values[name] = tuple(values[name])
    return ProposalEvidence(**values)


def proposal_digest(
    kind: AdjustmentKind, name: str, old_value: str, new_value: str, evidence: Mapping[str, Any]
) -> str:
    """SHA-256 over what is changed and everything shown for it: the fingerprint a verdict must name."""
    text = json.dumps(
        [kind, name, old_value, new_value, evidence], sort_keys=True, separators=(",", ":"), default=str
    )
    return hashlib.sha256(text.encode()).hexdigest()
