"""The regime policy: a table of ceilings that nothing can widen, and stops that only ever rise."""

from decimal import Decimal
from itertools import product
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.trading.policy import (
    BearRow,
    BullRow,
    HighVolatilityRow,
    Policy,
    RegimePolicy,
    SidewaysRow,
    is_tighter,
    policy_for,
    tightened_stop,
)
from storage.records import Direction, SetupType, Volatility

ALL = frozenset(SetupType)
BOUNCE = frozenset({SetupType.OVERSOLD_BOUNCE})
STATES = list(product(Direction, Volatility))

TABLES = st.builds(
    RegimePolicy,
    bull=st.builds(
        BullRow, momentum=st.booleans(), risk_per_trade=st.floats(1e-4, 0.0075), heat=st.floats(1e-4, 0.06)
    ),
    sideways=st.builds(SidewaysRow, oversold_bounce=st.booleans(), heat=st.floats(1e-4, 0.04)),
    bear=st.builds(BearRow, risk_per_trade=st.floats(1e-4, 0.0025), heat=st.floats(1e-4, 0.015)),
    high_vol=st.builds(
        HighVolatilityRow, breakout=st.booleans(), risk_scale=st.floats(0.01, 0.5), heat=st.floats(1e-4, 0.03)
    ),
)
PRICES = st.decimals("0.0002", "10000", places=4)
RANGES = st.decimals("0.0001", "500", places=4)
FACTORS = st.floats(0.5, 1.5)


@pytest.mark.parametrize(
    ("direction", "volatility", "setups", "risk", "heat"),
    [
        (Direction.BULL, Volatility.NORMAL_VOL, ALL, 0.005, 0.06),
        (Direction.BULL, Volatility.LOW_VOL, ALL, 0.005, 0.06),
        (Direction.BULL, Volatility.HIGH_VOL, ALL, 0.0025, 0.03),
        (Direction.SIDEWAYS, Volatility.NORMAL_VOL, BOUNCE, 0.005, 0.04),
        (Direction.SIDEWAYS, Volatility.HIGH_VOL, BOUNCE, 0.0025, 0.03),
        (Direction.BEAR, Volatility.LOW_VOL, BOUNCE, 0.0025, 0.015),
        (Direction.BEAR, Volatility.HIGH_VOL, BOUNCE, 0.0025, 0.015),
    ],
)
def test_the_table(
    direction: Direction, volatility: Volatility, setups: frozenset[SetupType], risk: float, heat: float
) -> None:
    policy = policy_for(direction, volatility)
    assert (policy.setups, policy.risk_per_trade, policy.heat) == (setups, risk, heat)


def test_the_reasons_name_the_state_that_made_each_field_tighter() -> None:
    assert policy_for(Direction.BULL, Volatility.NORMAL_VOL).reasons == ()
    assert policy_for(Direction.SIDEWAYS, Volatility.HIGH_VOL).reasons == (
        "SIDEWAYS: only the oversold bounce",
        "HIGH_VOL: at most 0.25% of equity at risk a trade",
        "HIGH_VOL: at most 3.0% of equity in heat",
    )
    nothing = RegimePolicy(bear=BearRow(oversold_bounce=False))
    assert policy_for(Direction.BEAR, Volatility.LOW_VOL, nothing).reasons[0] == "BEAR: no setup"


def test_half_the_risk_is_half_of_the_desks_own_limit() -> None:
    def risk(direction: Direction, full: float) -> float:
        return policy_for(direction, Volatility.HIGH_VOL, full_risk=full).risk_per_trade

    assert risk(Direction.BULL, 0.003) == 0.0015
    assert risk(Direction.BULL, 0.0075) == 0.00375
    assert risk(Direction.BEAR, 0.0075) == 0.0025  # the tighter of the two, not a share of a share
    assert risk(Direction.BEAR, 0.003) == 0.0015


@given(TABLES, st.sampled_from(STATES), st.floats(1e-4, 0.02))
def test_no_field_is_ever_wider_than_the_table_or_the_limit(
    table: RegimePolicy, state: tuple[Direction, Volatility], full: float
) -> None:
    policy = policy_for(*state, table, full_risk=full)
    default = policy_for(*state, full_risk=full)
    calm = policy_for(state[0], Volatility.NORMAL_VOL, table, full_risk=full)
    for wider in (default, calm):
        assert policy.setups <= wider.setups
        assert policy.risk_per_trade <= wider.risk_per_trade <= full
        assert policy.heat <= wider.heat <= 0.06
    assert 0 < policy.risk_per_trade <= 0.0075
    assert policy.heat > 0
    assert not is_tighter(default, policy)


@pytest.mark.parametrize("full", [0.0, -0.005, nan, inf])
def test_a_full_risk_that_is_none_is_refused(full: float) -> None:
    with pytest.raises(ValueError, match="full risk above zero"):
        policy_for(Direction.BULL, Volatility.NORMAL_VOL, full_risk=full)


@pytest.mark.parametrize(
    ("row", "wider"),
    [
        ("bull", {"heat": 0.061}),
        ("bull", {"risk_per_trade": 0.008}),
        ("sideways", {"heat": 0.05}),
        ("sideways", {"momentum": True}),
        ("bear", {"risk_per_trade": 0.003}),
        ("bear", {"heat": 0.02}),
        ("bear", {"breakout": True}),
        ("high_vol", {"risk_scale": 0.6}),
        ("high_vol", {"heat": 0.04}),
        ("high_vol", {"heat": nan}),
        ("bear", {"heat": 0.0}),
        ("euphoria", {}),
    ],
)
def test_an_operator_can_only_tighten(row: str, wider: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wider), row)):
        RegimePolicy.model_validate({row: wider})


def test_a_row_set_in_part_keeps_the_rest_of_its_defaults() -> None:
    table = RegimePolicy.model_validate({"bear": {"heat": "0.01"}, "high_vol": {"momentum": "false"}})
    policy = policy_for(Direction.BEAR, Volatility.NORMAL_VOL, table)
    assert (policy.setups, policy.risk_per_trade, policy.heat) == (BOUNCE, 0.0025, 0.01)
    assert policy_for(Direction.BULL, Volatility.HIGH_VOL, table).setups == ALL - {SetupType.MOMENTUM}


def test_what_counts_as_a_tighter_regime() -> None:
    calm = policy_for(Direction.BULL, Volatility.NORMAL_VOL)
    wild = policy_for(Direction.BULL, Volatility.HIGH_VOL)
    flat = policy_for(Direction.SIDEWAYS, Volatility.NORMAL_VOL)
    bear = policy_for(Direction.BEAR, Volatility.NORMAL_VOL)
    assert is_tighter(wild, calm)
    assert is_tighter(flat, calm)
    assert is_tighter(bear, flat)
    assert not is_tighter(calm, calm)
    assert not is_tighter(calm, bear)
    mixed = Policy(setups=ALL, risk_per_trade=0.001, heat=0.06, reasons=())
    assert is_tighter(mixed, bear)
    assert is_tighter(bear, mixed)


@pytest.mark.parametrize(
    ("stop", "close", "atr", "expected"),
    [
        ("96", 100.0, 2.0, "97"),  # 1.5 ATR below the close
        ("98", 100.0, 2.0, "98"),  # already nearer: never loosened
        ("96", 100.0, 0.1, "99.5"),  # never nearer than half a percent
        ("96", 95.0, 2.0, "96"),  # the close is through the stop: the next bar settles it
        ("1", 2.0, 3.0, "1"),  # wider than the price itself
        ("96", Decimal("100.0001"), Decimal("2.00005"), "97"),  # down to the tick: 97.000025
    ],
)
def test_stops_are_pulled_up_and_never_down(
    stop: str, close: float | Decimal, atr: float | Decimal, expected: str
) -> None:
    assert tightened_stop(Decimal(stop), close, atr) == Decimal(expected)


@pytest.mark.parametrize("bad", [None, nan, inf, -inf, 0.0, -5.0, 1e300, Decimal("NaN"), Decimal(-1)])
def test_without_a_sound_close_and_range_the_stop_stays(bad: float | Decimal | None) -> None:
    assert tightened_stop(Decimal(96), bad, 2.0) == 96
    assert tightened_stop(Decimal(96), 100.0, bad) == 96


@pytest.mark.parametrize(
    ("stop", "factor"), [("0", 1.5), ("-1", 1.5), ("NaN", 1.5), ("96", 0.0), ("96", -1.0), ("96", nan)]
)
def test_a_stop_that_is_none_is_refused(stop: str, factor: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        tightened_stop(Decimal(stop), 100.0, 2.0, stop_atr=factor)


@given(PRICES, PRICES, RANGES, FACTORS)
def test_tightening_never_loosens_nor_sells_at_once_and_is_idempotent(
    stop: Decimal, close: Decimal, atr: Decimal, factor: float
) -> None:
    tightened = tightened_stop(stop, close, atr, stop_atr=factor)
    assert tightened >= stop
    assert tightened == stop or tightened <= close * Decimal("0.995")
    assert tightened_stop(tightened, close, atr, stop_atr=factor) == tightened


@given(PRICES, PRICES, PRICES, PRICES, RANGES, RANGES, FACTORS, FACTORS)
def test_tightening_is_monotone(
    stop: Decimal,
    other: Decimal,
    close: Decimal,
    later: Decimal,
    atr: Decimal,
    wider: Decimal,
    factor: float,
    farther: float,
) -> None:
    """A higher stop, a higher close, a smaller range and a nearer factor never give a lower stop."""
    (stop, other), (close, later) = sorted((stop, other)), sorted((close, later))
    (atr, wider), (factor, farther) = sorted((atr, wider)), sorted((factor, farther))
    made = tightened_stop(stop, close, atr, stop_atr=factor)
    assert tightened_stop(other, close, atr, stop_atr=factor) >= made
    assert tightened_stop(stop, later, atr, stop_atr=factor) >= made
    assert tightened_stop(stop, close, wider, stop_atr=factor) <= made
    assert tightened_stop(stop, close, atr, stop_atr=farther) <= made
