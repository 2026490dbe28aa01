"""What stops a call before the quota is asked: what the vendor has refused before, and blocks of the key.

In the transaction of whoever holds the key's row.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.calls import CallFault, NotEntitled, QuotaRefused, VendorCall
from storage.quota_rules import BLOCK_WORDS, KEY_LOOK, PROBE_PATIENCE


async def check_entitled(connection: AsyncConnection, key: str, call: VendorCall, now: datetime) -> None:
    """Raises NotEntitled while a refusal of the endpoint, or of its symbol, is remembered."""
    values = {"key": key, "endpoint": call.endpoint, "symbol": call.symbol or "", "now": now}
    refusal = (await connection.execute(text(_REFUSAL), values)).first()
    if refusal is None:
        return
    fault = CallFault(refusal.fault)
    what = f"{refusal.endpoint} for {refusal.symbol}" if refusal.symbol else refusal.endpoint
    raise NotEntitled(
        f"FMP refused {what} on {refusal.learned_at:%Y-%m-%d} ({fault}); "
        f"the desk skips it until {refusal.ask_again_at:%Y-%m-%d}",
        fault,
        refusal.ask_again_at,
    )


async def pass_blocks(connection: AsyncConnection, key: str, now: datetime) -> list[UUID]:
    """The blocks whose time has come, which the call may try to end. Raises QuotaRefused while it may not."""
    blocks = (await connection.execute(text(_BLOCKS), {"key": key})).all()
    for block in blocks:
        why = f"{BLOCK_WORDS[CallFault(block.fault)]} at {block.refused_at:%Y-%m-%d %H:%M}Z"
        if block.until is None:
            raise QuotaRefused(
                f"{why}: nothing is asked before the key is another one, or `quorum fmp unblock`",
                now + KEY_LOOK,
            )
        if block.until > now:
            raise QuotaRefused(f"{why}: one call tries again at {block.until:%Y-%m-%d %H:%M}Z", block.until)
        if block.probed_at is not None and block.probed_at + PROBE_PATIENCE > now:
            raise QuotaRefused(
                f"{why}: one call is trying whether it works again", block.probed_at + PROBE_PATIENCE
            )
    return [block.id for block in blocks]


async def make_probe(connection: AsyncConnection, blocks: list[UUID], ticket: UUID) -> None:
    """Until this call has ended, or is taken for lost, no other may try."""
    for block in blocks:
        await connection.execute(text(_PROBE), {"id": block, "ticket": ticket})


_REFUSAL = """
    select endpoint, symbol, fault, learned_at, ask_again_at from entitlements
     where key_fingerprint = :key and endpoint = :endpoint and symbol in ('', :symbol)
       and ask_again_at > :now
     order by symbol limit 1
"""

_BLOCKS = """
    select b.id, b.fault, b.refused_at, b.until, c.admitted_at as probed_at
      from vendor_blocks b
      left join vendor_calls c on c.id = b.probe_id and c.settled_at is null
     where b.key_fingerprint = :key and b.ended_at is null
     order by b.until desc nulls first
"""

_PROBE = "update vendor_blocks set probe_id = :ticket where id = :id"
