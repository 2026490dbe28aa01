"""The SQLAlchemy engine of one desk's database."""

from __future__ import annotations

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def open_engine(conninfo: str, *, durable: bool = True, application: str = "quorum") -> AsyncEngine:
    """A small pool of connections to one database.

    With `durable` False a commit does not wait for the disk: after a crash of the server the last moments may
    be missing, never torn. Only a replay may ask for that: it does the missing steps again, alike.
    """
    options = "" if durable else "-c synchronous_commit=off"

    async def connect() -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(
            conninfo, connect_timeout=10, options=options, application_name=application
        )

    # Asked before use: a server that restarted costs a long-lived process a reconnect and no error.
    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=2,
        max_overflow=3,
        pool_pre_ping=durable,
    )
