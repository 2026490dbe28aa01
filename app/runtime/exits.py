"""Exits that are not the broker's to find: time is up, or the company reports. Orders, sent in time."""

from __future__ import annotations

from dataclasses import dataclass

from agents.brokers.port import BrokerError, BrokerOrder, BrokerRefused
from agents.market.calendar import sessions_between
from agents.trading.broker import sold_before_earnings
from agents.trading.limits import HoldAction, halved_for, held_into_earnings
from app.runtime.book import earnings_date
from app.runtime.step import Step
from storage.broker_records import OrderKind
from storage.models import Order, Position
from storage.records import ExitReason, OrderSide, OrderState, uuid7


@dataclass(frozen=True, kw_only=True)
class Exit:
    """A sale that is to be made at the close of this session."""

    reason: ExitReason
    shares: int
    write_off: bool = False  # sold at the last price there was, should the session show none


async def order_exits(step: Step) -> list[str]:
    """Send what is to be sold at this session's close; each in a few words.

    Asked of every slot until the close: what the broker has already is not sent twice. After it there is
    nothing to send any more, and the next session asks again.
    """
    if step.missed_close:
        return []
    told = []
    for row in await step.ledger.open_positions():
        leaving = await _due(step, row)
        if leaving is None:
            continue
        whole = leaving.shares == row.shares
        name = f"{'exit' if whole else 'part'}-{row.id}-{step.session}"
        refused = await send_exit(step, row, leaving, name, OrderKind.MARKET_ON_CLOSE)
        what = f"{row.symbol} {leaving.reason.replace('_', ' ')} at the close"
        told.append(f"{what} not sent: {refused}" if refused else what)
    return told


async def _due(step: Step, row: Position) -> Exit | None:
    if sessions_between(row.entry_session, step.session) >= row.max_hold:
        return Exit(reason=ExitReason.TIME_EXIT, shares=row.shares, write_off=True)
    known, limits = earnings_date(step, row.symbol), step.parts.limits
    action = held_into_earnings(known, step.session, limits)
    if action is HoldAction.HALVE:
        halved = halved_for(known, await step.ledger.last_sale(row.id))
        action = held_into_earnings(known, step.session, limits, halved=halved)
    shares = sold_before_earnings(row.shares, action)
    return Exit(reason=ExitReason.EARNINGS, shares=shares) if shares else None


async def send_exit(step: Step, row: Position, leaving: Exit, name: str, kind: OrderKind) -> str:
    """Write the order down and send it; why it was refused, or nothing.

    One that got no answer stays as it is: the next slot sends it again, and finds it if it did arrive.
    """
    order = await step.ledger.order(name)
    if order is None:
        order = Order(
            id=uuid7(),
            client_order_id=name,
            position_id=row.id,
            symbol=row.symbol,
            side=OrderSide.SELL,
            shares=leaving.shares,
            session=step.session,
            state=OrderState.RESTING,
            note=leaving.reason,
            created_at=step.now,
        )
        step.ledger.place(order)
        await step.database.flush()
    elif order.state is not OrderState.RESTING:
        return ""
    try:
        await step.broker.place(
            BrokerOrder(
                client_order_id=name,
                kind=kind,
                symbol=row.symbol,
                side=OrderSide.SELL,
                shares=order.shares,
                session=step.session,
                write_off=leaving.write_off,
            )
        )
    except BrokerRefused as refusal:
        order.state = OrderState.SKIPPED
        order.note = f"{order.note}: {refusal}"
        return str(refusal)
    except BrokerError as unknown:
        return f"{unknown}; it is sent again"
    return ""
