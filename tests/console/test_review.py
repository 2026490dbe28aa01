"""A slip can never approve: each safeguard of the review, and what is told after a verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from textual.widgets import Button

from app.console.screens.deciding import ARM_S
from app.console.screens.desk import DeskScreen
from app.console.screens.review import ReviewScreen
from storage.records import ApprovalState

from .desks import NOW, FakeDesk, a_desk, approval_row
from .running import Console, running


def a_low_risk_desk() -> FakeDesk:
    return FakeDesk(a_desk(approvals=[approval_row(1)]))


def a_risky_desk() -> FakeDesk:
    return FakeDesk(a_desk(approvals=[approval_row(2, symbol="GE", risky=True, close="15.02")]))


def back_on_the_desk(console: Console) -> bool:
    return isinstance(console.app.screen, DeskScreen)


async def test_keys_typed_before_the_card_could_be_read_do_nothing() -> None:
    desk = a_low_risk_desk()
    async with running(desk) as console:
        await console.open_review(armed=False)
        await console.press("a", "r", "enter", "a")
        console.clock.pass_time(0.79)
        await console.press("a", "enter")
        assert isinstance(console.app.screen, ReviewScreen) and desk.asked == []
        console.clock.pass_time(0.02)
        await console.press("a")
        await console.until(lambda: [verb for verb, *_ in desk.asked] == ["approve"])


async def test_the_focus_starts_on_reject_and_enter_rejects() -> None:
    desk = a_low_risk_desk()
    async with running(desk) as console:
        review = await console.open_review()
        assert review.focused is review.query_one("#reject")
        await console.press("enter")
        row = desk.current.approvals[0]
        await console.until(lambda: desk.asked == [("reject", row.id, row.digest, "other")])
        assert back_on_the_desk(console)


async def test_y_only_beeps_and_escape_decides_nothing() -> None:
    desk = a_low_risk_desk()
    async with running(desk) as console:
        await console.open_review()
        await console.press("y")
        assert isinstance(console.app.screen, ReviewScreen)
        await console.press("escape")
        assert back_on_the_desk(console) and desk.asked == []


async def test_a_double_press_gives_one_verdict() -> None:
    desk = a_low_risk_desk()
    async with running(desk) as console:
        await console.open_review()
        await console.press("a", "a", "r", "enter")
        await console.until(lambda: len(desk.asked) > 0 and console.app.state.verdict is not None)
        assert [verb for verb, *_ in desk.asked] == ["approve"]


async def test_a_risky_card_needs_its_id_and_the_button() -> None:
    desk = a_risky_desk()
    async with running(desk) as console:
        review = await console.open_review()
        await console.press("a")
        assert isinstance(console.app.screen, ReviewScreen) and review.query_one("#approve", Button).disabled
        assert review.focused is review.query_one("#typed")
        await console.press(*"ge", "minus", *"2F7b", "enter")
        assert review.query_one("#approve", Button).disabled
        await console.until(lambda: "ge-2F7b is not GE-2f7a" in console.text)
        await console.press("backspace", "a")
        assert not review.query_one("#approve", Button).disabled
        await console.press("enter")
        assert review.focused is review.query_one("#approve")
        await console.press("enter")  # the same enter held down must not approve
        assert desk.asked == []
        console.clock.pass_time(1.0)
        await console.until(lambda: not review.query_one("#approve").has_class("-active"))
        await console.press("enter")
        row = desk.current.approvals[0]
        await console.until(lambda: desk.asked == [("approve", row.id, row.digest, "GE-2f7a")])


async def test_enter_on_a_risky_card_rejects_it_too() -> None:
    desk = a_risky_desk()
    async with running(desk) as console:
        await console.open_review()
        await console.press("enter")
        await console.until(lambda: [verb for verb, *_ in desk.asked] == ["reject"])


async def test_a_click_before_the_delay_does_not_approve() -> None:
    desk = a_low_risk_desk()
    async with running(desk) as console:
        review = await console.open_review(armed=False)
        await console.pilot.click("#approve")
        assert desk.asked == []
        await console.until(lambda: not review.query_one("#approve").has_class("-active"))
        console.clock.pass_time(1.0)
        await console.pilot.click("#approve")
        await console.until(lambda: [verb for verb, *_ in desk.asked] == ["approve"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("gone", "gone from the desk"),
        ("decided", "was rejected by ada meanwhile"),
        ("digest", "the proposal changed"),
        ("away", "the database is away"),
        ("expired", "the card expired"),
    ],
)
async def test_the_card_locks_when_it_is_no_longer_so(change: str, says: str) -> None:
    row = approval_row(1, expires_at=NOW + timedelta(seconds=90))
    desk = FakeDesk(a_desk(approvals=[row]))
    async with running(desk) as console:
        review = await console.open_review()
        match change:
            case "gone":
                desk.show(a_desk(approvals=[]))
            case "decided":
                decided = replace(row, state=ApprovalState.REJECTED, decided_by="ada")
                desk.show(a_desk(approvals=[decided]))
            case "digest":
                desk.show(a_desk(approvals=[replace(row, digest="f" * 64)]))
            case "away":
                desk.away = "the server is gone"
            case _:
                console.clock.pass_time(90)
        await console.until(lambda: says in console.text)
        assert "LOCKED" in console.text
        assert all(button.disabled for button in review.query(Button))
        await console.press("a", "r", "enter")
        assert desk.asked == [] and isinstance(console.app.screen, ReviewScreen)
        await console.press("escape")
        assert back_on_the_desk(console)


async def test_after_a_verdict_the_next_card_opens_and_takes_no_key_typed_ahead() -> None:
    desk = FakeDesk(a_desk(approvals=[approval_row(1), approval_row(4, symbol="KO")]))
    async with running(desk) as console:
        first = await console.open_review()
        await console.press("r")
        await console.until(lambda: len(desk.asked) == 1)
        await console.until(lambda: isinstance(console.app.screen, ReviewScreen))
        second = console.app.screen
        assert isinstance(second, ReviewScreen) and second.row.terms.symbol == "KO" and second is not first
        await console.press("a", "r", "1", "enter")
        assert len(desk.asked) == 1 and console.app.screen is second
        console.clock.pass_time(ARM_S + 0.1)
        await console.press("a")
        await console.until(lambda: len(desk.asked) == 2)
        assert desk.asked[1][0] == "approve" and back_on_the_desk(console)


@pytest.mark.parametrize(
    ("key", "reason"),
    [("1", "extended"), ("2", "event"), ("3", "correlated"), ("4", "news"), ("5", "poor_reward_risk")],
)
async def test_one_key_rejects_and_says_why(key: str, reason: str) -> None:
    desk = a_low_risk_desk()
    async with running(desk) as console:
        await console.open_review()
        await console.press(key)
        await console.until(lambda: len(desk.asked) == 1)
        assert desk.asked[0][0] == "reject" and desk.asked[0][3] == reason


async def test_a_refusal_is_shown_and_stays_in_the_strip() -> None:
    desk = a_low_risk_desk()
    desk.refuses = "the heat limit [/x] was reached meanwhile"
    async with running(desk) as console:
        await console.open_review()
        await console.press("a")
        await console.until(lambda: "CAT REFUSED" in console.text and "the heat limit [/x]" in console.text)


async def test_undo_counts_down_and_takes_the_verdict_back() -> None:
    desk = a_low_risk_desk()
    async with running(desk, size=(200, 60)) as console:
        await console.open_review()
        await console.press("a")
        await console.until(lambda: "approved CAT undo (u) 0:2" in console.text)
        await console.press("u")
        await console.until(lambda: [verb for verb, *_ in desk.asked] == ["approve", "undo"])


async def test_a_new_card_makes_the_strip_loud_once_and_steals_nothing() -> None:
    desk = FakeDesk(a_desk(approvals=[]))
    async with running(desk) as console:
        strip = console.app.screen.query_one("#strip")
        assert not strip.has_class("-alert")
        focused = console.app.focused
        desk.show(a_desk(approvals=[approval_row(1)]))
        await console.until(lambda: strip.has_class("-alert"))
        assert console.app.focused is focused and back_on_the_desk(console)
        await console.press("n")
        assert not strip.has_class("-alert") and "enter reviews" in console.text
        assert desk.asked == []


async def test_the_card_shows_everything_a_verdict_needs() -> None:
    row = approval_row(2, risky=True, expires_at=NOW + timedelta(seconds=90))
    async with running(FakeDesk(a_desk(approvals=[row])), size=(110, 60)) as console:
        await console.open_review()
        await console.until(lambda: "expires in 1:29" in console.text)
        for part in (
            "150.11 to 153.92",
            "2.4 ATR",
            "1.5R",
            "34 shares, $5,233.28",
            "$373.10",
            "RISKY: the index moved",
            "1 against",
            "may only shrink or veto",
            "41 trades, 58% won",
            "if ignored: rejected at 14:04:52Z",
            f"digest {row.digest[:12]}",
            "expires in 1:29",
        ):
            assert part in console.text
