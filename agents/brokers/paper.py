"""The paper broker: an account in the desk's own database that executes orders on daily bars.

A daily bar tells no order of its prices, so orders meet it when the tape shows it, in one go: those for the
open at the open, then what protects a holding, then those for the close. Its prices are those of
agents/trading/broker.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from agents.brokers.port import (
    ActionLivedThrough,
    Broker,
    BrokerFill,
    BrokerOrder,
    BrokerRefused,
    Protection,
    Standing,
)
from agents.market.actions import Actions
from agents.market.bars import Bar, MarketView
from agents.trading.broker import EntryFill, EntryOrder, Hit, fill_entry, is_usable, protection_hit
from agents.trading.costs import Costs
from agents.trading.holding import split_check
from storage.broker_records import BrokerOrderState, Leg, OrderKind
from storage.models.broker import PaperAction, PaperFill, PaperHolding, PaperOrder
from storage.paper_book import PaperBook
from storage.records import OrderSide, to_price


@dataclass(frozen=True, kw_only=True)
class Tape:
    """What the exchange has shown of a session by now."""

    view: MarketView
    session: date
    opened: bool  # the opening auction is over
    closed: bool  # so is the session, and its bar is what it will be
    actions: Actions | None  # None: nobody can tell a split from a fall


class PaperBroker(Broker):
    """The paper account of one desk, within the transaction of the book it is handed."""

    def __init__(self, book: PaperBook, tape: Tape, costs: Costs, now: datetime) -> None:
        self._book = book
        self._tape = tape
        self._costs = costs
        self._now = now

    # -- what the desk asks ----------------------------------------------------------------------------------

    async def place(self, order: BrokerOrder) -> Standing:
        known = await self._book.order(order.client_order_id)
        if known is not None:
            return _standing(known)
        await self._refuse(order)
        row = PaperOrder(
            client_order_id=order.client_order_id,
            kind=order.kind,
            symbol=order.symbol,
            side=order.side,
            shares=order.shares,
            session=order.session,
            limit_price=order.limit,
            floor_price=order.floor,
            write_off=order.write_off,
            state=BrokerOrderState.RESTING,
            note="",
            placed_at=self._now,
        )
        await self._book.add(row)
        return _standing(row)

    async def protect(self, protection: Protection) -> Standing:
        known = await self._book.order(protection.client_order_id)
        if known is not None:
            return _standing(known)
        holding = await self._book.holding(protection.symbol)
        if holding is None or protection.shares > holding.shares:
            held = holding.shares if holding is not None else 0
            raise BrokerRefused(f"{protection.shares} {protection.symbol} to protect, held are {held}")
        for row in await self._book.resting():
            if row.position == protection.position:
                row.state, row.note = BrokerOrderState.CANCELLED, f"replaced by {protection.client_order_id}"
        row = PaperOrder(
            client_order_id=protection.client_order_id,
            kind=OrderKind.PROTECTION,
            symbol=protection.symbol,
            side=OrderSide.SELL,
            shares=protection.shares,
            position=protection.position,
            stop=protection.stop,
            target=protection.target,
            state=BrokerOrderState.RESTING,
            note="",
            placed_at=self._now,
        )
        await self._book.add(row)
        return _standing(row)

    async def cancel(self, client_order_id: str) -> Standing:
        row = await self._book.order(client_order_id)
        if row is None:
            raise BrokerRefused(f"there is no order {client_order_id}")
        if row.state is BrokerOrderState.RESTING:
            row.state, row.note = BrokerOrderState.CANCELLED, "cancelled"
        return _standing(row)

    async def orders(self, since: date) -> Sequence[Standing]:
        await self._run()
        return [_standing(row) for row in await self._book.orders(since)]

    async def positions(self) -> Mapping[str, int]:
        await self._run()
        return {holding.symbol: holding.shares for holding in await self._book.holdings()}

    async def cash(self) -> Decimal:
        await self._run()
        return await self._book.cash()

    async def fills(self, since: date) -> Sequence[BrokerFill]:
        await self._run()
        return [
            BrokerFill(
                id=f"paper-{row.client_order_id}",
                client_order_id=row.client_order_id,
                symbol=row.symbol,
                side=row.side,
                shares=row.shares,
                price=row.price,
                reference=row.reference,
                fee=row.fee,
                leg=row.leg,
                session=row.session,
            )
            for row in await self._book.fills(since)
        ]

    async def lived_through(self, action: ActionLivedThrough) -> None:
        """Take the action over: a paper account has no clearing house that would tell it."""
        if await self._book.knows_action(action.key):
            return
        await self._book.add(
            PaperAction(key=action.key, symbol=action.symbol, cash=action.cash, session=action.session)
        )
        holding = await self._book.holding(action.symbol)
        if holding is None:
            return
        entered, seen, met = holding.entry_session, holding.last_session, holding.met_session
        if action.shares == 0:
            await self._leave(holding)
            return
        if action.new_symbol == action.symbol:
            if (action.shares, action.last_close) != (holding.shares, holding.last_close):
                await self._end_sales(action.symbol, "its prices are of another basis since an action")
            holding.shares, holding.last_close = action.shares, action.last_close
            return
        await self._leave(holding)
        await self._book.add(
            PaperHolding(
                symbol=action.new_symbol,
                shares=action.shares,
                entry_session=entered,
                last_close=action.last_close,
                last_session=seen,
                met_session=met,
            )
        )

    # -- what the exchange does ------------------------------------------------------------------------------

    async def _refuse(self, order: BrokerOrder) -> None:
        """Raises BrokerRefused for an order that no broker would take."""
        over = self._tape.closed if order.kind is OrderKind.MARKET_ON_CLOSE else self._tape.opened
        if order.session < self._tape.session or (order.session == self._tape.session and over):
            raise BrokerRefused(f"too late for the {order.kind.replace('_', ' ')} of {order.session}")
        if order.side is OrderSide.SELL:
            holding = await self._book.holding(order.symbol)
            if holding is None or order.shares > holding.shares:
                held = holding.shares if holding is not None else 0
                raise BrokerRefused(f"{order.shares} {order.symbol} to sell, held are {held}")
        elif order.kind is not OrderKind.LIMIT_ON_OPEN or order.limit is None or order.floor is None:
            raise BrokerRefused("this account buys by limit at an open, and not otherwise")

    async def _run(self) -> None:
        """Let what rests meet what the tape has shown; what has met it already is left alone."""
        tape = self._tape
        resting = await self._book.resting() if tape.opened else []
        for row in resting:
            if row.session is None or row.session > tape.session:
                continue
            if row.kind is OrderKind.LIMIT_ON_OPEN:
                await self._buy(row, row.session)
            elif row.kind is OrderKind.MARKET_ON_OPEN:
                await self._sell_at_open(row, row.session)
            elif row.session < tape.session:  # a bar that came late may have filled it until now
                _end(row, BrokerOrderState.EXPIRED, f"no price at the close of {row.session}")
        if tape.closed:
            for holding in await self._book.holdings():
                await self._meet_bar(holding)

    async def _buy(self, row: PaperOrder, session: date) -> None:
        assert row.limit_price is not None and row.floor_price is not None
        order = EntryOrder(
            symbol=row.symbol,
            session=session,
            shares=row.shares,
            limit=row.limit_price,
            floor=row.floor_price,
        )
        bar = self._bar(row.symbol, session)
        answer = fill_entry(order, bar, self._costs)
        if not isinstance(answer, EntryFill):
            _end(row, BrokerOrderState.EXPIRED, f"{answer.reason}: {answer.note}")
            return
        assert bar is not None  # it was filled at its open
        await self._execute(row, session, Hit(Leg.OPEN, to_price(bar.open), answer.price), answer.shares)
        holding = await self._book.holding(row.symbol)
        if holding is not None:
            holding.shares += answer.shares
            return
        await self._book.add(
            PaperHolding(
                symbol=row.symbol,
                shares=answer.shares,
                entry_session=session,
                last_close=answer.price,
                last_session=session,
            )
        )

    async def _sell_at_open(self, row: PaperOrder, session: date) -> None:
        holding = await self._book.holding(row.symbol)
        bar = self._bar(row.symbol, session)
        if holding is None or bar is None:
            why = f"no open of {session}" if holding is not None else "nothing of it is held"
            _end(row, BrokerOrderState.EXPIRED, why)
            return
        if self._is_doubted(holding, bar):
            _end(row, BrokerOrderState.EXPIRED, f"the open of {session} suggests a split: not sold at it")
            return
        hit = Hit(Leg.OPEN, to_price(bar.open), self._costs.sell_at_market(bar.open))
        await self._sell(row, holding, session, hit)

    async def _meet_bar(self, holding: PaperHolding) -> None:
        """What the session's bar does to a holding: once, and not before there is one."""
        session, symbol = self._tape.session, holding.symbol
        if holding.met_session is not None and holding.met_session >= session:
            return
        if holding.entry_session > session:
            return
        resting = [row for row in await self._book.resting() if row.symbol == symbol]
        protection = next((row for row in resting if row.kind is OrderKind.PROTECTION), None)
        at_close = [
            row for row in resting if row.kind is OrderKind.MARKET_ON_CLOSE and row.session == session
        ]
        bar = self._bar(symbol, session)
        if bar is None:
            for row in at_close:
                if row.write_off:
                    await self._sell(row, holding, session, self._written_off(holding))
            return
        holding.met_session = session
        hit = self._hit(protection, holding, bar)
        if self._is_doubted(holding, bar):
            await self._sell_in_doubt(holding, bar, protection, hit, at_close)
            return
        if protection is not None and hit is not None:
            await self._sell(protection, holding, session, hit)
            return
        for row in at_close:
            await self._sell(row, holding, session, self._close(bar))
        holding.last_close, holding.last_session = to_price(bar.close), session

    async def _sell_in_doubt(
        self,
        holding: PaperHolding,
        bar: Bar,
        protection: PaperOrder | None,
        hit: Hit | None,
        at_close: Sequence[PaperOrder],
    ) -> None:
        """No exit by a price nobody believes; when its time is up, by the worse of bar and last close."""
        for row in at_close:
            if not row.write_off:
                _end(row, BrokerOrderState.EXPIRED, "its open suggests a split: not sold at such a price")
                continue
            on_bar, without = hit or self._close(bar), self._written_off(holding)
            worse = min(on_bar, without, key=lambda one: one.price)
            sold_by = protection if protection is not None and worse is hit else row
            await self._sell(sold_by, holding, bar.session, worse)

    def _hit(self, protection: PaperOrder | None, holding: PaperHolding, bar: Bar) -> Hit | None:
        if protection is None or protection.stop is None or protection.target is None:
            return None
        return protection_hit(
            protection.stop,
            protection.target,
            bar,
            entered_today=holding.entry_session == bar.session,
            costs=self._costs,
        )

    def _close(self, bar: Bar) -> Hit:
        return Hit(Leg.CLOSE, to_price(bar.close), self._costs.sell_at_market(bar.close))

    def _written_off(self, holding: PaperHolding) -> Hit:
        return Hit(Leg.CLOSE, holding.last_close, self._costs.sell_at_stop(holding.last_close))

    def _is_doubted(self, holding: PaperHolding, bar: Bar) -> bool:
        hold = split_check(holding, bar, bar.session, self._tape.actions)
        return hold is not None and not hold.is_released

    def _bar(self, symbol: str, session: date) -> Bar | None:
        bar = self._tape.view.bars(symbol).on(session)
        return bar if bar is not None and is_usable(bar) else None

    # -- its book --------------------------------------------------------------------------------------------

    async def _sell(self, row: PaperOrder, holding: PaperHolding, session: date, hit: Hit) -> None:
        """Never more than is held; what protected the shares that are gone protects the rest."""
        if row.state is not BrokerOrderState.RESTING:
            return
        shares = min(row.shares, holding.shares)
        await self._execute(row, session, hit, shares)
        if shares == holding.shares:
            await self._leave(holding)
            return
        holding.shares -= shares
        for other in await self._book.resting():
            if other.symbol == holding.symbol and other.side is OrderSide.SELL:
                other.shares = min(other.shares, holding.shares)

    async def _execute(self, row: PaperOrder, session: date, hit: Hit, shares: int) -> None:
        row.state = BrokerOrderState.FILLED
        await self._book.add(
            PaperFill(
                client_order_id=row.client_order_id,
                symbol=row.symbol,
                side=row.side,
                shares=shares,
                price=hit.price,
                reference=hit.reference,
                fee=self._costs.fees(row.side, shares, hit.price, session).total,
                leg=hit.leg,
                session=session,
            )
        )

    async def _leave(self, holding: PaperHolding) -> None:
        """Nothing is held any more, so nothing is left to sell."""
        await self._end_sales(holding.symbol, "nothing of it is held any more")
        await self._book.remove(holding)

    async def _end_sales(self, symbol: str, why: str) -> None:
        for row in await self._book.resting():
            if row.symbol == symbol and row.side is OrderSide.SELL:
                _end(row, BrokerOrderState.CANCELLED, why)


def _end(row: PaperOrder, state: BrokerOrderState, note: str) -> None:
    row.state, row.note = state, note


def _standing(row: PaperOrder) -> Standing:
    return Standing(
        client_order_id=row.client_order_id,
        kind=row.kind,
        symbol=row.symbol,
        side=row.side,
        shares=row.shares,
        state=row.state,
        note=row.note,
        stop=row.stop,
        target=row.target,
    )
