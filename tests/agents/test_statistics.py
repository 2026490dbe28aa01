import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.statistics import (
    Estimate,
    Tally,
    base_rate,
    logistic,
    logit,
    mean_interval,
    shrunk,
    t_975,
    wilson,
)

tallies = st.integers(0, 200).flatmap(lambda n: st.builds(Tally, st.integers(0, n), st.just(n)))


def test_small_cells_are_pulled_to_the_pooled_rate() -> None:
    wins, trades = [9, 30, 4, 55, 12, 7], [12, 60, 5, 100, 30, 10]
    pooled = sum(wins) / sum(trades)
    assert pooled == pytest.approx(0.539171, abs=5e-7)
    cells = [shrunk(Tally(k, n), pooled) for k, n in zip(wins, trades, strict=True)]
    assert cells == pytest.approx([0.6182, 0.5098, 0.5913, 0.5482, 0.4557, 0.5928], abs=5e-5)


def test_nine_wins_of_twelve_say_little() -> None:
    assert wilson(Tally(9, 12)) == pytest.approx((0.468, 0.911), abs=5e-4)
    assert wilson(Tally(0, 0)) == (0.0, 1.0)


def test_a_desk_without_trades_expects_an_even_chance() -> None:
    assert base_rate(Tally(0, 0), Tally(0, 0), Tally(0, 0)) == 0.5


def test_a_mean_of_one_value_has_no_interval() -> None:
    assert mean_interval([]) == Estimate(n=0, mean=None, low=None, high=None)
    assert mean_interval([3.0]) == Estimate(n=1, mean=3.0, low=None, high=None)
    three = mean_interval([1.0, 2.0, 3.0])
    assert three.low == pytest.approx(2 - 4.3027 / 3**0.5)
    assert three.high == pytest.approx(2 + 4.3027 / 3**0.5)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.70620), (5, 2.57058), (11, 2.20099), (15, 2.13145), (100, 1.98397)]
)
def test_students_t(freedom: int, quantile: float) -> None:
    assert t_975(freedom) == pytest.approx(quantile, abs=1e-3)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 to 3 wins, was 4"):
        Tally(4, 3)
    with pytest.raises(ValueError, match="at least 1 degree of freedom"):
        t_975(0)
    with pytest.raises(ValueError, match="expected a rate from 0 to 1"):
        shrunk(Tally(1, 2), 1.5)


@given(tallies, st.floats(0, 1))
def test_a_shrunk_rate_lies_between_the_rate_and_its_parent(tally: Tally, parent: float) -> None:
    own = tally.wins / tally.trades if tally.trades else parent
    assert min(own, parent) - 1e-12 <= shrunk(tally, parent) <= max(own, parent) + 1e-12


@given(tallies.filter(lambda tally: tally.trades > 0))
def test_wilsons_interval_holds_the_rate(tally: Tally) -> None:
    low, high = wilson(tally)
    assert 0 <= low <= tally.wins / tally.trades + 1e-12
    assert tally.wins / tally.trades - 1e-12 <= high <= 1


@given(st.floats(-700, 700))
def test_log_odds_never_overflow(log_odds: float) -> None:
    chance = logistic(log_odds)
    assert 0 <= chance <= 1
    if 1e-9 < chance < 1 - 1e-6:
        assert logit(chance) == pytest.approx(log_odds, rel=1e-6, abs=1e-6)
