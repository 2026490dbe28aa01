"""When the operator is away: from then on nothing is entered, until it ends by itself or somebody is back."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from storage.control import refused, taken
from storage.records import CommandReceipt, OperationKind, Operator, uuid7
from storage.rows import fetch_one
from storage.standstill import AbsenceRow

Connection = psycopg.Connection[tuple[object, ...]]

DESK_TIME = """
    (select case when clock_anchor is not null then clock_from + (now() - clock_anchor) * clock_speed
                 when kind = 'history' then desk_time else now() end from desk)
"""
_STANDING = f"""
    select id, since, until, reason, told_by from absences
     where ended_at is null and until > {DESK_TIME} order by since desc limit 1
"""  # noqa: S608 - our own text


def standing_absence(connection: Connection) -> AbsenceRow | None:
    """The absence that stands by the desk's clock, None while somebody is there."""
    return fetch_one(connection, AbsenceRow, _STANDING)


def leave(connection: Connection, until: datetime, reason: str, operator: Operator) -> CommandReceipt:
    """Enter nothing until then."""
    with connection.transaction():
        connection.execute("select from desk for update")
        if (stands := standing_absence(connection)) is not None:
            return refused(f"{stands.words} already")
        row = connection.execute(f"select {DESK_TIME}").fetchone()
        now = row[0] if row else None
        if not isinstance(now, datetime) or until <= now:
            return refused(f"{until.astimezone(UTC):%Y-%m-%d %H:%M}Z has passed")
        connection.execute(
            """insert into absences (id, since, until, reason, told_by, told_from)
               values (%s, %s, %s, %s, %s, %s)""",
            [uuid7(), now, until, reason, operator.name, operator.origin],
        )
        said = f"away until {until.astimezone(UTC):%Y-%m-%d %H:%M}Z: {reason}"
        return taken(connection, OperationKind.AWAY, operator, said)


def come_back(connection: Connection, operator: Operator) -> CommandReceipt:
    """Let entries be made again before an absence ends by itself."""
    with connection.transaction():
        connection.execute("select from desk for update")
        stands = standing_absence(connection)
        if stands is None:
            return refused("nobody is away")
        connection.execute(
            "update absences set ended_at = clock_timestamp(), ended_by = %s where id = %s",
            [operator.name, stands.id],
        )
        return taken(connection, OperationKind.AWAY, operator, f"back ({stands.words})")
