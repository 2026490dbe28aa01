"""What a human asks of positions and of the books is carried out once, or refused with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import pytest

from agents.market.calendar import next_session
from storage.desk import Desk
from storage.records import CommandReceipt, Slot
from storage.snapshot import PositionRow
from tests.runtime.stage import ADA, FIRST, SECOND, Stage

Answer = TypeVar("Answer")
THIRD = next_session(SECOND)
DAY = (Slot.CUTOFF, Slot.OPEN, Slot.SETTLE)


@pytest.fixture
async def holding(stage: Stage) -> Stage:
    """MSFT and NVDA were bought at the open and lived through their first session."""
    await stage.evening(FIRST)
    assert await stage.approve_all() == 2
    await stage.play(SECOND, *DAY)
    return stage


async def told(stage: Stage, command: Callable[[Desk], Answer]) -> Answer:
    def tell() -> Answer:
        with Desk(stage.conninfo) as desk:
            return command(desk)

    return await asyncio.to_thread(tell)


async def position(stage: Stage, symbol: str) -> PositionRow:
    snapshot = await told(stage, lambda desk: desk.snapshot())
    assert snapshot is not None
    return next(row for row in snapshot.positions if row.symbol == symbol)


async def move(stage: Stage, symbol: str, stop: Decimal, typed: str = "") -> CommandReceipt:
    return await told(stage, lambda desk: desk.move_stop(symbol, stop, typed_id=typed, operator=ADA))


async def test_a_stop_goes_up_freely_and_down_with_the_id_and_never_below_its_first(holding: Stage) -> None:
    row = await position(holding, "MSFT")
    higher = (row.stop + row.last_close) / 2
    higher = higher.quantize(Decimal("0.01"))
    assert (await move(holding, "MSFT", higher)).accepted
    assert (await position(holding, "MSFT")).asked == f"stop {higher}, waiting, by ada"
    await holding.play(THIRD, Slot.CUTOFF)
    moved = await position(holding, "MSFT")
    assert (moved.stop, moved.asked) == (higher, "")
    assert moved.protected_by == f"protect-{row.id}-2"
    there = await holding.rows("select stop from paper_orders where state = 'resting' and symbol = 'MSFT'")
    assert there == [(higher,)]

    lower = (higher - Decimal("0.05")).quantize(Decimal("0.01"))
    refused = await move(holding, "MSFT", lower)
    assert refused.message == f"MSFT: looser than {higher} is risky: type {row.short_id}"
    assert (await move(holding, "MSFT", lower, row.short_id)).accepted
    below = await move(holding, "MSFT", row.initial_stop - Decimal("0.01"), row.short_id)
    assert "below the first stop" in below.message
    assert "close it instead" in (await move(holding, "MSFT", row.last_close + 1)).message
    for nonsense in ("0", "-1", "NaN", "Infinity", "1.23456"):
        assert "is no price" in (await move(holding, "MSFT", Decimal(nonsense))).message
    assert (await move(holding, "AAPL", Decimal(90))).message == "AAPL is not held"


async def test_a_stop_that_was_moved_and_hit_says_whose_it_was(holding: Stage) -> None:
    row = await position(holding, "NVDA")
    close = (row.last_close - Decimal("0.0100")).quantize(Decimal("0.0001"))
    assert (await move(holding, "NVDA", close)).accepted
    day = THIRD
    for _ in range(6):
        await holding.play(day, *DAY)
        day = next_session(day)
        if rows := await holding.rows("select exit_reason, r_multiple from trade_outcomes"):
            break
    assert [reason for reason, _ in rows] == ["trailing_stop"]


async def test_a_request_is_taken_back_until_it_is_with_the_broker(holding: Stage) -> None:
    close = lambda desk: desk.close_position("MSFT", "no more", operator=ADA)  # noqa: E731
    assert (await told(holding, close)).accepted
    again = await told(holding, close)
    assert again.message == "MSFT: asked by ada already, and waits for the next open or close"
    assert (await told(holding, lambda desk: desk.take_back("MSFT", operator=ADA))).accepted
    assert (await position(holding, "MSFT")).asked == ""
    assert (await told(holding, close)).accepted
    run = await holding.play(THIRD, Slot.CUTOFF)
    assert f"MSFT by hand, sent for the open of {THIRD}" in run.summary
    late = await told(holding, lambda desk: desk.take_back("MSFT", operator=ADA))
    assert late.message == "MSFT: asked by ada already, and is with the broker"
    run = await holding.play(THIRD, Slot.OPEN)
    assert "MSFT manual" in run.summary
    assert await holding.rows("select exit_reason from trade_outcomes") == [("manual",)]
    assert await holding.rows("select distinct state from position_requests where verb = 'close'") == [
        ("done",),
        ("undone",),
    ]
    kinds = await holding.rows("select kind from operations where kind = 'close' order by at")
    assert len(kinds) == 3  # asked, taken back, asked again


async def test_a_desk_is_flattened_at_the_close_of_the_session_that_trades(holding: Stage) -> None:
    await holding.play(THIRD, Slot.CUTOFF)
    receipt = await told(holding, lambda desk: desk.flatten("enough", operator=ADA))
    assert receipt.message == "2 positions to be sold: MSFT, NVDA; enough"
    run = await holding.play(THIRD, Slot.OPEN)
    assert run.summary.count("by hand, sent for the close") == 2
    await holding.play(THIRD, Slot.SETTLE)
    assert await holding.rows("select exit_reason from trade_outcomes") == [("manual",)] * 2
    closes = await holding.rows(
        "select f.reference_price = b.close from fills f join bars b on (b.symbol, b.session)"
        " = (f.symbol, f.session) where f.side = 'sell'"
    )
    assert closes == [(True,)] * 2
    assert await holding.rows("select distinct state from position_requests") == [("done",)]
    assert await holding.rows("select count(*) from paper_holdings") == [(0,)]
    nothing = await told(holding, lambda desk: desk.flatten("", operator=ADA))
    assert nothing.message == "nothing is held"


async def test_a_difference_holds_up_entries_until_a_human_has_settled_it(holding: Stage) -> None:
    """The broker has fewer shares of one, none of the other, and less cash than the book."""
    await holding.do("update paper_holdings set shares = shares - 8 where symbol = 'MSFT'")
    await holding.do("delete from paper_holdings where symbol = 'NVDA'")
    await holding.do("update paper_fills set fee = fee + 2 where symbol = 'MSFT'")
    run = await holding.play(THIRD, Slot.CUTOFF)
    assert run.summary.count("DIFFERS") == 3
    rows = await told(holding, lambda desk: desk.differences())
    known = {row.subject: row for row in rows}
    assert set(known) == {"MSFT", "NVDA", "cash"}
    assert (known["MSFT"].gap, known["cash"].gap) == ("-8", "-2.00")
    before = await position(holding, "MSFT")

    def settle_all(desk: Desk) -> list[CommandReceipt]:
        return [
            desk.correct(known["cash"].number, "a fee nobody told", operator=ADA),
            desk.adopt(known["MSFT"].number, "sold at the broker's desk", operator=ADA),
            desk.adopt(known["NVDA"].number, "sold at the broker's desk", operator=ADA),
        ]

    assert all(receipt.accepted for receipt in await told(holding, settle_all))
    after = await position(holding, "MSFT")
    assert (after.shares, after.protected_by) == (before.shares - 8, None)
    assert await holding.rows("select amount from cash_events where kind = 'correction'") == [
        (Decimal("-2.00"),)
    ]
    day = next_session(THIRD)
    await holding.play(THIRD, Slot.OPEN, Slot.SETTLE)
    run = await holding.play(day, Slot.CUTOFF)
    assert (await position(holding, "MSFT")).protected_by is not None
    assert await holding.rows("select exit_reason from trade_outcomes where symbol = 'NVDA'") == [("manual",)]
    # Nobody said at what price NVDA was sold: what lies between is cash, and is corrected for itself.
    assert run.summary.count("DIFFERS cash") == 1
    assert run.summary.count("DIFFERS") == 1
