from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.trading.costs import US_EQUITIES, Costs, FeeSchedule, FeeTable, ceil_to_cents
from storage.records import DeskKind, OrderSide


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


# -- fees ----------------------------------------------------------------------------------------------------

US = Costs(fee_table=FeeTable.US_EQUITIES)
SPRING_2026 = date(2026, 5, 4)


def test_a_sale_pays_what_was_in_force_on_its_day() -> None:
    # 1,000 shares at 50 dollars are 50,000 sold.
    def paid(session: date) -> tuple[Decimal, Decimal]:
        fees = US.fees(OrderSide.SELL, 1000, Decimal(50), session)
        return fees.sec, fees.taf

    nothing = Decimal("0.00")
    assert paid(date(2024, 5, 21)) == (nothing, nothing)  # before the first row
    assert paid(date(2024, 5, 22)) == (Decimal("1.39"), Decimal("0.17"))
    assert paid(date(2025, 5, 13)) == (Decimal("1.39"), Decimal("0.17"))
    assert paid(date(2025, 5, 14)) == (nothing, Decimal("0.17"))
    assert paid(date(2026, 1, 2)) == (nothing, Decimal("0.20"))
    assert paid(date(2026, 4, 6)) == (Decimal("1.03"), Decimal("0.20"))
    assert paid(date(2026, 10, 1)) == (Decimal("1.03"), nothing)
    assert paid(date(2027, 1, 4)) == (Decimal("1.03"), Decimal("0.20"))


def test_each_fee_is_rounded_up_to_the_cent_and_the_second_is_capped() -> None:
    one = US.fees(OrderSide.SELL, 1, Decimal(5), SPRING_2026)
    assert (one.commission, one.sec, one.taf) == (Decimal("1.00"), Decimal("0.01"), Decimal("0.01"))
    assert one.total == Decimal("1.02")
    assert US.fees(OrderSide.SELL, 1_000_000, Decimal(5), SPRING_2026).taf == Decimal("9.79")


def test_purchases_and_desks_without_a_table_pay_the_commission_alone() -> None:
    bought = US.fees(OrderSide.BUY, 1000, Decimal(50), SPRING_2026)
    assert bought.total == Decimal("1.00")
    for costs in (Costs(), Costs(fee_table=FeeTable.NONE)):
        assert costs.fees(OrderSide.SELL, 1000, Decimal(50), SPRING_2026).total == costs.commission_usd


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (DeskKind.PAPER, FeeTable.US_EQUITIES),
        (DeskKind.LIVE, FeeTable.US_EQUITIES),
        (DeskKind.HISTORY, FeeTable.NONE),
    ],
)
def test_a_replay_pays_no_fees_unless_it_is_told_to(kind: DeskKind, table: FeeTable) -> None:
    assert Costs().for_desk(kind).fee_table is table
    assert US.for_desk(kind) == US
    free = Costs(fee_table=FeeTable.NONE)
    assert free.for_desk(kind) == free


def test_a_round_trip_on_a_session_pays_the_fees_of_its_sale() -> None:
    plain = US.round_trip(100, Decimal(101), Decimal(96))
    assert plain == Costs().round_trip(100, Decimal(101), Decimal(96), SPRING_2026)
    # 9,600 dollars sold: .19776 and .0195, both up to the cent
    assert US.round_trip(100, Decimal(101), Decimal(96), SPRING_2026) - plain == Decimal("0.22")


def test_the_fee_table_survives_being_stored() -> None:
    stored = US.model_dump(mode="json")
    assert stored["fee_table"] == "us_equities"
    assert Costs.model_validate(stored) == US
    del stored["fee_table"]  # as written by a desk that knew of none
    assert Costs.model_validate(stored) == Costs()


def test_impossible_orders_and_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match="expected shares and a price"):
        US.fees(OrderSide.SELL, 0, Decimal(5), SPRING_2026)
    with pytest.raises(ValueError, match="to increase"):
        FeeSchedule(US_EQUITIES.rows[::-1])
    with pytest.raises(ValidationError, match="fee_table"):
        Costs.model_validate({"fee_table": "moon"})


@given(
    st.sampled_from(OrderSide),
    st.integers(1, 1_000_000),
    st.decimals(0, 10_000, places=4),
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
)
def test_fees_are_whole_cents_and_small(side: OrderSide, shares: int, price: Decimal, session: date) -> None:
    fees = US.fees(side, shares, price, session)
    for part in (fees.sec, fees.taf, fees.total):
        assert part == part.quantize(Decimal("0.01"))
        assert part >= 0
    assert fees.taf <= Decimal("9.79")
    assert fees.sec <= shares * price * Decimal("0.0000278") + Decimal("0.01")
