"""The desk's own steps over PostgreSQL, killed anywhere, asleep for days: the books still hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from math import sin

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from agents.market.actions import ActionKind, CorporateAction
from agents.market.bars import AssetType, Instrument, MarketView
from agents.market.calendar import add_sessions, next_session
from agents.market.earnings import Announcement
from agents.market.indicators import technicals
from agents.trading.limits import Limits, Sized, size_entry
from agents.trading.setups import OversoldBounceParameters, SetupPlan, plan_oversold_bounce
from app.runtime.book import book_tonight, facts_tonight
from app.runtime.step import Step, technicals_json
from app.runtime.steps import STEPS
from storage.ledger import Ledger
from storage.models import Approval, CashEvent, Deliberation, Equity, Position, TradeOutcome
from storage.records import (
    ApprovalState,
    CashKind,
    Direction,
    PositionState,
    Recommendation,
    Slot,
    TradeTerms,
    uuid7,
)
from tests.app.test_corporate_actions import PARTS, step_at, told, trial
from tests.app.test_risk import Reports
from tests.market.series import bars_of
from tests.storage import desk_builder as build
from tests.trading.builders import PULLBACK

SYMBOLS = ("AAA", "BBB")
FIRST = date(2024, 3, 1)
HISTORY = 140  # bars before the first session: what the facts of a symbol need
DAY_STEPS = (Slot.CORPORATE_ACTIONS, Slot.CUTOFF, Slot.OPEN, Slot.SETTLE)
LIMITS = Limits.model_validate({"earnings_hold": "halve"})


@dataclass(frozen=True)
class Day:
    jump: int  # sessions since the last one the desk was awake on
    moves: tuple[int, int]  # of each symbol, per mille of the close before
    actions: tuple[str | None, str | None]
    proposed: bool
    reports: bool  # both report on the next session
    killed: frozenset[Slot]  # steps that are cut off once before they are done


DAYS = st.builds(
    Day,
    jump=st.sampled_from([1, 1, 1, 2, 3]),
    moves=st.tuples(*[st.integers(-12, 12) | st.integers(-90, 90)] * 2),
    actions=st.tuples(*[st.sampled_from([None, None, None, "2", "0.5", "d0.37"])] * 2),
    proposed=st.booleans(),
    reports=st.booleans(),
    killed=st.frozensets(st.sampled_from(DAY_STEPS)),
)


class Market:
    """Closes of each symbol on the basis of today, and the actions there have been."""

    def __init__(self) -> None:
        self.closes = {
            symbol: [100 + 3 * sin(n * (1.1 + 0.7 * place)) for n in range(HISTORY)]
            for place, symbol in enumerate(SYMBOLS)
        }
        self.actions: list[CorporateAction] = []
        self.session = FIRST

    def live(self, day: Day) -> None:
        """Every session slept through is a flat bar; the last one has the day's actions and moves."""
        self.session = add_sessions(self.session, day.jump)
        for symbol, move, action in zip(SYMBOLS, day.moves, day.actions, strict=True):
            closes = self.closes[symbol]
            closes += [closes[-1]] * (day.jump - 1)
            if action is not None:
                kind = ActionKind.DIVIDEND if action.startswith("d") else ActionKind.SPLIT
                found = told(kind, self.session, symbol, action.removeprefix("d"))
                self.actions.append(found)
                if kind is ActionKind.SPLIT:
                    closes[:] = [close / float(found.ratio) for close in closes]
            closes.append(closes[-1] * (1000 + move) / 1000)

    @property
    def view(self) -> MarketView:
        known = {symbol: Instrument(symbol, symbol, None, None, AssetType.STOCK) for symbol in SYMBOLS}
        bars = {
            symbol: bars_of(
                np.round(closes, 4), symbol=symbol, first=add_sessions(self.session, 1 - len(closes))
            )
            for symbol, closes in self.closes.items()
        }
        return MarketView(self.session, known, bars)


def step_of(session: AsyncSession, market: Market, day: Day, slot: Slot) -> Step:
    reports = Announcement(session=next_session(market.session), confirmed=True)
    return replace(
        step_at(session, market.session, slot, market.actions, market.view),
        parts=replace(PARTS, limits=LIMITS),
        earnings=Reports(dict.fromkeys(SYMBOLS, reports)) if day.reports else None,
    )


async def carry_out(session: AsyncSession, market: Market, day: Day) -> None:
    for slot in DAY_STEPS:
        if slot in day.killed:
            cut_off = await session.begin_nested()
            await STEPS[slot](step_of(session, market, day, slot))
            await cut_off.rollback()
            session.expire_all()
        await STEPS[slot](step_of(session, market, day, slot))
        await session.flush()


async def propose(session: AsyncSession, market: Market, day: Day) -> None:
    """What the evening would propose for both symbols, approved at once."""
    step, entry = step_of(session, market, day, Slot.DELIBERATE), next_session(market.session)
    book = await book_tonight(step, entry, SYMBOLS)
    for rank, symbol in enumerate(SYMBOLS, start=1):
        readings = technicals(step.view.bars(symbol))
        assert readings is not None
        plan = plan_oversold_bounce(symbol, replace(readings, rsi14=30.0), OversoldBounceParameters())
        if symbol in book.held or not isinstance(plan, SetupPlan):
            continue
        sized = size_entry(plan, facts_tonight(step, symbol, entry), book, LIMITS, PARTS.costs)
        if not isinstance(sized, Sized):
            continue
        book = book.reserve(symbol, sized.cost, sized.max_risk, sector=None)
        terms = TradeTerms(
            symbol=symbol,
            setup_type=plan.setup_type,
            entry_session=entry,
            min_entry=plan.min_entry,
            max_entry=plan.max_entry,
            stop=plan.stop,
            target=plan.target,
            max_shares=sized.shares,
            max_risk=sized.max_risk,
            max_hold=plan.max_hold,
            parameters_version=1,
            limits=LIMITS.in_force(),
        )
        await _approve(session, terms, rank, market.session, plan.close)


async def _approve(
    session: AsyncSession, terms: TradeTerms, rank: int, evening: date, close: Decimal
) -> None:
    argument = Deliberation(
        id=uuid7(),
        session=evening,
        symbol=terms.symbol,
        rank=rank,
        setup_type=terms.setup_type,
        proposed=True,
        reasoning="",
        checks=[],
        technical_snapshot=technicals_json(PULLBACK),
        created_at=build.CLOSE,
    )
    session.add(argument)
    await session.flush()
    fields = ("symbol", "setup_type", "entry_session", "min_entry", "max_entry", "stop", "target")
    more = ("max_shares", "max_risk", "max_hold", "parameters_version")
    session.add(
        Approval(
            deliberation_id=argument.id,
            short_id=f"{terms.symbol}-{evening:%m%d}",
            created_session=evening,
            **{name: getattr(terms, name) for name in (*fields, *more)},
            limits=dict(terms.limits),
            digest=terms.digest,
            decided_digest=terms.digest,
            close=close,
            risky=False,
            risky_reasons=[],
            recommendation=Recommendation.APPROVE,
            reasoning="",
            facts=[],
            created_at=build.CLOSE,
            **build.approved(state=ApprovalState.APPROVED),
        )
    )
    await session.flush()


async def check(session: AsyncSession, market: Market, bought: Sequence[Position]) -> None:
    """What must hold at every close."""
    equity = await session.get_one(Equity, market.session)
    assert equity.equity == equity.cash + equity.positions_value
    assert equity.cash == await Ledger(session).cash() >= 0
    view = market.view
    for position in await Ledger(session).open_positions():
        bar = view.bars(position.symbol).on(market.session)
        assert bar is not None
        assert Decimal(str(bar.low)) > position.stop  # no exit was held back
        assert position.initial_stop <= position.stop
    if any(position.entry_session == market.session for position in bought):
        assert equity.heat <= LIMITS.heat * 1.01  # of the close's equity, the limit was of the open's
    events = (await session.scalars(select(CashEvent).where(CashEvent.kind != CashKind.DEPOSIT))).all()
    dividends = sum((one.amount for one in events if one.kind is CashKind.DIVIDEND), Decimal(0))
    pnl = sum((await session.scalars(select(TradeOutcome.pnl))).all(), Decimal(0))
    tied_up = Decimal(0)
    for position in await Ledger(session).open_positions():
        cost = (position.shares * position.entry_price).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
        tied_up += cost + position.entry_fee + position.sold_fees - position.realised
    assert sum((one.amount for one in events), Decimal(0)) == pnl + dividends - tied_up


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(DAYS, min_size=3, max_size=8))
def test_whatever_the_steps_live_through_the_books_hold(database: str, days: list[Day]) -> None:
    async def work(session: AsyncSession) -> None:
        market = Market()
        session.add(build.reading(FIRST, Direction.BULL))
        for day in days:
            market.live(day)
            await carry_out(session, market, day)
            bought = (
                await session.scalars(select(Position).where(Position.state == PositionState.OPEN))
            ).all()
            await check(session, market, bought)
            if day.proposed:
                await propose(session, market, day)

    trial(database, work)


def test_the_days_of_those_steps_do_bring_trades(database: str) -> None:
    """So that the property above is about something."""

    async def work(session: AsyncSession) -> None:
        market = Market()
        session.add(build.reading(FIRST, Direction.BULL))
        quiet = Day(
            jump=1,
            moves=(3, -3),
            actions=(None, None),
            proposed=True,
            reports=False,
            killed=frozenset(DAY_STEPS),
        )
        for number in range(6):
            day = replace(quiet, actions=("2", None)) if number == 3 else quiet
            day = replace(day, moves=(3, -80)) if number == 5 else replace(day, reports=number == 4)
            market.live(day)
            await carry_out(session, market, day)
            await check(session, market, ())
            if number != 3:
                await propose(session, market, day)
        positions = (await session.scalars(select(Position))).all()
        assert {position.symbol for position in positions} == set(SYMBOLS)
        assert any(position.sold_shares for position in positions)
        assert any(position.state is PositionState.CLOSED for position in positions)

    trial(database, work)
