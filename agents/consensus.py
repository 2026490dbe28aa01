"""How blind votes become one answer: by majority, or by a pool that learns whom to believe.

The pool works in log odds around a base rate pi that is always a member of it:

    logit q_i = logit pi + b_i (logit p_i - logit pi)        each agent's own calibration
    logit P   = logit pi + sum w_i (logit q_i - logit pi)    the pool

Weights are learnt by Hedge with a fixed share (Herbster and Warmuth 1998), slopes b_i by Platt's method with
a ridge. An agent that abstains leaves its weight to the base rate.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from agents.base import Vote
from agents.statistics import logistic, logit
from storage.records import AgentName, Stance

VOTES_NEEDED = 2  # of the three that vote: research, news, strategy

LEAST_PROBABILITY = 0.01  # nobody is surer than this, and neither is the pool
MOST_PROBABILITY = 0.99

HEDGE_RATE = 2.0
FIXED_SHARE = 0.02

_NEWTON_STEPS = 50


class ConsensusRule(StrEnum):
    MAJORITY = "majority"
    POOL = "pool"


class PoolRules(BaseModel):
    """How the pool learns; the bounds keep it from believing anybody beyond what was said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(
        0.5, ge=0, le=1, description="Share of an agent's log odds that is believed until it is calibrated"
    )
    learn_after: int = Field(
        30, ge=30, le=1000, description="Resolved outcomes before weights and slopes are learnt"
    )
    hedge_rate: float = Field(
        HEDGE_RATE, gt=0, le=4, description="Hedge's rate on the squared error of a forecast"
    )
    share: float = Field(
        FIXED_SHARE,
        ge=0.001,
        le=0.2,
        description="Part of the weights that is dealt out evenly after each outcome",
    )
    ridge: float = Field(
        5.0, ge=0.5, le=100, description="Weight of the starting slope in a fit, in units of information"
    )
    decision: float = Field(0.5, ge=0.5, le=0.9, description="Probability from which the pool is for a trade")


@dataclass(frozen=True)
class Forecast:
    """What one agent thinks the chance of a win is, from 0.01 to 0.99; None where it abstains."""

    agent: AgentName
    probability: float | None


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A deliberation whose outcome is known, as it stood when it was decided.

    `pooled` is what the pool said then (`Consensus.pooled`), whichever rule was in force; None when it was
    not asked. The order of resolution is the order in which the pool learns.
    """

    forecasts: tuple[Forecast, ...]
    base_rate: float
    pooled: float | None
    won: bool


@dataclass(frozen=True, kw_only=True)
class PoolState:
    """What the pool has learnt: weights that sum to 1, a slope from 0 to 1 for each agent, its own skill.

    `skill` is 1 - Brier(pool) / Brier(base rate) over `judged` outcomes; None before the first.
    """

    weights: Mapping[AgentName, float]
    slopes: Mapping[AgentName, float]
    resolved: int
    judged: int
    skill: float | None


@dataclass(frozen=True, kw_only=True)
class Consensus:
    """What the votes come to.

    `probability` is what counts: the pool's, or the base rate where the pool has no skill or nobody spoke;
    None under the majority, which claims none. `pooled` is the pool's own figure even where it does not
    count, because its skill is measured on that. `dissent` are the agents on the other side of `stance`.
    """

    rule: ConsensusRule
    probability: float | None
    pooled: float | None
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
    """A stance and a conviction c as a probability: FOR is .5 + c/2, AGAINST .5 - c/2, within the bounds.

    A conviction outside 0-1 counts as the nearer end. One that is missing or no number makes no forecast:
    the stance still counts under the majority, in the pool the agent abstains.
    """
    conviction = vote.conviction
    if vote.stance is Stance.ABSTAIN or conviction is None or not math.isfinite(conviction):
        return Forecast(vote.agent, None)
    half = max(0.0, min(1.0, conviction)) / 2
    return Forecast(vote.agent, bounded(0.5 + half if vote.stance is Stance.FOR else 0.5 - half))


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
    order of the votes does not matter. ValueError when an agent votes twice or a rate is no number.
    """
    voters = sorted((vote for vote in votes if not vote.veto_only), key=lambda vote: vote.agent)
    agents = tuple(vote.agent for vote in voters)
    if len(set(agents)) < len(agents):
        raise ValueError(f"expected one vote an agent, was {', '.join(agents)}")
    rules = rules or PoolRules()
    prior = bounded(base_rate)
    known = learn((), agents, rules) if state is None else _with_newcomers(state, agents, rules)
    if rule is ConsensusRule.MAJORITY:
        return _majority(voters, prior, known)
    return _pool(voters, prior, known, rules)


def log_pool(
    base_rate: float,
    probabilities: Sequence[float],
    weights: Sequence[float],
    slopes: Sequence[float] | None = None,
) -> float:
    """The pool of the module's formula, within 0.01 to 0.99; slopes of 1 when none are given.

    Weights that sum to less than 1 leave the rest to the base rate.
    """
    prior = logit(bounded(base_rate))
    slopes = [1.0] * len(probabilities) if slopes is None else slopes
    moves = (
        weight * slope * (logit(bounded(probability)) - prior)
        for probability, weight, slope in zip(probabilities, weights, slopes, strict=True)
    )
    return bounded(logistic(prior + math.fsum(moves)))


def learn(
    resolved: Sequence[Resolved], agents: Iterable[AgentName], rules: PoolRules | None = None
) -> PoolState:
    """What the outcomes teach, oldest first; `agents` are those who vote, with a record or without.

    Until `learn_after` outcomes have resolved all weights are equal, and an agent's slope is the starting one
    until as many of its own forecasts have. Hedge has followed every outcome from the first by then.
    """
    rules = rules or PoolRules()
    heard = {forecast.agent for outcome in resolved for forecast in outcome.forecasts}
    everybody = sorted({*agents, *heard})
    weights = {agent: 1 / len(everybody) for agent in everybody}
    for outcome in resolved:
        weights = hedge(weights, outcome.forecasts, outcome.won, rules.hedge_rate)
        spoke = [forecast.agent for forecast in outcome.forecasts if forecast.probability is not None]
        weights = fixed_share(weights, spoke, rules.share)
    if len(resolved) < rules.learn_after:
        weights = {agent: 1 / len(everybody) for agent in everybody}
    judged = [
        (bounded(outcome.pooled), bounded(outcome.base_rate), float(outcome.won))
        for outcome in resolved
        if outcome.pooled is not None
    ]
    return PoolState(
        weights=weights,
        slopes={agent: _slope(agent, resolved, rules) for agent in everybody},
        resolved=len(resolved),
        judged=len(judged),
        skill=_skill(judged),
    )


def hedge(
    weights: Mapping[AgentName, float], forecasts: Iterable[Forecast], won: bool, rate: float = HEDGE_RATE
) -> dict[AgentName, float]:
    """The weights after one outcome y: w exp(-rate (p - y)^2), within what those who spoke held together.

    Those who abstained keep their weight exactly.
    """
    outcome = 1.0 if won else 0.0
    scored = {
        forecast.agent: weights[forecast.agent]
        * math.exp(-rate * (bounded(forecast.probability) - outcome) ** 2)
        for forecast in forecasts
        if forecast.probability is not None and forecast.agent in weights
    }
    total = math.fsum(scored.values())
    if total <= 0:
        return dict(weights)
    held = math.fsum(weights[agent] for agent in scored)
    return dict(weights) | {agent: held * score / total for agent, score in scored.items()}


def fixed_share(
    weights: Mapping[AgentName, float], agents: Iterable[AgentName], share: float = FIXED_SHARE
) -> dict[AgentName, float]:
    """The weights after these m agents dealt out a part of theirs evenly: (1 - share) w + share/m of all.

    It lets an agent that was wrong for long come back within a few outcomes.
    """
    dealt = [agent for agent in agents if agent in weights]
    held = math.fsum(weights[agent] for agent in dealt)
    return dict(weights) | {
        agent: (1 - share) * weights[agent] + share * held / len(dealt) for agent in dealt
    }


def bounded(probability: float) -> float:
    """The probability within 0.01 to 0.99; ValueError when it is no number."""
    if math.isnan(probability):
        raise ValueError("expected a probability, was not a number")
    return max(LEAST_PROBABILITY, min(MOST_PROBABILITY, probability))


def _majority(voters: Sequence[Vote], prior: float, state: PoolState) -> Consensus:
    in_favour = sum(vote.stance is Stance.FOR for vote in voters)
    stance = Stance.FOR if in_favour >= VOTES_NEEDED else Stance.AGAINST
    spoke = tuple(vote.agent for vote in voters if vote.stance is not Stance.ABSTAIN)
    return Consensus(
        rule=ConsensusRule.MAJORITY,
        probability=None,
        pooled=None,
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


def _with_newcomers(state: PoolState, agents: Iterable[AgentName], rules: PoolRules) -> PoolState:
    """The state with an even share for every agent it does not know, taken from the others in proportion."""
    new = [agent for agent in agents if agent not in state.weights]
    if not new:
        return state
    everybody = len(state.weights) + len(new)
    kept = len(state.weights) / everybody
    weights = {agent: weight * kept for agent, weight in state.weights.items()}
    return PoolState(
        weights=weights | dict.fromkeys(new, 1 / everybody),
        slopes=dict(state.slopes) | dict.fromkeys(new, rules.slope),
        resolved=state.resolved,
        judged=state.judged,
        skill=state.skill,
    )


def _slope(agent: AgentName, resolved: Sequence[Resolved], rules: PoolRules) -> float:
    """The agent's slope by Newton's method on the log loss with a ridge around the starting slope.

    The loss is convex in the one unknown, so cutting its minimum off to 0..1 is the best slope in there: no
    agent is believed further than it spoke, and one that is always wrong is ignored, never turned around.
    """
    rows = [
        (logit(bounded(outcome.base_rate)), logit(bounded(forecast.probability)), float(outcome.won))
        for outcome in resolved
        for forecast in outcome.forecasts
        if forecast.agent is agent and forecast.probability is not None
    ]
    if len(rows) < rules.learn_after:
        return rules.slope
    prior, said, won = np.array(rows, dtype=np.float64).T
    strength = said - prior
    slope = rules.slope
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-(prior + slope * strength)))
        gradient = float((strength * (chance - won)).sum()) + rules.ridge * (slope - rules.slope)
        curvature = float((strength**2 * chance * (1 - chance)).sum()) + rules.ridge
        step = gradient / curvature
        slope -= max(-0.5, min(0.5, step))  # far steps only overshoot: the answer lies within 0..1
        if abs(step) < 1e-10:
            break
    return max(0.0, min(1.0, slope))


def _skill(judged: Sequence[tuple[float, float, float]]) -> float | None:
    """1 - Brier(pool) / Brier(base rate); the base rate's own is never 0, because no rate is."""
    if not judged:
        return None
    pool = fmean((pooled - won) ** 2 for pooled, _, won in judged)
    base = fmean((rate - won) ** 2 for _, rate, won in judged)
    return 1 - pool / base
