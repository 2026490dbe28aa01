"""Bars kept up to date with a week of overlap are the bars a full fetch would give."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.bars import Bars
from agents.market.calendar import add_sessions, sessions
from agents.market.fmp.models import EodBar
from agents.market.fmp.series import COLUMNS, Disagreement, bars_of_rows, joined, overlap_start
from tests.market.series import FIRST, bars_of


def same(a: Bars, b: Bars) -> bool:
    return a.sessions.tolist() == b.sessions.tolist() and all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in COLUMNS
    )


def rows_from(bars: Bars, start: date | None) -> list[EodBar]:
    """What the vendor answers, newest first."""
    return [
        EodBar(
            symbol=bars.symbol,
            date=day,
            **{name: float(getattr(bars, name)[index]) for name in COLUMNS},
        )
        for index, day in reversed(list(enumerate(bars.sessions.tolist())))
        if start is None or day >= start
    ]


def changed(bars: Bars, at: int, ratio: float, columns: tuple[str, ...], *, before: bool) -> Bars:
    """The bars with the columns of one session, or of all before it, divided by the ratio."""
    arrays = {name: getattr(bars, name).copy() for name in COLUMNS}
    for name in columns:
        arrays[name][slice(None, at) if before else slice(at, at + 1)] /= ratio
    return Bars(bars.symbol, bars.sessions, **arrays)


PRICES = ("open", "high", "low", "close")


@given(
    closes=st.lists(st.floats(5, 500), min_size=12, max_size=40),
    missing=st.integers(1, 8),
    splits=st.lists(
        st.tuples(st.integers(0, 39), st.sampled_from([2.0, 0.1, 3 / 2, 4.0, 1.05, 20.0])), max_size=2
    ),
    corrections=st.lists(
        st.tuples(
            st.integers(1, 39), st.sampled_from([1.001, 0.97, 1.5]), st.sampled_from(["close", "volume"])
        ),
        max_size=3,
    ),
)
def test_any_splits_and_late_corrections_end_in_the_series_of_a_full_fetch(
    closes: list[float],
    missing: int,
    splits: list[tuple[int, float]],
    corrections: list[tuple[int, float, str]],
) -> None:
    """Splits anywhere between what is stored and now; corrections of anything the answer covers."""
    whole = bars_of(closes)
    known = len(closes) - missing
    stored = bars_of(closes[:known])
    start = overlap_start(stored)
    assert start is not None
    covered = int(np.searchsorted(whole.sessions, np.datetime64(start)))
    for at, ratio in splits:
        if known <= at < len(closes):  # one that came after what is stored was fetched
            whole = changed(whole, at, ratio, PRICES, before=True)
    for at, ratio, column in corrections:
        if covered <= at < len(closes):
            name = (column,) if column == "volume" else PRICES
            whole = changed(whole, at, ratio, name, before=False)
    last = whole.sessions[-1].item()
    full = bars_of_rows("AAA", rows_from(whole, None), last)
    fresh = bars_of_rows("AAA", rows_from(whole, start), last)
    together = joined(stored, fresh, start)
    if isinstance(together, Disagreement):
        assert together.why
        together = full
    assert same(together, full)


@pytest.mark.parametrize("ratio", [2.0, 0.1, 1.05, 1.001])
def test_a_split_is_seen(ratio: float) -> None:
    stored = bars_of(np.linspace(90, 110, 30))
    start = overlap_start(stored)
    assert start is not None
    fresh = changed(stored, 29, ratio, PRICES, before=True)
    found = joined(stored, bars_of_rows("AAA", rows_from(fresh, start), date(2020, 1, 1)), start)
    assert isinstance(found, Disagreement) and "was" in found.why


def test_a_corrected_last_close_is_taken_without_fetching_everything() -> None:
    stored = bars_of(np.linspace(90, 110, 30))
    start = overlap_start(stored)
    assert start is not None
    corrected = changed(stored, 29, 1.01, PRICES, before=False)
    together = joined(stored, bars_of_rows("AAA", rows_from(corrected, start), date(2020, 1, 1)), start)
    assert isinstance(together, Bars) and same(together, corrected)


def test_rounding_is_no_change() -> None:
    stored = bars_of(np.linspace(90, 110, 30))
    start = overlap_start(stored)
    assert start is not None
    rounded = Bars("AAA", stored.sessions, *(np.round(getattr(stored, name), 4) for name in COLUMNS))
    assert isinstance(
        joined(rounded, bars_of_rows("AAA", rows_from(stored, start), date(2020, 1, 1)), start), Bars
    )


def test_an_answer_that_does_not_reach_back_is_no_continuation() -> None:
    stored = bars_of(np.linspace(90, 110, 30))
    start = overlap_start(stored)
    assert start is not None
    late = bars_of_rows("AAA", rows_from(stored, stored.sessions[-1].item()), date(2020, 1, 1))
    assert isinstance(joined(stored, late, start), Disagreement)
    assert isinstance(joined(stored, Bars.empty("AAA"), start), Disagreement)


def test_a_week_back_lies_more_than_one_session_whatever_the_holidays() -> None:
    for day in sessions(date(1990, 2, 1), date(2040, 12, 30)):
        assert len(sessions(day - timedelta(days=7), day)) >= 2


def test_the_bar_of_a_running_session_and_of_a_weekend_are_none() -> None:
    bars = bars_of([10.0, 11.0, 12.0])
    weekend = EodBar(symbol="AAA", date=date(2010, 1, 9), open=1, high=1, low=1, close=1, volume=1)
    read = bars_of_rows("AAA", [weekend, *rows_from(bars, None)], add_sessions(FIRST, 1))
    assert read.close.tolist() == [10.0, 11.0]


def test_a_price_the_vendor_lacks_is_missing() -> None:
    row = EodBar.model_validate(
        {"symbol": "AAA", "date": "2010-01-04", "open": 0, "close": None, "volume": 7}
    )
    bars = bars_of_rows("AAA", [row], FIRST)
    assert np.isnan(bars.open[0]) and np.isnan(bars.close[0]) and bars.volume.tolist() == [7.0]
    assert bars.last is None
