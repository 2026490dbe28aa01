"""A standing policy never does more than the hard bounds, whatever it is set to, however the desk stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.trading.standing import (
    MOST_A_DAY,
    MOST_HEAT,
    MOST_RISK,
    Candidate,
    PolicyBounds,
    Standing,
    off_because,
    refuses_because,
)
from storage.records import DeskKind, Recommendation, Rung, SetupType

NOW = datetime(2026, 3, 2, tzinfo=UTC)
bounds = st.builds(
    PolicyBounds,
    setups=st.frozensets(st.sampled_from(SetupType), min_size=1),
    max_risk=st.floats(1e-5, MOST_RISK),
    min_probability=st.floats(0, 1),
    a_day=st.integers(1, MOST_A_DAY),
    max_heat=st.floats(1e-5, MOST_HEAT),
)
money = st.decimals(0, 3_000, places=2)
standings = st.builds(
    Standing,
    kind=st.sampled_from(DeskKind),
    rung=st.sampled_from(Rung),
    held_back=st.sampled_from(["", "", "halted by ada: x"]),
    equity=st.decimals(-10, 200_000, places=2),
    approved_today=st.integers(0, 3),
    heat_usd=money,
)
candidates = st.builds(
    Candidate,
    setup=st.sampled_from(SetupType),
    risky=st.booleans(),
    recommendation=st.sampled_from(Recommendation),
    max_risk=st.decimals("0.01", 3_000, places=2),
    probability=st.none() | st.floats(0, 1),
)


@given(bounds=bounds, first=standings, asked=st.lists(candidates, max_size=8), left=st.integers(-5, 40))
def test_an_evening_of_it_stays_within_every_bound(
    bounds: PolicyBounds, first: Standing, asked: list[Candidate], left: int
) -> None:
    if off_because(first, expires_at=NOW + timedelta(days=left), now=NOW):
        return
    assert left > 0 and first.kind is not DeskKind.LIVE and first.rung is Rung.FULL and not first.held_back
    today, heat, taken = first.approved_today, first.heat_usd, []
    for one in asked:
        standing = Standing(
            kind=first.kind,
            rung=first.rung,
            held_back="",
            equity=first.equity,
            approved_today=today,
            heat_usd=heat,
        )
        if not refuses_because(bounds, one, standing):
            taken.append(one)
            today, heat = today + 1, heat + one.max_risk
    assert not any(one.risky for one in taken)
    assert all(one.recommendation is Recommendation.APPROVE and one.setup in bounds.setups for one in taken)
    assert all(one.probability is not None and one.probability >= bounds.min_probability for one in taken)
    assert all(float(one.max_risk / first.equity) <= MOST_RISK for one in taken)
    assert today <= max(MOST_A_DAY, first.approved_today)
    assert not taken or float(heat / first.equity) <= MOST_HEAT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_risk", 0.0051),
        ("max_risk", 0.0),
        ("a_day", 3),
        ("a_day", 0),
        ("max_heat", 0.0151),
        ("min_probability", 1.1),
        ("setups", frozenset()),
        ("max_risk", float("nan")),
        ("max_heat", float("nan")),
    ],
)
def test_none_is_wider_than_the_hard_bounds(name: str, value: object) -> None:
    values: dict[str, object] = {
        "setups": frozenset(SetupType),
        "max_risk": MOST_RISK,
        "min_probability": 0.5,
        "a_day": 2,
        "max_heat": MOST_HEAT,
    }
    PolicyBounds(**values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected"):
        PolicyBounds(**values | {name: value})  # type: ignore[arg-type]
