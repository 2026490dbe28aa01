"""Where book and broker do not agree, and what a human makes of it: adopt, ignore, correct. psycopg only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import psycopg

from storage.broker_records import DifferenceKind, DifferenceState, RequestVerb
from storage.control import refused, taken
from storage.records import CommandReceipt, OperationKind, Operator, uuid7
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class DifferenceRow:
    """One thing on which the two did not agree; `gap` is what lies between them."""

    number: int
    kind: DifferenceKind
    subject: str
    book: str
    broker: str
    gap: str
    session: date
    found_at: datetime
    state: DifferenceState
    said_by: str
    reason: str
    ended_at: datetime | None

    @property
    def words(self) -> str:
        return f"{self.kind} {self.subject}: book {self.book}, broker {self.broker}"


_ROWS = """
    select number, kind, subject, book, broker, gap, session, found_at, state,
           coalesce(said_by, '') as said_by, reason, ended_at
      from differences
"""


def read_differences(connection: Connection, most: int = 30) -> tuple[DifferenceRow, ...]:
    """Those nobody has explained first, then what became of the others, latest first."""
    return fetch_all(
        connection, DifferenceRow, f"{_ROWS} order by state = 'open' desc, number desc limit %s", [most]
    )


def read_unexplained(connection: Connection) -> tuple[DifferenceRow, ...]:
    """While one stands no entry is sent."""
    return fetch_all(connection, DifferenceRow, f"{_ROWS} where state = 'open' order by number")


def ignore(connection: Connection, number: int, reason: str, operator: Operator) -> CommandReceipt:
    """Explain a difference: it stands in no entry's way for as long as it stays what it is."""
    with connection.transaction():
        row = _open(connection, number)
        if isinstance(row, CommandReceipt):
            return row
        return _said(connection, row, DifferenceState.IGNORED, reason, operator)


def correct(connection: Connection, number: int, reason: str, operator: Operator) -> CommandReceipt:
    """Let a cash event make the book's balance the broker's."""
    with connection.transaction():
        row = _open(connection, number)
        if isinstance(row, CommandReceipt):
            return row
        if row.kind is not DifferenceKind.CASH:
            return refused(f"{number} is no difference in cash: only cash is corrected")
        _book_cash(connection, row, reason)
        return _said(connection, row, DifferenceState.CORRECTED, reason, operator)


def adopt(connection: Connection, number: int, reason: str, operator: Operator) -> CommandReceipt:
    """Let the book take what the broker has, where there is a place for it in the book."""
    with connection.transaction():
        row = _open(connection, number)
        if isinstance(row, CommandReceipt):
            return row
        match row.kind:
            case DifferenceKind.CASH:
                _book_cash(connection, row, reason)
            case DifferenceKind.POSITION:
                if refusal := _take_over(connection, row, reason, operator):
                    return refused(refusal)
            case _:
                return refused(
                    f"there is no place in the book for the {row.kind} {row.subject}: see to it at the "
                    "broker, or ignore it and say why"
                )
        return _said(connection, row, DifferenceState.ADOPTED, reason, operator)


def _take_over(connection: Connection, row: DifferenceRow, reason: str, operator: Operator) -> str:
    """Why the broker's shares cannot be taken over, or nothing."""
    found = fetch_one(
        connection,
        _Held,
        "select id, shares from positions where state = 'open' and symbol = %s for update",
        [row.subject],
    )
    if found is None:
        return f"the desk holds nothing it has not proposed: sell {row.subject} at the broker, or ignore it"
    shares = found.shares + int(row.gap)
    if shares <= 0:
        connection.execute(
            """insert into position_requests (id, position_id, verb, asked_by, asked_from, reason, asked_at,
                                              state)
               values (%s, %s, %s, %s, %s, %s, clock_timestamp(), 'waiting')
                   on conflict (position_id, verb) where state in ('waiting', 'sent') do nothing""",
            [uuid7(), found.id, RequestVerb.ADOPT, operator.name, operator.origin, reason],
        )
        return ""
    # What protected it was for other shares: the leader sends a new protection at once.
    connection.execute(
        """update positions set shares = %s, protected_by = null, unprotected_since = clock_timestamp()
            where id = %s""",
        [shares, found.id],
    )
    return ""


def _book_cash(connection: Connection, row: DifferenceRow, reason: str) -> None:
    connection.execute(
        """insert into cash_events (id, kind, amount, session, note, created_at)
           values (%s, 'correction', %s, %s, %s, clock_timestamp())""",
        [uuid7(), Decimal(row.gap), row.session, f"book to broker, difference {row.number}: {reason}"],
    )


@dataclass(frozen=True)
class _Held:
    id: UUID
    shares: int


def _open(connection: Connection, number: int) -> DifferenceRow | CommandReceipt:
    row = fetch_one(connection, DifferenceRow, f"{_ROWS} where number = %s for update", [number])
    if row is None:
        return refused(f"there is no difference {number}")
    if row.state is not DifferenceState.OPEN:
        by = f" by {row.said_by}" if row.said_by else ""
        return refused(f"difference {number} is {row.state} already{by}")
    return row


def _said(
    connection: Connection, row: DifferenceRow, state: DifferenceState, reason: str, operator: Operator
) -> CommandReceipt:
    connection.execute(
        """update differences set state = %s, said_by = %s, said_from = %s, reason = %s,
                  ended_at = clock_timestamp()
            where number = %s""",
        [state, operator.name, operator.origin, reason, row.number],
    )
    return taken(connection, OperationKind.RECONCILE, operator, f"{row.words}: {state}; {reason}")
