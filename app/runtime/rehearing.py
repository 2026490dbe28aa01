"""Everything that is kept of one decision, brought together so that it can be decided again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from pydantic import ValidationError

from agents.base import Origin, Vote
from agents.consensus import ConsensusRules
from agents.rehearing import Kept, KeptPrices, Rehearing, rehear
from agents.trading.limits import Limits
from agents.trading.policy import RegimePolicy, policy_for
from agents.trading.setups import Setups
from app.runtime.learnt import pool_before
from app.runtime.step import technicals_from_json
from storage.errors import OperatorError
from storage.exchanges import read_decision_exchanges
from storage.history import PastDecision, PastProposal
from storage.memory import AgentMemory
from storage.models.base import Json
from storage.records import AgentName
from storage.rows import fetch_one

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Material:
    """What of a decision is not in its own rows: answers of models, and the rules in force then."""

    answers: Mapping[AgentName, str]
    version: int
    parameters: Mapping[str, Any]
    limits: Mapping[str, Any]


@dataclass(frozen=True)
class _Version:
    version: int
    parameters: Mapping[str, Any]
    limits: Mapping[str, Any]


def material_of(connection: Connection, decision: PastDecision) -> Material:
    """The stored answers and the parameters of the proposal, else those in force that evening."""
    version = decision.proposal.parameters_version if decision.proposal else None
    found = fetch_one(
        connection,
        _Version,
        _VERSION,
        {"version": version, "at": decision.decided_at, "session": decision.session},
    )
    if found is None:
        raise OperatorError("no parameters are on record", "it cannot be decided again")
    said = {
        exchange.id: exchange.answered
        for exchange in read_decision_exchanges(connection, decision.id)
        if exchange.text_removed_at is None
    }
    answers = {
        vote.agent: said[vote.interaction_id]
        for vote in decision.votes
        # A call whose answer could not be used left the decision to the rules: its text decides nothing.
        if _answered(vote.interaction_id, vote.source) and vote.interaction_id in said
    }
    return Material(answers, found.version, found.parameters, found.limits)


async def rehearing_of(memory: AgentMemory, decision: PastDecision, material: Material) -> Rehearing:
    """Decide again. Raises OperatorError where what was kept no longer fits the code."""
    if decision.direction is None or decision.volatility is None:
        raise OperatorError(f"no regime is on record for {decision.session}", "it cannot be decided again")
    try:
        setups = Setups.model_validate(material.parameters["setups"])
        consensus = ConsensusRules.model_validate(material.parameters["consensus"])
        policy = policy_for(
            decision.direction,
            decision.volatility,
            RegimePolicy.model_validate(material.parameters["regime_policy"]),
            full_risk=Limits.model_validate(material.limits).risk_per_trade,
        )
        technicals = technicals_from_json(_json(decision.technicals))
    except (KeyError, TypeError, ValueError, ValidationError) as changed:
        told = str(changed).splitlines()[0]
        raise OperatorError(
            f"what was kept of {decision.symbol} on {decision.session} (parameters version "
            f"{material.version}) is no longer in a form this code reads: {told}",
            "it cannot be decided again; what was decided stands in the history",
        ) from changed
    return rehear(
        Kept(
            symbol=decision.symbol,
            technicals=technicals,
            direction=decision.direction,
            setups=setups,
            allowed=policy.setups,
            consensus=consensus,
            base_rate=decision.consensus.base_rate if decision.consensus else None,
            pool=await pool_before(memory, decision.decided_at, consensus.pool),
            votes=tuple(
                Vote(
                    agent=vote.agent,
                    stance=vote.stance,
                    conviction=vote.conviction,
                    reason=vote.reason,
                    latency_ms=0.0,
                    origin=Origin(
                        source=vote.source,
                        interaction_id=vote.interaction_id
                        if _answered(vote.interaction_id, vote.source)
                        else None,
                    ),
                    veto_only=vote.veto_only,
                )
                for vote in decision.votes
            ),
            answers=material.answers,
            stance=decision.consensus.stance if decision.consensus else None,
            checks=decision.checks,
            denied_by=decision.denied_by,
            prices=_prices(decision.proposal),
        )
    )


def _answered(interaction_id: UUID | None, source: str) -> bool:
    """Whether a model's answer decided, not the rules after a call that failed."""
    return interaction_id is not None and not source.startswith("rules")


def _prices(proposal: PastProposal | None) -> KeptPrices | None:
    if proposal is None:
        return None
    return KeptPrices(
        min_entry=proposal.min_entry,
        max_entry=proposal.max_entry,
        stop=proposal.stop,
        target=proposal.target,
        max_hold=proposal.max_hold,
    )


def _json(mapping: Mapping[str, object]) -> Json:
    return dict(mapping)


# A replay's versions carry the wall's clock: there the proposals nearest before say which was in force.
_VERSION = """
    select version, parameters, limits from parameter_versions
     where version = coalesce(
           %(version)s::int,
           (select max(version) from parameter_versions where created_at <= %(at)s),
           (select parameters_version from approvals where created_session <= %(session)s
             order by created_session desc limit 1),
           (select min(version) from parameter_versions))
"""
