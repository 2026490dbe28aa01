"""Plain objects for the tests of the trading rules; every price is easy to reckon with by hand."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from agents.market.bars import Bar
from agents.market.indicators import Technicals
from agents.trading.book import OpenPosition
from agents.trading.costs import Costs
from agents.trading.limits import BookView, Limits
from agents.trading.setups import OversoldBounceParameters, SetupPlan, plan_oversold_bounce
from storage.records import SetupType, TradeTerms

SIGNAL = date(2024, 3, 7)
ENTRY = date(2024, 3, 8)
NO_COSTS = Costs(market_bps=0, stop_bps=0, commission_usd=Decimal(0))

# Close 100, ATR 2, RSI 30, in an uptrend: the default plan is band 99-101, stop 96, target 106.
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

# Autumn 2008: far below the average, falling for months, wild.
CRASH = replace(
    PULLBACK, close=60.0, sma50=85.0, high_52w=120.0, low_52w=55.0, return_126d=-0.45, realised_vol_21d=80.0
)


def plan(symbol: str = "AAA") -> SetupPlan:
    made = plan_oversold_bounce(symbol, PULLBACK, OversoldBounceParameters())
    assert isinstance(made, SetupPlan)
    return made


def book(
    *,
    equity: str = "100000",
    cash: str = "100000",
    heat: str = "0",
    day_return: float = 0.0,
    held: frozenset[str] = frozenset(),
) -> BookView:
    return BookView(
        equity=Decimal(equity), cash=Decimal(cash), heat_usd=Decimal(heat), day_return=day_return, held=held
    )


def terms(*, max_shares: int = 100, max_risk: str = "500.00", limits: Limits | None = None) -> TradeTerms:
    return TradeTerms(
        symbol="AAA",
        setup_type=SetupType.OVERSOLD_BOUNCE,
        entry_session=ENTRY,
        min_entry=Decimal("99"),
        max_entry=Decimal("101"),
        stop=Decimal("96"),
        target=Decimal("106"),
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
        target=Decimal(106),
        max_hold=10,
        low_since=Decimal(100),
        high_since=Decimal(100),
        last_close=Decimal(100),
        last_session=ENTRY,
    )
