"""How a key stands before its next calls are planned: its rules, what it has used, what it may not ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.calls import CallFault, Priority
from storage.quota_rules import WINDOW, QuotaRules

NOBODY_KNOWS = datetime.max.replace(tzinfo=UTC)  # until a human has seen to the key


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A key as its ledger has it at one instant."""

    rules: QuotaRules
    past: tuple[tuple[datetime, Priority], ...]  # calls of the window
    refused: Mapping[tuple[str, str], datetime]  # endpoint and symbol ("": for every one): asked again from
    blocked_by: CallFault | None
    blocked_until: datetime | None


async def read_standing(engine: AsyncEngine, key: str, now: datetime, rules: QuotaRules) -> Standing:
    """`rules` where none are in force yet; `now` by the clock the key's windows move by."""
    values = {"key": key, "now": now, "since": now - WINDOW}
    async with engine.connect() as connection:
        in_force = (await connection.execute(text(_RULES), values)).one_or_none()
        past = (await connection.execute(text(_PAST), values)).all()
        refused = (await connection.execute(text(_REFUSED), values)).all()
        block = (await connection.execute(text(_BLOCK), values)).first()
    return Standing(
        rules=QuotaRules(**in_force._mapping) if in_force is not None else rules,
        past=tuple((row.admitted_at, Priority(row.priority)) for row in past),
        refused={(row.endpoint, row.symbol): row.ask_again_at for row in refused},
        blocked_by=CallFault(block.fault) if block is not None else None,
        blocked_until=None if block is None else block.until or NOBODY_KNOWS,
    )


_RULES = "select daily_calls, exits_reserve, bandwidth_bytes from vendor_keys where key_fingerprint = :key"
_PAST = "select admitted_at, priority from vendor_calls where key_fingerprint = :key and admitted_at > :since"
_REFUSED = """
    select endpoint, symbol, ask_again_at from entitlements
     where key_fingerprint = :key and state = 'refused' and ask_again_at > :now
"""
_BLOCK = """
    select fault, until from vendor_blocks where key_fingerprint = :key and ended_at is null
     order by until desc nulls first limit 1
"""
