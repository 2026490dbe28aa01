from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from agents.market.calendar import add_sessions
from agents.trading.limits import CashFlow, cash_on, payment, proceeds

THURSDAY, FRIDAY, MONDAY = date(2024, 3, 7), date(2024, 3, 8), date(2024, 3, 11)


def test_what_a_sale_brings_in_settles_a_session_later() -> None:
    flows = [
        payment(Decimal(10_000), THURSDAY),
        payment(Decimal(-4_000), FRIDAY),
        proceeds(Decimal(2_500), FRIDAY),
    ]
    friday, monday = cash_on(flows, FRIDAY), cash_on(flows, MONDAY)
    assert (friday.settled, friday.unsettled) == (Decimal(6_000), Decimal(2_500))
    assert friday.next_settles == MONDAY
    assert (monday.settled, monday.unsettled) == (Decimal(8_500), Decimal(0))
    assert monday.next_settles is None
    assert friday.total == monday.total == 8_500


def test_a_sale_that_costs_more_than_it_brings_is_paid_at_once() -> None:
    assert cash_on([proceeds(Decimal(-1), FRIDAY)], FRIDAY).settled == -1


FLOWS = st.lists(
    st.builds(
        lambda cents, n, sold: (proceeds if sold else payment)(
            Decimal(cents) / 100, add_sessions(THURSDAY, n)
        ),
        st.integers(-1_000_000, 1_000_000),
        st.integers(1, 30),
        st.booleans(),
    ),
    max_size=30,
)


@given(FLOWS, st.integers(1, 40))
def test_settled_and_unsettled_are_all_the_cash_there_is(flows: list[CashFlow], n: int) -> None:
    cash = cash_on(flows, add_sessions(THURSDAY, n))
    assert cash.settled + cash.unsettled == cash.total == sum(flow.amount for flow in flows)
    assert cash.unsettled >= 0
    assert (cash.next_settles is None) == (cash.unsettled == 0)
