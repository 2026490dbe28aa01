from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.trading.costs import Costs
from agents.trading.limits import (
    BookView,
    Denied,
    Limits,
    Sized,
    recheck_at_fill,
    risky_reasons,
    size_entry,
)
from agents.trading.setups import SetupPlan
from storage.records import LimitCheck
from tests.trading.builders import NO_COSTS, book, plan, terms

COSTS = Costs()


def sized(view: BookView, limits: Limits | None = None, scale: float = 1.0) -> Sized:
    result = size_entry(plan(), view, limits or Limits(), COSTS, risk_scale=scale)
    assert isinstance(result, Sized), result
    return result


def denied(view: BookView, limits: Limits | None = None, scale: float = 1.0) -> Denied:
    result = size_entry(plan(), view, limits or Limits(), COSTS, risk_scale=scale)
    assert isinstance(result, Denied), result
    return result


def check(result: Sized | Denied, name: str) -> LimitCheck:
    return next(check for check in result.checks if check.name == name)


def test_risk_a_trade_sizes_an_ordinary_entry() -> None:
    trade = sized(book())  # 500 dollars of risk at 5 a share, 101 at most
    assert (trade.shares, trade.max_risk, trade.cost) == (100, Decimal("500.00"), Decimal("10101.00"))
    assert [one.name for one in trade.checks] == ["risk_per_trade", "heat", "cash", "daily_loss"]
    assert all(one.passed for one in trade.checks)
    assert check(trade, "risk_per_trade").after == 0.005
    assert (check(trade, "heat").before, check(trade, "heat").after) == (0.0, 0.005)
    assert (check(trade, "cash").before, check(trade, "cash").after) == (100000.0, 89899.0)


def test_what_heat_leaves_sizes_the_entry() -> None:
    trade = sized(book(heat="5899.99"))  # 100.01 dollars left at 5 a share
    assert (trade.shares, trade.max_risk) == (20, Decimal("100.00"))


def test_what_cash_leaves_sizes_the_entry() -> None:
    assert sized(book(cash="1011.00")).shares == 10  # ten shares and the commission, to the cent
    assert sized(book(cash="1010.99")).shares == 9
    assert sized(book(cash="21011.00"), Limits(min_cash=0.2)).shares == 10


@pytest.mark.parametrize(
    ("view", "limit"),
    [
        (book(equity="900"), "risk_per_trade"),  # 4.50 of risk, a share risks 5
        (book(heat="5995.01"), "heat"),
        (book(heat="7000"), "heat"),
        (book(cash="101.99"), "cash"),
        (book(cash="-50"), "cash"),
        (book(day_return=-0.0201), "daily_loss"),
    ],
)
def test_a_limit_without_room_for_one_share_denies_under_its_name(view: BookView, limit: str) -> None:
    trade = denied(view)
    assert trade.limit == limit
    assert [one.name for one in trade.checks if not one.passed] == [limit]


def test_a_loss_at_the_limit_still_trades() -> None:
    assert sized(book(day_return=-0.02)).shares == 100


def test_half_is_half_whichever_limit_bound() -> None:
    assert sized(book(), scale=0.5).shares == 50
    assert sized(book(cash="1011.00"), scale=0.5).shares == 5
    assert denied(book(cash="102.00"), scale=0.5).limit == "cash"


@pytest.mark.parametrize("scale", [0.0, -1.0, 1.0001, float("nan")])
def test_a_scale_that_would_enlarge_or_turn_a_trade_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="risk scale"):
        size_entry(plan(), book(), Limits(), COSTS, risk_scale=scale)


@pytest.mark.parametrize(
    "wrong",
    [{"risk_per_trade": 0.0076}, {"heat": 0.061}, {"daily_loss": 0.051}, {"min_cash": -0.1}, {"haet": 0.05}],
)
def test_a_limit_wider_than_the_code_or_unknown_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Limits.model_validate(wrong)


def test_the_tighter_of_two_limits_counts() -> None:
    now = Limits(risk_per_trade=0.004, heat=0.06, min_cash=0.1, daily_loss=0.03)
    bound = Limits(risk_per_trade=0.005, heat=0.05, min_cash=0.0, daily_loss=0.02)
    assert now.tightened(bound.in_force()) == Limits(
        risk_per_trade=0.004, heat=0.05, min_cash=0.1, daily_loss=0.02
    )
    with pytest.raises(ValidationError, match="haet"):
        now.tightened({"haet": 0.05})


def test_an_account_without_equity_cannot_be_sized() -> None:
    with pytest.raises(ValueError, match="equity above zero"):
        book(equity="0")


def test_a_fill_never_exceeds_what_was_approved() -> None:
    def fill(price: str, **approved: int | str) -> int:
        result = recheck_at_fill(terms(**approved), Decimal(price), book(), Limits(), NO_COSTS)  # type: ignore[arg-type]
        assert isinstance(result, Sized)
        return result.shares

    assert fill("99", max_shares=100) == 100  # cheaper: risk would allow 166
    assert fill("101", max_shares=200) == 100
    assert fill("100", max_shares=100, max_risk="200.00") == 50


def test_a_fill_obeys_limits_tightened_since_and_a_book_filled_since() -> None:
    def fill(view: BookView, limits: Limits) -> Sized | Denied:
        return recheck_at_fill(terms(), Decimal(100), view, limits, NO_COSTS)

    tightened = fill(book(), Limits(risk_per_trade=0.001))
    assert isinstance(tightened, Sized)
    assert tightened.shares == 25
    bound = terms(
        limits=Limits(risk_per_trade=0.002)
    )  # what was approved under a tighter limit stays under it
    approved = recheck_at_fill(bound, Decimal(100), book(), Limits(), NO_COSTS)
    assert isinstance(approved, Sized)
    assert approved.shares == 50
    for view, limit in ((book(heat="6000"), "heat"), (book(cash="99"), "cash")):
        refused = fill(view, Limits())
        assert isinstance(refused, Denied)
        assert refused.limit == limit


def test_a_fill_outside_the_approved_band_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expected a price from 99 to 101"):
        recheck_at_fill(terms(), Decimal("101.01"), book(), Limits(), COSTS)


def test_a_reservation_takes_cash_and_heat() -> None:
    before = book(cash="5000", heat="100")
    reserved = before.reserve("AAA", Decimal("1011.00"), Decimal("50.00"))
    assert (reserved.cash, reserved.heat_usd) == (Decimal("3989.00"), Decimal("150.00"))
    assert reserved.reserved == frozenset({"AAA"})


def test_an_ordinary_trade_is_not_risky() -> None:
    assert risky_reasons(sized(book()).checks) == ()


@pytest.mark.parametrize(
    ("view", "limits", "reason"),
    [
        (book(), Limits(risk_per_trade=0.0075), "risks 0.75% of equity"),
        (book(heat="3600"), Limits(), "heat would be 4.1%"),
        (book(cash="1100"), Limits(), "of the cash limit"),
        (book(day_return=-0.019), Limits(), "5% of the daily_loss limit"),
        (book(heat="2300"), Limits(heat=0.03), "7% of the heat limit"),
    ],
)
def test_what_is_risky_says_why(view: BookView, limits: Limits, reason: str) -> None:
    (said,) = risky_reasons(sized(view, limits).checks)
    assert reason in said


def plans() -> st.SearchStrategy[SetupPlan]:
    ticks = st.integers(1, 5_000_000).map(lambda n: Decimal(n) / 10_000)

    def make(stop: Decimal, gap: Decimal) -> SetupPlan:
        return replace(plan(), stop=stop, min_entry=stop + gap, max_entry=stop + gap, target=stop + 3 * gap)

    return st.builds(make, ticks, ticks)


@settings(max_examples=200, deadline=None)
@given(
    trades=st.lists(st.tuples(plans(), st.floats(0.01, 1.0)), min_size=1, max_size=25),
    cents=st.integers(100, 100_000_000),
    limits=st.builds(
        Limits,
        risk_per_trade=st.floats(0.0001, 0.0075),
        heat=st.floats(0.001, 0.06),
        min_cash=st.floats(0, 0.9),
        daily_loss=st.floats(0.001, 0.05),
    ),
    commission=st.integers(0, 500).map(lambda n: Decimal(n) / 100),
    day_return=st.floats(-0.06, 0.06),
)
def test_no_sequence_of_trades_breaks_a_limit(
    trades: list[tuple[SetupPlan, float]],
    cents: int,
    limits: Limits,
    commission: Decimal,
    day_return: float,
) -> None:
    equity = Decimal(cents) / 100
    costs = Costs(commission_usd=commission)
    view = BookView(equity=equity, cash=equity, heat_usd=Decimal(0), day_return=day_return)
    for made, scale in trades:
        full = size_entry(made, view, limits, costs)
        scaled = size_entry(made, view, limits, costs, risk_scale=scale)
        if isinstance(full, Denied):
            assert isinstance(scaled, Denied)
            assert not all(one.passed for one in full.checks)
            continue
        assert full.shares >= 1
        assert all(one.passed for one in full.checks)
        assert full.max_risk >= full.shares * (made.max_entry - made.stop)
        assert -day_return <= limits.daily_loss
        if isinstance(scaled, Denied):
            continue
        assert scaled.shares <= full.shares
        assert scaled.max_risk <= full.max_risk
        view = view.reserve(made.symbol, scaled.cost, scaled.max_risk)
        paid = scaled.shares * made.max_entry + commission  # the worst fill the band allows
        assert scaled.cost >= paid
        assert scaled.max_risk <= equity * Decimal(str(limits.risk_per_trade))
        assert view.heat_usd <= equity * Decimal(str(limits.heat))
        assert view.cash >= equity * Decimal(str(limits.min_cash)) >= 0


@settings(max_examples=200, deadline=None)
@given(
    price=st.integers(990_000, 1_010_000).map(lambda n: Decimal(n) / 10_000),
    max_shares=st.integers(1, 500),
    risk_cents=st.integers(1, 100_000),
    heat=st.integers(0, 700_000).map(lambda n: Decimal(n) / 100),
    cash=st.integers(0, 10_000_000).map(lambda n: Decimal(n) / 100),
)
def test_a_fill_only_shrinks(
    price: Decimal, max_shares: int, risk_cents: int, heat: Decimal, cash: Decimal
) -> None:
    approved = terms(max_shares=max_shares, max_risk=str(Decimal(risk_cents) / 100))
    view = replace(book(), heat_usd=heat, cash=cash)
    filled = recheck_at_fill(approved, price, view, Limits(), COSTS)
    if isinstance(filled, Sized):
        assert 1 <= filled.shares <= approved.max_shares
        assert filled.shares * (price - approved.stop) <= filled.max_risk <= approved.max_risk
        assert all(one.passed for one in filled.checks)
