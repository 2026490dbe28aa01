"""The vendor's answers, each kept until a newer one replaces it: past its time it still has an age."""

from __future__ import annotations

from datetime import datetime
from math import isfinite

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.calls import CachedAnswer
from storage.models import VendorCacheRow


class VendorCache:
    """One row a question. What an answer is worth, and for how long, is the caller's to say."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, endpoint: str, symbol: str, params: str) -> CachedAnswer | None:
        """The last answer, fresh or not."""
        asked = select(VendorCacheRow.body, VendorCacheRow.fetched_at, VendorCacheRow.expires_at).where(
            VendorCacheRow.endpoint == endpoint,
            VendorCacheRow.symbol == symbol,
            VendorCacheRow.params == params,
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(asked)).one_or_none()
        if row is None:
            return None
        return CachedAnswer(
            endpoint=endpoint,
            symbol=symbol,
            params=params,
            body=row.body,
            fetched_at=row.fetched_at,
            expires_at=row.expires_at,
        )

    async def ages(self) -> dict[tuple[str, str, str], tuple[datetime, datetime]]:
        """When each answer was fetched and until when it is good, by what it was asked for."""
        row = VendorCacheRow
        asked = select(row.endpoint, row.symbol, row.params, row.fetched_at, row.expires_at)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(asked)).all()
        return {(found[0], found[1], found[2]): (found[3], found[4]) for found in rows}

    async def put(self, answer: CachedAnswer) -> None:
        """Keep an answer in place of an older one; an answer that was overtaken changes nothing."""
        new = insert(VendorCacheRow).values(
            endpoint=answer.endpoint,
            symbol=answer.symbol,
            params=answer.params,
            body=None if answer.body is None else [_storable(row) for row in answer.body],
            fetched_at=answer.fetched_at,
            expires_at=answer.expires_at,
        )
        async with self._engine.begin() as connection:
            await connection.execute(
                new.on_conflict_do_update(
                    index_elements=["endpoint", "symbol", "params"],
                    set_={
                        "body": new.excluded.body,
                        "fetched_at": new.excluded.fetched_at,
                        "expires_at": new.excluded.expires_at,
                    },
                    where=VendorCacheRow.fetched_at <= new.excluded.fetched_at,
                )
            )


async def forget_overtaken(connection: AsyncConnection, before: datetime) -> int:
    """Remove the answers to questions about a day of its own that expired before; how many they were.

    Nobody puts these questions again: the next day's is another. The last answer to every other one stays.
    """
    gone = await connection.execute(text(_OVERTAKEN), {"before": before})
    return gone.rowcount


_OVERTAKEN = "delete from vendor_cache where params ~ '(^|&)(from|date)=' and expires_at < :before"


def _storable(value: object) -> object:
    """A JSON value without what PostgreSQL's JSON cannot hold: NUL, half a character, infinity."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "ignore").decode()
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value
