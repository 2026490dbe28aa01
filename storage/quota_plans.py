"""The last plan of the calls to come, kept for screens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.models import QuotaPlan
from storage.plain import as_json
from storage.quota_snapshot import PlannedSlotRow


async def keep_plan(
    engine: AsyncEngine,
    key_fingerprint: str,
    *,
    made_at: datetime,
    dry_at: datetime | None,
    slots: Sequence[PlannedSlotRow],
) -> None:
    """Replace what was planned before; a plan that was overtaken by a later one changes nothing."""
    new = insert(QuotaPlan).values(
        key_fingerprint=key_fingerprint, made_at=made_at, dry_at=dry_at, slots=as_json(tuple(slots))
    )
    changes = {name: new.excluded[name] for name in ("made_at", "dry_at", "slots")}
    async with engine.begin() as connection:
        await connection.execute(
            new.on_conflict_do_update(
                index_elements=["key_fingerprint"],
                set_=changes,
                where=QuotaPlan.made_at <= new.excluded.made_at,
            )
        )
        await connection.execute(text("select pg_notify('quorum', 'desk')"))
