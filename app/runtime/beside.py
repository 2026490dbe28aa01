"""Reading a desk from within a step as screens and commands do: with psycopg, and committed rows alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, cast

import psycopg
from psycopg.conninfo import make_conninfo

from app.runtime.step import Step

Connection = psycopg.Connection[tuple[object, ...]]
Answer = TypeVar("Answer")


async def beside(step: Step, read: Callable[[Connection], Answer]) -> Answer:
    """What `read` finds on a connection of its own; it sees nothing of what the step has written."""
    pooled = await (await step.database.connection()).get_raw_connection()
    info = cast("psycopg.AsyncConnection[object]", pooled.driver_connection).info
    secret = {"password": info.password} if info.password else {}
    return await asyncio.to_thread(_read, make_conninfo(info.dsn, **secret), read)


def _read(conninfo: str, read: Callable[[Connection], Answer]) -> Answer:
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        return read(connection)
