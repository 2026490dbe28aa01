"""Changes announced over PostgreSQL NOTIFY: what kind of thing changed, never its content."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL = "quorum"


class Topic(StrEnum):
    RUN = "run"
    APPROVAL = "approval"
    DESK = "desk"


async def announce(connection: AsyncConnection, topic: Topic) -> None:
    """Tell listeners; delivered when the connection's transaction commits, and only then."""
    await connection.execute(select(notify(topic)))


def notify(topic: Topic) -> ColumnElement[None]:
    """The same as an expression, for a statement that writes anyway."""
    return func.pg_notify(CHANNEL, str(topic))
