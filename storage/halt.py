"""Stopping all trading and letting it go on: psycopg only, for commands, the console and the runtime's guard.

A halt is a row and a file (storage/halt_file.py); either holds by itself. Entries are taken under the shared
lock, a halt under the exclusive one: what is halted first enters nothing, what entered first is in the book.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import psycopg

from storage.control import refused, taken
from storage.records import CommandReceipt, HaltRow, OperationKind, Operator, uuid7
from storage.rows import fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

LOCK = 0x51554F56  # advisory: shared by whoever enters, exclusive for a halt
HALTED = "halt"  # as a funnel and an order name it

_STANDING = """
    select id, at, halted_by, halted_from, reason from halts where lifted_at is null
"""
_INSERT = """
    insert into halts (id, at, halted_by, halted_from, reason) values (%s, %s, %s, %s, %s)
    on conflict do nothing
"""


def new_halt(reason: str, operator: Operator, at: datetime) -> HaltRow:
    """A halt as it is first written, into the file or the table."""
    return HaltRow(id=uuid7(), at=at, halted_by=operator.name, halted_from=operator.origin, reason=reason)


def standing_halt(connection: Connection) -> HaltRow | None:
    """The halt that stands, None while entries are allowed."""
    return fetch_one(connection, HaltRow, _STANDING)


def held_back(connection: Connection) -> HaltRow | None:
    """The halt that stands; until the caller's transaction ends no other begins."""
    connection.execute("select pg_advisory_xact_lock_shared(%s)", [LOCK])
    return standing_halt(connection)


def halt(connection: Connection, asked: HaltRow) -> CommandReceipt:
    """Stop all entries from now on; orders that would enter and rest are withdrawn. Exits go on."""
    operator = Operator(name=asked.halted_by, tty=asked.halted_from)
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        if (stands := standing_halt(connection)) is not None:
            return refused(stands.words)
        written = connection.execute(
            _INSERT, [asked.id, asked.at, asked.halted_by, asked.halted_from, asked.reason]
        )
        if not written.rowcount:
            return refused("that halt was lifted already")
        resting = connection.execute(
            "select count(*) from orders where state = 'resting' and side = 'buy'"
        ).fetchone()
        entries = f"; {resting[0]} resting entries are withdrawn" if resting and resting[0] else ""
        return taken(connection, OperationKind.HALT, operator, f"halted: {asked.reason}{entries}")


def lift(connection: Connection, reason: str, operator: Operator) -> CommandReceipt:
    """Let entries be made again. Refused without a name and a reason, and where nothing stands."""
    if not operator.name.strip() or not reason.strip():
        return refused("a halt is lifted by somebody who says why")
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        stands = standing_halt(connection)
        if stands is None:
            return refused("nobody has halted this desk")
        connection.execute(
            """update halts set lifted_at = clock_timestamp(), lifted_by = %s, lifted_from = %s,
                      lift_reason = %s where id = %s""",
            [operator.name, operator.origin, reason, stands.id],
        )
        return taken(connection, OperationKind.LIFT, operator, f"lifted: {reason} ({stands.words})")


def was_lifted(connection: Connection, halt_id: UUID) -> bool:
    """Whether this halt is known and does not stand any more."""
    found = connection.execute(
        "select 1 from halts where id = %s and lifted_at is not null", [halt_id]
    ).fetchone()
    return found is not None
