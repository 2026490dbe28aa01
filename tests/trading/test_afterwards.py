"""What screened symbols did afterwards: from the next open, never from a later price than is known."""

from __future__ import annotations

from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from agents.market.bars import AssetType, Bars, Instrument, MarketView
from agents.market.calendar import add_sessions, sessions
from agents.market.history import HistoryPack
from agents.trading.afterwards import CATCH_UP, Span, ended, outcomes_after
from tests.market.series import FIRST, bars_of

FIVE, WEEK, MONTH = Span(sessions=5, excess=True), Span(days=7), Span(days=30)
SPANS = st.sampled_from([FIVE, Span(sessions=21, excess=True), WEEK, MONTH])
NIGHTS = st.sampled_from(sessions(date(2008, 1, 2), date(2012, 12, 31)))


def view(session: date, *series: Bars) -> MarketView:
    known = {
        bars.symbol: Instrument(bars.symbol, bars.symbol, None, None, AssetType.STOCK) for bars in series
    }
    return MarketView(session, known, MappingProxyType({bars.symbol: bars for bars in series}))


def outcome_after(seen: MarketView, symbol: str, screened: date, span: Span) -> float | None:
    return outcomes_after(seen, [symbol], screened, span).get(symbol)


def test_five_sessions_begin_at_the_next_open_and_count_the_index_off() -> None:
    own = bars_of([100, 100, 110, 110, 110, 121, 500])
    index = bars_of([1000] * 5 + [1050, 9], symbol="^GSPC")
    fifth = add_sessions(FIRST, 5)
    assert outcome_after(view(fifth, own, index), "AAA", FIRST, FIVE) == pytest.approx(0.21 - 0.05)


def test_a_week_ends_at_the_last_close_within_it() -> None:
    own = bars_of(np.arange(100, 140))
    friday = date(2010, 1, 8)
    assert WEEK.exit_session(friday) == date(2010, 1, 15)
    assert WEEK.exit_session(date(2010, 1, 11)) == date(2010, 1, 15)  # the 18th is a holiday
    entry, leaving = own.on(date(2010, 1, 11)), own.on(date(2010, 1, 15))
    assert entry is not None and leaving is not None
    known = outcome_after(view(date(2010, 1, 15), own), "AAA", friday, WEEK)
    assert known == pytest.approx(leaving.close / entry.open - 1)


def test_a_price_that_is_missing_makes_no_outcome() -> None:
    gap = np.array([100.0, 101, 102, 103, 104, np.nan, 106])
    fifth = add_sessions(FIRST, 5)
    index = bars_of([1000] * 7, symbol="^GSPC")
    assert outcome_after(view(fifth, bars_of(gap), index), "AAA", FIRST, FIVE) is None
    assert outcome_after(view(fifth, index), "AAA", FIRST, FIVE) is None
    assert (
        outcome_after(view(fifth, bars_of([100] * 7)), "AAA", FIRST, FIVE) is None
    )  # nothing to compare with
    assert outcome_after(view(fifth, bars_of([100] * 7)), "AAA", FIRST, Span(sessions=5)) == 0.0


@given(NIGHTS, SPANS)
def test_every_evening_is_looked_at_once_its_span_has_ended_and_for_two_weeks_more(
    tonight: date, span: Span
) -> None:
    due = list(ended(span, tonight))
    assert due == sorted(set(due), reverse=True)
    assert all(add_sessions(tonight, -CATCH_UP) < span.exit_session(day) <= tonight for day in due)
    near = sessions(tonight - timedelta(days=60), tonight)
    ended_tonight = [day for day in near if span.exit_session(day) == tonight]
    assert set(ended_tonight) <= set(due)


@given(SPANS, st.integers(0, 30))
def test_nothing_is_known_before_its_session(span: Span, early: int) -> None:
    rising = bars_of(np.linspace(100, 200, 60))
    index = bars_of(np.linspace(100, 101, 60), symbol="^GSPC")
    leaving = span.exit_session(FIRST)
    seen = add_sessions(leaving, -early) if early else leaving
    outcome = outcome_after(view(max(seen, FIRST), rising, index), "AAA", FIRST, span)
    assert (outcome is None) == (seen < leaving)


@pytest.mark.long
@pytest.mark.pack
def test_spy_after_an_rsi_of_two_sessions_below_ten(market_pack: HistoryPack) -> None:
    """Measured beforehand on 2007-2016, six sessions from the next open: n 256, mean +.64%, won .605."""
    bars = market_pack.bars("SPY")
    rsi, average = talib.RSI(bars.close, 2), talib.SMA(bars.close, 200)
    seen = market_pack.view(market_pack.last)
    changes: dict[bool, list[float]] = {True: [], False: []}
    for index in np.flatnonzero(rsi < 10):
        session = bars.sessions[index].item()
        if date(2007, 1, 1) <= session <= date(2016, 12, 31):
            after = outcome_after(seen, "SPY", session, Span(sessions=6))
            if after is not None:
                changes[bool(bars.close[index] > average[index])].append(after)
    every = changes[True] + changes[False]
    assert len(every) == 256
    assert (np.mean(every), np.mean(np.array(every) > 0)) == pytest.approx((0.0064, 0.605), abs=5e-4)
    assert (np.mean(changes[True]), np.mean(changes[False])) == pytest.approx((0.0031, 0.0096), abs=2e-4)
