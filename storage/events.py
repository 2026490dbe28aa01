"""Changes announced over PostgreSQL NOTIFY: what kind of thing changed, never its content."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL = "quorum"


class Topic(StrEnum):
    RUN = "run"
    APPROVAL = "approval"
    DESK = "desk"


async def announce(connection: AsyncConnection, topic: Topic) -> None:
    """Tell listeners; delivered when the connection's transaction commits, and only then."""
    await connection.execute(text("select pg_notify(:channel, :topic)"), {"channel": CHANNEL, "topic": topic})
