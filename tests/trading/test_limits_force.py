"""The limits in force: each with its bound, what is used of it, and who set it."""

from decimal import Decimal

import pytest
from hypothesis import given

from agents.trading.limits import (
    BookView,
    KellyCap,
    LadderState,
    Limits,
    Lock,
    limits_in_force,
    risk_policy,
)
from agents.trading.limits.config import FLOORS
from agents.trading.limits.force import hard_bound
from storage.records import LimitInForce, LimitSource, SetupType
from tests.trading.builders import ENTRY, any_limits, book, exposure


def in_force(
    own: Limits,
    view: BookView,
    *,
    limits: Limits | None = None,
    kelly: dict[SetupType, KellyCap] | None = None,
) -> dict[str, LimitInForce]:
    rows = limits_in_force(own, limits or own, view, kelly or {})
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row for row in rows}


def test_each_limit_says_who_set_it() -> None:
    own = Limits(sector=0.2)
    rows = in_force(own, book(), limits=risk_policy(own, 0.0025, 0.015))
    assert rows["sector"].source is LimitSource.SETTING
    assert rows["worst_gap"].source is LimitSource.DEFAULT
    tightened = {name for name, row in rows.items() if row.source is LimitSource.POLICY}
    assert tightened == {"risk_per_trade", "heat", "heat_adjusted"}  # adjusted heat follows heat
    assert (rows["heat"].limit, rows["heat"].bound) == (0.015, 0.06)


def test_each_limit_of_the_account_says_what_is_used_and_left() -> None:
    held = (
        exposure("BBB", risk="500", value="12000", sector="Energy"),
        exposure("CCC", risk="300", value="9000", sector="Energy"),
    )
    fallen = LadderState(drawdown=Decimal("0.06"), high=Decimal(1))
    view = book(exposures=held, day_return=-0.01, week_return=0.02, unsettled="1000", ladder=fallen)
    rows = in_force(Limits(), view)
    assert rows["heat"].used == 0.008
    assert rows["heat"].left == pytest.approx(0.052)
    assert rows["heat_adjusted"].used == pytest.approx((500**2 + 300**2) ** 0.5 / 100_000)
    assert rows["sector"].used == 0.21
    assert (rows["max_positions"].used, rows["max_positions"].left) == (2, 8)
    assert (rows["daily_loss"].used, rows["weekly_loss"].used) == (0.01, 0.0)
    assert rows["ladder_stop"].left == pytest.approx(0.06)
    assert (rows["settled_cash"].used, rows["settled_cash"].unit) == (99_000, "usd")
    assert (rows["min_cash"].used, rows["min_cash"].left) == (1.0, 1.0)
    assert rows["risk_per_trade"].used is None
    assert rows["risk_per_trade"].left is None
    assert (rows["entry_size"].limit, rows["entry_size"].note) == (0.5, "half")


def test_what_follows_from_the_account_is_named_with_its_reason() -> None:
    lock = Lock(protection="Cooldown", symbol=None, until=ENTRY, reason="four stops")
    probation = LadderState(drawdown=Decimal(0), high=Decimal(1), probation_left=4)
    rows = in_force(
        Limits(margin_mode="margin"),
        book(locks=(lock,), ladder=probation, unsettled="100"),
        kelly={SetupType.MOMENTUM: KellyCap(risk=0.0, trades=34)},
    )
    assert (rows["entry_size"].limit, rows["entry_size"].note) == (0.25, "full, 4 trades of probation left")
    assert (rows["protections"].used, rows["protections"].left) == (1, -1)
    assert rows["protections"].note == f"all entries until {ENTRY}: four stops"
    assert (rows["kelly momentum"].limit, rows["kelly momentum"].source) == (0.0005, LimitSource.RECORD)
    assert rows["kelly momentum"].note == "a quarter of Kelly after 34 trades is 0.000%"
    assert (rows["settled_cash"].used, rows["settled_cash"].source) == (100_000, LimitSource.SETTING)


@given(any_limits())
def test_no_limit_in_force_is_wider_than_its_bound(limits: Limits) -> None:
    rows = in_force(limits, book())
    for name in limits.in_force():
        if name in rows and name != "settled_cash":
            row = rows[name]
            assert row.bound == hard_bound(name)
            assert row.limit >= row.bound if name in FLOORS else row.limit <= row.bound
