"""Go on after the database went away: bring it back, do the work again from what is committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

from storage.errors import DatabaseAway, OperatorError
from storage.server import Server

Result = TypeVar("Result")

GOING_DOWN = {"57P01", "57P02", "57P03"}  # shutting down, crashed, not yet accepting
TRIES = 8
PAUSE_S = 0.25  # times the number of the try
STEADY_S = 10.0  # work that lasted this long starts the count afresh


async def through_outages(server: Server, work: Callable[[], Awaitable[Result]]) -> Result:
    """The result of `work`, begun again after every lost connection; it must be safe to begin again.

    Raises OperatorError when the database stays away or its disk is full, and whatever else `work` raises.
    """
    tries = 0
    while True:
        started = time.monotonic()
        try:
            if tries:
                await asyncio.to_thread(server.ensure)
            return await work()
        except (DBAPIError, psycopg.Error, DatabaseAway) as broken:
            if not connection_lost(broken):
                raise explained(broken) or broken from broken
            tries = 1 if time.monotonic() - started > STEADY_S else tries + 1
            if tries > TRIES:
                raise OperatorError(
                    f"the database went away {tries} times in a row",
                    "look into server.log in the postgres folder of QUORUM_HOME",
                ) from broken
            await asyncio.sleep(PAUSE_S * tries)


def connection_lost(error: DBAPIError | psycopg.Error | DatabaseAway) -> bool:
    """Whether the server went away, as opposed to refusing what we asked of it."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.OperationalError):
        # A refusal has a code of its own: a statement that took too long, a full disk, a value too large.
        return cause.sqlstate is None or cause.sqlstate.startswith("08") or cause.sqlstate in GOING_DOWN
    return isinstance(cause, psycopg.InterfaceError | DatabaseAway)


def explained(error: DBAPIError | psycopg.Error | DatabaseAway) -> OperatorError | None:
    """What the operator can do about a refusal, where there is something."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.errors.DiskFull):
        return OperatorError(
            "the disk that holds the database is full", "free some space and start again; nothing was lost"
        )
    return None
