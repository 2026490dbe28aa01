"""What may be proposed: bounds are the fields' own, limits only get tighter, and every refusal says why."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.learning.space import (
    MOST_STEPS,
    DeskRules,
    ParameterChange,
    Sense,
    changed,
    sift,
    space,
    value_of,
    why_not,
)
from agents.trading.limits.config import CEILINGS, FLOORS

RULES = DeskRules()
NAMES = st.sampled_from(sorted(space()))


def change(name: str, new: str, old: str | None = None) -> ParameterChange:
    return ParameterChange(name, value_of(RULES, name) if old is None else Decimal(old), Decimal(new))


def test_the_bounds_are_those_of_the_fields() -> None:
    row = space()["setups.oversold_bounce.rsi_max"]
    assert (row.low, row.high) == (Decimal(15), Decimal(45))
    assert (row.unit, row.family) == ("RSI(14)", "setups.oversold_bounce")
    assert row.meaning == "Highest RSI(14) that counts as oversold, 0-100"
    assert row.bounds == "15 to 45 RSI(14)"
    heat = space()["limits.heat"]
    assert (heat.low_open, heat.high, heat.sense, heat.family) == (
        True,
        Decimal("0.06"),
        Sense.ONLY_DOWN,
        "limits",
    )
    assert space()["limits.min_cash"].sense is Sense.ONLY_UP


def test_every_number_of_every_setup_is_in_the_space() -> None:
    for kind, model in RULES.setups:
        assert {f"setups.{kind}.{field}" for field in type(model).model_fields} <= set(space())


@settings(max_examples=300, deadline=None)
@given(NAMES, st.integers(-60, 60))
def test_what_is_not_refused_is_in_bounds_steps_and_never_wider(name: str, steps: int) -> None:
    row, old = space()[name], value_of(RULES, name)
    proposal = ParameterChange(name, old, old + steps * row.step)
    if why_not(proposal, RULES) is not None:
        return
    assert row.low <= proposal.new <= row.high
    assert 0 < abs(steps) <= MOST_STEPS
    after = changed(RULES, [proposal])
    assert value_of(after, name) == proposal.new
    assert {other for other in space() if value_of(after, other) != value_of(RULES, other)} == {name}
    for field in CEILINGS:
        assert getattr(after.limits, field) <= getattr(RULES.limits, field)
    for field in FLOORS:
        assert getattr(after.limits, field) >= getattr(RULES.limits, field)
    for state, row_before in RULES.regime_policy:
        if state != "stop_atr":
            assert getattr(after.regime_policy, state).setups <= row_before.setups
            assert getattr(after.regime_policy, state).heat <= row_before.heat


@pytest.mark.parametrize(
    ("proposal", "reason"),
    [
        (ParameterChange("setups.oversold_bounce.leverage", Decimal(1), Decimal(2)), "not a parameter"),
        (ParameterChange("\x1b[31m; drop table", Decimal(1), Decimal(2)), r"'\x1b[31m; drop table'"),
        (ParameterChange("costs.market_bps", Decimal(5), Decimal(0)), "not a parameter"),
        (change("setups.oversold_bounce.rsi_max", "46"), "outside 15 to 45"),
        (change("setups.oversold_bounce.rsi_max", "38.5"), "no whole steps of 1"),
        (change("setups.oversold_bounce.rsi_max", "33"), "more than 4 steps"),
        (change("setups.oversold_bounce.rsi_max", "38"), "in force already"),
        (change("setups.oversold_bounce.rsi_max", "37", old="36"), "in force is 38"),
        (change("setups.oversold_bounce.rsi_max", "NaN"), "expected numbers"),
        (change("limits.risk_per_trade", "0.0055"), "wider limit"),
        (change("limits.min_reward_risk", "0.9"), "outside 1 to 4"),
        (change("regime_policy.bear.heat", "0.0175"), "outside above 0 to 0.015"),
        (change("limits.heat", "0"), "outside above 0"),
        (change("limits.weekly_loss", "0.02"), None),
        (change("regime_policy.bear.oversold_bounce", "0"), None),
        (change("setups.breakout.lookback", "20"), None),
    ],
)
def test_each_refusal_says_why(proposal: ParameterChange, reason: str | None) -> None:
    found = why_not(proposal, RULES)
    assert found is None if reason is None else reason in (found or "")


def test_what_the_rules_themselves_refuse_is_refused_in_their_words() -> None:
    tight = changed(RULES, [change("limits.heat_adjusted", "0.035")])
    proposal = ParameterChange("limits.heat", Decimal("0.06"), Decimal("0.03"))
    near = changed(tight, [ParameterChange("limits.heat", Decimal("0.06"), Decimal("0.04"))])
    assert "more than 4 steps" in (why_not(proposal, tight) or "")
    lower = ParameterChange("limits.heat", Decimal("0.04"), Decimal("0.03"))
    assert "heat_adjusted 0.035 is above heat 0.03" in (why_not(lower, near) or "")


def test_a_night_sifts_duplicates_contradictions_families_and_what_was_rejected() -> None:
    rsi = change("setups.oversold_bounce.rsi_max", "37")
    stop = change("setups.momentum.stop_atr", "2.75")
    low, high = change("screen.rsi_max", "39"), change("screen.rsi_max", "41")
    target = change("setups.momentum.target_r", "2.75")
    surge = change("setups.breakout.volume_ratio_min", "1.6")
    heat = change("limits.heat", "0.055")
    taken, refused = sift(
        [rsi, rsi, low, high, stop, target, surge, heat],
        RULES,
        in_flight={"limits"},
        rejected=[surge],
    )
    assert taken == (rsi, stop)
    assert [(one.change, one.reason) for one in refused] == [
        (rsi, "it was proposed already tonight"),
        (low, "tonight's proposals contradict each other: 39 and 41"),
        (high, "tonight's proposals contradict each other: 39 and 41"),
        (target, "a change of setups.momentum is in flight: one at a time"),
        (surge, "it was rejected before, and there is no new evidence"),
        (heat, "a change of limits is in flight: one at a time"),
    ]


@given(
    st.sampled_from(["1.3", "1.4", "1.6", "1.7"]),
    st.sampled_from(["1.2", "1.3", "1.4", "1.6", "1.7", "1.8"]),
)
def test_who_refuses_a_step_refuses_a_longer_one_the_same_way_and_no_other(down: str, asked: str) -> None:
    name = "setups.breakout.volume_ratio_min"  # 1.5 in force
    refused = sift([change(name, asked)], RULES, rejected=[change(name, down)])[1]
    far, limit = float(asked) - 1.5, float(down) - 1.5
    assert bool(refused) == (far * limit > 0 and abs(far) >= abs(limit) - 1e-9)
    assert sift([change(name, asked)], RULES, rejected=[change("screen.rsi_max", "41")])[1] == ()


def test_a_change_reads_as_it_is_said() -> None:
    assert str(change("setups.momentum.stop_atr", "2.75")) == "setups.momentum.stop_atr 2.5 -> 2.75"


@pytest.mark.parametrize("new", ["1e999999999", "-1e999999999", "1e-999999999", "0.0600000000000000001"])
def test_a_number_beyond_all_digits_is_refused_in_few_words(new: str) -> None:
    for name in ("limits.heat", "setups.oversold_bounce.entry_band_atr"):
        (refused,) = sift([change(name, new)], RULES)[1]
        assert refused.reason and len(refused.reason) < 200
