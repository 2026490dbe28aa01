import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.trading.limits import KellyCap, TrackRecord, kelly_cap, record_of
from agents.trading.limits.kelly import SHARE, growth_share, kelly, shrinkage


def record(
    trades: int = 100, win_rate: float = 0.55, payoff: float = 1.2, sharpe: float = 0.2
) -> TrackRecord:
    return TrackRecord(trades=trades, win_rate=win_rate, payoff=payoff, sharpe=sharpe)


def test_kelly_and_a_quarter_of_it() -> None:
    assert kelly(0.55, 1.2) == pytest.approx(0.175)
    assert SHARE * kelly(0.55, 1.2) == pytest.approx(0.04375)


@pytest.mark.parametrize(("share", "growth"), [(0.5, 0.75), (0.25, 0.4375), (1.0, 1.0)])
def test_the_growth_a_share_of_kelly_keeps(share: float, growth: float) -> None:
    assert growth_share(share) == growth


def test_the_shrinkage_of_a_sharpe_ratio() -> None:
    assert shrinkage(0.2, 100) == pytest.approx(0.8)  # 4 / 5
    assert shrinkage(0.0, 100) == 0.0
    assert shrinkage(0.2, 0) == 0.0


def test_the_risk_a_record_allows() -> None:
    allowed = kelly_cap(record())
    assert allowed is not None
    assert allowed.risk == pytest.approx(0.8 * 0.04375)
    assert allowed.trades == 100
    assert kelly_cap(record(trades=29)) is None
    assert kelly_cap(None) is None
    nothing = KellyCap(risk=0.0, trades=100)
    assert kelly_cap(record(win_rate=0.4)) == nothing  # no edge
    assert kelly_cap(record(sharpe=-0.2)) == nothing  # the square of a loss is no evidence of an edge
    assert kelly_cap(record(payoff=0.0)) == nothing
    with pytest.raises(ValueError, match="risk from zero on"):
        KellyCap(risk=float("nan"), trades=30)


@given(st.integers(30, 5_000), st.floats(0, 1), st.floats(0, 20), st.floats(-2, 2))
def test_no_record_allows_more_than_a_quarter_of_kelly(
    trades: int, win_rate: float, payoff: float, sharpe: float
) -> None:
    allowed = kelly_cap(record(trades, win_rate, payoff, sharpe))
    assert allowed is not None
    assert 0 <= allowed.risk <= SHARE


def test_a_record_from_results_in_r() -> None:
    made = record_of([1.5, -1.0, 1.5, -1.0, 0.0])
    assert made is not None
    assert (made.trades, made.win_rate, made.payoff) == (5, 0.4, 1.5)
    assert made.sharpe == pytest.approx(0.2 / 1.2550, abs=1e-4)
    assert record_of([1.0]) is None
    assert record_of([1.0, 1.0]) is None
    losing = record_of([-1.0, -0.5] * 20)
    assert losing is not None
    assert (losing.payoff, kelly_cap(losing)) == (0.0, KellyCap(risk=0.0, trades=40))
    winning = record_of([1.0, 0.5] * 20)
    assert winning is not None
    allowed = kelly_cap(winning)
    assert allowed is not None
    assert 0 < allowed.risk <= 0.25


@pytest.mark.parametrize(("win_rate", "payoff"), [(-0.1, 1.0), (1.1, 1.0), (0.5, 0.0), (float("nan"), 1.0)])
def test_no_kelly_of_what_is_no_bet(win_rate: float, payoff: float) -> None:
    with pytest.raises(ValueError, match="win rate from 0 to 1"):
        kelly(win_rate, payoff)
