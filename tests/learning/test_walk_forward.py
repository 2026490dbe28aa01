"""Walk-forward folds keep what is learnt from apart from what is tested."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purgedcv import WalkForwardSplit

from agents.learning.walk_forward import walk_forward
from agents.market.calendar import sessions

DAYS = sessions(date(2005, 1, 1), date(2012, 12, 31))


@settings(max_examples=60, deadline=None)
@given(st.integers(10, len(DAYS)), st.integers(1, 80), st.integers(1, 6))
def test_no_trade_reaches_from_what_is_learnt_into_what_is_tested(length: int, hold: int, count: int) -> None:
    days = DAYS[:length]
    folds = walk_forward(days, longest_hold=hold, folds=count)
    for fold in folds:
        assert days.index(fold.test_first) - days.index(fold.train_last) > hold
    tested = [day for fold in folds for day in days if fold.tests(day)]
    assert tested == sorted(set(tested))
    if folds:
        assert tested[-1] == days[-1]
        assert tested == days[days.index(tested[0]) :]
    else:
        assert length // (count + 1) <= hold


def test_an_independent_library_makes_the_same_folds() -> None:
    days, hold, count = DAYS[:500], 20, 4
    begins = pd.Series(pd.date_range("2000-01-01", periods=500, freq="D"))
    ends = begins + pd.Timedelta(days=hold, hours=1)  # a trade ends within its last session, not at its open
    theirs = WalkForwardSplit(
        count, 100, prediction_times=begins, evaluation_times=ends, purge_horizon=pd.Timedelta(0)
    )
    for fold, (train, test) in zip(
        walk_forward(days, longest_hold=hold, folds=count), theirs.split(range(500)), strict=True
    ):
        assert (fold.train_first, fold.train_last) == (days[train[0]], days[train[-1]])
        assert (fold.test_first, fold.test_last) == (days[test[0]], days[test[-1]])


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="a hold and a fold"):
        walk_forward(DAYS, longest_hold=0)
