"""What humans ask of positions, carried out: a stop that moves, a sale at the next open or close.

A request is a row until it is over, so a step that died begins again where the broker's book says it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from agents.brokers.port import Broker, BrokerFill, BrokerRefused
from app.runtime.booking import leave
from app.runtime.exits import Exit, send_exit
from app.runtime.protection import protect_at
from app.runtime.step import Step
from storage.broker_records import Leg, OrderKind, RequestState, RequestVerb
from storage.models import Position, PositionRequest
from storage.records import ExitReason, OrderSide, PositionState, Slot


async def carry_out(step: Step) -> list[str]:
    """Do what can be done of it by now; each in a few words."""
    asked = await step.ledger.requests()
    told = await move_stops(asked, step.broker, step.wall_now)
    for request, row in asked:
        if request.verb is RequestVerb.CLOSE and not _is_over(request, row, step.wall_now):
            told += await _send(step, request, row)
    return told


async def take_out_of_book(step: Step) -> list[str]:
    """Close what a human has adopted the end of; each in a few words. Before the two books are compared."""
    told = []
    for request, row in await step.ledger.requests():
        if request.verb is RequestVerb.ADOPT and not _is_over(request, row, step.wall_now):
            await _take_out(step, row)
            told.append(f"{row.symbol} taken out of the book: the broker holds none")
            _is_over(request, row, step.wall_now)
    return told


async def see_to_the_ended(step: Step) -> None:
    """Requests whose position is sold are over."""
    for request, row in await step.ledger.requests():
        _is_over(request, row, step.wall_now)


async def move_stops(
    asked: Sequence[tuple[PositionRequest, Position]], broker: Broker, now: datetime
) -> list[str]:
    """Move the stops that humans asked to have moved, here and at the broker; `now` is the wall's clock."""
    told = []
    for request, row in asked:
        if request.verb is not RequestVerb.STOP or _is_over(request, row, now):
            continue
        assert request.stop is not None  # a CHECK of the table
        if why := _no_stop_any_more(request, row, request.stop):
            _end(request, RequestState.REFUSED, why, now)
            told.append(f"{row.symbol} stop not moved: {why}")
            continue
        row.stop = request.stop
        moved = row.stop > row.initial_stop
        row.stop_reason = ExitReason.TRAILING_STOP if moved else ExitReason.STOP_LOSS
        unprotected = await protect_at(broker, row, now)
        said = f"{row.symbol} stop {row.stop}, by {request.asked_by}"
        said += f"; unprotected: {unprotected}" if unprotected else ""
        _end(request, RequestState.DONE, said, now)
        told.append(said)
    return told


def _no_stop_any_more(request: PositionRequest, row: Position, stop: Decimal) -> str:
    """Why a stop that could be asked for cannot be carried out by now, or nothing."""
    if not row.initial_stop <= stop < row.target:
        return f"{stop} is no stop of it any more: an action has moved its prices"
    if stop <= row.stop and not request.looser:
        return f"it is at {row.stop} by now, and only a looser one may lower it"
    return ""


async def _send(step: Step, request: PositionRequest, row: Position) -> list[str]:
    """At the next auction there is: the open before it, the close after it."""
    before_open = step.slot is Slot.CUTOFF
    if step.missed_open if before_open else step.missed_close:
        return []
    resting = [
        order
        for order in await step.ledger.resting_orders(step.session)
        if (order.position_id, order.session, order.note) == (row.id, step.session, ExitReason.MANUAL)
    ]
    if resting:
        return []
    kind = OrderKind.MARKET_ON_OPEN if before_open else OrderKind.MARKET_ON_CLOSE
    name = f"exit-{row.id}-{step.session}" + ("-open" if before_open else "-hand")
    leaving = Exit(reason=ExitReason.MANUAL, shares=row.shares)
    refused = await send_exit(step, row, leaving, name, kind)
    if not refused:
        request.state = RequestState.SENT
    request.note = refused or f"sent for the {'open' if before_open else 'close'} of {step.session}"
    return [f"{row.symbol} by hand, {request.note}"]


async def _take_out(step: Step, row: Position) -> None:
    """The broker holds nothing of it and tells no sale: booked at the last close; the cash differs."""
    if row.protected_by is not None:
        with suppress(BrokerRefused):  # it has ended it by itself
            await step.broker.cancel(row.protected_by)
    name = f"adopted-{row.id}"
    fill = BrokerFill(
        id=name,
        client_order_id=name,
        symbol=row.symbol,
        side=OrderSide.SELL,
        shares=row.shares,
        price=row.last_close,
        reference=row.last_close,
        fee=row.entry_fee * 0,
        leg=Leg.CLOSE,
        session=step.session,
    )
    await leave(step, row, fill, ExitReason.MANUAL)


def _is_over(request: PositionRequest, row: Position, now: datetime) -> bool:
    if row.state is PositionState.OPEN:
        return False
    _end(request, RequestState.DONE, f"{row.symbol} is sold", now)
    return True


def _end(request: PositionRequest, state: RequestState, note: str, now: datetime) -> None:
    request.state, request.note, request.ended_at = state, note, now
