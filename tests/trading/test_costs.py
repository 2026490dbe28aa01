from decimal import Decimal

import pytest
from pydantic import ValidationError

from agents.trading.costs import Costs, ceil_to_cents


def test_each_kind_of_order_slips_against_the_desk() -> None:
    costs = Costs()
    assert costs.buy_at_market(100.0) == Decimal("100.0500")
    assert costs.sell_at_market(100.0) == Decimal("99.9500")
    assert costs.sell_at_stop(Decimal(96)) == Decimal("95.8560")


def test_money_that_bounds_is_rounded_up() -> None:
    assert ceil_to_cents(Decimal("10.0001")) == Decimal("10.01")
    assert Costs().to_buy(3, Decimal("33.3334")) == Decimal("101.01")  # 100.0002 and the commission


def test_a_round_trip_pays_both_slippages_and_both_commissions() -> None:
    # 100 shares: 101 x 5 bps + 96 x 15 bps = 0.1945 a share
    assert Costs().round_trip(100, Decimal(101), Decimal(96)) == Decimal("21.45")


def test_an_unknown_cost_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="spread_bps"):
        Costs.model_validate({"spread_bps": 1})
