from datetime import timedelta
from decimal import Decimal

import pytest

from agents.market.bars import Bar
from agents.trading.broker import (
    EntryFill,
    EntrySkip,
    ExitFill,
    SizedEntry,
    SkipReason,
    exit_on_bar,
    fill_entry,
    size_entry_order,
)
from agents.trading.costs import Costs
from agents.trading.limits import BookView, Limits
from storage.records import ExitReason
from tests.trading.builders import ENTRY, bar, book, candidate, position, terms

COSTS = Costs()


def enter(today: Bar | None, view: BookView | None = None) -> EntryFill | EntrySkip:
    sized = size_entry_order(terms(), candidate(), view or book(), Limits(), COSTS)
    return fill_entry(sized.order, today, COSTS) if isinstance(sized, SizedEntry) else sized


def leave(today: Bar | None, *, entered_today: bool = False, sessions_held: int = 3) -> ExitFill | None:
    return exit_on_bar(
        position(), today, entered_today=entered_today, sessions_held=sessions_held, costs=COSTS
    )


def test_an_approved_entry_buys_at_the_open_with_slippage() -> None:
    fill = enter(bar(100, 102, 99, 101))
    assert isinstance(fill, EntryFill)
    assert (fill.price, fill.shares) == (Decimal("100.0500"), 100)
    assert (fill.amount, fill.fee) == (Decimal("10005.00"), Decimal("1.00"))


@pytest.mark.parametrize(
    ("opened", "side"),
    [(100.96, "above"), (98.94, "below"), (95.0, "below")],  # 100.96 lies in the band until it slips
)
def test_an_open_outside_the_band_is_skipped(opened: float, side: str) -> None:
    skip = enter(bar(opened, opened + 1, opened - 1, opened))
    assert isinstance(skip, EntrySkip)
    assert skip.reason is SkipReason.GAP
    assert side in skip.note


@pytest.mark.parametrize("today", [None, bar(float("nan"), 102, 99, 101), bar(0.0, 102, 0.0, 101)])
def test_without_an_open_there_is_no_entry(today: Bar | None) -> None:
    skip = enter(today)
    assert isinstance(skip, EntrySkip)
    assert skip.reason is SkipReason.NO_BAR


def test_a_limit_can_still_stop_an_approved_entry() -> None:
    skip = enter(bar(100, 102, 99, 101), book(heat="6000"))
    assert isinstance(skip, EntrySkip)
    assert (skip.reason, skip.limit) == (SkipReason.LIMIT, "heat")


def test_an_entry_on_another_session_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expected the bar of AAA on 2024-03-08"):
        enter(bar(100, 102, 99, 101, session=ENTRY + timedelta(days=3)))


@pytest.mark.parametrize(
    ("today", "entered_today", "sessions_held", "reason", "price"),
    [
        pytest.param(
            bar(100, 101, 95, 97), False, 3, ExitReason.STOP_LOSS, "95.8560", id="stop slips from its price"
        ),
        pytest.param(
            bar(100, 107, 95, 97), False, 3, ExitReason.STOP_LOSS, "95.8560", id="stop before target"
        ),
        pytest.param(
            bar(90, 92, 89, 91), False, 3, ExitReason.STOP_LOSS, "89.8650", id="gap through the stop"
        ),
        pytest.param(
            bar(96, 97, 96, 97), False, 3, ExitReason.STOP_LOSS, "95.8560", id="open exactly at the stop"
        ),
        pytest.param(bar(98, 99, 96, 97), False, 3, ExitReason.STOP_LOSS, "95.8560", id="low at the stop"),
        pytest.param(
            bar(100, 106, 97, 105), False, 3, ExitReason.TAKE_PROFIT, "106", id="target without slippage"
        ),
        pytest.param(
            bar(108, 109, 107, 108), False, 3, ExitReason.TAKE_PROFIT, "108", id="gap through the target"
        ),
        pytest.param(
            bar(108, 109, 95, 96), False, 3, ExitReason.STOP_LOSS, "95.8560", id="gap up, then the stop"
        ),
        pytest.param(
            bar(100, 101, 95, 97), True, 0, ExitReason.STOP_LOSS, "95.8560", id="stop on the entry day"
        ),
        pytest.param(
            bar(100, 107, 99, 105), True, 0, ExitReason.TAKE_PROFIT, "106", id="target on the entry day"
        ),
        pytest.param(
            bar(90, 92, 89, 91), True, 0, ExitReason.STOP_LOSS, "95.8560", id="an entry is not gapped down"
        ),
        pytest.param(
            bar(108, 109, 107, 108), True, 0, ExitReason.TAKE_PROFIT, "106", id="an entry is not gapped up"
        ),
        pytest.param(bar(100, 103, 99, 102), False, 10, ExitReason.TIME_EXIT, "101.9490", id="time is up"),
        pytest.param(
            bar(100, 103, 95, 102), False, 10, ExitReason.STOP_LOSS, "95.8560", id="stop before time"
        ),
    ],
)
def test_how_a_bar_ends_a_position(
    today: Bar, entered_today: bool, sessions_held: int, reason: ExitReason, price: str
) -> None:
    fill = leave(today, entered_today=entered_today, sessions_held=sessions_held)
    assert fill is not None
    assert (fill.reason, fill.price) == (reason, Decimal(price))
    assert (fill.amount, fill.fee) == (100 * fill.price, Decimal("1.00"))


@pytest.mark.parametrize(
    "today",
    [
        pytest.param(None, id="no bar"),
        pytest.param(bar(100, float("nan"), 90, 95), id="broken bar"),
        pytest.param(bar(100, 105.99, 96.01, 101), id="between stop and target"),
    ],
)
def test_what_leaves_a_position_open(today: Bar | None) -> None:
    assert leave(today) is None


def test_a_position_without_a_bar_is_held_even_past_its_time() -> None:
    assert leave(None, sessions_held=30) is None


def test_an_entry_pays_no_more_than_what_the_target_still_pays_for() -> None:
    tighter = Limits(min_reward_risk=2.5)
    sized = size_entry_order(terms(), candidate(), book(), tighter, COSTS)
    assert isinstance(sized, SizedEntry)
    assert (sized.order.floor, sized.order.limit) == (Decimal("99"), Decimal("99.5714"))  # of a band to 101
    skip = fill_entry(sized.order, bar(100, 102, 99, 101), COSTS)
    assert isinstance(skip, EntrySkip)
    assert skip.reason is SkipReason.GAP  # 8.45 to win, 4.05 to lose


def test_a_band_from_which_the_target_never_pays_for_the_risk_is_not_ordered() -> None:
    skip = size_entry_order(terms(), candidate(), book(), Limits(min_reward_risk=3.5), COSTS)
    assert isinstance(skip, EntrySkip)
    assert (skip.reason, skip.limit) == (SkipReason.LIMIT, "reward_risk")


def test_the_shares_are_those_that_fit_at_the_highest_price() -> None:
    sized = size_entry_order(terms(max_shares=500), candidate(), book(), Limits(), COSTS)
    assert isinstance(sized, SizedEntry)
    assert (sized.order.shares, sized.order.limit) == (100, Decimal("101"))  # 500 dollars, 5 a share
    assert sized.risk == Decimal("500.00")
