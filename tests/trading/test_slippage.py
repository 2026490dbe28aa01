from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.trading.costs import Costs
from agents.trading.slippage import SlippageRecord, measure, summarise
from storage.records import OrderSide

BUY, SELL = OrderSide.BUY, OrderSide.SELL
prices = st.decimals("0.01", 10_000, places=4)


def filled(
    at: str,
    *,
    side: OrderSide = BUY,
    close: str = "100",
    opened: str = "101",
    assumed: float = 5.0,
    simulated: bool = False,
) -> SlippageRecord:
    return measure(
        symbol="AAA",
        session=date(2024, 3, 8),
        side=side,
        shares=100,
        decision_close=Decimal(close),
        reference=Decimal(opened),
        fill=Decimal(at),
        assumed_bps=assumed,
        simulated=simulated,
    )


def test_a_purchase_is_worse_off_above_and_a_sale_below() -> None:
    bought = filled("101.0505")
    assert bought.shortfall_bps == pytest.approx(105.05)
    assert bought.auction_bps == pytest.approx(5.0)
    sold = filled("98.901", side=SELL, opened="99")
    assert sold.shortfall_bps == pytest.approx(109.9)
    assert sold.auction_bps == pytest.approx(10.0)


def test_a_paper_fill_gives_away_what_was_assumed() -> None:
    costs = Costs()
    paper = filled(str(costs.buy_at_market(101.0)), assumed=costs.market_bps, simulated=True)
    assert paper.auction_bps == pytest.approx(costs.market_bps, abs=0.01)


def test_paper_fills_prove_nothing_about_the_assumption() -> None:
    summary = summarise([filled("101.0505", simulated=True)] * 3)
    assert summary.verdict == "All 3 fills are simulated with the assumed 5.0 bps: it is untested."
    assert (summary.n, summary.simulated, summary.shortfall.n) == (3, 3, 3)


@pytest.mark.parametrize(
    ("fills", "says"),
    [
        ([], "No fills yet: the assumed slippage is untested."),
        (["101.0505"], "1 real fills gave away 5.0 bps on average, too few to judge the assumed 5.0 bps."),
        (["101.02", "101.05", "101.08"], "in keeping with the 5.0 bps assumed."),
        (["101.30", "101.31", "101.32"], "more than the 5.0 bps assumed, trading is dearer than the desk"),
        (
            ["101.00", "101.001", "101.002"],
            "less than the 5.0 bps assumed, the desk reckons on the safe side",
        ),
    ],
)
def test_the_verdict(fills: list[str], says: str) -> None:
    assert says in summarise(map(filled, fills)).verdict


def test_paper_fills_do_not_dilute_real_ones() -> None:
    real = [filled("101.30"), filled("101.31")]
    mixed = summarise([*real, *[filled("101.0505", simulated=True)] * 50])
    assert mixed.auction == summarise(real).auction
    assert (mixed.n, mixed.simulated) == (52, 50)


def test_an_empty_or_unpriced_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="prices above zero for AAA"):
        filled("0")


@given(st.sampled_from(OrderSide), prices, prices, prices)
def test_the_distance_has_the_sign_of_the_harm(
    side: OrderSide, close: Decimal, opened: Decimal, fill: Decimal
) -> None:
    record = filled(str(fill), side=side, close=str(close), opened=str(opened))
    worse = fill > close if side is BUY else fill < close
    assert (record.shortfall_bps > 0) == worse
    assert (record.auction_bps == 0) == (fill == opened)


@given(st.lists(prices, min_size=2, max_size=12))
def test_the_mean_lies_within_its_interval(fills: list[Decimal]) -> None:
    summary = summarise(filled(str(fill)) for fill in fills)
    for found in (summary.shortfall, summary.auction):
        assert found.low is not None
        assert found.mean is not None
        assert found.high is not None
        assert found.low <= found.mean <= found.high
