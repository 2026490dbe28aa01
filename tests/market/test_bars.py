"""Bars and the view of the market a decision gets."""

from dataclasses import FrozenInstanceError
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.bars import AssetType, Bar, Bars, BarsAsTraded, Basis, Instrument, MarketView
from agents.market.calendar import add_sessions
from tests.market.series import FIRST, bars_of


def instrument(symbol: str, asset_type: AssetType = AssetType.STOCK) -> Instrument:
    return Instrument(symbol, f"{symbol} Inc.", None, None, asset_type)


def view_at(session: date, *history: Bars, **types: AssetType) -> MarketView:
    instruments = {bars.symbol: instrument(bars.symbol) for bars in history}
    for symbol, asset_type in types.items():
        key = symbol if symbol in instruments else f"^{symbol}"
        instruments[key] = instrument(key, asset_type)
    return MarketView(session, instruments, {bars.symbol: bars for bars in history})


def test_upto_keeps_the_session_itself_and_copies_nothing() -> None:
    bars = bars_of([1.0, 2.0, 3.0])
    cut = bars.upto(add_sessions(FIRST, 1))
    assert cut.close.tolist() == [1.0, 2.0]
    assert np.shares_memory(cut.close, bars.close)
    assert bars.upto(FIRST - timedelta(days=1)).last is None
    assert bars.upto(date(2030, 1, 1)) is bars


@given(st.integers(0, 30), st.integers(-5, 60), st.integers(-5, 60))
def test_cutting_twice_is_cutting_at_the_earlier_day(count: int, a: int, b: int) -> None:
    bars = bars_of(np.arange(1.0, count + 1))
    first, second = FIRST + timedelta(days=a), FIRST + timedelta(days=b)
    twice = bars.upto(first).upto(second)
    assert twice.close.tolist() == bars.upto(min(first, second)).close.tolist()


def test_on_finds_the_bar_of_a_session_only() -> None:
    bars = bars_of([10.0, 11.0], volume=[5, 7])
    assert bars.on(FIRST) == Bar("AAA", FIRST, 10.0, 10.0 * 1.01, 10.0 * 0.99, 10.0, 5)
    assert bars.on(FIRST - timedelta(days=1)) is None
    assert bars.on(FIRST + timedelta(days=40)) is None


def test_a_bar_with_a_missing_price_is_no_bar() -> None:
    bars = bars_of([10.0, np.nan, 12.0, np.nan])
    assert bars.on(add_sessions(FIRST, 1)) is None
    assert bars.last == bars.on(FIRST)  # bars_of opens at the close before, so no later bar is complete


def test_missing_volume_reads_as_no_shares() -> None:
    bar = bars_of([10.0], volume=[np.nan]).last
    assert bar is not None
    assert bar.volume == 0


def test_bars_cannot_be_changed_by_anyone() -> None:
    closes = np.array([1.0, 2.0])
    bars = Bars(
        "AAA",
        np.array(["2010-01-04", "2010-01-05"], "datetime64[D]"),
        closes,
        closes,
        closes,
        closes,
        np.ones(2),
    )
    closes[0] = 99.0
    assert bars.close.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0] = 99.0
    with pytest.raises(FrozenInstanceError):
        bars.symbol = "BBB"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("days", "count", "complaint"),
    [
        (["2010-01-04"], 2, "expected 1 values of open"),
        (["2010-01-05", "2010-01-04"], 2, "to increase"),
        (["2010-01-04", "2010-01-04"], 2, "to increase"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(days: list[str], count: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Bars("AAA", np.array(days, "datetime64[D]"), *(np.ones(count) for _ in range(5)))


def test_a_view_shows_nothing_later_than_its_session() -> None:
    session = add_sessions(FIRST, 4)
    late = bars_of([5.0] * 5, symbol="LATE", first=add_sessions(session, 1))
    view = view_at(session, bars_of(np.arange(1.0, 11.0)), late)
    assert view.symbols == ("AAA",)
    assert view.bars("AAA").close.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert len(view.bars("AAA").upto(date(2030, 1, 1))) == 5
    assert view.bars("AAA").on(add_sessions(session, 1)) is None
    assert len(view.bars("LATE")) == 0
    assert len(view.bars("NOWHERE")) == 0
    assert not hasattr(view, "history")


def test_a_view_cannot_be_moved() -> None:
    view = view_at(FIRST, bars_of([1.0, 2.0]))
    with pytest.raises(FrozenInstanceError):
        view.session = date(2030, 1, 1)  # type: ignore[misc]
    with pytest.raises(TypeError):
        view.instruments["AAA"] = instrument("AAA")  # type: ignore[index]


def test_only_stocks_are_traded() -> None:
    history = [bars_of([1.0], symbol=symbol) for symbol in ("ZZZ", "AAA", "SPY")]
    assert view_at(FIRST, *history, SPY=AssetType.ETF).symbols == ("AAA", "ZZZ")


def test_the_index_is_spy_once_it_has_200_bars() -> None:
    spy, gspc = bars_of([100.0] * 200, symbol="SPY"), bars_of([1000.0] * 200, symbol="^GSPC")
    full, short = add_sessions(FIRST, 199), add_sessions(FIRST, 198)
    assert view_at(full, spy, gspc).index_symbol == "SPY"
    assert view_at(short, spy, gspc).index_symbol == "^GSPC"
    assert view_at(short, spy).index_symbol is None


def test_the_volatility_index_is_vix_or_nothing() -> None:
    vix = bars_of([20.0], symbol="^VIX", first=add_sessions(FIRST, 1))
    assert view_at(add_sessions(FIRST, 1), vix).volatility_symbol == "^VIX"
    assert view_at(FIRST, vix).volatility_symbol is None


def test_a_cut_is_as_read_only_as_the_whole() -> None:
    cut = bars_of([1.0, 2.0, 3.0]).upto(FIRST)
    for name in ("sessions", "open", "high", "low", "close", "volume"):
        assert not getattr(cut, name).flags.writeable
    assert cut.symbol == "AAA"
    assert cut.last == bars_of([1.0]).last


def test_scaling_multiplies_prices_and_divides_volumes() -> None:
    bars = bars_of([10.0, np.nan, 12.0], volume=[100, 200, np.nan])
    twice = bars.scaled(2.0)
    np.testing.assert_array_equal(twice.close, [20.0, np.nan, 24.0])
    np.testing.assert_array_equal(twice.high, bars.high * 2)
    np.testing.assert_array_equal(twice.volume, [50.0, 100.0, np.nan])
    assert bars.scaled(1.0) is bars
    with pytest.raises(ValueError, match="read-only"):
        twice.close[0] = 99.0


def test_a_basis_stands_until_the_next_one() -> None:
    basis = Basis.of({add_sessions(FIRST, 2): 2.0, FIRST: 4.0})
    days = [
        FIRST - timedelta(days=1),
        FIRST,
        add_sessions(FIRST, 1),
        add_sessions(FIRST, 2),
        date(2030, 1, 2),
    ]
    assert [basis.at(day) for day in days] == [1.0, 4.0, 4.0, 2.0, 2.0]
    assert Basis.of({}).at(FIRST) == 1.0


def test_a_view_asks_only_for_what_is_looked_at_and_only_once() -> None:
    bars = {symbol: bars_of([1.0, 2.0], symbol=symbol) for symbol in ("AAA", "BBB", "CCC")}
    bases = {"AAA": Basis.of({FIRST: 4.0}), "BBB": Basis.of({FIRST: 2.0})}
    asked = []

    def scaled(symbol: str, factor: float) -> Bars:
        asked.append((symbol, factor))
        return bars[symbol].scaled(factor)

    history = BarsAsTraded(FIRST, bars, bases, scaled)
    view = MarketView(FIRST, {symbol: instrument(symbol) for symbol in bars}, history)
    assert asked == []
    assert view.bars("AAA").close.tolist() == [4.0]
    assert view.bars("AAA") is view.bars("AAA")
    assert view.bars("CCC").close.tolist() == [1.0]
    assert asked == [("AAA", 4.0)]
    assert (list(history), len(history)) == (["AAA", "BBB", "CCC"], 3)
