"""Approved changes take effect when their undo window is over; a replay answers proposals by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.learning.evidence import HistoryVerdict
from agents.learning.space import ParameterChange, why_not
from agents.learning.tonight import rules_of
from agents.market.calendar import NEW_YORK
from storage.journal import Journal
from storage.learning_records import AdjustmentKind, AdjustmentRoute, AdjustmentStatus
from storage.models import DeskRow, StrategyAdjustment
from storage.records import VerdictMode
from storage.versions import AsyncConnection, apply_change, due_changes, hold_changes, refuse_change

WAITING = (AdjustmentStatus.PROPOSED, AdjustmentStatus.PROMOTABLE)


async def take_effect(engine: AsyncEngine) -> tuple[str, ...]:
    """Let every approved change whose undo window is over take effect, in the order they were decided.

    A value the desk could not trade by, since another change has come into force, is refused with the reason.
    In words what became of each, as the log pane has it too.
    """
    said = []
    async with AsyncSession(engine) as database, database.begin():
        pooled = await (await database.connection()).get_raw_connection()
        connection = cast("AsyncConnection", pooled.driver_connection)
        if not await due_changes(connection):
            return ()
        await hold_changes(connection)
        for change_id in await due_changes(connection):
            row = await database.get_one(StrategyAdjustment, change_id, with_for_update=True)
            if row.status is not AdjustmentStatus.APPROVED:
                continue
            if reason := await _why_not(database, row):
                said.append(await refuse_change(connection, change_id, reason))
            else:
                said.append((await apply_change(connection, change_id)).message)
    return tuple(said)


async def _why_not(database: AsyncSession, row: StrategyAdjustment) -> str | None:
    if row.kind is AdjustmentKind.PROMPT:
        return None
    rules = rules_of(await Journal(database).newest_parameters())
    change = ParameterChange(row.parameter_name, Decimal(row.old_value), Decimal(row.new_value))
    return why_not(change, rules)


async def answer_proposals(engine: AsyncEngine, mode: VerdictMode) -> int:
    """A replay's own verdicts: what is promising goes into the shadow, what has won there comes into force.

    With `reject` every one is turned down, with `ask` none is answered. How many were decided.
    """
    if mode is VerdictMode.ASK:
        return 0
    async with AsyncSession(engine) as database, database.begin():
        now = (await database.execute(select(func.now()))).scalar_one()
        desk_time = (await database.scalars(select(DeskRow.desk_time))).one()
        today = desk_time.astimezone(NEW_YORK).date()
        rows = await database.scalars(
            select(StrategyAdjustment)
            .where(StrategyAdjustment.status.in_(WAITING))
            .order_by(StrategyAdjustment.created_at, StrategyAdjustment.id)
            .with_for_update()
        )
        count = 0
        for row in rows:
            has_won = row.status is AdjustmentStatus.PROMOTABLE
            promising = row.evidence.get("verdict") == HistoryVerdict.PROMISING
            approve = mode is VerdictMode.RECOMMENDED and (has_won or promising)
            row.status = AdjustmentStatus.APPROVED if approve else AdjustmentStatus.REJECTED
            row.route = None
            if approve:
                row.route = AdjustmentRoute.AT_ONCE if has_won else AdjustmentRoute.SHADOW
                row.typed_id = row.short_id if has_won else None
            row.decided_by, row.decided_from = f"replay:{mode}", ""
            row.decided_at = row.effective_at = now
            row.decided_digest = row.digest
            row.turned_down_session = None if approve else today
            count += 1
    return count
