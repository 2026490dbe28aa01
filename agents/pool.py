"""The pool: forecasts in log odds around a base rate pi, by agents it learns whom of to believe.

    logit q_i = logit pi + b_i (logit p_i - logit pi)        each agent's own calibration
    logit P   = logit pi + sum w_i (logit q_i - logit pi)    the pool

Weights are learnt by Hedge with a fixed share (Herbster and Warmuth 1998), slopes b_i by Platt's method with
a ridge. An agent that abstains leaves its weight to the base rate.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from agents.statistics import logistic, logit
from storage.records import AgentName

LEAST_PROBABILITY = 0.01  # nobody is surer than this, and neither is the pool
MOST_PROBABILITY = 0.99

HEDGE_RATE = 2.0
FIXED_SHARE = 0.02

_NEWTON_STEPS = 50


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


def with_newcomers(state: PoolState, agents: Iterable[AgentName], rules: PoolRules) -> PoolState:
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
