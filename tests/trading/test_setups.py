from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from decimal import Decimal
from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from agents.market.indicators import Technicals
from agents.trading.setups import (
    BreakoutParameters,
    MomentumParameters,
    NoSetup,
    OversoldBounceParameters,
    SetupPlan,
    Setups,
    plan_breakout,
    plan_momentum,
    plan_oversold_bounce,
    plan_setup,
)
from storage.records import SetupType
from tests.trading.builders import BREAKING, LEADER, PULLBACK, plan

ALL = tuple(SetupType)
PARAMETERS = st.builds(
    OversoldBounceParameters,
    rsi_max=st.floats(15, 45),
    entry_band_atr=st.floats(0.1, 1.0),
    stop_atr=st.floats(1, 4),
    target_r=st.floats(1, 4),
    min_reward_risk=st.floats(1, 4),
    max_hold=st.integers(2, 30),
)
MOMENTUM = st.builds(
    MomentumParameters,
    return_min=st.floats(0.05, 1),
    high_within=st.floats(0.02, 0.25),
    rsi_min=st.floats(30, 50),
    rsi_max=st.floats(50, 70),
    max_extension_atr=st.floats(0, 3),
    entry_band_atr=st.floats(0.1, 1.0),
    stop_atr=st.floats(1, 4),
    target_r=st.floats(1, 6),
    min_reward_risk=st.floats(1, 4),
)
BREAKOUT = st.builds(
    BreakoutParameters,
    lookback=st.sampled_from([20, 55]),
    volume_ratio_min=st.floats(1, 5),
    max_base_atr=st.floats(2, 20),
    max_extension_atr=st.floats(0.1, 2),
    entry_band_atr=st.floats(0.1, 1.0),
    level_stop_atr=st.floats(0.25, 3),
    stop_atr=st.floats(1, 4),
    target_r=st.floats(1, 6),
    min_reward_risk=st.floats(1, 4),
)
SETUPS = st.builds(Setups, oversold_bounce=PARAMETERS, momentum=MOMENTUM, breakout=BREAKOUT)

NUMBERS = [field.name for field in fields(Technicals) if field.name not in ("session", "bars")]
# Whatever a broken feed could bring.
ANYTHING = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(-200, 200))


def with_readings(readings: Technicals, changed: Mapping[str, float | None]) -> Technicals:
    return replace(readings, **changed)  # type: ignore[arg-type]


def in_order(made: SetupPlan) -> bool:
    return 0 < made.stop < made.min_entry <= made.max_entry < made.target


def gives(made: SetupPlan, least: float) -> bool:
    """Whether the reward at the highest entry is at least this multiple of the risk there."""
    return made.target - made.max_entry >= Decimal(str(least)) * (made.max_entry - made.stop)


def momentum(readings: Technicals, **changed: float) -> SetupPlan | NoSetup:
    return plan_momentum("AAA", readings, MomentumParameters.model_validate(changed))


def breakout(readings: Technicals, **changed: float) -> SetupPlan | NoSetup:
    return plan_breakout("AAA", readings, BreakoutParameters.model_validate(changed))


def test_the_prices_are_multiples_of_the_average_true_range_from_the_close() -> None:
    made = plan()
    assert (made.min_entry, made.max_entry) == (Decimal(99), Decimal(101))
    assert (made.stop, made.target) == (Decimal(96), Decimal("108.5"))  # 1.5 R from the close would be 106
    assert (made.max_hold, made.session) == (10, PULLBACK.session)
    assert made.conviction == 0.605  # 0.5 + 0.5 x (38 - 30) / 38
    assert made.reward_risk == Decimal("1.5")  # (108.5 - 101) / (101 - 96)
    far = plan_oversold_bounce("AAA", PULLBACK, OversoldBounceParameters(target_r=3))
    assert isinstance(far, SetupPlan)
    assert far.target == 112  # far enough as it is


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        (replace(PULLBACK, rsi14=38.1), "RSI(14) 38.1 is above 38"),
        (replace(PULLBACK, rsi14=None), "missing"),
        (replace(PULLBACK, atr14=None), "missing"),
        (replace(PULLBACK, atr14=0.0), "above zero"),
        (replace(PULLBACK, close=-5.0), "close -5 must be above zero"),
        (replace(PULLBACK, rsi14=nan), "RSI(14) nan is no usable number"),
        (replace(PULLBACK, close=inf), "close inf is no usable number"),
        (replace(PULLBACK, rsi14=-1.0), "RSI(14) -1 is outside 0 to 100"),
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


@given(PARAMETERS, st.floats(0.001, 5000), st.floats(0.00001, 1000), st.floats(0, 100))
def test_a_plan_is_always_in_order(
    parameters: OversoldBounceParameters, close: float, atr: float, rsi: float
) -> None:
    made = plan_oversold_bounce("AAA", replace(PULLBACK, close=close, atr14=atr, rsi14=rsi), parameters)
    if isinstance(made, SetupPlan):
        assert in_order(made)
        assert gives(made, parameters.min_reward_risk)
        assert rsi <= parameters.rsi_max


def test_momentum_by_hand() -> None:
    made = momentum(LEADER)
    assert isinstance(made, SetupPlan)
    assert (made.setup_type, made.max_hold) == (SetupType.MOMENTUM, 20)
    assert (made.min_entry, made.max_entry) == (Decimal(99), Decimal(101))
    assert (made.stop, made.target) == (Decimal(95), Decimal("112.5"))
    # 0.5 + 0.5 x the mean of 1 (twice the return), 1 - 0.03846 / 0.10 and (60 - 50) / 20
    assert made.conviction == 0.853
    assert made.signal == "in an uptrend 3.8% under its 52-week high, resting at RSI(14) 50.0"


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        (replace(LEADER, sma50=100.0), "no uptrend: close 100.00, SMA50 100.00, SMA200 85.00"),
        (replace(LEADER, sma200=95.5), "no uptrend: close 100.00, SMA50 95.00, SMA200 95.50"),
        (replace(LEADER, return_126d=0.149), "126-session return 14.9% is below 15.0%"),
        (replace(LEADER, high_52w=112.0), "10.7% under the 52-week high is more than 10.0%"),
        (replace(LEADER, rsi14=39.9), "RSI(14) 39.9 is outside 40 to 60"),
        (replace(LEADER, rsi14=60.1), "RSI(14) 60.1 is outside 40 to 60"),
        (replace(LEADER, sma20=97.8), "1.10 ATR above SMA20 is more than 1"),
        (replace(LEADER, high_52w=None, sma20=None), "SMA20, 52-week high missing"),
        (replace(LEADER, atr14=0.0), "ATR(14) 0 must be above zero"),
        (replace(LEADER, return_126d=nan), "126-session return nan is no usable number"),
        (replace(LEADER, sma20=-3.0), "SMA20 -3 must be above zero"),
        (replace(LEADER, atr14=45.0), "out of order"),  # the stop would lie below zero
    ],
)
def test_no_momentum_with_the_reason(readings: Technicals, reason: str) -> None:
    made = momentum(readings)
    assert isinstance(made, NoSetup)
    assert reason in made.reason


def test_a_target_too_near_for_the_reward_is_lifted() -> None:
    made = momentum(LEADER, target_r=1)
    assert isinstance(made, SetupPlan)
    assert (made.target, made.reward_risk) == (Decimal(110), Decimal("1.5"))  # 101 + 1.5 x (101 - 95)
    made = breakout(BREAKING, min_reward_risk=3)
    assert isinstance(made, SetupPlan)
    assert (made.target, made.reward_risk) == (Decimal(114), Decimal(3))  # 102 + 3 x (102 - 98)


def test_breakout_by_hand() -> None:
    made = breakout(BREAKING)
    assert isinstance(made, SetupPlan)
    assert (made.setup_type, made.max_hold) == (SetupType.BREAKOUT, 20)
    assert (made.min_entry, made.max_entry) == (Decimal(100), Decimal(102))
    assert (made.stop, made.target) == (Decimal(98), Decimal("108.5"))
    # 0.5 + 0.5 x the mean of 2.25 / 1.5 - 1, 1 - 5 / 8 and 1 - 0.5
    assert made.conviction == 0.729
    assert made.signal == "above its 55-session high of 100.00 on 2.2 times its usual volume"


def test_the_breakout_stops_at_the_nearer_of_level_and_close() -> None:
    made = breakout(BREAKING, stop_atr=1, level_stop_atr=2)
    assert isinstance(made, SetupPlan)
    assert made.stop == 99  # one ATR under the close, not two under the level


def test_the_shorter_lookback_has_its_own_level() -> None:
    made = breakout(BREAKING, lookback=20)
    assert isinstance(made, SetupPlan)
    assert "20-session high of 99.00" in made.signal
    assert made.stop == 97


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        (replace(BREAKING, close=100.0), "close 100.00 is not above the 55-session high 100.00"),
        (replace(BREAKING, volume_ratio=1.49), "volume ratio 1.49 is below 1.5"),
        (replace(BREAKING, prior_low_55=83.0), "a base of 8.5 ATR is not within 8"),
        (replace(BREAKING, prior_low_55=100.5), "a base of -0.2 ATR is not within 8"),  # low above the high
        (replace(BREAKING, close=102.1), "1.05 ATR above the level is more than 1"),
        (replace(BREAKING, prior_high_55=None), "55-session high missing"),
        (replace(BREAKING, volume_ratio=None), "volume ratio missing"),
        (replace(BREAKING, prior_low_55=-1.0), "low -1 must be above zero"),
        (replace(BREAKING, prior_high_55=nan), "55-session high nan is no usable number"),
        (replace(BREAKING, atr14=-2.0), "ATR(14) -2 must be above zero"),
    ],
)
def test_no_breakout_with_the_reason(readings: Technicals, reason: str) -> None:
    made = breakout(readings)
    assert isinstance(made, NoSetup)
    assert reason in made.reason


def test_the_setup_that_shows_is_the_one_planned() -> None:
    for readings, kind in zip((PULLBACK, LEADER, BREAKING), ALL, strict=True):
        made = plan_setup("AAA", readings, Setups(), ALL)
        assert isinstance(made, SetupPlan)
        assert made.setup_type is kind
        assert made.parameters == getattr(Setups(), kind)


def test_the_plainest_setup_wins_and_the_first_of_equals() -> None:
    both = replace(LEADER, rsi14=45.0)
    loose = Setups(oversold_bounce=OversoldBounceParameters(rsi_max=45))
    bounce, rest = plan_oversold_bounce("AAA", both, loose.oversold_bounce), momentum(both)
    assert isinstance(bounce, SetupPlan)
    assert isinstance(rest, SetupPlan)
    assert bounce.conviction < rest.conviction
    assert plan_setup("AAA", both, loose, ALL) == rest
    # at the edge of every bound momentum is worth 0.5 as well
    edge = replace(both, return_126d=0.25, high_52w=125.0)
    even = loose.model_copy(
        update={"momentum": MomentumParameters(return_min=0.25, high_within=0.2, rsi_min=45, rsi_max=50)}
    )
    worth = [plan_setup("AAA", replace(edge, rsi14=45.0), even, {kind}) for kind in ALL[:2]]
    assert [made.conviction for made in worth if isinstance(made, SetupPlan)] == [0.5, 0.667]
    tie = replace(edge, rsi14=50.0)
    even = even.model_copy(update={"oversold_bounce": OversoldBounceParameters.model_construct(rsi_max=50.0)})
    chosen = plan_setup("AAA", tie, even, ALL)
    assert isinstance(chosen, SetupPlan)
    assert (chosen.conviction, chosen.setup_type) == (0.5, SetupType.OVERSOLD_BOUNCE)


def test_a_setup_that_is_not_allowed_is_never_planned() -> None:
    made = plan_setup("AAA", LEADER, Setups(), {SetupType.OVERSOLD_BOUNCE})
    assert made == NoSetup("oversold bounce: RSI(14) 50.0 is above 38")
    assert plan_setup("AAA", LEADER, Setups(), ()) == NoSetup("no setup is allowed")


def test_no_setup_names_why_each_allowed_one_failed() -> None:
    made = plan_setup("AAA", replace(PULLBACK, rsi14=55.0, prior_high_55=99.0), Setups(), ALL)
    assert made == NoSetup(
        "oversold bounce: RSI(14) 55.0 is above 38; "
        "momentum: no uptrend: close 100.00, SMA50 102.00, SMA200 95.00; "
        "breakout: 55-session low missing"
    )


@given(MOMENTUM, st.floats(0.001, 5000), st.floats(0.0001, 0.3))
def test_a_momentum_plan_is_in_order_and_gives_its_reward(
    parameters: MomentumParameters, close: float, quiet: float
) -> None:
    """Always a plan as far as the conditions go; only the prices may still be out of order."""
    readings = replace(
        LEADER,
        close=close,
        rsi14=50.0,
        sma20=close,
        sma50=0.9 * close,
        sma200=0.8 * close,
        high_52w=close,
        atr14=quiet * close,
        return_126d=1.0,
    )
    made = plan_momentum("AAA", readings, parameters)
    if isinstance(made, NoSetup):
        assert "out of order" in made.reason or close < 0.1
        return
    assert in_order(made)
    assert gives(made, parameters.min_reward_risk)


@given(BREAKOUT, st.floats(0.001, 5000), st.floats(0.0001, 0.3), st.floats(0.01, 1), st.floats(0, 1))
def test_a_breakout_plan_is_in_order_and_gives_its_reward(
    parameters: BreakoutParameters, level: float, quiet: float, over: float, width: float
) -> None:
    atr = quiet * level
    floor = max(level - width * parameters.max_base_atr * atr, 1e-6)
    readings = replace(
        BREAKING,
        close=level + over * parameters.max_extension_atr * atr,
        atr14=atr,
        volume_ratio=6.0,
        prior_high_20=level,
        prior_low_20=floor,
        prior_high_55=level,
        prior_low_55=floor,
    )
    made = plan_breakout("AAA", readings, parameters)
    if isinstance(made, SetupPlan):
        assert in_order(made)
        assert gives(made, parameters.min_reward_risk)
        assert 0.5 <= made.conviction <= 1


@given(
    SETUPS,
    st.sampled_from([PULLBACK, LEADER, BREAKING]),
    st.dictionaries(st.sampled_from(NUMBERS), ANYTHING),
    st.sets(st.sampled_from(ALL)),
)
def test_no_reading_however_broken_is_more_than_no_setup(
    setups: Setups, readings: Technicals, broken: dict[str, float | None], allowed: Collection[SetupType]
) -> None:
    made = plan_setup("AAA", with_readings(readings, broken), setups, allowed)
    if isinstance(made, SetupPlan):
        assert in_order(made)
        assert made.setup_type in allowed
        assert isfinite(made.conviction)
    else:
        assert made.reason


USED = {
    SetupType.OVERSOLD_BOUNCE: ("close", "rsi14", "atr14"),
    SetupType.MOMENTUM: (
        "close",
        "sma20",
        "sma50",
        "sma200",
        "atr14",
        "high_52w",
        "rsi14",
        "return_126d",
    ),
    SetupType.BREAKOUT: ("close", "atr14", "prior_high_55", "prior_low_55", "volume_ratio"),
}


@pytest.mark.parametrize("bad", [None, nan, inf, -inf, -1.0, -1e300, 1e300])
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in USED.items() for name in names])
def test_a_bad_reading_that_a_setup_uses_is_no_setup(kind: SetupType, name: str, bad: float | None) -> None:
    good = dict(zip(ALL, (PULLBACK, LEADER, BREAKING), strict=True))[kind]
    assert isinstance(plan_setup("AAA", good, Setups(), {kind}), SetupPlan)
    assert isinstance(plan_setup("AAA", with_readings(good, {name: bad}), Setups(), {kind}), NoSetup)


@pytest.mark.parametrize("wrong", [{"rsi_max": 46}, {"stop_atr": 0.5}, {"max_hold": 31}, {"rsi_min": 10}])
def test_a_parameter_out_of_bounds_or_unknown_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        OversoldBounceParameters.model_validate(wrong)


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (MomentumParameters, {"rsi_max": 71}),
        (MomentumParameters, {"min_reward_risk": 0.9}),
        (MomentumParameters, {"lookback": 55}),
        (BreakoutParameters, {"lookback": 30}),
        (BreakoutParameters, {"volume_ratio_min": 0.5}),
        (BreakoutParameters, {"entry_band_atr": 1.1}),
        (Setups, {"news": {}}),
    ],
)
def test_the_other_parameters_have_their_bounds_too(model: type[BaseModel], wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        model.model_validate(wrong)


def test_the_setups_read_what_the_environment_writes() -> None:
    read = Setups.model_validate({"breakout": {"lookback": "20"}, "momentum": {"rsi_max": "55"}})
    assert (read.breakout.lookback, read.momentum.rsi_max) == (20, 55.0)
    assert {kind.value for kind in SetupType} == set(Setups.model_fields)
