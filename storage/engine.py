"""The SQLAlchemy engine of one desk's database."""

from __future__ import annotations

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def open_engine(conninfo: str) -> AsyncEngine:
    """An engine whose pool tests a connection before use, so that a restarted server costs no error."""

    async def connect() -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(conninfo, connect_timeout=10)

    return create_async_engine(
        "postgresql+psycopg://", async_creator=connect, pool_size=2, max_overflow=3, pool_pre_ping=True
    )
