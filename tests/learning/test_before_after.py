"""What an applied change came to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.learning.before_after import measured
from storage.learning_records import AdjustmentOutcome
from storage.memory import Span

results = st.lists(st.floats(-3, 5), max_size=30)


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
