"""How blind votes become one answer: by majority, or by a pool that learns whom to believe.

The pool (`agents.pool`) is asked whichever rule is in force: only what it said can show whether it has skill.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from agents.base import Vote
from agents.pool import Forecast, PoolRules, PoolState, bounded, learn, log_pool, with_newcomers
from storage.records import AgentName, Stance

VOTES_NEEDED = 2  # of the three that vote: research, news, strategy


class ConsensusRule(StrEnum):
    MAJORITY = "majority"
    POOL = "pool"


class ConsensusRules(BaseModel):
    """Which rule decides, and how the pool learns beside or instead of the majority."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: ConsensusRule = Field(
        ConsensusRule.MAJORITY,
        description="majority: two of the three that vote; pool: the probability they come to together",
    )
    pool: PoolRules = PoolRules()


@dataclass(frozen=True, kw_only=True)
class Consensus:
    """What the votes come to.

    `probability` is what counts: the pool's, or the base rate where the pool has no skill or nobody spoke;
    None under the majority, which claims none. `pooled` is the pool's own figure even where it does not
    count, because its skill is measured on that. `dissent` are the agents on the other side of `stance`.
    """

    rule: ConsensusRule
    probability: float | None
    pooled: float
    stance: Stance
    dissent: tuple[AgentName, ...]
    spoke: tuple[AgentName, ...]
    abstained: tuple[AgentName, ...]
    base_rate: float
    skill: float | None
    weights: tuple[tuple[AgentName, float], ...]
    note: str

    @property
    def dissent_share(self) -> float:
        """Dissenting agents as a fraction of those that spoke; 0 when nobody did."""
        return len(self.dissent) / len(self.spoke) if self.spoke else 0.0


def forecast_of(vote: Vote) -> Forecast:
    """What a vote says of the chance of a win."""
    return forecast(vote.agent, vote.stance, vote.conviction)


def forecast(agent: AgentName, stance: Stance, conviction: float | None) -> Forecast:
    """A stance and a conviction c as a probability: FOR is .5 + c/2, AGAINST .5 - c/2, within the bounds.

    A conviction outside 0-1 counts as the nearer end. One that is missing or no number makes no forecast:
    the stance still counts under the majority, in the pool the agent abstains.
    """
    if stance is Stance.ABSTAIN or conviction is None or not math.isfinite(conviction):
        return Forecast(agent, None)
    half = max(0.0, min(1.0, conviction)) / 2
    return Forecast(agent, bounded(0.5 + half if stance is Stance.FOR else 0.5 - half))


def decide(
    votes: Iterable[Vote],
    *,
    rule: ConsensusRule,
    base_rate: float,
    state: PoolState | None = None,
    rules: PoolRules | None = None,
) -> Consensus:
    """Count or pool the votes of one blind round; those that only hold a veto are left out.

    `state` is what learn() made of the outcomes resolved by now; without it the pool has learnt nothing. The
    order of the votes does not matter. Under the majority the pool's figure is worked out all the same.
    ValueError when an agent votes twice or a rate is no number.
    """
    voters = sorted((vote for vote in votes if not vote.veto_only), key=lambda vote: vote.agent)
    agents = tuple(vote.agent for vote in voters)
    if len(set(agents)) < len(agents):
        raise ValueError(f"expected one vote an agent, was {', '.join(agents)}")
    rules = rules or PoolRules()
    prior = bounded(base_rate)
    known = learn((), agents, rules) if state is None else with_newcomers(state, agents, rules)
    pooled = _pool(voters, prior, known, rules)
    if rule is ConsensusRule.POOL:
        return pooled
    return _majority(voters, prior, known, pooled.pooled)


def _majority(voters: Sequence[Vote], prior: float, state: PoolState, pooled: float) -> Consensus:
    in_favour = sum(vote.stance is Stance.FOR for vote in voters)
    stance = Stance.FOR if in_favour >= VOTES_NEEDED else Stance.AGAINST
    spoke = tuple(vote.agent for vote in voters if vote.stance is not Stance.ABSTAIN)
    return Consensus(
        rule=ConsensusRule.MAJORITY,
        probability=None,
        pooled=pooled,
        stance=stance,
        dissent=_dissent(voters, stance),
        spoke=spoke,
        abstained=tuple(vote.agent for vote in voters if vote.stance is Stance.ABSTAIN),
        base_rate=prior,
        skill=state.skill,
        weights=tuple((vote.agent, 1 / len(voters)) for vote in voters),
        note=f"{in_favour} of {len(voters)} are for it, {VOTES_NEEDED} must be.",
    )


def _pool(voters: Sequence[Vote], prior: float, state: PoolState, rules: PoolRules) -> Consensus:
    said = {
        vote.agent: forecast.probability
        for vote in voters
        if (forecast := forecast_of(vote)).probability is not None
    }
    pooled = log_pool(
        prior,
        [probability for probability in said.values() if probability is not None],
        [state.weights[agent] for agent in said],
        [state.slopes[agent] for agent in said],
    )
    probability, note = _believed(pooled, prior, len(said), state)
    # A base rate above the line would otherwise buy what not one agent is for.
    backed = any(vote.stance is Stance.FOR and vote.agent in said for vote in voters)
    if not said:
        stance = Stance.ABSTAIN
    else:
        stance = Stance.FOR if backed and probability >= rules.decision else Stance.AGAINST
        if not backed:
            note += " Nobody is for it."
    return Consensus(
        rule=ConsensusRule.POOL,
        probability=probability,
        pooled=pooled,
        stance=stance,
        dissent=_dissent([vote for vote in voters if vote.agent in said], stance),
        spoke=tuple(said),
        abstained=tuple(vote.agent for vote in voters if vote.agent not in said),
        base_rate=prior,
        skill=state.skill,
        weights=tuple((vote.agent, state.weights[vote.agent]) for vote in voters),
        note=note,
    )


def _believed(pooled: float, prior: float, spoke: int, state: PoolState) -> tuple[float, str]:
    """The probability that counts, and why it is that one."""
    if spoke == 0:
        return prior, f"Nobody made a forecast: the base rate of {prior:.1%} stands."
    if state.skill is not None and state.skill <= 0:
        return prior, (
            f"The pool has no skill against the base rate (Brier skill {state.skill:+.3f} over "
            f"{state.judged} outcomes): the base rate of {prior:.1%} counts, not the pool's {pooled:.1%}."
        )
    return pooled, f"{spoke} forecasts pooled to {pooled:.1%}, from a base rate of {prior:.1%}."


def _dissent(voters: Sequence[Vote], stance: Stance) -> tuple[AgentName, ...]:
    other = {Stance.FOR: Stance.AGAINST, Stance.AGAINST: Stance.FOR}.get(stance)
    return tuple(vote.agent for vote in voters if vote.stance is other)
