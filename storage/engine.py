"""The SQLAlchemy engine of one desk's database."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.connecting import KEEPALIVE, PATIENT


def open_engine(conninfo: str, *, durable: bool = True, application: str = "quorum") -> AsyncEngine:
    """A small pool of connections to one database.

    With `durable` False a commit does not wait for the disk: after a crash of the server the last moments may
    be missing, never torn. Only a replay may ask for that: it does the missing steps again, alike.
    """
    # A night of a replay may think for minutes within its transaction, as a step of a durable desk may.
    options = PATIENT if durable else "-c synchronous_commit=off -c idle_in_transaction_session_timeout=0"

    async def connect() -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(
            make_conninfo(conninfo, connect_timeout=10, application_name=application, **KEEPALIVE),
            options=options,
        )

    # Asked before use: a server that restarted costs a long-lived process a reconnect and no error.
    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=2,
        max_overflow=3,
        pool_pre_ping=durable,
    )
