"""Whatever the market, the human and the broker's line do: in the end the book is what the broker has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from agents.brokers.paper import PaperBroker
from agents.brokers.port import (
    ActionLivedThrough,
    Broker,
    BrokerFill,
    BrokerOrder,
    BrokerUnreachable,
    Protection,
    Standing,
)
from agents.market.actions import CorporateAction
from agents.market.bars import AssetType, Bars, Instrument, MarketView
from agents.market.calendar import add_sessions, previous_session, sessions
from agents.trading.limits import Limits
from app.runtime.brokers import Counter
from app.runtime.entering import terms_of
from app.runtime.protection import protect_all
from app.runtime.reconcile import differences
from app.runtime.step import DeskParts
from app.runtime.steps import STEPS
from storage.broker_records import RequestState, RequestVerb
from storage.engine import open_engine
from storage.ledger import Ledger
from storage.models import Fill, PaperFill, Position, PositionRequest, RegimeReading, TradeOutcome
from storage.paper_book import PaperBook
from storage.records import ApprovalState, Direction, OrderSide, Slot, to_price, uuid7
from tests.app.test_corporate_actions import PARTS, found, propose, split, step_at
from tests.market.series import bars_of
from tests.storage import desk_builder as build

Answer = TypeVar("Answer")
DAYS = sessions(date(2024, 3, 5), date(2024, 3, 28))
SYMBOLS = ("AAA", "BBB", "CCC")
HISTORY = 260
SLOTS = (Slot.CORPORATE_ACTIONS, Slot.CUTOFF, Slot.OPEN, Slot.MARK_LATE, Slot.SETTLE, Slot.SETTLE_EVENING)


@dataclass
class Line:
    """The line to the broker: of the next calls these are lost on the way there, or on the way back."""

    faults: list[str] = field(default_factory=list)

    def next(self) -> str:
        return self.faults.pop() if self.faults else ""


class OverThere(Broker):
    """A broker in another transaction: what it took stays taken when a step is rolled back."""

    def __init__(self, there: AsyncSession, counter: Counter, line: Line) -> None:
        self._paper = PaperBroker(PaperBook(there), counter.tape, counter.costs, counter.now)
        self._line = line

    async def _call(self, work: Awaitable[Answer]) -> Answer:
        fault = self._line.next()
        if fault == "there":
            work.close()  # type: ignore[attr-defined]  # it never left
            raise BrokerUnreachable("lost on the way there")
        answer = await work
        if fault == "back":
            raise BrokerUnreachable("lost on the way back")
        return answer

    async def place(self, order: BrokerOrder) -> Standing:
        return await self._call(self._paper.place(order))

    async def protect(self, protection: Protection) -> Standing:
        return await self._call(self._paper.protect(protection))

    async def cancel(self, client_order_id: str) -> Standing:
        return await self._call(self._paper.cancel(client_order_id))

    async def orders(self, since: date) -> Sequence[Standing]:
        return await self._call(self._paper.orders(since))

    async def positions(self) -> Mapping[str, int]:
        return await self._call(self._paper.positions())

    async def cash(self) -> Decimal:
        return await self._call(self._paper.cash())

    async def fills(self, since: date) -> Sequence[BrokerFill]:
        told = await self._call(self._paper.fills(since))
        return [*told, *told[-1:]]  # the last one twice, always

    async def lived_through(self, action: ActionLivedThrough) -> None:
        await self._call(self._paper.lived_through(action))


@dataclass(frozen=True)
class Day:
    """Of each symbol: open and close in per mille of the close before (None: no bar), and what is done."""

    moves: tuple[tuple[int, int] | None, ...]
    proposed: tuple[bool, ...]
    asked: tuple[str, ...]  # "close", "stop" or nothing
    splits: int | None  # which symbol splits 2 for 1 this morning
    faults: tuple[str, ...]


MOVES = st.none() | st.tuples(st.integers(930, 1070), st.integers(920, 1080))
DAY = st.builds(
    Day,
    moves=st.tuples(*[MOVES] * 3),
    proposed=st.tuples(*[st.booleans()] * 3),
    asked=st.tuples(*[st.sampled_from(["", "", "", "close", "stop"])] * 3),
    splits=st.none() | st.none() | st.integers(0, 2),
    faults=st.lists(st.sampled_from([*[""] * 7, "there", "back"]), max_size=60).map(tuple),
)


@dataclass
class World:
    """Bars so far; every series ends on the last day it showed one."""

    prices: dict[str, list[tuple[date, float, float]]] = field(
        default_factory=lambda: {symbol: [] for symbol in SYMBOLS}
    )
    last: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SYMBOLS, 100.0))
    actions: list[CorporateAction] = field(default_factory=list)

    def live(self, day: date, what: Day) -> None:
        if what.splits is not None:
            symbol = SYMBOLS[what.splits]
            self.actions.append(split("2", day, symbol))
            self.last[symbol] /= 2
            self.prices[symbol] = [(at, low / 2, high / 2) for at, low, high in self.prices[symbol]]
        for symbol, move in zip(SYMBOLS, what.moves, strict=True):
            if move is not None:
                opened = self.last[symbol] * move[0] / 1000
                self.last[symbol] = opened * move[1] / 1000
                self.prices[symbol].append((day, opened, self.last[symbol]))

    def view(self, day: date) -> MarketView:
        known = {name: Instrument(name, name, "Technology", None, AssetType.STOCK) for name in SYMBOLS}
        return MarketView(day, known, {name: self._bars(name) for name in SYMBOLS})

    def _bars(self, symbol: str) -> Bars:
        days = self.prices[symbol]
        scale = (days[0][1] if days else self.last[symbol]) / 100
        own = np.random.default_rng(SYMBOLS.index(symbol))  # or they would move as one, and one be too many
        before = (100 + own.normal(size=HISTORY)) * scale
        first = add_sessions(DAYS[0], -HISTORY)
        quiet = bars_of(before, symbol=symbol, first=first)
        if not days:
            return quiet
        at, opened, closed = (np.array(column) for column in zip(*days, strict=True))
        return replace(
            quiet,
            sessions=np.concatenate([quiet.sessions, at.astype("datetime64[D]")]),
            open=np.concatenate([quiet.open, opened]),
            high=np.concatenate([quiet.high, np.maximum(opened, closed) * 1.005]),
            low=np.concatenate([quiet.low, np.minimum(opened, closed) * 0.995]),
            close=np.concatenate([quiet.close, closed]),
            volume=np.concatenate([quiet.volume, np.full(len(at), 1e6)]),
        )


async def offer(session: AsyncSession, symbol: str, eve: date, entry: date, close: float) -> None:
    """An approved entry near the close."""
    approval = await propose(session, symbol, eve, entry, ApprovalState.APPROVED)
    price = Decimal(str(close))
    approval.min_entry, approval.max_entry = (
        to_price(price * Decimal("0.95")),
        to_price(price * Decimal("1.03")),
    )
    approval.stop, approval.target = to_price(price * Decimal("0.93")), to_price(price * Decimal("1.30"))
    approval.max_shares, approval.max_risk, approval.max_hold = 40, Decimal("2000.00"), 3
    approval.close, approval.limits = to_price(price), dict(Limits().in_force())
    approval.digest = approval.decided_digest = terms_of(approval).digest
    if await session.get(RegimeReading, eve) is None:
        session.add(build.reading(eve, Direction.BULL))
    await session.flush()


async def ask(session: AsyncSession, row: Position, what: str) -> None:
    """What storage/positions_control.py would leave."""
    stop = to_price((row.stop + row.last_close) / 2) if what == "stop" else None
    open_request = await session.scalar(
        select(PositionRequest.id).where(
            PositionRequest.position_id == row.id,
            PositionRequest.verb == RequestVerb(what),
            PositionRequest.state.in_((RequestState.WAITING, RequestState.SENT)),
        )
    )
    if open_request is not None or (stop is not None and not row.initial_stop <= stop < row.target):
        return
    session.add(
        PositionRequest(
            id=uuid7(),
            position_id=row.id,
            verb=RequestVerb(what),
            stop=stop,
            asked_by="ada",
            asked_from="",
            reason="",
            asked_at=build.CLOSE,
            state=RequestState.WAITING,
        )
    )
    await session.flush()


@pytest.mark.long
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(days=st.lists(DAY, min_size=3, max_size=9))
def test_whatever_happens_the_book_is_what_the_broker_has(
    database: str, monkeypatch: pytest.MonkeyPatch, days: list[Day]
) -> None:
    monkeypatch.setattr("app.runtime.morning.PATIENCE_S", 0.0)
    asyncio.run(lived_through(database, days))


async def test_such_days_do_bring_trades_of_every_kind(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the property above is about something."""
    monkeypatch.setattr("app.runtime.morning.PATIENCE_S", 0.0)
    calm = Day(
        moves=((1001, 1002), (1000, 999), (1002, 1001)),
        proposed=(True, True, True),
        asked=("", "", ""),
        splits=None,
        faults=("back", *[""] * 5, "there", *[""] * 8),
    )
    days = [
        calm,
        replace(calm, splits=1, asked=("stop", "", "")),
        replace(calm, moves=((1001, 900), (1000, 999), None), asked=("", "close", "")),
        *[calm] * 3,
    ]
    reasons = await lived_through(database, days)
    assert {"manual", "trailing_stop", "time_exit"} <= set(reasons)


async def lived_through(database: str, days: list[Day]) -> list[str]:
    """Why each trade ended."""
    engine = open_engine(database)
    try:
        async with (
            AsyncSession(engine, expire_on_commit=False) as here,
            AsyncSession(engine, expire_on_commit=False) as there,
        ):
            found(here)
            await here.flush()
            there.add(build.deposit("100000000.00"))
            await there.flush()
            line, world = Line(), World()
            parts = replace(PARTS, broker=lambda counter: OverThere(there, counter, line))
            for day, what in zip(DAYS, days, strict=False):
                await one_day(here, parts, world, line, day, what)
                await agrees(here, there, parts, world, day)
            reasons = list(await here.scalars(select(TradeOutcome.exit_reason)))
            await here.rollback()
            await there.rollback()
            return [str(reason) for reason in reasons]
    finally:
        await engine.dispose()


async def one_day(
    here: AsyncSession, parts: DeskParts, world: World, line: Line, day: date, what: Day
) -> None:
    held = {row.symbol: row for row in await Ledger(here).open_positions()}
    for symbol, wanted, asked in zip(SYMBOLS, what.proposed, what.asked, strict=True):
        if symbol in held and asked:
            await ask(here, held[symbol], asked)
        if symbol not in held and wanted:
            await offer(here, symbol, previous_session(day), day, world.last[symbol])
    world.live(day, what)
    line.faults = list(what.faults)
    for slot in SLOTS:
        await until_done(here, lambda slot=slot: step_of(here, parts, world, day, slot))  # type: ignore[misc]
    line.faults = []


async def until_done(here: AsyncSession, make: Callable[[], Awaitable[object]]) -> None:
    """As the queue does it: what fails keeps nothing here, and is done again."""
    while True:
        try:
            async with here.begin_nested():
                await make()
        except BrokerUnreachable:
            continue
        return


async def step_of(here: AsyncSession, parts: DeskParts, world: World, day: date, slot: Slot) -> object:
    step = step_at(here, day, slot, world.actions, world.view(day))
    return await STEPS[slot](replace(step, parts=parts))


async def agrees(here: AsyncSession, there: AsyncSession, parts: DeskParts, world: World, day: date) -> None:
    """Nothing twice, nothing lost, nothing without a stop."""
    step = replace(step_at(here, day, Slot.SETTLE_MORNING, world.actions, world.view(day)), parts=parts)
    assert await protect_all(step) == []
    await here.flush()
    assert await differences(step) == []
    entries = select(func.count()).select_from(Fill).where(Fill.side == OrderSide.BUY)
    assert await here.scalar(entries) == await here.scalar(select(func.count()).select_from(Position))
    booked = await here.scalar(select(func.count()).select_from(Fill))
    assert booked == await there.scalar(select(func.count()).select_from(PaperFill))
