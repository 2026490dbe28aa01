"""Watching a change week by week: the published wealth, verdicts that stay, and no false alarm too many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agents.learning.evalues import (
    BETS,
    Bets,
    Degradation,
    Monitor,
    Verdict,
    Week,
    autocorrelation,
    bets_for,
    shrunk_effect,
    watched,
)
from storage.learning_records import ALARM_AT, HORIZON_WEEKS

MEANS = (0.3, -0.1, 0.5, 0.2, -0.4, 0.6, 0.1, 0.3)
UP = (1.235385, 1.131538, 1.592940, 1.878787, 1.176099, 1.738131, 1.892232, 2.406768)
DOWN = (0.764615, 0.817692, 0.525522, 0.468548, 0.563079, 0.375443, 0.360363, 0.318018)
LEVELS = (0.764615, 1.896154, 1.777060, 2.411973, 4.313371, 2.958702, 3.733491, 3.882179)
BET = Bets(scale=0.65)

WEEKS = st.lists(
    st.builds(Week, st.floats(-20, 20, allow_nan=False), st.integers(0, 20)), min_size=1, max_size=40
)


def test_the_wealth_and_the_levels_of_the_worked_example() -> None:
    monitor, degradation = Monitor(bets=BET), Degradation(bets=BET)
    for mean, up, down, level in zip(MEANS, UP, DOWN, LEVELS, strict=True):
        monitor = monitor.after(Week(3 * mean, 3))
        degradation = degradation.after(Week(3 * mean, 3))
        assert monitor.e_up == pytest.approx(up, abs=1e-6)
        assert monitor.e_down == pytest.approx(down, abs=1e-6)
        assert degradation.level == pytest.approx(level, abs=1e-6)
    assert monitor.mean == pytest.approx(sum(MEANS) / 8)
    assert (monitor.verdict, degradation.alarm) == (Verdict.WATCH, False)


@settings(max_examples=200, deadline=None)
@given(WEEKS, st.sampled_from([1, 2]), st.floats(0.1, 3))
def test_week_by_week_is_the_same_as_all_at_once(weeks: list[Week], block: int, scale: float) -> None:
    bets = Bets(scale=scale, weeks=block)
    state = Monitor(bets=bets)
    for count, week in enumerate(weeks, 1):
        before, state = state, state.after(week)
        assert state == watched(bets, weeks[:count])
        assert before == watched(bets, weeks[: count - 1])  # a state never changes
    means = []
    for first in range(0, state.weeks - block + 1, block):
        some = weeks[first : first + block]
        if held := sum(week.opportunities for week in some):
            means.append(sum(week.total for week in some) / held)
    y = np.clip(np.array(means) / scale, -1, 1)
    assert state.e_up == pytest.approx(np.mean([np.prod(1 + bet * y) for bet in BETS]))
    assert state.e_down == pytest.approx(np.mean([np.prod(1 - bet * y) for bet in BETS]))
    assert state.e_up > 0
    assert state.e_down > 0


@settings(max_examples=100, deadline=None)
@given(WEEKS)
def test_a_verdict_stays(weeks: list[Week]) -> None:
    state = watched(BET, weeks)
    if state.verdict is not Verdict.WATCH:
        assert state.after(Week(-50, 10)) is state
    assert (state.verdict is Verdict.WATCH) or state.weeks <= HORIZON_WEEKS


def test_good_weeks_promote_bad_ones_roll_back_and_none_expire() -> None:
    assert watched(BET, [Week(1.0, 2)] * 26).verdict is Verdict.PROMOTE
    rolled = watched(BET, [Week(-1.0, 2)] * 26)
    assert (rolled.verdict, rolled.weeks) == (Verdict.ROLL_BACK, 5)
    assert watched(BET, [Week(0.0, 0)] * 25).verdict is Verdict.WATCH
    assert watched(BET, [Week(0.0, 0)] * 26).verdict is Verdict.EXPIRE


def test_two_weeks_make_one_bet_where_they_follow_each_other() -> None:
    trending = [0.1 * week for week in range(20)]
    assert bets_for(1.0, 10, trending) == Bets(scale=2 / 20**0.5, weeks=2)
    assert bets_for(1.0, 10, [0.1, -0.1] * 10) == Bets(scale=2 / 10**0.5, weeks=1)
    assert autocorrelation([1.0] * 12) == 0
    state = watched(Bets(scale=0.65, weeks=2), [Week(0.6, 2), Week(0.6, 4)])
    assert state == watched(Bets(scale=0.65, weeks=2), [Week(0.2, 1), Week(1.0, 5)])


def test_without_an_effect_hardly_anything_is_promoted_and_a_tenth_rolled_back() -> None:
    generator = np.random.default_rng(8)
    bets = bets_for(1.0, 10)
    verdicts = [
        watched(bets, [Week(total, 10) for total in generator.normal(0, 10**0.5, 26)]).verdict
        for _ in range(600)
    ]
    assert verdicts.count(Verdict.PROMOTE) <= 6
    assert verdicts.count(Verdict.ROLL_BACK) <= 90


def test_a_clear_effect_is_promoted_within_half_a_year() -> None:
    generator = np.random.default_rng(9)
    bets = bets_for(1.0, 10)
    verdicts = [
        watched(bets, [Week(total, 10) for total in generator.normal(3, 10**0.5, 26)]).verdict
        for _ in range(200)
    ]
    assert verdicts.count(Verdict.PROMOTE) > 170


def test_the_detector_alarms_when_what_was_applied_turns_bad() -> None:
    state = Degradation(bets=BET)
    for _ in range(8):
        state = state.after(Week(-1.5, 3))
    assert state.level >= ALARM_AT
    assert state.alarm


def test_an_effect_is_pulled_to_the_prior() -> None:
    shrunk = shrunk_effect(0.60, 1.3, 12)
    assert shrunk.mean == pytest.approx(0.1258, abs=1e-4)
    assert shrunk.above_zero == pytest.approx(0.8167, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(WEEKS)
def test_a_state_goes_on_from_where_it_was_stored(weeks: list[Week]) -> None:
    stored = TypeAdapter(Monitor)
    state = watched(Bets(scale=0.65, weeks=2), weeks)
    assert stored.validate_json(stored.dump_json(state)) == state


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="scale above zero"):
        Bets(scale=0)
    with pytest.raises(ValueError, match="above zero"):
        bets_for(1.0, 0)
    with pytest.raises(ValueError, match="sum over opportunities"):
        Week(float("nan"), 1)
