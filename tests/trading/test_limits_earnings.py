from datetime import date

import pytest

from agents.market.calendar import add_sessions
from agents.trading.limits import (
    EarningsDate,
    EarningsHold,
    EarningsStatus,
    HoldAction,
    Limits,
    earnings_of,
    held_into_earnings,
)
from agents.trading.limits.earnings import sessions_to_wait
from storage.records import DeskKind

DAY = date(2024, 5, 2)
CONFIRMED = EarningsDate(status=EarningsStatus.CONFIRMED, session=DAY)
ESTIMATED = EarningsDate(status=EarningsStatus.ESTIMATED, session=DAY)


def session(ahead: int) -> date:
    """So many sessions before the announcement."""
    return add_sessions(DAY, -ahead) if ahead else DAY


@pytest.mark.parametrize(
    ("earnings", "first", "last"), [(CONFIRMED, 3, 0), (ESTIMATED, 5, -2)], ids=["confirmed", "estimated"]
)
def test_the_window_without_entries(earnings: EarningsDate, first: int, last: int) -> None:
    for ahead in range(-8, 12):
        wait = sessions_to_wait(earnings, session(ahead), Limits())
        assert (wait > 0) == (last <= ahead <= first)
        if wait:  # so many sessions later, and not one earlier, it is over
            assert sessions_to_wait(earnings, add_sessions(session(ahead), wait), Limits()) == 0
            assert wait == 1 or sessions_to_wait(earnings, add_sessions(session(ahead), wait - 1), Limits())


def test_a_longer_window_is_tighter() -> None:
    assert sessions_to_wait(CONFIRMED, session(5), Limits()) == 0
    assert sessions_to_wait(CONFIRMED, session(5), Limits(earnings_sessions=5)) == 6


def test_what_a_desk_knows() -> None:
    assert earnings_of(DeskKind.HISTORY, None, confirmed=False).status is EarningsStatus.NOT_SIMULATED
    assert earnings_of(DeskKind.PAPER, None, confirmed=False).status is EarningsStatus.UNKNOWN
    assert earnings_of(DeskKind.LIVE, None, confirmed=True).status is EarningsStatus.UNKNOWN
    assert earnings_of(DeskKind.HISTORY, DAY, confirmed=True) == CONFIRMED
    assert earnings_of(DeskKind.PAPER, DAY, confirmed=False) == ESTIMATED


@pytest.mark.parametrize(("status", "day"), [(EarningsStatus.CONFIRMED, None), (EarningsStatus.UNKNOWN, DAY)])
def test_a_status_without_its_date_is_refused(status: EarningsStatus, day: date | None) -> None:
    with pytest.raises(ValueError, match="expected a date"):
        EarningsDate(status=status, session=day)


@pytest.mark.parametrize(
    ("earnings", "first", "last"), [(CONFIRMED, 1, 0), (ESTIMATED, 3, -2)], ids=["confirmed", "estimated"]
)
def test_what_is_held_is_sold_before_earnings_unless_the_policy_says_otherwise(
    earnings: EarningsDate, first: int, last: int
) -> None:
    halve, hold = Limits(earnings_hold=EarningsHold.HALVE), Limits(earnings_hold=EarningsHold.HOLD)
    for ahead in range(-5, 8):
        inside = last <= ahead <= first
        day = session(ahead)
        assert held_into_earnings(earnings, day, Limits()) is (HoldAction.EXIT if inside else HoldAction.KEEP)
        assert held_into_earnings(earnings, day, halve) is (HoldAction.HALVE if inside else HoldAction.KEEP)
        assert held_into_earnings(earnings, day, halve, halved=True) is HoldAction.KEEP
        assert held_into_earnings(earnings, day, hold) is HoldAction.KEEP


@pytest.mark.parametrize("status", [EarningsStatus.UNKNOWN, EarningsStatus.NOT_SIMULATED])
def test_without_a_date_nothing_is_sold_and_nothing_waits(status: EarningsStatus) -> None:
    assert held_into_earnings(EarningsDate(status=status), DAY, Limits()) is HoldAction.KEEP
    assert sessions_to_wait(EarningsDate(status=status), DAY, Limits()) == 0
