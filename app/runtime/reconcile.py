"""Book against broker: what does not agree is written down and shown, and nothing of it is put right unasked.

While a difference stands that nobody has explained no entry is sent. Exits and protections go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from agents.brokers.port import BrokerFill
from app.runtime.booking import LOOK_BACK, why_odd
from app.runtime.step import Step
from storage.broker_records import BrokerOrderState, DifferenceKind, DifferenceState
from storage.models import Difference, Operation, Position
from storage.records import OperationKind, OrderSide, to_cents, uuid7


@dataclass(frozen=True, kw_only=True)
class Found:
    """One thing on which the two do not agree; `gap` stays the same while nothing changes about it."""

    kind: DifferenceKind
    subject: str
    book: str
    broker: str
    gap: str

    @property
    def words(self) -> str:
        return f"{self.kind} {self.subject}: book {self.book}, broker {self.broker}"


@dataclass(frozen=True)
class Compared:
    """What stands unexplained; `fresh` of these was found just now."""

    standing: tuple[str, ...]
    fresh: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        return not self.standing


async def reconcile(step: Step) -> Compared:
    """Compare the two and write down what has come, what has changed and what is gone.

    A fill that the next step will book explains itself; one that cannot be booked is a difference.
    """
    found = await differences(step)
    standing: list[str] = []
    fresh: list[str] = []
    known = await step.ledger.standing_differences()
    rows = {(row.kind, row.subject): row for row in known if row.state is DifferenceState.OPEN}
    ignored = {(row.kind, row.subject, row.gap) for row in known if row.state is DifferenceState.IGNORED}
    for one in found:
        if (one.kind, one.subject, one.gap) in ignored:
            continue
        standing.append(one.words)
        row = rows.pop((one.kind, one.subject), None)
        if row is not None and row.gap == one.gap:
            row.book, row.broker = one.book, one.broker
            continue
        if row is not None:
            row.state, row.ended_at = DifferenceState.GONE, step.wall_now
            await step.database.flush()
        fresh.append(one.words)
        step.database.add(_row(step, one))
        _tell(step, one.words)
    for row in rows.values():
        row.state, row.ended_at = DifferenceState.GONE, step.wall_now
        _tell(step, f"{row.kind} {row.subject}: book and broker agree again")
    await step.database.flush()
    return Compared(tuple(standing), tuple(fresh))


async def differences(step: Step) -> list[Found]:
    """Everything on which they do not agree now, explained or not."""
    ledger, broker = step.ledger, step.broker
    since = step.session - LOOK_BACK
    booked = await ledger.booked_fills(since)
    told = {fill.id: fill for fill in await broker.fills(since) if fill.id not in booked}
    odd = {name: why for name, fill in told.items() if (why := await why_odd(step, fill))}
    coming = [fill for name, fill in told.items() if name not in odd]
    positions = await ledger.open_positions()
    found = [
        Found(kind=DifferenceKind.FILL, subject=name, book="not booked", broker=why, gap=name)
        for name, why in odd.items()
    ]
    found += _shares(positions, coming, await broker.positions())
    found += _cash(await ledger.cash(), coming, await broker.cash())
    # One of the desk's own that it does not know of was sent by a step that died: done again, it finds it.
    known = {order.client_order_id for order in await ledger.resting_orders(step.session)}
    mine = [f"entry-{approved}" for approved in await ledger.approved_for(step.session)]
    mine += [f"{what}-{row.id}-" for row in positions for what in ("protect", "exit", "part")]
    for order in await broker.orders(step.session):
        name = order.client_order_id
        if order.state is not BrokerOrderState.RESTING or name in known or name.startswith(tuple(mine)):
            continue
        what = f"{order.side} {order.shares} {order.symbol}"
        found.append(Found(kind=DifferenceKind.ORDER, subject=name, book="unknown", broker=what, gap=what))
    return found


def _shares(
    positions: Sequence[Position], coming: list[BrokerFill], broker: Mapping[str, int]
) -> list[Found]:
    book = {row.symbol: row.shares for row in positions}
    for fill in coming:
        signed = fill.shares if fill.side is OrderSide.BUY else -fill.shares
        book[fill.symbol] = book.get(fill.symbol, 0) + signed
    return [
        Found(
            kind=DifferenceKind.POSITION,
            subject=symbol,
            book=str(book.get(symbol, 0)),
            broker=str(broker.get(symbol, 0)),
            gap=str(broker.get(symbol, 0) - book.get(symbol, 0)),
        )
        for symbol in sorted({*book, *broker})
        if book.get(symbol, 0) != broker.get(symbol, 0)
    ]


def _cash(book: Decimal, coming: list[BrokerFill], broker: Decimal) -> list[Found]:
    for fill in coming:
        gross = to_cents(fill.shares * fill.price)
        book += (-gross if fill.side is OrderSide.BUY else gross) - fill.fee
    if book == broker:
        return []
    kind = DifferenceKind.CASH
    return [Found(kind=kind, subject="cash", book=str(book), broker=str(broker), gap=str(broker - book))]


def _row(step: Step, one: Found) -> Difference:
    return Difference(
        id=uuid7(),
        kind=one.kind,
        subject=one.subject,
        book=one.book,
        broker=one.broker,
        gap=one.gap,
        session=step.session,
        found_at=step.wall_now,
        state=DifferenceState.OPEN,
        reason="",
    )


def _tell(step: Step, words: str) -> None:
    step.database.add(Operation(at=step.wall_now, kind=OperationKind.RECONCILE, who="the desk", text=words))
