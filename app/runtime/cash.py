"""Money a human pays into the account or takes out of it: booked on the next session that will settle.

Booked there and not on the last one settled, or the index would take the money for a gain or a loss: a close
counts as flow what was booked since the close before, and the last close is reckoned already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg

from agents.market.calendar import next_session
from agents.trading.costs import Costs
from storage.control import refused, taken
from storage.records import CashKind, CommandReceipt, DeskKind, DeskState, OperationKind, Operator, uuid7
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

MOST = Decimal(1_000_000_000)  # dollars at one go: more is a slip of the finger


@dataclass(frozen=True, kw_only=True)
class CashRoom:
    """The account's cash as it stands; dollars. `session` is the one a payment would be booked on."""

    session: date
    cash: Decimal
    unsettled: Decimal  # from sales that have not settled by the last close
    reserved: Decimal  # for approved entries, filled in full at the top of their bands, fees included

    @property
    def free(self) -> Decimal:
        """What may be taken out."""
        return max(self.cash - self.unsettled - self.reserved, Decimal(0))


@dataclass(frozen=True, kw_only=True)
class Payment:
    """What is to be booked: `amount` in dollars above zero, to the cent; `key` None is made of it all."""

    kind: CashKind
    amount: Decimal
    reason: str
    key: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in (CashKind.DEPOSIT, CashKind.WITHDRAWAL):
            raise ValueError(f"expected a deposit or a withdrawal, was {self.kind}")
        if not 0 < self.amount <= MOST or self.amount != self.amount.quantize(Decimal("0.01")):
            raise ValueError(f"expected dollars and cents above zero, at most {MOST:,}, was {self.amount}")

    @property
    def signed(self) -> Decimal:
        """As it changes the cash."""
        return self.amount if self.kind is CashKind.DEPOSIT else -self.amount

    def key_for(self, session: date) -> str:
        """The same payment for the same reason before the same close is one payment."""
        if self.key is not None:
            return f"asked {self.key}"
        told = "\n".join((self.kind, f"{self.amount:.2f}", str(session), self.reason))
        return f"same {hashlib.sha256(told.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class _Desk:
    kind: DeskKind
    state: DeskState
    first_session: date
    last_session: date | None
    settled: date | None


@dataclass(frozen=True)
class _Cash:
    cash: Decimal
    unsettled: Decimal
    costs: Mapping[str, Any]


@dataclass(frozen=True)
class _Reserve:
    max_shares: int
    max_entry: Decimal


def cash_room(connection: Connection) -> CashRoom:
    """What there is and what of it may be taken out; in the caller's transaction."""
    desk = _desk(connection)
    since = desk.settled or desk.first_session
    found = fetch_one(connection, _Cash, _CASH, [since])
    assert found is not None
    costs = Costs.model_validate(found.costs)
    reserves = fetch_all(connection, _Reserve, _RESERVED, [desk.settled, desk.settled])
    return CashRoom(
        session=desk.first_session if desk.settled is None else next_session(desk.settled),
        cash=found.cash,
        unsettled=found.unsettled,
        reserved=sum((costs.to_buy(row.max_shares, row.max_entry) for row in reserves), Decimal(0)),
    )


def book_payment(connection: Connection, payment: Payment, operator: Operator) -> CommandReceipt:
    """Book a payment once, however often it is asked for.

    The desk's row is held, as a close that is being marked holds it: the payment is in that close's cash and
    its flow, or in those of the next. Refused where a history has ended and where the money is not free.
    """
    with connection.transaction():
        connection.execute("select from desk for update")
        desk, room = _desk(connection), cash_room(connection)
        if desk.state is DeskState.FINISHED or (desk.last_session and room.session > desk.last_session):
            return refused("this desk's history has ended: nothing can be paid in or out")
        key, what = payment.key_for(room.session), f"{payment.kind} of {payment.amount:,.2f} dollars"
        before = connection.execute(
            "select session, kind, abs(amount) from cash_events where key = %s", [key]
        ).fetchone()
        if before is not None:
            if (before[1], before[2]) != (payment.kind, payment.amount):
                return refused(f"that key booked another payment on {before[0]}")
            return CommandReceipt(
                accepted=True,
                message=f"{what} is booked on {before[0]} already: nothing was added",
            )
        if payment.kind is CashKind.WITHDRAWAL and payment.amount > room.free:
            return refused(
                f"{room.free:,.2f} dollars may be taken out: {room.cash:,.2f} in cash, "
                f"{room.unsettled:,.2f} not settled, {room.reserved:,.2f} kept for approved entries"
            )
        connection.execute(_BOOK, [uuid7(), payment.kind, payment.signed, room.session, payment.reason, key])
        text = f"{what} booked on {room.session}: {payment.reason}"
        return taken(connection, OperationKind.CASH, operator, text)


def _desk(connection: Connection) -> _Desk:
    found = fetch_one(connection, _Desk, _DESK)
    assert found is not None  # of a desk that is founded
    return found


_DESK = """
    select kind, state, first_session, last_session, (select max(session) from equity) as settled from desk
"""
# Proceeds settle a session later: those of the last session settled are not there yet.
_CASH = """
    select coalesce(sum(amount), 0) as cash,
           coalesce(sum(amount) filter (where kind = 'fill' and amount > 0 and session >= %s), 0)
             as unsettled,
           (select costs from parameter_versions order by version desc limit 1) as costs
      from cash_events
"""
_RESERVED = """
    select a.max_shares, a.max_entry
      from approvals a left join orders o on o.approval_id = a.id
     where a.state = 'approved' and coalesce(o.state, 'resting') = 'resting'
       and (%s::date is null or a.entry_session > %s)
"""
_BOOK = """
    insert into cash_events (id, kind, amount, session, note, key, created_at)
    select %s, %s, %s, %s, %s, %s,
           case when clock_anchor is not null then clock_from + (now() - clock_anchor) * clock_speed
                when kind = 'history' then desk_time
                else now() end
      from desk
"""
