from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.market.bars import Bars
from agents.trading.benchmarks import (
    Benchmark,
    BenchmarkInputs,
    benchmarks,
    closes_of,
    equal_weight,
    exposure_matched,
    idle_cash,
    index_price_only,
    index_total_return,
)

DAYS = (date(2024, 3, 7), date(2024, 3, 8), date(2024, 3, 11), date(2024, 3, 12))  # over a weekend
THURSDAY, FRIDAY, MONDAY, TUESDAY = DAYS
SPY = dict(zip(DAYS, (100.0, 110.0, 99.0, 120.0), strict=True))

INPUTS = BenchmarkInputs(
    sessions=DAYS,
    start=Decimal("100000.00"),
    index_symbol="SPY",
    index_closes=SPY,
    exposure={},
    universe={"AAA": {THURSDAY: 10.0, TUESDAY: 12.0}, "BBB": {THURSDAY: 50.0, MONDAY: 40.0}},
)

paths = st.lists(st.tuples(st.floats(1, 1000), st.floats(-1, 2), st.floats(0, 0.2)), min_size=1, max_size=15)


def ended(benchmark: Benchmark | None) -> Decimal:
    assert benchmark is not None
    return benchmark.final_equity


def test_the_fund_bought_and_held() -> None:
    price_only = index_price_only(INPUTS)
    assert price_only is not None
    assert (price_only.name, price_only.final_equity) == ("SPY price only", Decimal("120000.00"))
    assert price_only.total_return == pytest.approx(0.2)
    assert price_only.label == "SPY bought and held, prices only"


def test_dividends_are_put_back_at_the_close_of_the_ex_date() -> None:
    # 1.1 dollars at 110 are a hundredth more shares.
    assert ended(index_total_return(replace(INPUTS, dividends={FRIDAY: 1.1}))) == Decimal("121200.00")


def test_a_dividend_of_the_first_day_comes_too_early_and_one_of_a_weekend_at_the_next_close() -> None:
    early = {THURSDAY: 5.0, date(2024, 3, 13): 5.0}
    assert ended(index_total_return(replace(INPUTS, dividends=early))) == Decimal("120000.00")
    weekend = {date(2024, 3, 9): 0.99}
    assert ended(index_total_return(replace(INPUTS, dividends=weekend))) == Decimal("121200.00")


def test_without_known_dividends_there_is_no_total_return() -> None:
    assert index_total_return(INPUTS) is None
    none_paid = index_total_return(replace(INPUTS, dividends={}))
    assert none_paid is not None
    assert "0 dividends reinvested" in none_paid.label


def test_the_exposure_of_the_evening_before_counts() -> None:
    # Half in on Thursday's close earns 5%; out on Friday's; all in on Monday's earns 120/99.
    held = {THURSDAY: 0.5, FRIDAY: 0.0, MONDAY: 1.0, TUESDAY: 0.0}
    matched = ended(exposure_matched(replace(INPUTS, exposure=held)))
    assert matched == Decimal("127272.73")


def test_an_exposure_that_is_not_told_stays_what_it_was() -> None:
    held = {FRIDAY: 1.0}
    assert ended(exposure_matched(replace(INPUTS, exposure=held))) == Decimal("109090.91")


def test_cash_earns_the_bill_rate_known_the_evening_before() -> None:
    rates = {THURSDAY: 0.0365, MONDAY: 0.365}
    earned = (1 + 0.0001) * (1 + 0.0003) * (1 + 0.001)  # a night, a weekend, a night
    cash = idle_cash(replace(INPUTS, bill_rates=rates))
    assert cash.total_return == pytest.approx(earned - 1)
    assert cash.label == "Never invested: cash at the bill rate"
    late = idle_cash(replace(INPUTS, bill_rates={FRIDAY: 0.0365}))
    assert late.label.endswith("nothing before 2024-03-08")
    assert late.total_return == pytest.approx((1 + 0.0003) * (1 + 0.0001) - 1)


def test_cash_without_a_known_rate_earns_nothing_and_says_so() -> None:
    cash = idle_cash(INPUTS)
    assert (cash.final_equity, cash.total_return) == (INPUTS.start, 0.0)
    assert "no bill rate known" in cash.label


def test_every_stock_in_equal_parts() -> None:
    held = equal_weight(INPUTS)  # AAA made a fifth, BBB lost a fifth and kept its last close
    assert held is not None
    assert held.final_equity == Decimal("100000.00")
    assert held.label.startswith("2 stocks in equal parts")
    assert "flatters" in held.label
    whole = equal_weight(replace(INPUTS, survivors=False))
    assert whole is not None
    assert "flatters" not in whole.label


def test_a_stock_listed_later_is_left_out() -> None:
    late: Mapping[str, Mapping[date, float]] = {**INPUTS.universe, "NEW": {FRIDAY: 1.0, TUESDAY: 9.0}}
    assert equal_weight(replace(INPUTS, universe=late)) == equal_weight(INPUTS)
    assert equal_weight(replace(INPUTS, universe={"NEW": {FRIDAY: 1.0}})) is None


def test_what_the_data_do_not_allow_is_left_out() -> None:
    names = [found.name for found in benchmarks(replace(INPUTS, dividends={}))]
    assert names == [
        "equal_weight_universe",
        "SPY price only",
        "SPY total return",
        "SPY at the desk's exposure",
        "idle cash",
    ]
    bare = replace(INPUTS, index_closes={FRIDAY: 110.0}, universe={})
    assert [found.name for found in benchmarks(bare)] == ["idle cash"]


def test_closes_come_from_bars() -> None:
    days = np.array(DAYS[:3], "datetime64[D]")
    columns = [np.array([1.0, np.nan, 3.0])] * 5
    assert closes_of(Bars("SPY", days, *columns)) == {THURSDAY: 1.0, MONDAY: 3.0}


def test_inputs_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="in order and each once"):
        replace(INPUTS, sessions=DAYS[::-1])
    with pytest.raises(ValueError, match="equity above zero"):
        replace(INPUTS, start=Decimal(0))
    with pytest.raises(ValueError, match="to be numbers"):
        replace(INPUTS, exposure={THURSDAY: float("nan")})
    with pytest.raises(ValueError, match="close above zero on 2024-03-08, was -1"):
        index_price_only(replace(INPUTS, index_closes=SPY | {FRIDAY: -1.0}))
    with pytest.raises(ValueError, match="dividend of zero or more"):
        index_total_return(replace(INPUTS, dividends={FRIDAY: -1.0}))


def drawn(rows: list[tuple[float, float, float]]) -> BenchmarkInputs:
    days = tuple(THURSDAY + timedelta(days=3 * index) for index in range(len(rows)))
    return BenchmarkInputs(
        sessions=days,
        start=Decimal("100000.00"),
        index_symbol="SPY",
        index_closes={day: row[0] for day, row in zip(days, rows, strict=True)},
        exposure={day: row[1] for day, row in zip(days, rows, strict=True)},
        universe={},
        bill_rates={day: row[2] for day, row in zip(days, rows, strict=True)},
    )


@given(paths)
def test_always_invested_is_the_fund_and_never_invested_is_cash(
    rows: list[tuple[float, float, float]],
) -> None:
    inputs = drawn(rows)
    full = exposure_matched(replace(inputs, exposure=dict.fromkeys(inputs.sessions, 1.0)))
    fund = index_price_only(inputs)
    assert full is not None
    assert fund is not None
    assert full.total_return == pytest.approx(fund.total_return, rel=1e-9, abs=1e-9)
    assert abs(full.final_equity - fund.final_equity) <= Decimal("0.01")
    empty = exposure_matched(replace(inputs, exposure=dict.fromkeys(inputs.sessions, 0.0)))
    assert ended(empty) == idle_cash(inputs).final_equity


@given(paths)
def test_nothing_is_ever_borrowed_or_sold_short(rows: list[tuple[float, float, float]]) -> None:
    inputs = drawn(rows)
    cut = {day: max(0.0, min(1.0, share)) for day, share in inputs.exposure.items()}
    assert exposure_matched(inputs) == exposure_matched(replace(inputs, exposure=cut))
    assert ended(exposure_matched(inputs)) > 0
