"""What the broker has executed comes into the book, each fill once; what cannot be right stays out of it.

A fill is told again until the end of time, so nothing is lost by a desk that died: it is booked by the first
step that finds it and finds it not booked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from agents.brokers.port import BrokerFill, Standing
from agents.market.bars import Bar
from agents.trading.book import OpenPosition
from agents.trading.broker import ExitFill
from app.runtime.closing import AT_OPEN, close_trade, fill_row, sell, sold_part
from app.runtime.protection import protect
from app.runtime.step import AUCTION_OVER, SESSION_OVER, Step, held
from storage.broker_records import BrokerOrderState, Leg
from storage.models import Approval, Order, Position
from storage.records import ExitReason, OrderSide, OrderState, PositionState, to_cents, to_price

LOOK_BACK = timedelta(days=10)  # every session looks: what is older has been looked at


@dataclass
class Booked:
    """What came into the book just now: symbols bought, exits and other things in a few words."""

    bought: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def take_fills(step: Step, doubted: Collection[UUID] = ()) -> Booked:
    """Book every fill that is not in the book, and write down what became of orders that ended without one.

    `doubted` are positions whose bar of this session nobody believes.
    """
    booked = Booked()
    since = step.session - LOOK_BACK
    known = set(await step.ledger.booked_fills(since))
    told = await step.broker.fills(since)
    for fill in sorted(told, key=lambda one: one.side is not OrderSide.BUY):  # bought before it is sold
        if fill.id in known:
            continue
        known.add(fill.id)
        if why := await _book(step, fill, booked, doubted):
            booked.notes.append(f"not booked: {why}")
    await _see_to_the_ended(step)
    return booked


async def why_odd(step: Step, fill: BrokerFill) -> str:
    """Why a fill that is not in the book must not come into it, or nothing."""
    what = f"the broker's fill {fill.id} of {fill.shares} {fill.symbol} at {fill.price}"
    if fill.shares < 1 or not fill.price.is_finite() or fill.price <= 0 or fill.fee < 0:
        return f"{what} is none"
    order = await step.ledger.order(fill.client_order_id)
    if fill.side is OrderSide.BUY:
        if order is None or order.approval_id is None:
            return f"{what} is of no order of the desk"
        if order.symbol != fill.symbol or fill.shares > order.shares:
            return f"{what} is not what was ordered: {order.shares} {order.symbol}"
        return f"{what} is the second of its order" if order.state is OrderState.FILLED else ""
    position = await _sold_from(step, fill, order)
    if position is None:
        return f"{what} is of no order of the desk"
    if order is not None and order.state is OrderState.FILLED:
        return f"{what} is the second of its order"
    if position.state is not PositionState.OPEN:
        return f"{what} came after the position was closed"
    if position.symbol != fill.symbol or fill.shares > position.shares:
        return f"{what} is more than is held: {position.shares} {position.symbol}"
    return ""


async def _book(step: Step, fill: BrokerFill, booked: Booked, doubted: Collection[UUID]) -> str:
    """Book one fill; why not, or nothing."""
    if why := await why_odd(step, fill):
        return why
    order = await step.ledger.order(fill.client_order_id)
    if fill.side is OrderSide.BUY:
        assert order is not None  # why_odd has looked
        await _enter(step, order, fill)
        booked.bought.append(fill.symbol)
        return ""
    position = await _sold_from(step, fill, order)
    assert position is not None
    await _leave(step, position, order, fill, booked, doubted=position.id in doubted)
    return ""


async def _sold_from(step: Step, fill: BrokerFill, order: Order | None) -> Position | None:
    """The position a sale was of: that of its order, or the one it protected."""
    if order is not None:
        return None if order.position_id is None else await step.ledger.position(order.position_id)
    whose = _protected(fill.client_order_id)
    return None if whose is None else await step.ledger.position(whose)


def _protected(client_order_id: str) -> UUID | None:
    """The position that protect-POSITION-NUMBER names; also one sent by a desk that died before it knew."""
    kind, _, rest = client_order_id.partition("-")
    name, _, number = rest.rpartition("-")
    if kind != "protect" or not number.isdigit():
        return None
    try:
        return UUID(name)
    except ValueError:
        return None


async def _enter(step: Step, order: Order, fill: BrokerFill) -> None:
    assert order.approval_id is not None
    approval = await step.ledger.approval(order.approval_id)
    order.state = OrderState.FILLED
    order.note = f"{fill.shares} of {approval.max_shares} at {fill.price}"
    position = _position(step, approval, fill)
    await step.ledger.open_position(position)
    order.position_id = position.id
    await step.ledger.book_fill(
        fill_row(fill, order, position, step), note=f"bought {fill.shares} {fill.symbol}"
    )
    await protect(step, position)


def _position(step: Step, approval: Approval, fill: BrokerFill) -> Position:
    """It goes by the id of its approval: a step that is done again names the same orders."""
    return Position(
        id=approval.id,
        approval_id=approval.id,
        symbol=fill.symbol,
        setup_type=approval.setup_type,
        shares=fill.shares,
        entry_session=fill.session,
        entry_price=fill.price,
        entry_fee=fill.fee,
        stop=approval.stop,
        initial_stop=approval.stop,
        target=approval.target,
        max_hold=approval.max_hold,
        low_since=fill.price,
        high_since=fill.price,
        last_close=fill.price,
        last_session=fill.session,
        protections=0,
        unprotected_since=step.wall_now,
        stop_reason=ExitReason.STOP_LOSS,
        state=PositionState.OPEN,
    )


async def _leave(
    step: Step, row: Position, order: Order | None, fill: BrokerFill, booked: Booked, *, doubted: bool
) -> None:
    bar = None if doubted else step.view.bars(row.symbol).on(fill.session)
    before, reason = row.shares, _reason(row, order, fill)
    unprotected = await leave(step, row, fill, reason, order=order, bar=bar)
    words = reason.replace("_", " ")
    if row.state is PositionState.CLOSED:
        booked.closed.append(f"{row.symbol} {words}")
        return
    said = f"{row.symbol} sold {fill.shares} of {before}: {words}"
    booked.notes.append(f"{said}; unprotected: {unprotected}" if unprotected else said)


async def leave(
    step: Step,
    row: Position,
    fill: BrokerFill,
    reason: ExitReason,
    *,
    order: Order | None = None,
    bar: Bar | None = None,
) -> str:
    """Book a sale: the trade is over, or what is left of it is protected anew; why that is not, or nothing.

    Without an `order` one is written down; `bar` is what the market showed, where somebody believes it.
    """
    position = held(row)
    leaving = _exit(position, fill, reason, bar)
    await sell(step, row, leaving, fill, order)
    if fill.shares == row.shares:
        await close_trade(step, row, position, leaving)
        return ""
    sold_part(row, position, leaving)
    return await protect(step, row)


def _reason(row: Position, order: Order | None, fill: BrokerFill) -> ExitReason:
    if order is not None:
        return ExitReason(order.note)
    return ExitReason.TAKE_PROFIT if fill.leg is Leg.TARGET else row.stop_reason


def _exit(position: OpenPosition, fill: BrokerFill, reason: ExitReason, bar: Bar | None) -> ExitFill:
    """The sale with the prices the market is known to have shown while the shares were still held."""
    if bar is None:
        shown = [position.last_close]
    elif fill.leg is Leg.CLOSE:
        shown = [to_price(price) for price in (bar.open, bar.low, bar.high)]
    else:
        shown = [to_price(bar.open)]
    return ExitFill(
        symbol=position.symbol,
        session=fill.session,
        reason=reason,
        shares=fill.shares,
        price=fill.price,
        reference=fill.reference,
        amount=to_cents(fill.shares * fill.price),
        fee=fill.fee,
        low=min(*shown, fill.price),
        high=max(*shown, fill.price),
    )


async def _see_to_the_ended(step: Step) -> None:
    """Orders that ended without a fill, or never reached the broker, rest no longer."""
    resting = await step.ledger.resting_orders(step.session)
    if not resting:
        return
    there = {found.client_order_id: found for found in await step.broker.orders(resting[0].session)}
    for order in resting:
        if why := _ended(step, order, there.get(order.client_order_id)):
            order.state = OrderState.SKIPPED
            order.note = f"{order.note}: {why}" if order.note else why


def _ended(step: Step, order: Order, found: Standing | None) -> str:
    """Why an order rests no longer, or nothing."""
    if found is not None:
        ended = found.state in (BrokerOrderState.EXPIRED, BrokerOrderState.CANCELLED)
        return (found.note or str(found.state)) if ended else ""
    at_open = order.side is OrderSide.BUY or order.client_order_id.endswith(AT_OPEN)
    over = AUCTION_OVER if at_open else SESSION_OVER
    if order.session == step.session and step.slot not in over:
        return ""
    return "the broker never had it"
