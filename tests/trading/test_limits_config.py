from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.trading.limits import Limits, MarginMode, risk_policy
from agents.trading.limits.config import CEILINGS, FLOORS, MODES, SETTLED_CASH_ONLY
from tests.trading.builders import any_limits, bounds_of

NUMBERS = sorted(CEILINGS | FLOORS)


def is_tighter_or_equal(name: str, one: Any, other: Any) -> bool:
    if name in MODES:
        return MODES[name].index(one) <= MODES[name].index(other)
    return bool(one >= other if name in FLOORS else one <= other)


def test_the_defaults_are_the_rules_on_the_page() -> None:
    assert Limits().in_force() == {
        "risk_per_trade": 0.005,
        "kelly_floor": 0.0005,
        "heat": 0.06,
        "heat_adjusted": 0.04,
        "volatility_target": 0.004,
        "worst_gap": 0.015,
        "adv_share": 0.01,
        "max_positions": 10.0,
        "correlation": 0.85,
        "sector": 0.25,
        "min_cash": 0.0,
        "daily_loss": 0.02,
        "weekly_loss": 0.04,
        "ladder_half": 0.05,
        "ladder_quarter": 0.08,
        "ladder_stop": 0.12,
        "ladder_halt": 0.15,
        "probation_trades": 20.0,
        "min_reward_risk": 1.5,
        "earnings_sessions": 3.0,
        "earnings_margin": 2.0,
        "earnings_unknown_scale": 0.5,
        "settled_cash_only": 1.0,
    }


def test_every_limit_is_a_ceiling_a_floor_or_a_mode() -> None:
    assert CEILINGS | FLOORS | set(MODES) == set(Limits.model_fields)
    assert not CEILINGS & FLOORS


@pytest.mark.parametrize("name", NUMBERS)
def test_a_limit_wider_than_its_bound_is_refused_by_name(name: str) -> None:
    least, most = bounds_of(name)
    widest = least if name in FLOORS else most
    beyond = widest - 1 if name in FLOORS else widest + (1 if widest >= 1 else 1e-6)
    with pytest.raises(ValidationError, match=name):
        Limits.model_validate({name: beyond})
    tightest = most if name in FLOORS else least
    assert getattr(Limits.model_validate({name: tightest}), name) == tightest


@pytest.mark.parametrize(
    "wrong", [{"haet": 0.05}, {"margin_mode": "leverage"}, {"earnings_hold": "pray"}, {"heat": float("nan")}]
)
def test_what_is_unknown_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Limits.model_validate(wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"heat": 0.03, "heat_adjusted": 0.035},
            "heat_adjusted 0.035 is above heat 0.03: correlation only lowers heat, so it would never bind",
        ),
        ({"heat": 0.003, "risk_per_trade": 0.004}, "risk_per_trade 0.004 is above heat 0.003: one trade"),
        (
            {"daily_loss": 0.03, "weekly_loss": 0.02},
            "daily_loss 0.03 is above weekly_loss 0.02: a single day",
        ),
        ({"daily_loss": 0.05}, "daily_loss 0.05 is above weekly_loss 0.04"),
        ({"ladder_half": 0.05, "ladder_quarter": 0.04}, "ladder_half 0.05 is above ladder_quarter 0.04"),
        ({"ladder_stop": 0.1, "ladder_halt": 0.09}, "ladder_stop 0.1 is above ladder_halt 0.09"),
    ],
)
def test_limits_that_contradict_each_other_are_refused_in_one_sentence(
    wrong: dict[str, float], said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Limits.model_validate(wrong)
    (error,) = refused.value.errors()
    assert said in error["msg"]
    assert "\n" not in error["msg"]


def test_an_unset_limit_follows_the_one_it_may_not_exceed() -> None:
    assert Limits(heat=0.03).heat_adjusted == 0.03
    assert Limits.model_validate({"heat": "0.003"}).risk_per_trade == 0.003
    assert Limits(weekly_loss=0.01).daily_loss == 0.01
    tight = Limits(ladder_halt=0.06)
    assert (tight.ladder_stop, tight.ladder_quarter, tight.ladder_half) == (0.06, 0.06, 0.05)


@given(any_limits())
def test_limits_survive_being_written_down(limits: Limits) -> None:
    assert Limits.model_validate(limits.model_dump(mode="json")) == limits
    assert limits.tightened(limits.in_force()) == limits


@given(any_limits(), any_limits())
def test_tightened_is_the_tighter_of_each_and_never_wider(now: Limits, bound: Limits) -> None:
    result = now.tightened(bound.in_force())
    for name in Limits.model_fields:
        ours, theirs, tighter = (getattr(limits, name) for limits in (now, bound, result))
        assert tighter in (ours, theirs)
        assert is_tighter_or_equal(name, tighter, ours)
        if name != "earnings_hold":  # says nothing about an entry, so an approval does not bind it
            assert is_tighter_or_equal(name, tighter, theirs)


@given(any_limits(), st.sampled_from(NUMBERS), st.data())
def test_what_an_approval_did_not_bind_stays_as_it_is(now: Limits, name: str, data: st.DataObject) -> None:
    least, most = bounds_of(name)
    value: float = data.draw(st.integers(int(least), int(most)) if most > 1 else st.floats(least, most))
    try:
        Limits.model_validate({name: value})
    except ValidationError:
        return
    result = now.tightened({name: value})
    assert is_tighter_or_equal(name, getattr(result, name), value)
    for other in Limits.model_fields:
        assert is_tighter_or_equal(other, getattr(result, other), getattr(now, other))


def test_an_approval_of_four_limits_leaves_the_others() -> None:
    now = Limits(risk_per_trade=0.0075, daily_loss=0.03, min_cash=0.1)
    old = {"risk_per_trade": 0.005, "heat": 0.05, "min_cash": 0.0, "daily_loss": 0.02}
    assert now.tightened(old) == Limits(risk_per_trade=0.005, heat=0.05, min_cash=0.1, daily_loss=0.02)
    with pytest.raises(ValidationError, match="haet"):
        now.tightened({"haet": 0.05})


def test_settled_cash_stays_bound_when_the_desk_goes_on_margin() -> None:
    margin = Limits(margin_mode=MarginMode.MARGIN)
    assert margin.tightened(Limits().in_force()).margin_mode is MarginMode.CASH
    assert Limits().tightened(margin.in_force()).margin_mode is MarginMode.CASH
    assert margin.tightened({SETTLED_CASH_ONLY: 0.0}).margin_mode is MarginMode.MARGIN


@given(any_limits(), st.floats(0.0001, 1.0), st.floats(0.0001, 1.0))
def test_a_policy_of_the_regime_never_widens(limits: Limits, risk: float, heat: float) -> None:
    result = risk_policy(limits, risk, heat)
    assert result.heat == min(limits.heat, heat)
    assert result.risk_per_trade == min(limits.risk_per_trade, risk, result.heat)
    for name in Limits.model_fields:
        assert is_tighter_or_equal(name, getattr(result, name), getattr(limits, name))


@pytest.mark.parametrize("wrong", [0.0, -0.01, float("nan"), float("inf")])
def test_a_policy_that_is_no_fraction_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="policy with a risk_per_trade above zero"):
        risk_policy(Limits(), wrong, 0.05)
    with pytest.raises(ValueError, match="policy with a heat above zero"):
        risk_policy(Limits(), 0.005, wrong)
