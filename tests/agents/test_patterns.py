"""What past trades say of a kind of trade, and of a change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.patterns import levels_of, measured, pattern
from agents.statistics import Tally
from storage.learning_records import AdjustmentOutcome
from storage.memory import PatternFilter, Span
from storage.records import Direction, SetupType

BOUNCE, BEAR = SetupType.OVERSOLD_BOUNCE, Direction.BEAR
results = st.lists(st.floats(-3, 5), max_size=30)


def test_each_level_is_shrunk_to_the_one_above() -> None:
    # Pooled .539171 over 217 trades; the first cell of learning's vector is 9 of 12: .6182.
    found = pattern([("all trades", Tally(117, 217)), ("setup", Tally(9, 12))], [])
    overall = (117 + 20 * 0.5) / (217 + 20)
    assert found.levels[0].rate == pytest.approx(overall)
    assert found.levels[1].rate == pytest.approx((9 + 20 * overall) / 32)
    assert (found.levels[1].low, found.levels[1].high) == pytest.approx((0.468, 0.911), abs=5e-4)
    assert (found.r.n, found.r.mean) == (0, None)


def test_an_open_property_adds_no_level() -> None:
    assert [name for name, _ in levels_of(PatternFilter())] == ["all trades"]
    asked = PatternFilter(setup=BOUNCE, regime=BEAR, sector="Energy")
    assert [name for name, _ in levels_of(asked)] == ["all trades", "setup", "setup in regime", "as asked"]
    assert levels_of(asked)[-1][1] == asked
    assert [name for name, _ in levels_of(PatternFilter(setup=BOUNCE))] == ["all trades", "setup"]


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ([0.0, 0.1, -0.1, 0.2, -0.2], [2.0, 2.1, 1.9, 2.2, 1.8], AdjustmentOutcome.IMPROVED),
        ([2.0, 2.1, 1.9, 2.2, 1.8], [0.0, 0.1, -0.1, 0.2, -0.2], AdjustmentOutcome.WORSENED),
        ([1.0, -1.0, 1.0, -1.0, 0.5], [1.0, -1.0, 1.0, -1.0, 0.9], AdjustmentOutcome.NEUTRAL),
        ([1.0] * 50, [9.0] * 4, AdjustmentOutcome.PENDING),
    ],
)
def test_a_change_is_judged_by_what_noise_cannot_explain(
    before: list[float], after: list[float], outcome: AdjustmentOutcome
) -> None:
    made = measured(Span(r=tuple(before), returns=()), Span(r=tuple(after), returns=()))
    assert made.outcome is outcome
    assert (made.sharpe_before, made.sharpe_after) == (None, None)


@given(results, results)
def test_a_change_and_its_reverse_are_judged_opposite(before: list[float], after: list[float]) -> None:
    one = Span(r=tuple(before), returns=tuple(value / 100 for value in before))
    other = Span(r=tuple(after), returns=tuple(value / 100 for value in after))
    made, undone = measured(one, other), measured(other, one)
    assert (made.sharpe_before, made.win_rate_before) == (undone.sharpe_after, undone.win_rate_after)
    opposite = {AdjustmentOutcome.IMPROVED: AdjustmentOutcome.WORSENED}
    opposite |= {worse: better for better, worse in opposite.items()}
    assert undone.outcome is opposite.get(made.outcome, made.outcome)
