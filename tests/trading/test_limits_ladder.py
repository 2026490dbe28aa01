from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.market.calendar import add_sessions
from agents.trading.limits import (
    ClosedTrade,
    EquityPoint,
    LadderState,
    Limits,
    Rearm,
    ladder_state,
    time_weighted,
)
from storage.records import ExitReason, Rung

START = date(2024, 1, 2)


def day(n: int) -> date:
    return add_sessions(START, n) if n else START


def points(*equities: str, flows: dict[int, str] | None = None) -> list[EquityPoint]:
    return [
        EquityPoint(session=day(n), equity=Decimal(equity), flow=Decimal((flows or {}).get(n, "0")))
        for n, equity in enumerate(equities)
    ]


def state(*equities: str, rearms: Sequence[int] = (), closed: Sequence[tuple[int, int]] = ()) -> LadderState:
    return ladder_state(
        time_weighted(points(*equities)),
        [Rearm(session=day(n)) for n in rearms],
        [
            ClosedTrade(
                symbol="AAA",
                entry_session=day(entry),
                exit_session=day(left),
                reason=ExitReason.TIME_EXIT,
                r=0.5,
            )
            for entry, left in closed
        ],
        Limits(),
    )


@pytest.mark.parametrize(
    ("equity", "rung", "scale"),
    [
        ("100", Rung.FULL, "1"),
        ("95.01", Rung.FULL, "1"),
        ("95", Rung.HALF, "0.5"),
        ("92.01", Rung.HALF, "0.5"),
        ("92", Rung.QUARTER, "0.25"),
        ("88.01", Rung.QUARTER, "0.25"),
        ("88", Rung.NO_ENTRIES, "0"),
        ("85.01", Rung.NO_ENTRIES, "0"),
        ("85", Rung.HALT, "0"),
        ("0", Rung.HALT, "0"),
    ],
)
def test_the_rungs(equity: str, rung: Rung, scale: str) -> None:
    reached = state("90", "100", equity)
    assert reached.rung(Limits()) is rung
    assert reached.scale(Limits()) == Decimal(scale)
    assert (reached.halted_since == day(2)) == (rung is Rung.HALT)


def test_the_rungs_above_the_halt_are_left_by_recovering() -> None:
    assert state("100", "88", "96").rung(Limits()) is Rung.FULL
    assert state().rung(Limits()) is Rung.FULL


def test_a_halt_latches_however_far_the_account_recovers() -> None:
    recovered = state("100", "84", "100", "150")
    assert (recovered.rung(Limits()), recovered.halted_since) == (Rung.HALT, day(1))
    assert recovered.drawdown == 0


def test_a_human_re_arms_at_a_new_high_water_mark_on_probation() -> None:
    rearmed = state("100", "84", "85", "84", rearms=[2])
    assert (rearmed.halted_since, rearmed.probation_left, rearmed.high) == (None, 20, Decimal("0.85"))
    assert rearmed.drawdown == Decimal("0.011764705882")
    assert (rearmed.rung(Limits()), rearmed.scale(Limits())) == (Rung.FULL, Decimal("0.25"))


def test_probation_ends_after_twenty_trades_entered_and_closed_since() -> None:
    after = [(3, 4)] * 19
    assert state("100", "84", "85", rearms=[2], closed=after).probation_left == 1
    assert state("100", "84", "85", rearms=[2], closed=[*after, (2, 4)]).probation_left == 1  # from before
    done = state("100", "84", "85", rearms=[2], closed=[*after, (3, 5)])
    assert (done.probation_left, done.scale(Limits())) == (0, Decimal(1))


def test_a_second_halt_needs_a_second_human() -> None:
    again = ("100", "84", "85", "70")
    assert state(*again, rearms=[1]).halted_since == day(3)
    assert state(*again, rearms=[1, 3]).halted_since is None


def test_a_desk_in_cash_without_entries_can_be_re_armed_and_a_better_one_has_nothing_to() -> None:
    assert state("100", "87", "87", rearms=[2]).scale(Limits()) == Decimal("0.25")
    milder = state("100", "93", "93", rearms=[1, 2])
    assert (milder.rung(Limits()), milder.high, milder.probation_left) == (Rung.HALF, Decimal(1), 0)


def test_a_re_arm_from_before_the_halt_or_between_sessions() -> None:
    assert state("100", "100", "84", rearms=[0, 1]).rung(Limits()) is Rung.HALT
    friday = time_weighted(
        [
            EquityPoint(session=date(2024, 1, 4), equity=Decimal(100)),
            EquityPoint(session=date(2024, 1, 5), equity=Decimal(80)),
            EquityPoint(session=date(2024, 1, 8), equity=Decimal(79)),
        ]
    )
    weekend = ladder_state(friday, [Rearm(session=date(2024, 1, 6))], [], Limits())
    assert (weekend.halted_since, weekend.high) == (None, Decimal("0.8"))


def test_tighter_rungs_come_earlier() -> None:
    tight = Limits(ladder_halt=0.10)
    assert ladder_state(time_weighted(points("100", "90")), [], [], tight).rung(tight) is Rung.HALT


def test_a_deposit_earns_nothing() -> None:
    index = time_weighted(points("100", "110", "1110", "1221", "121", flows={2: "1000", 4: "-1100"}))
    assert [point.index for point in index] == [
        1,
        Decimal("1.1"),
        Decimal("1.1"),
        Decimal("1.21"),
        Decimal("1.21"),
    ]


def test_an_account_emptied_and_filled_again_stands_still() -> None:
    index = time_weighted(points("100", "0", "0", "500", "450", flows={1: "-100", 3: "500"}))
    assert [point.index for point in index] == [1, 1, 1, 1, Decimal("0.9")]


def test_sessions_must_increase() -> None:
    with pytest.raises(ValueError, match="sessions to increase"):
        time_weighted([*points("100", "100"), *points("100")])


STEPS = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(-40, 200), st.booleans()), min_size=1, max_size=40
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_neither_deposits_nor_withdrawals_ever_move_the_ladder(steps: list[tuple[int, int, bool]]) -> None:
    """Returns in percent, flows in percent of the equity there is; the same rungs and latches either way."""
    quiet, busy = [Decimal(1000)], [Decimal(1000)]
    flows = [Decimal(0)]
    for change, flow, _ in steps:
        factor = 1 + Decimal(change) / 100
        quiet.append(quiet[-1] * factor)
        earned = busy[-1] * factor
        flows.append(earned * flow / 100)
        busy.append(earned + flows[-1])
    rearms = [Rearm(session=day(n)) for n, (_, _, rearmed) in enumerate(steps) if rearmed]

    def walked(equities: list[Decimal], of: list[Decimal]) -> LadderState:
        made = [
            EquityPoint(session=day(n), equity=equity, flow=flow)
            for n, (equity, flow) in enumerate(zip(equities, of, strict=True))
        ]
        return ladder_state(time_weighted(made), rearms, [], Limits())

    one, other = walked(quiet, [Decimal(0)] * len(quiet)), walked(busy, flows)
    assert one.rung(Limits()) is other.rung(Limits())
    assert (one.halted_since, one.probation_left) == (other.halted_since, other.probation_left)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=40))
def test_once_halted_always_halted_without_a_human(changes: list[int]) -> None:
    equities = [Decimal(1000)]
    for change in changes:
        equities.append(equities[-1] * (100 + change) / 100)
    index = time_weighted([EquityPoint(session=day(n), equity=equity) for n, equity in enumerate(equities)])
    halted = False
    for end in range(1, len(index) + 1):
        now = ladder_state(index[:end], [], [], Limits()).rung(Limits()) is Rung.HALT
        assert now or not halted
        halted = now
