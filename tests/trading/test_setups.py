from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.market.indicators import Technicals
from agents.trading.setups import NoSetup, OversoldBounceParameters, SetupPlan, plan_oversold_bounce
from tests.trading.builders import PULLBACK, plan

PARAMETERS = st.builds(
    OversoldBounceParameters,
    rsi_max=st.floats(15, 45),
    entry_band_atr=st.floats(0.1, 1.0),
    stop_atr=st.floats(1, 4),
    target_r=st.floats(1, 4),
    max_hold=st.integers(2, 30),
)


def test_the_prices_are_multiples_of_the_average_true_range_from_the_close() -> None:
    made = plan()
    assert (made.min_entry, made.max_entry) == (Decimal(99), Decimal(101))
    assert (made.stop, made.target) == (Decimal(96), Decimal(106))
    assert (made.max_hold, made.session) == (10, PULLBACK.session)


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        (replace(PULLBACK, rsi14=38.1), "RSI(14) 38.1 is above 38"),
        (replace(PULLBACK, rsi14=None), "missing"),
        (replace(PULLBACK, atr14=None), "missing"),
        (replace(PULLBACK, atr14=0.0), "above zero"),
        (replace(PULLBACK, atr14=60.0), "out of order"),  # the stop would lie below zero
        (replace(PULLBACK, atr14=0.00001), "out of order"),  # nothing fits between the ticks
    ],
)
def test_what_cannot_be_traded_is_no_setup_with_the_reason(readings: Technicals, reason: str) -> None:
    made = plan_oversold_bounce("AAA", readings, OversoldBounceParameters())
    assert isinstance(made, NoSetup)
    assert reason in made.reason


def test_a_band_as_wide_as_the_stop_still_enters_above_the_stop() -> None:
    made = plan_oversold_bounce("AAA", PULLBACK, OversoldBounceParameters(entry_band_atr=1, stop_atr=1))
    assert isinstance(made, SetupPlan)
    assert made.min_entry == made.stop + Decimal("0.0001")


def test_a_target_inside_the_band_is_no_setup() -> None:
    tight = OversoldBounceParameters(entry_band_atr=1, stop_atr=1, target_r=1)
    assert isinstance(plan_oversold_bounce("AAA", PULLBACK, tight), NoSetup)


@given(PARAMETERS, st.floats(0.001, 5000), st.floats(0.00001, 1000), st.floats(0, 100))
def test_a_plan_is_always_in_order(
    parameters: OversoldBounceParameters, close: float, atr: float, rsi: float
) -> None:
    made = plan_oversold_bounce("AAA", replace(PULLBACK, close=close, atr14=atr, rsi14=rsi), parameters)
    if isinstance(made, SetupPlan):
        assert 0 < made.stop < made.min_entry <= made.max_entry < made.target
        assert rsi <= parameters.rsi_max


@pytest.mark.parametrize("wrong", [{"rsi_max": 46}, {"stop_atr": 0.5}, {"max_hold": 31}, {"rsi_min": 10}])
def test_a_parameter_out_of_bounds_or_unknown_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        OversoldBounceParameters.model_validate(wrong)
