"""The statistics of overfitting: published vectors, and the same figures as two independent libraries."""

import math

import numpy as np
import purgedcv
import pytest
from arch.bootstrap import SPA, StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.learning.bootstrap import ratio_interval, resamples
from agents.learning.pbo import means, overfitting_probability
from agents.learning.sharpe import (
    Record,
    deflated_benchmark,
    dsr,
    expected_maximum,
    min_backtest_years,
    min_track_record,
    psr,
    record_of,
)
from agents.learning.spa import long_run_variance, spa_p_value

PAPER = Record(n=1250, sharpe=2.5 / math.sqrt(250), skew=-3, kurtosis=10)  # Bailey & Lopez de Prado 2014
PAPER_VARIANCE = 0.5 / 250
SERIES = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).standard_t(5, 300) * 0.01 + 0.001
)


def test_the_deflated_sharpe_ratio_of_the_paper() -> None:
    assert deflated_benchmark(100, PAPER_VARIANCE) == pytest.approx(0.113172, abs=1e-6)
    assert dsr(PAPER, 100, PAPER_VARIANCE) == pytest.approx(0.900397, abs=1e-6)
    assert dsr(PAPER, 46, PAPER_VARIANCE) == pytest.approx(0.950502, abs=1e-6)
    normal = Record(n=1250, sharpe=PAPER.sharpe)
    assert dsr(normal, 88, PAPER_VARIANCE) == pytest.approx(0.950491, abs=1e-6)


def test_the_probabilistic_sharpe_ratio_of_two_years_of_months() -> None:
    assert psr(Record(n=24, sharpe=0.458)) == pytest.approx(0.981675, abs=2e-6)
    skewed = Record(n=24, sharpe=0.458, skew=-2.448, kurtosis=10.164)
    assert psr(skewed) == pytest.approx(0.913361, abs=2e-6)


@pytest.mark.parametrize(("periods", "years"), [(250, 2.731), (52, 2.829), (12, 3.240)])
def test_how_long_an_annual_sharpe_of_two_must_last_to_be_above_one(periods: int, years: float) -> None:
    record = Record(n=2, sharpe=2 / math.sqrt(periods))
    assert min_track_record(record, 1 / math.sqrt(periods)) / periods == pytest.approx(years, abs=2e-3)


def test_fat_tails_make_that_longer() -> None:
    record = Record(n=2, sharpe=2 / math.sqrt(12), skew=-0.72, kurtosis=5.78)
    assert min_track_record(record, 1 / math.sqrt(12)) / 12 == pytest.approx(4.991, abs=1e-3)
    assert min_track_record(record, 1.0) == math.inf


@pytest.mark.parametrize(("trials", "best"), [(1, 0), (10, 1.574598), (100, 2.530603), (1000, 3.255122)])
def test_the_best_of_many_trials_without_skill(trials: int, best: float) -> None:
    assert expected_maximum(trials) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(("trials", "years"), [(45, 4.998), (7, 1.923), (10, 2.479), (100, 6.404)])
def test_how_long_a_backtest_must_be_for_so_many_trials(trials: int, years: float) -> None:
    assert min_backtest_years(trials) == pytest.approx(years, abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(SERIES, st.integers(2, 500))
def test_an_independent_library_finds_the_same_probabilities(returns: np.ndarray, trials: int) -> None:
    record = record_of(returns.tolist())
    assert record is not None
    assert psr(record) == pytest.approx(purgedcv.probabilistic_sharpe_ratio(returns, 0.0), abs=2e-3)
    theirs = purgedcv.deflated_sharpe_ratio(returns, trials, 0.002)
    assert dsr(record, trials, 0.002) == pytest.approx(theirs, abs=2e-3)
    assert min_backtest_years(trials) == pytest.approx(purgedcv.minimum_backtest_length(trials), abs=1e-9)
    below = record.sharpe - 0.1
    needed = purgedcv.min_track_record_length(record.sharpe, below, 0.05, record.skew, record.kurtosis)
    assert math.ceil(min_track_record(record, below)) == needed


def test_no_record_is_made_of_too_little() -> None:
    assert record_of([0.1, 0.2]) is None
    assert record_of([0.1, 0.1, 0.1]) is None


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_an_independent_library_finds_the_same_probability_of_overfitting(seed: int) -> None:
    returns = np.random.default_rng(seed).normal(0, 1, (240, 12))
    theirs = purgedcv.probability_of_backtest_overfitting(returns.T, n_splits=8).pbo
    assert overfitting_probability(returns, 8) == pytest.approx(theirs, abs=1e-12)
    by_mean = purgedcv.probability_of_backtest_overfitting(returns.T, n_splits=8, metric=np.mean).pbo
    assert overfitting_probability(returns, 8, means) == pytest.approx(by_mean, abs=1e-12)


def test_on_noise_the_probability_of_overfitting_is_about_a_half() -> None:
    found = [
        overfitting_probability(np.random.default_rng(seed).normal(0, 1, (600, 20)), 8) for seed in range(30)
    ]
    assert 0.35 < np.mean(found) < 0.6


def test_a_real_winner_is_not_overfitted() -> None:
    returns = np.random.default_rng(1).normal(0, 1, (600, 20))
    returns[:, 7] += 0.5
    assert overfitting_probability(returns, 8) == 0


def test_a_matrix_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="two configurations"):
        overfitting_probability(np.zeros((40, 1)), 8)
    with pytest.raises(ValueError, match="even number"):
        overfitting_probability(np.zeros((40, 3)), 7)


def test_the_resamples_are_those_of_an_independent_library() -> None:
    values = np.arange(50, dtype=float)
    theirs = [data[0][0] for data in StationaryBootstrap(5, values, seed=3).bootstrap(20)]
    ours = [values[indices] for indices in resamples(50, 5, 20, seed=3)]
    np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.floats(-0.2, 0.3))
def test_superior_ability_has_the_p_value_an_independent_library_finds(seed: int, edge: float) -> None:
    gains = np.random.default_rng(seed).normal(0, 1, (120, 6))
    gains[:, 2] += edge
    # The library compares plain means, Hansen studentised ones: on columns of one deviation they agree.
    gains /= np.sqrt(long_run_variance(gains, 5))
    if gains.mean(axis=0).max() <= 0:
        return
    theirs = SPA(np.zeros(120), -gains, block_size=5, reps=400, seed=9)
    theirs.compute()
    ours = spa_p_value(gains, block=5, draws=400, seed=9)
    assert ours == pytest.approx(theirs.pvalues["consistent"], abs=0.005)


def test_superior_ability_is_seen_and_its_absence_too() -> None:
    noise = np.random.default_rng(4).normal(0, 1, (150, 10))
    better = noise.copy()
    better[:, 3] += 0.5
    assert spa_p_value(better) < 0.01
    assert spa_p_value(noise) > 0.10
    assert spa_p_value(-np.abs(noise)) == 1.0
    assert spa_p_value(np.zeros((20, 3))) == 1.0
    assert spa_p_value(better, 3) == spa_p_value(better)
    assert spa_p_value(better, 4) > 0.10  # another variant's merit does not vouch for it


def test_the_interval_of_a_mean_covers_it_and_needs_enough_weeks() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(40):
        counts = generator.integers(1, 6, 60).astype(float)
        totals = np.array([generator.normal(0.2, 1, int(count)).sum() for count in counts])
        interval = ratio_interval(totals, counts, draws=200)
        assert interval is not None
        covered += interval[0] <= 0.2 <= interval[1]
    assert covered >= 33
    assert ratio_interval(np.ones(7), np.ones(7)) is None
