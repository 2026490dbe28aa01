from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.bars import Bar
from agents.trading.book import OpenPosition, mark
from agents.trading.broker import ExitFill, exit_on_bar, exit_without_bar, sale_at_close, sold_before_earnings
from agents.trading.costs import Costs
from agents.trading.limits import HoldAction
from agents.trading.outcomes import STATE_SIZE, outcome, realised_by, state_vector
from storage.records import ExitReason, to_cents
from tests.trading.builders import CRASH, ENTRY, NO_COSTS, PULLBACK, bar, position


def exit_of(held: OpenPosition, today: Bar, costs: Costs, sessions_held: int = 3) -> ExitFill:
    fill = exit_on_bar(held, today, entered_today=False, sessions_held=sessions_held, costs=costs)
    assert fill is not None
    return fill


def test_a_mark_values_positions_at_their_closes_and_the_rest_at_the_last_seen() -> None:
    other = replace(position(shares=50), symbol="BBB", last_close=Decimal("90.005"))
    account = mark([position(), other], Decimal("1000.00"), {"AAA": Decimal("102")})
    assert account.positions_value == Decimal("14700.25")
    assert account.equity == Decimal("15700.25")
    assert account.heat_usd == 600  # 100 x 4 and 50 x 4
    assert account.heat == pytest.approx(600 / 15700.25)


def test_surviving_a_bar_widens_the_excursions() -> None:
    held = position().survive(bar(100, 103, 98, 102)).survive(bar(102, 102.5, 99, 101))
    assert (held.low_since, held.high_since, held.last_close) == (Decimal(98), Decimal(103), Decimal(101))


def test_a_position_whose_stops_are_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="first stop below the entry of AAA"):
        replace(position(), initial_stop=Decimal(100), stop=Decimal(100))
    with pytest.raises(ValueError, match="stop of AAA not below its first one 96"):
        replace(position(), stop=Decimal("95.99"))


def test_a_stopped_trade_without_costs_loses_exactly_one_r() -> None:
    result = outcome(
        replace(position(), entry_fee=Decimal(0)), exit_of(position(), bar(99, 99, 95, 95), NO_COSTS)
    )
    assert (result.pnl, result.r_multiple) == (Decimal("-400.00"), -1.0)
    assert (result.mae_r, result.mfe_r) == (-1.0, 0.0)
    assert result.return_pct == -0.04


def test_costs_come_out_of_the_multiple_but_not_of_the_excursions() -> None:
    held = position().survive(bar(100, 103, 98, 102))
    result = outcome(held, exit_of(held, bar(102, 107, 101, 105), Costs()))
    assert (result.pnl, result.fees) == (Decimal("598.00"), Decimal("2.00"))
    assert result.r_multiple == pytest.approx(1.495)
    assert (result.mae_r, result.mfe_r) == (
        -0.5,
        1.5,
    )  # 107 was seen only after the target had been hit, if at all


def test_a_gap_through_the_stop_loses_more_than_one_r() -> None:
    result = outcome(position(), exit_of(position(), bar(90, 97, 89, 91), Costs()))
    assert result.pnl == Decimal("-1015.50")  # 100 x (89.865 - 100) and two dollars
    assert result.r_multiple == pytest.approx(-2.53875)
    assert result.mae_r == pytest.approx(-2.53375)
    assert result.mfe_r == 0.0


def test_a_time_exit_has_lived_through_its_whole_bar() -> None:
    result = outcome(position(), exit_of(position(), bar(100, 105, 97, 102), NO_COSTS, sessions_held=10))
    assert (result.mae_r, result.mfe_r) == (-0.75, 1.25)


def test_a_raised_stop_ends_the_trade_for_its_own_reason_and_moves_no_r() -> None:
    raised = replace(position(), stop=Decimal(101))
    assert [raised.heat, raised.initial_risk] == [0, 4]  # what the stop saves is no risk any more
    fill = exit_of(raised, bar(103, 104, 100, 102), NO_COSTS)
    assert (fill.reason, fill.price) == (ExitReason.REGIME_CHANGE, Decimal(101))
    result = outcome(replace(raised, entry_fee=Decimal(0)), fill)
    assert (result.pnl, result.r_multiple) == (Decimal("100.00"), 0.25)
    assert exit_of(position(), bar(99, 99, 95, 95), NO_COSTS).reason is ExitReason.STOP_LOSS


def test_a_position_is_sold_or_halved_at_the_close_before_earnings() -> None:
    assert sold_before_earnings(7, HoldAction.EXIT) == 7
    assert sold_before_earnings(7, HoldAction.HALVE) == 4
    assert sold_before_earnings(1, HoldAction.HALVE) == 1  # half a share cannot be kept
    assert sold_before_earnings(7, HoldAction.KEEP) == 0
    whole = halved(position(shares=7), bar(101, 104, 99, 102), NO_COSTS)
    assert (whole.shares, whole.price, whole.reason) == (4, Decimal(102), ExitReason.EARNINGS)
    assert [whole.low, whole.high] == [99, 104]


def halved(held: OpenPosition, today: Bar, costs: Costs) -> ExitFill:
    """Half of it, sold at the close before its company reports."""
    shares = sold_before_earnings(held.shares, HoldAction.HALVE)
    return sale_at_close(held, today, ExitReason.EARNINGS, shares, costs)


def test_a_halved_trade_is_one_trade_measured_on_all_it_bought() -> None:
    start = replace(position(), entry_fee=Decimal(0))  # 100 at 100, one R is 400 dollars
    part = halved(start, bar(101, 103, 99, 102), NO_COSTS)
    realised = realised_by(start, part)
    rest = start.without(part.shares, part.fee)
    assert [realised, rest.shares, rest.sold_shares] == [100, 50, 50]
    result = outcome(rest, exit_of(rest, bar(99, 99, 95, 95), NO_COSTS), realised=realised)
    assert (result.pnl, result.r_multiple, result.return_pct) == (Decimal("-100.00"), -0.25, -0.01)


@given(
    st.integers(2, 5_000),
    st.integers(961_000, 2_000_000),
    st.floats(50, 150),
    st.floats(50, 150),
    st.integers(0, 500),
)
def test_what_a_halved_trade_made_is_to_the_cent_what_its_sales_brought(
    shares: int, ticks: int, first: float, last: float, fee_cents: int
) -> None:
    costs = Costs(commission_usd=Decimal(fee_cents) / 100)
    start = replace(position(shares=shares), entry_price=Decimal(ticks) / 10_000)
    part = halved(start, bar(first, first, first, first), costs)
    rest = start.without(part.shares, part.fee)
    fill = exit_of(rest, bar(last, last, last, last), costs, sessions_held=99)
    made = outcome(rest, fill, realised=realised_by(start, part))
    cash = part.amount + fill.amount - start.cost - part.fee - fill.fee - start.entry_fee
    assert (made.pnl, made.fees) == (cash, part.fee + fill.fee + start.entry_fee)


PRICE = st.integers(5_000, 20_000).map(lambda n: n / 100)


@given(PRICE, PRICE, PRICE, PRICE, st.integers(0, 12), st.integers(1, 10_000))
def test_money_and_multiples_agree_on_every_bar(
    a: float, b: float, c: float, d: float, sessions_held: int, shares: int
) -> None:
    low, opened, close, high = sorted((a, b, c, d))
    held = position(shares=shares)
    fill = exit_on_bar(
        held,
        bar(opened, high, low, close),
        entered_today=False,
        sessions_held=sessions_held,
        costs=Costs(),
    )
    if fill is None:
        assert held.stop < Decimal(str(low))
        assert Decimal(str(high)) < held.target
        return
    result = outcome(held, fill)
    assert result.pnl == fill.amount - to_cents(shares * held.entry_price) - 2
    assert (result.pnl > 0) == (result.r_multiple > 0) == (result.return_pct > 0)
    assert result.mae_r <= 0 <= result.mfe_r
    assert result.mae_r <= float((fill.price - held.entry_price) / 4) <= result.mfe_r
    assert fill.price <= Decimal(str(high))


def test_the_state_vector_is_bounded_and_tells_a_crash_from_a_pullback() -> None:
    calm, wild = state_vector(PULLBACK), state_vector(CRASH)
    assert len(calm) == len(wild) == STATE_SIZE
    assert all(-1 <= value <= 1 for value in calm + wild)
    assert calm[2] > 0 > wild[2]
    assert wild[6] == 1.0


def test_a_missing_reading_is_neutral_in_the_state_vector() -> None:
    bare = replace(PULLBACK, rsi14=None, sma50=None, volume_ratio=None, high_52w=None)
    vector = state_vector(bare)
    assert (vector[0], vector[1], vector[5], vector[7]) == (0.0, 0.0, 0.0, 0.0)


@given(st.integers(1, 10_000), st.integers(100_001, 2_000_000), st.integers(0, 500))
def test_a_profit_is_to_the_cent_what_the_cash_events_say(shares: int, ticks: int, fee_cents: int) -> None:
    """Entry prices have four decimals; what was paid was rounded to the cent."""
    held = replace(
        position(shares=shares),
        entry_price=Decimal(ticks) / 10_000,
        stop=Decimal("5"),
        initial_stop=Decimal("5"),
    )
    fill = exit_of(held, bar(9.0, 9.5, 3.0, 4.0), Costs(commission_usd=Decimal(fee_cents) / 100))
    paid, received = to_cents(shares * held.entry_price), to_cents(shares * fill.price)
    assert outcome(held, fill).pnl == received - fill.fee - paid - held.entry_fee


def test_a_position_without_prices_waits_for_its_time_and_then_leaves_below_the_last_close() -> None:
    held, late = position(), ENTRY
    assert exit_without_bar(held, late, sessions_held=held.max_hold - 1, costs=Costs()) is None
    fill = exit_without_bar(held, late, sessions_held=held.max_hold, costs=Costs())
    assert fill is not None
    assert (fill.reason, fill.reference) == (ExitReason.TIME_EXIT, held.last_close)
    assert fill.price == Costs().sell_at_stop(held.last_close) < held.last_close
