"""What the desk does about risk besides sizing: earnings, a tighter regime, the ladder and its re-arming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial

import numpy as np
import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from agents.market.bars import AssetType, Instrument, MarketView
from agents.market.calendar import add_sessions, sessions
from agents.market.earnings import Announcement
from agents.trading.limits import KellyCap, Limits
from agents.trading.screener import ScreenRules, screen
from app.runtime.actions import live_through_actions
from app.runtime.book import book_tonight, facts_at_open
from app.runtime.limits import kelly_caps
from app.runtime.step import DeskParts, Step, StepResult
from app.runtime.steps import STEPS
from app.runtime.stops import tighten_stops
from storage.desk import Desk
from storage.ledger import Ledger
from storage.memory import AgentMemory
from storage.models import (
    CashEvent,
    Equity,
    Fill,
    LadderReading,
    Order,
    RearmRow,
    TradeOutcome,
)
from storage.records import (
    CashKind,
    Direction,
    ExitReason,
    OperationKind,
    OrderSide,
    PositionState,
    Rung,
    SetupType,
    Slot,
)
from tests.app.test_corporate_actions import DAYS, PARTS, Holding, hold, split, step_at, trial, view_of
from tests.market.series import bars_of
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, transaction, writing

HELD = Holding(shares=101, entry=Decimal("100"), stop=Decimal("90"), target=Decimal("130"), max_hold=20)
REPORTS = DAYS[5]


class Reports:
    """A source that knows some dates."""

    def __init__(self, known: Mapping[str, Announcement]) -> None:
        self._known = known

    def of(self, symbol: str) -> Announcement | None:
        return self._known.get(symbol)


def parts(**limits: object) -> DeskParts:
    return replace(PARTS, limits=Limits.model_validate(limits))


async def settle(
    session: AsyncSession,
    day: date,
    price: str,
    *,
    reports: date | None = REPORTS,
    confirmed: bool = True,
    desk: DeskParts = PARTS,
) -> StepResult:
    """A flat bar at the price; the company reports on a session of its own."""
    known = Reports({"AAA": Announcement(session=reports, confirmed=confirmed)} if reports else {})
    for slot in (Slot.CUTOFF, Slot.SETTLE):
        step = step_at(session, day, slot, [], view_of(day, Decimal(price)))
        result = await STEPS[slot](replace(step, earnings=known, parts=desk))
        await session.flush()
    return result


async def cash_of_the_trade(session: AsyncSession) -> Decimal:
    events = await session.scalars(select(CashEvent.amount).where(CashEvent.kind != CashKind.DEPOSIT))
    return sum(events, Decimal(0))


def test_a_position_is_sold_at_the_last_close_before_its_company_reports(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        await settle(session, DAYS[3], "101")
        assert position.state is PositionState.OPEN
        result = await settle(session, DAYS[4], "102")
        assert "AAA earnings" in result.summary
        (trade,) = (await session.scalars(select(TradeOutcome))).all()
        assert (trade.exit_reason, trade.quantity) == (ExitReason.EARNINGS, 101)
        (fill,) = (await session.scalars(select(Fill).where(Fill.side == OrderSide.SELL))).all()
        assert (fill.price, fill.reference_price) == (Decimal("101.9490"), Decimal("102.0000"))  # less 5 bps
        assert (await cash_of_the_trade(session)) == trade.pnl

    trial(database, work)


def test_a_date_that_is_only_estimated_is_left_a_margin(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        await settle(session, DAYS[3], "101", reports=DAYS[6], confirmed=False)  # three sessions ahead
        assert position.state is PositionState.CLOSED

    trial(database, work)


@pytest.mark.parametrize("reports", [None, DAYS[9]])
def test_without_a_date_near_it_nothing_is_sold(database: str, reports: date | None) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        for day in DAYS[3:6]:
            await settle(session, day, "101", reports=reports)
        assert (position.state, position.shares) == (PositionState.OPEN, 101)

    trial(database, work)


def test_a_position_may_be_held_through_earnings(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        for day in DAYS[3:7]:
            await settle(session, day, "101", desk=parts(earnings_hold="hold"))
        assert (position.state, position.shares) == (PositionState.OPEN, 101)

    trial(database, work)


@pytest.mark.parametrize("price", ["-5", "0", "nan", "inf"])
def test_what_is_no_price_ends_and_moves_nothing(database: str, price: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        result = await settle(session, DAYS[4], price)
        assert result.summary.startswith("0 bars; no exits; ")
        assert (position.state, position.last_close) == (PositionState.OPEN, Decimal("100"))
        equity = await Ledger(session).last_equity()
        assert equity is not None
        assert equity.positions_value == Decimal("10100.00")

    trial(database, work)


def test_a_stop_comes_before_earnings(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        await hold(session, HELD)
        await settle(session, DAYS[4], "85")
        (trade,) = (await session.scalars(select(TradeOutcome))).all()
        assert trade.exit_reason is ExitReason.STOP_LOSS

    trial(database, work)


def test_a_halved_position_is_one_trade_with_two_sales(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        halve = parts(earnings_hold="halve")
        result = await settle(session, DAYS[4], "104", desk=halve)
        assert "AAA sold 51 of 101: earnings" in result.summary
        assert position.state is PositionState.OPEN
        assert [position.shares, position.sold_shares] == [50, 51]
        equity = await Ledger(session).last_equity()
        assert equity is not None
        assert (equity.unsettled, equity.settles_on) == (Decimal("5301.35"), DAYS[5])
        for day in DAYS[5:8]:
            await settle(session, day, "104", desk=halve)
        assert position.shares == 50  # once for one announcement
        await settle(session, DAYS[8], "85", desk=halve)
        (trade,) = (await session.scalars(select(TradeOutcome))).all()
        sales = (await session.scalars(select(Fill).where(Fill.side == OrderSide.SELL))).all()
        assert [sale.shares for sale in sorted(sales, key=lambda sale: sale.session)] == [51, 50]
        assert len({order.client_order_id for order in await session.scalars(select(Order))}) == 3
        assert (trade.quantity, trade.exit_reason) == (101, ExitReason.STOP_LOSS)
        assert (await cash_of_the_trade(session)) == trade.pnl
        assert trade.fees == sum(sale.fee for sale in sales) + position.entry_fee
        assert trade.r_multiple == pytest.approx(float(trade.pnl) / (101 * 10))
        (listed,) = await AgentMemory(session).trade_records(most=10)  # one line, and its last sale
        assert (listed.pnl, listed.exit_reference) == (trade.pnl, Decimal("85.0000"))

    trial(database, work)


def with_bars(day: date, *, closes: int = 40) -> MarketView:
    """AAA moves between 118 and 122 up to `day`: its ATR is near 6 dollars."""
    days = sessions(date(2023, 12, 1), day)[-closes:]
    prices = 120 + 2 * np.cos(np.arange(len(days)) * np.pi)
    return MarketView(day, view_of(day, Decimal(120)).instruments, {"AAA": bars_of(prices, first=days[0])})


async def tightened(session: AsyncSession, before: Direction, now: Direction) -> list[str]:
    step = step_at(session, DAYS[4], Slot.REGIME, [], with_bars(DAYS[4]))
    return await tighten_stops(step, build.reading(DAYS[3], before), build.reading(DAYS[4], now))


def test_a_tighter_regime_raises_stops_and_sells_nothing(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        position.last_session = DAYS[4]
        (said,) = await tightened(session, Direction.BULL, Direction.BEAR)
        assert said == f"AAA 90.00 to {position.stop:.2f}"
        assert 100 < position.stop < 118  # 1.5 ATR below the close, here above the entry
        assert (position.initial_stop, position.state) == (Decimal("90.0000"), PositionState.OPEN)
        assert await tightened(session, Direction.BULL, Direction.BEAR) == []  # the same close moves it once
        stop = position.stop
        await settle(session, DAYS[5], str(stop - 1), reports=None)
        (trade,) = (await session.scalars(select(TradeOutcome))).all()
        assert trade.exit_reason is ExitReason.REGIME_CHANGE
        assert trade.r_multiple == pytest.approx(float(trade.pnl) / 1010)  # one R is still 10 dollars a share

    trial(database, work)


@pytest.mark.parametrize(
    ("before", "now"), [(Direction.BEAR, Direction.BULL), (Direction.BULL, Direction.BULL)]
)
def test_a_regime_that_is_not_tighter_moves_no_stop(database: str, before: Direction, now: Direction) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        position.last_session = DAYS[4]
        assert await tightened(session, before, now) == []
        assert position.stop == Decimal("90.0000")

    trial(database, work)


def test_a_stop_on_the_basis_of_a_later_split_is_not_raised_by_an_older_bar(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        position.last_session = DAYS[4]
        await live_through_actions(step_at(session, DAYS[5], Slot.CORPORATE_ACTIONS, [split("2", DAYS[5])]))
        assert position.stop == Decimal("45.0000")
        assert await tightened(session, Direction.BULL, Direction.BEAR) == []
        assert position.stop == Decimal("45.0000")  # not 108, at which the split share would be sold at once

    trial(database, work)


def test_a_position_whose_bar_is_missing_or_doubted_keeps_its_stop(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)  # last seen on the day it was bought
        assert await tightened(session, Direction.BULL, Direction.BEAR) == []
        assert position.stop == Decimal("90.0000")

    trial(database, work)


def evening(session: AsyncSession, day: date) -> Step:
    return step_at(session, day, Slot.DELIBERATE, [], view_of(day, Decimal(100)))


async def fallen(database: str, *, equity: str = "84000", day: date = DAYS[1]) -> None:
    """A desk that was at 100,000 and settles lower."""
    with writing(database) as session:
        build.found_desk(session)
        session.add(build.deposit("100000.00"))
        session.add(build.equity(DAYS[0], "100000.00", cash=Decimal("100000.00")))
        lost = build.deposit(str(Decimal(equity) - 100_000))
        lost.kind, lost.session = CashKind.CORRECTION, day
        session.add(lost)
        session.add(build.version(2, limits=Limits().model_dump(mode="json")))
    async with transaction(database) as work:
        await STEPS[Slot.SETTLE](step_at(work, day, Slot.SETTLE, [], view_of(day, Decimal(100))))


async def test_a_desk_that_lost_too_much_is_halted_until_a_human_rearms_it(database: str) -> None:
    await fallen(database)
    with Desk(database) as desk:
        taken = desk.snapshot()
        assert taken is not None
        assert taken.ladder is not None
        assert taken.ladder.words == f"HALTED since {DAYS[1]}, 16.0% below its high"
        receipt = desk.rearm("the feed was wrong", operator=ADA)
        assert receipt.accepted
        assert "84" not in receipt.message
        taken = desk.snapshot()
        assert taken is not None
        assert taken.ladder is not None
        assert taken.ladder.words == "quarter size, 20 trades of probation left, 0.0% below its high"
        assert (taken.operations[0].kind, taken.operations[0].who) == (OperationKind.REARM, ADA.name)
        assert not desk.rearm("again", operator=ADA).accepted
    async with transaction(database) as session:
        (row,) = (await session.scalars(select(RearmRow))).all()
        assert (row.session, row.rearmed_by, row.rearmed_from, row.reason) == (
            DAYS[1],
            "ada",
            "/dev/pts/3 10.0.0.7",
            "the feed was wrong",
        )
        book = await book_tonight(evening(session, DAYS[1]), DAYS[2], ())
        reading = await session.get_one(LadderReading, DAYS[1])
        limits = PARTS.limits
        # What the command wrote is what the engine makes of the re-arm.
        assert (reading.rung, reading.drawdown, reading.halted_since, reading.probation_left) == (
            book.ladder.rung(limits),
            float(book.ladder.drawdown),
            book.ladder.halted_since,
            book.ladder.probation_left,
        )
        assert book.ladder.scale(limits) == Decimal("0.25")
    async with transaction(database) as session:  # the next close keeps what was said
        await STEPS[Slot.SETTLE](step_at(session, DAYS[2], Slot.SETTLE, [], view_of(DAYS[2], Decimal(100))))
        reading = await session.get_one(LadderReading, DAYS[2])
        assert (reading.rung, reading.drawdown, reading.probation_left) == (Rung.FULL, 0.0, 20)


async def test_a_deposit_neither_hides_a_loss_nor_lifts_the_mark(database: str) -> None:
    await fallen(database)
    with writing(database) as session:
        paid = build.deposit("500000.00")
        paid.session = DAYS[2]
        session.add(paid)
    async with transaction(database) as session:
        await STEPS[Slot.SETTLE](step_at(session, DAYS[2], Slot.SETTLE, [], view_of(DAYS[2], Decimal(100))))
        reading = await session.get_one(LadderReading, DAYS[2])
        assert (reading.rung, reading.drawdown, reading.halted_since) == (Rung.HALT, 0.16, DAYS[1])
        equity = await session.get_one(Equity, DAYS[2])
        assert (equity.equity, equity.day_return, equity.drawdown) == (Decimal("584000.00"), 0.0, 0.16)


async def test_a_desk_that_is_not_stopped_cannot_be_rearmed(database: str) -> None:
    await fallen(database, equity="90000")
    with Desk(database) as desk:
        receipt = desk.rearm("let me", operator=ADA)
        assert (receipt.accepted, receipt.message) == (False, "nothing is halted")
        taken = desk.snapshot()
    assert taken is not None
    assert taken.ladder is not None
    assert taken.ladder.words == "quarter size, 10.0% below its high"
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from rearms").fetchone() == (0,)


async def test_a_record_without_an_edge_caps_what_its_setup_may_risk(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
        for number in range(30):
            made = build.propose(session, build.terms(symbol=f"S{number}"), **build.approved())
            sold = build.position(made, state=PositionState.CLOSED, closed_session=DAYS[0])
            session.add(sold)
            session.flush()
            session.add(build.outcome(sold, "-1.00", r_multiple=-1.0 if number % 3 else 1.0))
    async with transaction(database) as session:
        step = evening(session, DAYS[1])
        caps = await kelly_caps(step)
        assert caps == {SetupType.OVERSOLD_BOUNCE: KellyCap(risk=0.0, trades=30)}
        facts = facts_at_open(step, "AAA", caps[SetupType.OVERSOLD_BOUNCE])
        assert facts.kelly == KellyCap(risk=0.0, trades=30)
        assert await kelly_caps(replace(step, now=build.CLOSE)) == {}  # before they were closed


async def test_the_limits_are_kept_with_the_run_and_shown_from_it(database: str) -> None:
    await fallen(database, equity="94000")
    async with transaction(database) as session:
        session.add(build.reading(DAYS[1], Direction.BEAR))
        await session.flush()
        step = evening(session, DAYS[1])
        screened = partial(screen, step.view, ScreenRules())
        result = await STEPS[Slot.DELIBERATE](replace(step, next_session=DAYS[2], screened=screened))
        session.add(build.run(DAYS[1], Slot.DELIBERATE, result=result.figures))
    with Desk(database) as desk:
        taken = desk.snapshot()
    assert taken is not None
    assert taken.limits is not None
    assert (taken.limits.session, taken.limits.slot) == (DAYS[1], Slot.DELIBERATE)
    shown = {row.name: row for row in taken.limits.limits}
    assert (shown["risk_per_trade"].limit, shown["risk_per_trade"].source) == (0.0025, "regime policy")
    assert (shown["heat"].limit, shown["heat"].bound, shown["heat"].left) == (0.015, 0.06, 0.015)
    assert (shown["entry_size"].limit, shown["entry_size"].note) == (0.5, "half")
    assert shown["ladder_halt"].used == pytest.approx(0.06)


def test_the_evenings_reading_raises_stops_and_says_which(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, HELD)
        position.last_session = DAYS[4]
        await settle(session, DAYS[4], "120", reports=None)
        held = with_bars(DAYS[4])
        fallen = bars_of([*[5000.0] * 219, 4500.0], symbol="^GSPC", first=add_sessions(DAYS[4], -219))
        index = Instrument("^GSPC", "S&P 500", None, None, AssetType.INDEX)
        view = MarketView(
            DAYS[4], {**held.instruments, "^GSPC": index}, {"AAA": held.bars("AAA"), "^GSPC": fallen}
        )
        result = await STEPS[Slot.REGIME](step_at(session, DAYS[4], Slot.REGIME, [], view))
        assert result.summary == (
            "BEAR HIGH_VOL: ^GSPC -10.0% from SMA200; stops raised: AAA 90.00 to 108.40"
        )
        assert len(result.figures["stops"]) == 1  # type: ignore[arg-type]
        assert (position.state, position.stop > 100) == (PositionState.OPEN, True)

    trial(database, work)
