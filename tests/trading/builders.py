"""Plain objects for the tests of the trading rules; every price is easy to reckon with by hand."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from agents.market.bars import Bar
from agents.market.indicators import Technicals
from agents.trading.book import OpenPosition
from agents.trading.costs import Costs
from agents.trading.limits import (
    AT_THE_TOP,
    BookView,
    Candidate,
    Correlations,
    EarningsDate,
    EarningsStatus,
    Exposure,
    KellyCap,
    LadderState,
    Limits,
    Lock,
)
from agents.trading.limits.config import MODES
from agents.trading.setups import OversoldBounceParameters, SetupPlan, plan_oversold_bounce
from storage.records import SetupType, TradeTerms

SIGNAL = date(2024, 3, 7)
ENTRY = date(2024, 3, 8)
NO_EARNINGS = EarningsDate(status=EarningsStatus.CONFIRMED, session=date(2024, 5, 2))
NO_COSTS = Costs(market_bps=0, stop_bps=0, commission_usd=Decimal(0))

# Close 100, ATR 2, RSI 30, in an uptrend: the default plan is band 99-101, stop 96, target 108.5.
PULLBACK = Technicals(
    session=SIGNAL,
    bars=300,
    close=100.0,
    rsi14=30.0,
    rsi2=4.0,
    sma20=103.0,
    sma50=102.0,
    sma200=95.0,
    atr14=2.0,
    volume_ratio=1.5,
    dollar_volume20=5e7,
    high_52w=108.0,
    low_52w=80.0,
    return_21d=-0.05,
    return_126d=0.12,
    realised_vol_21d=25.0,
    gap=-0.01,
)

# Close 100, ATR 2, up 30% in half a year, 104 its high, RSI 50: the default momentum plan is band 99-101,
# stop 95, target 112.5.
LEADER = replace(
    PULLBACK,
    rsi14=50.0,
    sma20=100.5,
    sma50=95.0,
    sma200=85.0,
    high_52w=104.0,
    return_126d=0.30,
    prior_high_20=104.0,
    prior_low_20=96.0,
    prior_high_55=104.0,
    prior_low_55=90.0,
)

# Close 101 over a level of 100 and a base from 90, ATR 2, volume 2.25 times the usual: the default breakout
# plan is band 100-102, stop 98 (one ATR under the level), target 108.5.
BREAKING = replace(
    PULLBACK,
    close=101.0,
    rsi14=66.0,
    volume_ratio=2.25,
    high_52w=130.0,
    prior_high_20=99.0,
    prior_low_20=94.0,
    prior_high_55=100.0,
    prior_low_55=90.0,
)

# Autumn 2008: far below the average, falling for months, wild.
CRASH = replace(
    PULLBACK, close=60.0, sma50=85.0, high_52w=120.0, low_52w=55.0, return_126d=-0.45, realised_vol_21d=80.0
)


def plan(symbol: str = "AAA") -> SetupPlan:
    made = plan_oversold_bounce(symbol, PULLBACK, OversoldBounceParameters())
    assert isinstance(made, SetupPlan)
    return made


class Unrelated(Correlations):
    """Every two symbols are known to have nothing to do with each other."""

    def between(self, one: str, other: str) -> float:
        return 1.0 if one == other else 0.0

    def known(self, one: str, other: str) -> bool:
        return True


UNRELATED = Unrelated()


def exposure(
    symbol: str, *, risk: Decimal | str = "500", value: str = "10000", sector: str | None = "Other"
) -> Exposure:
    return Exposure(symbol=symbol, sector=sector, value=Decimal(value), risk=Decimal(risk))


def candidate(
    symbol: str = "AAA",
    *,
    entry_session: date = ENTRY,
    sector: str | None = "Technology",
    adv_shares: int | None = 10_000_000,
    worst_gap: float | None = 0.05,
    daily_volatility: float | None = 0.015,
    earnings: EarningsDate = NO_EARNINGS,
    kelly: KellyCap | None = None,
) -> Candidate:
    """Liquid and calm: nothing about it binds before the risk a trade does."""
    return Candidate(
        symbol=symbol,
        entry_session=entry_session,
        sector=sector,
        adv_shares=adv_shares,
        worst_gap=worst_gap,
        daily_volatility=daily_volatility,
        earnings=earnings,
        kelly=kelly,
    )


def book(
    *,
    equity: str = "100000",
    cash: str = "100000",
    heat: str = "0",
    day_return: float = 0.0,
    held: frozenset[str] = frozenset(),
    week_return: float = 0.0,
    unsettled: str = "0",
    exposures: tuple[Exposure, ...] = (),
    correlations: Correlations = UNRELATED,
    ladder: LadderState = AT_THE_TOP,
    locks: tuple[Lock, ...] = (),
) -> BookView:
    """`heat` is spread over five unrelated names of no value to speak of, so that it is only heat."""
    spread: tuple[Exposure, ...] = ()
    if Decimal(heat):
        spread = tuple(exposure(f"HEAT{n}", risk=Decimal(heat) / 5, value="0") for n in range(5))
    return BookView(
        equity=Decimal(equity),
        cash=Decimal(cash),
        unsettled=Decimal(unsettled),
        exposures=(
            *exposures,
            *spread,
            *(exposure(symbol, risk="0", value="0") for symbol in sorted(held)),
        ),
        day_return=day_return,
        week_return=week_return,
        ladder=ladder,
        locks=locks,
        correlations=correlations,
    )


def terms(*, max_shares: int = 100, max_risk: str = "500.00", limits: Limits | None = None) -> TradeTerms:
    return TradeTerms(
        symbol="AAA",
        setup_type=SetupType.OVERSOLD_BOUNCE,
        entry_session=ENTRY,
        min_entry=Decimal("99"),
        max_entry=Decimal("101"),
        stop=Decimal("96"),
        target=Decimal("108.5"),
        max_shares=max_shares,
        max_risk=Decimal(max_risk),
        max_hold=10,
        parameters_version=1,
        limits=(limits or Limits()).in_force(),
    )


def bar(opened: float, high: float, low: float, close: float, session: date = ENTRY) -> Bar:
    return Bar("AAA", session, opened, high, low, close, 1_000_000)


def position(*, shares: int = 100) -> OpenPosition:
    """Bought at 100 with the stop at 96 and the target at 106: one R is 4 dollars a share."""
    return OpenPosition(
        id=UUID(int=1),
        symbol="AAA",
        setup_type=SetupType.OVERSOLD_BOUNCE,
        shares=shares,
        entry_session=ENTRY,
        entry_price=Decimal(100),
        entry_fee=Decimal("1.00"),
        stop=Decimal(96),
        initial_stop=Decimal(96),
        target=Decimal(106),
        max_hold=10,
        low_since=Decimal(100),
        high_since=Decimal(100),
        last_close=Decimal(100),
        last_session=ENTRY,
    )


def bounds_of(name: str) -> tuple[float, float]:
    """The hard bounds of a numeric limit; below what must be above zero, a thousandth of the upper one."""
    least = most = 0.0
    for constraint in Limits.model_fields[name].metadata:
        most = float(getattr(constraint, "le", most))
        least = float(getattr(constraint, "ge", least))
    return least or most / 1000, most


@st.composite
def any_limits(draw: st.DrawFn) -> Limits:
    """Any limits that may be in force."""
    values: dict[str, Any] = {}
    for name, field in Limits.model_fields.items():
        if name in MODES:
            values[name] = draw(st.sampled_from(MODES[name]))
        elif isinstance(field.default, int):
            values[name] = draw(st.integers(*(int(bound) for bound in bounds_of(name))))
        else:
            values[name] = draw(st.floats(*bounds_of(name)))
    for low, high in (
        ("heat_adjusted", "heat"),
        ("risk_per_trade", "heat"),
        ("daily_loss", "weekly_loss"),
        ("ladder_stop", "ladder_halt"),
        ("ladder_quarter", "ladder_stop"),
        ("ladder_half", "ladder_quarter"),
    ):
        values[low] = min(values[low], values[high])
    return Limits(**values)
