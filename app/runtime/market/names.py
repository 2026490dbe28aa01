"""Which symbols a live desk has to do with."""

from __future__ import annotations

from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.runtime.market.wants import Names


async def read_names(engine: AsyncEngine, session: date) -> Names:
    """What is held, what waits to be bought at this session's open or a later one, what is watched."""
    async with engine.connect() as connection:
        held = (await connection.execute(text(_HELD))).scalars().all()
        waiting = (await connection.execute(text(_WAITING), {"session": session})).scalars().all()
        watched = (await connection.execute(text(_WATCHED))).scalars().all()
    return Names(
        held=tuple(held),
        waiting=tuple(name for name in waiting if name not in held),
        watched=tuple(name for name in watched if name not in held and name not in waiting),
    )


_HELD = "select symbol from positions where state = 'open' order by symbol"
_WAITING = """
    select distinct a.symbol from approvals a
      left join orders o on o.approval_id = a.id
     where a.entry_session >= :session
       and (o.id is null and a.state in ('pending', 'approved') or o.state = 'resting')
     order by a.symbol
"""
_WATCHED = "select symbol from watchlist where removed_at is null order by symbol"
