import numpy as np
import pytest

from agents.market.bars import Bars, FloatArray
from agents.trading.limits.facts import adv_shares, correlations, daily_volatility, worst_gap


def series(
    symbol: str = "AAA", *, close: FloatArray, opened: FloatArray | None = None, volume: float = 1000.0
) -> Bars:
    opened = close if opened is None else opened
    sessions = np.arange("2020-01-01", len(close), dtype="datetime64[D]")
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return Bars(symbol, sessions, opened, high, low, close, np.full(len(close), volume))


def walk(seed: int, n: int = 300) -> FloatArray:
    steps = np.random.default_rng(seed).normal(0, 0.01, n)
    made: FloatArray = 100 * np.exp(np.cumsum(steps))
    return made


def test_the_average_volume() -> None:
    assert adv_shares(series(close=walk(1), volume=1234.9)) == 1234
    assert adv_shares(series(close=walk(1, 19))) is None
    assert adv_shares(series(close=walk(1), volume=float("nan"))) is None


def test_the_worst_gap_of_two_years() -> None:
    close = np.full(700, 100.0)
    opened = close.copy()
    opened[600] = 89.55  # SPY's worst night
    assert worst_gap(series(close=close, opened=opened)) == pytest.approx(0.1045)
    opened[100] = 50.0  # more than two years ago
    assert worst_gap(series(close=close, opened=opened)) == pytest.approx(0.1045)
    assert worst_gap(series(close=close, opened=close * 1.1)) == 0.0
    assert worst_gap(series(close=close[:120])) is None
    assert worst_gap(series(close=close[:121])) == 0.0


def test_the_volatility_of_a_day() -> None:
    assert daily_volatility(series(close=walk(2))) == pytest.approx(0.01, rel=0.25)
    assert daily_volatility(series(close=walk(2, 40))) is None
    assert daily_volatility(series(close=np.empty(0))) is None


def test_correlations_of_what_moves_together_apart_and_not_at_all() -> None:
    close = walk(3)
    rho = correlations(
        {
            "A": series("A", close=close),
            "B": series("B", close=close * 2),
            "C": series("C", close=1e4 / close),
            "D": series("D", close=walk(4)),
            "FLAT": series("FLAT", close=np.full(300, 10.0)),
            "NEW": series("NEW", close=walk(5, 30)),
        }
    )
    assert rho.between("A", "B") == pytest.approx(1.0)
    assert rho.between("A", "C") == 0.0
    assert rho.between("A", "D") < 0.5
    assert not rho.known("A", "FLAT")
    assert rho.between("NEW", "A") == 1.0
