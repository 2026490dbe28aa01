"""What holds for any trades, books and limits."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.trading.costs import Costs
from agents.trading.limits import (
    BookView,
    Candidate,
    Correlations,
    Denied,
    EarningsDate,
    EarningsStatus,
    KellyCap,
    LadderState,
    Limits,
    Sized,
    adjusted_heat,
    recheck_entry,
    size_entry,
)
from agents.trading.limits.config import CEILINGS, FLOORS
from agents.trading.limits.portfolio import in_sector
from agents.trading.setups import SetupPlan
from tests.trading.builders import (
    ENTRY,
    any_limits,
    book,
    bounds_of,
    candidate,
    exposure,
    plan,
    terms,
)

COSTS = Costs()
SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH")
RETURNS = st.floats(-0.06, 0.06)
DRAWDOWNS = st.integers(0, 160).map(lambda tenths: Decimal(tenths) / 1000)


@st.composite
def plans(draw: st.DrawFn) -> SetupPlan:
    ticks = st.integers(1, 5_000_000).map(lambda n: Decimal(n) / 10_000)
    stop, gap = draw(ticks), draw(ticks)
    entry = stop + gap
    return replace(
        plan(draw(st.sampled_from(SYMBOLS))),
        close=entry,
        stop=stop,
        min_entry=entry,
        max_entry=entry,
        target=stop + 3 * gap,
    )


@st.composite
def facts(draw: st.DrawFn, symbol: str = "AAA") -> Candidate:
    return candidate(
        symbol,
        sector=draw(st.sampled_from(["Technology", "Energy", None])),
        adv_shares=draw(st.none() | st.integers(0, 10_000_000)),
        worst_gap=draw(st.none() | st.floats(0, 1)),
        daily_volatility=draw(st.none() | st.floats(0, 0.2)),
        earnings=draw(
            st.sampled_from(
                [
                    EarningsDate(status=EarningsStatus.CONFIRMED, session=date(2024, 5, 2)),
                    EarningsDate(status=EarningsStatus.ESTIMATED, session=date(2024, 3, 15)),
                    EarningsDate(status=EarningsStatus.UNKNOWN),
                    EarningsDate(status=EarningsStatus.NOT_SIMULATED),
                ]
            )
        ),
        kelly=draw(st.none() | st.builds(KellyCap, risk=st.floats(0, 0.05), trades=st.just(30))),
    )


CORRELATIONS = st.dictionaries(
    st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(SYMBOLS)), st.floats(-1, 1), max_size=28
).map(Correlations)


@settings(max_examples=150, deadline=None)
@given(
    trades=st.lists(st.tuples(plans(), st.floats(0.01, 1.0), st.booleans()), min_size=1, max_size=25),
    cents=st.integers(100, 100_000_000),
    limits=any_limits(),
    commission=st.integers(0, 500).map(lambda n: Decimal(n) / 100),
    day_return=RETURNS,
    week_return=RETURNS,
    drawdown=DRAWDOWNS,
    correlations=CORRELATIONS,
    data=st.data(),
)
def test_no_sequence_of_proposals_and_fills_breaks_a_limit(
    trades: list[tuple[SetupPlan, float, bool]],
    cents: int,
    limits: Limits,
    commission: Decimal,
    day_return: float,
    week_return: float,
    drawdown: Decimal,
    correlations: Correlations,
    data: st.DataObject,
) -> None:
    equity = Decimal(cents) / 100
    costs = Costs(commission_usd=commission)
    view = replace(
        book(day_return=day_return, week_return=week_return, correlations=correlations),
        equity=equity,
        cash=equity,
        unsettled=equity * data.draw(st.integers(0, 10)) / 20,
        ladder=LadderState(drawdown=drawdown, high=Decimal(1)),
    )
    for made, scale, filled in trades:
        known = data.draw(facts(made.symbol))
        full = size_entry(made, known, view, limits, costs)
        scaled = size_entry(made, known, view, limits, costs, risk_scale=scale)
        if isinstance(full, Denied):
            assert isinstance(scaled, Denied)
            continue
        assert full.shares >= 1
        assert all(one.passed for one in full.checks)
        assert full.max_risk >= full.shares * (made.max_entry - made.stop)
        assert -day_return <= limits.daily_loss
        assert -week_return <= limits.weekly_loss
        assert drawdown < Decimal(str(limits.ladder_stop))
        if isinstance(scaled, Denied):
            continue
        assert scaled.shares <= full.shares
        assert scaled.max_risk <= full.max_risk
        paid = scaled.shares * made.max_entry  # the worst fill the band allows
        assert scaled.cost >= paid + commission
        assert view.settled >= scaled.cost or limits.margin_mode.value == "margin"
        if filled:
            view = view.bought(
                made.symbol,
                amount=scaled.cost - commission,
                fee=commission,
                risk=scaled.max_risk,
                sector=known.sector,
            )
        else:
            view = view.reserve(made.symbol, scaled.cost, scaled.max_risk, sector=known.sector)
        assert scaled.max_risk <= equity * _exact(limits.risk_per_trade)
        if known.kelly is not None:
            assert scaled.max_risk <= equity * max(_exact(known.kelly.risk), _exact(limits.kelly_floor))
        assert view.heat_usd <= equity * _exact(limits.heat)
        assert adjusted_heat(view.risks, correlations) <= equity * _exact(limits.heat_adjusted)
        # a reservation counts with its commission, which the check at its own sizing leaves out
        reserved = sum(one.reserved for one in view.exposures)
        assert (
            in_sector(view.exposures, known.sector) <= equity * _exact(limits.sector) + reserved * commission
        )
        assert len(view.held | view.reserved) <= limits.max_positions
        assert scaled.shares <= (known.adv_shares or 0) * limits.adv_share
        assert paid * Decimal(str(known.worst_gap if known.worst_gap is not None else 1)) <= (
            equity * _exact(limits.worst_gap)
        )
        assert view.cash >= equity * _exact(limits.min_cash) >= 0


@settings(max_examples=200, deadline=None)
@given(
    price=st.integers(990_000, 1_010_000).map(lambda n: Decimal(n) / 10_000),
    max_shares=st.integers(1, 500),
    risk_cents=st.integers(1, 100_000),
    heat=st.integers(0, 700_000).map(lambda n: Decimal(n) / 100),
    cash=st.integers(0, 10_000_000).map(lambda n: Decimal(n) / 100),
    known=facts(),
    limits=any_limits(),
    drawdown=DRAWDOWNS,
)
def test_a_fill_only_shrinks(
    price: Decimal,
    max_shares: int,
    risk_cents: int,
    heat: Decimal,
    cash: Decimal,
    known: Candidate,
    limits: Limits,
    drawdown: Decimal,
) -> None:
    approved = terms(max_shares=max_shares, max_risk=str(Decimal(risk_cents) / 100))
    view = book(heat=str(heat), cash=str(cash), ladder=LadderState(drawdown=drawdown, high=Decimal(1)))
    filled = recheck_entry(approved, price, known, view, limits, COSTS)
    if isinstance(filled, Sized):
        assert 1 <= filled.shares <= approved.max_shares
        assert filled.shares * (price - approved.stop) <= filled.max_risk <= approved.max_risk
        assert all(one.passed for one in filled.checks)


VIEWS = st.builds(
    lambda held, cash, unsettled, day, week, drawdown, rho: book(
        exposures=tuple(
            exposure(symbol, risk=str(risk), value=str(8 * risk), sector=sector)
            for symbol, risk, sector in held
        ),
        cash=str(cash),
        unsettled=str(min(unsettled, cash)),
        day_return=day,
        week_return=week,
        ladder=LadderState(drawdown=drawdown, high=Decimal(1)),
        correlations=Correlations({("AAA", symbol): rho for symbol in SYMBOLS}),
    ),
    st.lists(
        st.tuples(
            st.sampled_from(SYMBOLS[1:]),
            st.integers(0, 1000),
            st.sampled_from(["Technology", "Energy", None]),
        ),
        max_size=6,
        unique_by=lambda row: row[0],
    ),
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.floats(-0.03, 0.03),
    st.floats(-0.05, 0.05),
    DRAWDOWNS,
    st.floats(0, 0.9),
)


def shares(result: Sized | Denied) -> int:
    return result.shares if isinstance(result, Sized) else 0


@settings(max_examples=300, deadline=None)
@given(
    view=VIEWS,
    known=facts(),
    limits=any_limits(),
    name=st.sampled_from(sorted(CEILINGS | FLOORS)),
    data=st.data(),
)
def test_no_trade_grows_when_a_limit_is_tightened(
    view: BookView, known: Candidate, limits: Limits, name: str, data: st.DataObject
) -> None:
    least, most = bounds_of(name)
    value: Any = getattr(limits, name)
    tightest = most if name in FLOORS else least
    low, high = sorted((value, type(value)(tightest)))
    drawn = data.draw(st.integers(low, high) if isinstance(value, int) else st.floats(low, high))
    bound = limits.in_force() | {name: drawn}
    for inner, outer in (
        ("heat_adjusted", "heat"),
        ("risk_per_trade", "heat"),
        ("daily_loss", "weekly_loss"),
        ("ladder_stop", "ladder_halt"),
        ("ladder_quarter", "ladder_stop"),
        ("ladder_half", "ladder_quarter"),
    ):
        bound[inner] = min(bound[inner], bound[outer])
    tighter = limits.tightened(bound)
    before = size_entry(plan(), known, view, limits, COSTS)
    assert shares(size_entry(plan(), known, view, tighter, COSTS)) <= shares(before)


@settings(max_examples=200, deadline=None)
@given(view=VIEWS, known=facts(), limits=any_limits(), other=any_limits(), scale=st.floats(0.01, 1))
def test_nothing_that_is_tighter_in_every_way_lets_more_through(
    view: BookView, known: Candidate, limits: Limits, other: Limits, scale: float
) -> None:
    tighter = limits.tightened(other.in_force())
    before = size_entry(plan(), known, view, limits, COSTS)
    assert shares(size_entry(plan(), known, view, tighter, COSTS, risk_scale=scale)) <= shares(before)


@settings(max_examples=200, deadline=None)
@given(view=VIEWS, known=facts())
def test_what_is_denied_names_a_limit_and_says_why(view: BookView, known: Candidate) -> None:
    result = size_entry(plan(), known, view, Limits(), COSTS)
    names = [one.name for one in result.checks]
    assert len(names) == len(set(names))
    if isinstance(result, Denied):
        assert result.limit in names
        assert result.reason
    else:
        assert result.bound_by in names
        assert known.entry_session == ENTRY


def _exact(fraction: float) -> Decimal:
    return Decimal(str(fraction))
