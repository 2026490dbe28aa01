"""What the end of a call teaches of its key: what it may ask, when it is blocked, when its day begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.calls import CallFault
from storage.quota_rules import (
    BLOCKING_FAULTS,
    ENDPOINT_FAULTS,
    ENDPOINT_REFUSED,
    PROBE_AGAIN,
    SYMBOL_REFUSED,
    SYMBOL_REFUSED_MOST,
    blocked_until,
    reset_between,
)
from storage.records import uuid7

PROBE = "probe"  # who ended a block, where it was no human


@dataclass(frozen=True, kw_only=True)
class SettledCall:
    """A call and how it ended."""

    id: UUID
    key_fingerprint: str
    endpoint: str
    symbol: str | None
    fault: CallFault | None
    note: str


async def learn(connection: AsyncConnection, call: SettledCall, now: datetime) -> None:
    """Draw the conclusions, in the caller's transaction, which holds the key's row."""
    values = {
        "id": uuid7(),
        "key": call.key_fingerprint,
        "endpoint": call.endpoint,
        "symbol": call.symbol or "",
        "fault": call.fault,
        "note": call.note,
        "now": now,
    }
    if call.fault is None:
        await connection.execute(text(_ALLOWED), values)
        await connection.execute(text(_ENDPOINT_ALLOWED), values)
    elif call.fault is CallFault.SYMBOL_NOT_IN_PLAN and call.symbol:
        spans = {"first": SYMBOL_REFUSED, "most": SYMBOL_REFUSED_MOST}
        await connection.execute(text(_REFUSED), values | spans)
    elif call.fault in ENDPOINT_FAULTS:
        spans = {"first": ENDPOINT_REFUSED, "most": ENDPOINT_REFUSED}
        await connection.execute(text(_REFUSED), values | spans | {"symbol": ""})
    elif call.fault in BLOCKING_FAULTS:
        await connection.execute(text(_BLOCKED), values | {"until": blocked_until(call.fault, now)})
    await _end_probe(connection, call, now)


async def _end_probe(connection: AsyncConnection, call: SettledCall, now: datetime) -> None:
    """A probe that went well ends its blocks; one that proved nothing lets another try before long."""
    values = {"ticket": call.id, "now": now, "by": PROBE, "again": now + PROBE_AGAIN}
    if call.fault is not None:
        await connection.execute(text(_TRY_AGAIN), values)
        return
    for ended in (await connection.execute(text(_END), values)).all():
        hour = reset_between(ended.refused_at, now)
        if ended.fault == CallFault.DAILY_LIMIT and hour is not None:
            await connection.execute(
                text(_RESET),
                {
                    "id": uuid7(),
                    "key": call.key_fingerprint,
                    "hour": hour,
                    "refused_at": ended.refused_at,
                    "now": now,
                },
            )


# Written again once a day at most: most calls only confirm what is known.
_ALLOWED = """
    insert into entitlements as e (key_fingerprint, endpoint, symbol, state, note, learned_at, times)
    values (:key, :endpoint, :symbol, 'allowed', '', :now, 0)
        on conflict (key_fingerprint, endpoint, symbol) do update
       set state = 'allowed', fault = null, note = '', learned_at = :now, ask_again_at = null, times = 0
     where e.state <> 'allowed' or e.learned_at < :now - interval '1 day'
"""

_ENDPOINT_ALLOWED = """
    update entitlements
       set state = 'allowed', fault = null, note = '', learned_at = :now, ask_again_at = null, times = 0
     where key_fingerprint = :key and endpoint = :endpoint and symbol = '' and state = 'refused'
"""

_REFUSED = """
    insert into entitlements as e (key_fingerprint, endpoint, symbol, state, fault, note, learned_at,
                                   ask_again_at, times)
    values (:key, :endpoint, :symbol, 'refused', :fault, :note, :now, :now + cast(:first as interval), 1)
        on conflict (key_fingerprint, endpoint, symbol) do update
       set state = 'refused', fault = excluded.fault, note = excluded.note, learned_at = :now,
           ask_again_at = :now + least(cast(:first as interval) * power(2, least(e.times, 10)),
                                       cast(:most as interval)),
           times = e.times + 1
"""

_BLOCKED = """
    insert into vendor_blocks as b (id, key_fingerprint, fault, note, since, refused_at, until)
    values (:id, :key, :fault, :note, :now, :now, :until)
        on conflict (key_fingerprint, fault) where ended_at is null do update
       set note = excluded.note, refused_at = :now, until = excluded.until, probe_id = null
"""

_TRY_AGAIN = """
    update vendor_blocks set probe_id = null, until = :again where probe_id = :ticket and ended_at is null
"""

_END = """
    update vendor_blocks set ended_at = :now, ended_by = :by
     where probe_id = :ticket and ended_at is null
    returning fault, refused_at
"""

_RESET = """
    insert into quota_resets (id, key_fingerprint, hour, refused_at, worked_at)
    values (:id, :key, :hour, :refused_at, :now)
"""
