import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.base import Vote
from agents.consensus import Consensus, ConsensusRule, decide, forecast_of
from agents.pool import (
    MOST_PROBABILITY,
    Forecast,
    PoolRules,
    PoolState,
    Resolved,
    fixed_share,
    hedge,
    learn,
    log_pool,
)
from storage.records import AgentName, Stance

RESEARCH, NEWS, STRATEGY, REGIME = (
    AgentName.RESEARCH,
    AgentName.NEWS,
    AgentName.STRATEGY,
    AgentName.REGIME,
)
VOTERS = (RESEARCH, NEWS, STRATEGY)
FOUR = (RESEARCH, NEWS, STRATEGY, REGIME)
SAID = [0.7, 0.55, 0.6, 0.4]
WEIGHTS = [0.4, 0.3, 0.2, 0.1]

anything = st.floats(allow_nan=True, allow_infinity=True)
stances = st.sampled_from(Stance)
chances = st.floats(0.01, 0.99)


def vote(agent: AgentName, stance: Stance, conviction: float | None = None) -> Vote:
    return Vote(agent=agent, stance=stance, conviction=conviction, source="rules", reason="", latency_ms=1.0)


def votes(*told: tuple[Stance, float | None]) -> list[Vote]:
    return [vote(agent, stance, conviction) for agent, (stance, conviction) in zip(VOTERS, told, strict=True)]


def pool(ballots: list[Vote], base_rate: float = 0.5, state: PoolState | None = None) -> Consensus:
    return decide(ballots, rule=ConsensusRule.POOL, base_rate=base_rate, state=state)


def resolved(
    *probabilities: float | None, won: bool, base_rate: float = 0.5, pooled: float | None = None
) -> Resolved:
    forecasts = tuple(map(Forecast, VOTERS, probabilities))
    return Resolved(forecasts=forecasts, base_rate=base_rate, pooled=pooled, won=won)


ALL_FOR = votes((Stance.FOR, 0.8), (Stance.FOR, 0.6), (Stance.FOR, 0.4))
SPLIT = votes((Stance.FOR, 0.8), (Stance.AGAINST, 0.2), (Stance.ABSTAIN, None))


# -- the vectors ---------------------------------------------------------------------------------------------


def test_the_log_pool_goes_a_little_further_than_the_mean() -> None:
    assert sum(p * w for p, w in zip(SAID, WEIGHTS, strict=True)) == pytest.approx(0.605)
    assert log_pool(0.5, SAID, WEIGHTS) == pytest.approx(0.608180, abs=5e-7)


def test_hedge_and_the_fixed_share_after_a_win() -> None:
    forecasts = list(map(Forecast, FOUR, SAID))
    hedged = hedge(dict(zip(FOUR, WEIGHTS, strict=True)), forecasts, won=True)
    assert list(hedged.values()) == pytest.approx([0.458873, 0.274813, 0.199462, 0.066852], abs=5e-7)
    shared = fixed_share(hedged, FOUR)
    assert list(shared.values()) == pytest.approx([0.454695, 0.274317, 0.200473, 0.070515], abs=5e-7)


# -- votes as forecasts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stance", "conviction", "probability"),
    [
        (Stance.FOR, 0.4, 0.7),
        (Stance.AGAINST, 0.4, 0.3),
        (Stance.FOR, 0.0, 0.5),
        (Stance.FOR, 1.0, MOST_PROBABILITY),
        (Stance.FOR, 7.0, MOST_PROBABILITY),
        (Stance.AGAINST, -3.0, 0.5),
        (Stance.ABSTAIN, 0.9, None),
        (Stance.FOR, None, None),
        (Stance.FOR, math.nan, None),
        (Stance.FOR, math.inf, None),
    ],
)
def test_a_vote_as_a_probability(stance: Stance, conviction: float | None, probability: float | None) -> None:
    assert forecast_of(vote(RESEARCH, stance, conviction)).probability == probability


# -- the majority --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ballots", "stance", "note"),
    [
        (ALL_FOR, Stance.FOR, "3 of 3 are for it, 2 must be."),
        (SPLIT, Stance.AGAINST, "1 of 3 are for it, 2 must be."),
        (votes(*[(Stance.ABSTAIN, None)] * 3), Stance.AGAINST, "0 of 3 are for it, 2 must be."),
    ],
)
def test_two_of_three_must_be_for_it(ballots: list[Vote], stance: Stance, note: str) -> None:
    counted = decide(ballots, rule=ConsensusRule.MAJORITY, base_rate=0.6)
    assert (counted.stance, counted.note, counted.probability) == (stance, note, None)


def test_a_veto_is_no_vote() -> None:
    veto = replace(vote(AgentName.RISK, Stance.AGAINST), veto_only=True)
    for rule in ConsensusRule:
        with_veto = decide([*ALL_FOR, veto], rule=rule, base_rate=0.5)
        assert with_veto == decide(ALL_FOR, rule=rule, base_rate=0.5)


def test_dissent_is_shown_by_name() -> None:
    counted = decide(
        votes((Stance.FOR, 0.5), (Stance.AGAINST, 0.5), (Stance.FOR, 0.5)),
        rule=ConsensusRule.MAJORITY,
        base_rate=0.5,
    )
    assert (counted.dissent, counted.dissent_share) == ((NEWS,), 1 / 3)


# -- the pool ------------------------------------------------------------------------------------------------


def test_an_untaught_pool_halves_what_is_said_and_weighs_it_evenly() -> None:
    answer = pool(ALL_FOR)
    assert answer.pooled == pytest.approx(log_pool(0.5, [0.9, 0.8, 0.7], [1 / 3] * 3, [0.5] * 3))
    assert answer.stance is Stance.FOR
    assert "3 forecasts pooled" in answer.note


def test_when_nobody_speaks_the_base_rate_stands_and_no_side_is_taken() -> None:
    answer = pool(votes(*[(Stance.ABSTAIN, None)] * 3), base_rate=0.7)
    assert (answer.probability, answer.stance, answer.spoke) == (0.7, Stance.ABSTAIN, ())
    assert answer.abstained == tuple(sorted(VOTERS))


def test_a_pool_without_skill_gives_way_to_the_base_rate_and_says_so() -> None:
    record = [resolved(0.9, 0.9, 0.9, won=False, pooled=0.8) for _ in range(5)]
    answer = pool(ALL_FOR, base_rate=0.45, state=learn(record, VOTERS))
    assert answer.skill is not None
    assert answer.skill < 0
    assert (answer.probability, answer.stance) == (0.45, Stance.AGAINST)
    assert answer.pooled is not None
    assert answer.pooled > 0.6
    assert "no skill against the base rate" in answer.note


def test_a_pool_with_skill_counts() -> None:
    record = [resolved(0.9, 0.9, 0.9, won=True, pooled=0.8)]
    answer = pool(ALL_FOR, base_rate=0.45, state=learn(record, VOTERS))
    assert answer.probability == answer.pooled
    assert answer.skill == pytest.approx(1 - 0.04 / 0.25)


def test_outcomes_the_pool_was_not_asked_about_say_nothing_of_its_skill() -> None:
    state = learn([resolved(0.9, 0.1, None, won=True)], VOTERS)
    assert (state.skill, state.judged, state.resolved) == (None, 0, 1)


def test_a_high_base_rate_buys_nothing_that_nobody_is_for() -> None:
    answer = pool(votes((Stance.AGAINST, 0.1), (Stance.ABSTAIN, None), (Stance.ABSTAIN, None)), base_rate=0.9)
    assert answer.probability is not None
    assert answer.probability > 0.5
    assert (answer.stance, answer.note[-18:]) == (Stance.AGAINST, " Nobody is for it.")


def test_one_voice_an_agent() -> None:
    with pytest.raises(ValueError, match="one vote an agent"):
        pool([*ALL_FOR, vote(NEWS, Stance.FOR, 0.5)])


def test_a_rate_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="was not a number"):
        pool(ALL_FOR, base_rate=math.nan)


# -- learning ------------------------------------------------------------------------------------------------


def test_nothing_is_learnt_from_fewer_than_thirty_outcomes() -> None:
    record = [resolved(0.95, 0.05, 0.5, won=True)] * 29
    early = learn(record, VOTERS)
    assert set(early.weights.values()) == {1 / 3}
    assert set(early.slopes.values()) == {0.5}
    late = learn([*record, record[0]], VOTERS)
    assert late.weights[RESEARCH] > late.weights[STRATEGY] > late.weights[NEWS] > 0
    assert late.slopes[RESEARCH] > 0.5 > late.slopes[NEWS]


def test_an_agent_that_spoke_seldom_keeps_the_starting_slope() -> None:
    record = [resolved(0.8, None, 0.5, won=True)] * 40 + [resolved(0.8, 0.9, 0.5, won=True)] * 5
    assert learn(record, VOTERS).slopes[NEWS] == 0.5


def test_slopes_follow_how_far_an_agent_may_be_believed() -> None:
    chance, record = Random(5), []
    for _ in range(600):
        true = chance.choice([0.25, 0.4, 0.6, 0.75])
        boast = 0.95 if true > 0.5 else 0.05
        record.append(resolved(true, boast, 1 - true, won=chance.random() < true))
    slopes = learn(record, VOTERS).slopes
    assert slopes[RESEARCH] > 0.8
    assert 0.1 < slopes[NEWS] < 0.45
    assert slopes[STRATEGY] == 0.0  # always wrong is not believed, and not turned around


def test_a_newcomer_gets_an_even_share() -> None:
    state = learn([resolved(0.9, 0.2, None, won=True)] * 40, (RESEARCH, NEWS))
    weights = dict(pool([*ALL_FOR, vote(REGIME, Stance.FOR, 0.5)], state=state).weights)
    assert weights[REGIME] == pytest.approx(1 / 4)
    assert sum(weights.values()) == pytest.approx(1)


def test_rules_cannot_be_stretched() -> None:
    for stretched in ({"learn_after": 5}, {"slope": 1.5}, {"decision": 0.3}, {"hedge_rate": 9}, {"faith": 1}):
        with pytest.raises(ValidationError):
            PoolRules.model_validate(stretched)


# -- properties ----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(stances, anything), min_size=3, max_size=3), anything.filter(lambda x: x == x))
def test_the_pool_is_a_probability_whatever_is_said(told: list[tuple[Stance, float]], base: float) -> None:
    answer = pool(votes(*told), base_rate=base)
    assert answer.probability is not None
    assert 0 < answer.probability < 1
    assert set(answer.spoke) | set(answer.abstained) == set(VOTERS)
    assert not set(answer.spoke) & set(answer.abstained)


@given(chances, chances, st.floats(0, 1))
def test_identical_forecasts_end_between_the_base_rate_and_what_is_said(
    base: float, said: float, slope: float
) -> None:
    pooled = log_pool(base, [said] * 4, WEIGHTS, [slope] * 4)
    assert min(base, said) - 1e-9 <= pooled <= max(base, said) + 1e-9


@given(st.permutations(ALL_FOR[:2] + SPLIT[2:]), chances, st.sampled_from(ConsensusRule))
def test_the_order_of_the_agents_does_not_matter(
    ballots: list[Vote], base: float, rule: ConsensusRule
) -> None:
    assert decide(ballots, rule=rule, base_rate=base) == decide(ballots[::-1], rule=rule, base_rate=base)


outcomes = st.lists(
    st.builds(
        lambda said, won: resolved(*said, won=won),
        st.lists(st.none() | st.floats(0, 1), min_size=3, max_size=3),
        st.booleans(),
    ),
    max_size=60,
)


@given(outcomes)
def test_the_weights_stay_a_distribution(record: list[Resolved]) -> None:
    state = learn(record, VOTERS)
    assert sum(state.weights.values()) == pytest.approx(1)
    assert all(0 < weight <= 1 for weight in state.weights.values())
    assert all(0 <= slope <= 1 for slope in state.slopes.values())


@given(outcomes)
def test_who_abstains_keeps_its_weight(record: list[Resolved]) -> None:
    silent = [
        replace(outcome, forecasts=(*outcome.forecasts[:2], Forecast(STRATEGY, None))) for outcome in record
    ]
    assert learn(silent, VOTERS).weights[STRATEGY] == 1 / 3
