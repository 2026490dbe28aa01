"""Who answers the approvals of a replay: a human while the clock stands, the recommendation, or nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage.events import Topic, announce
from storage.journal import Journal
from storage.models import Approval
from storage.records import ApprovalState, Recommendation, VerdictMode

POLL_S = 0.1
BEAT_S = 1.0


async def answer_approvals(
    engine: AsyncEngine, entry_session: date, mode: VerdictMode, *, ask_timeout_s: float, stop: asyncio.Event
) -> bool:
    """See to it that no approval for this open is pending and every verdict has taken effect.

    In ASK the caller's clock stands still until then; after `ask_timeout_s` seconds the rest is rejected.
    Returns False when `stop` was set first.
    """
    if mode is VerdictMode.ASK:
        return await _ask(engine, entry_session, timeout_s=ask_timeout_s, stop=stop)
    async with AsyncSession(engine) as database, database.begin():
        for approval in await _pending(database, entry_session):
            approve = mode is VerdictMode.RECOMMENDED and approval.recommendation is Recommendation.APPROVE
            _decide(
                approval, ApprovalState.APPROVED if approve else ApprovalState.REJECTED, by=f"replay:{mode}"
            )
    return True


async def _ask(engine: AsyncEngine, entry_session: date, *, timeout_s: float, stop: asyncio.Event) -> bool:
    async with AsyncSession(engine) as database, database.begin():
        now = await _now(database)
        # Counted from here, not from the proposal: time in which nobody ran the desk is not time to decide.
        await database.execute(
            update(Approval)
            .where(Approval.state == ApprovalState.PENDING, Approval.entry_session == entry_session)
            .values(expires_at=now + timedelta(seconds=timeout_s))
        )
        await announce(await database.connection(), Topic.APPROVAL)
    beat_due = 0.0
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        async with AsyncSession(engine) as database, database.begin():
            now = await _now(database)
            if loop.time() >= beat_due:
                await Journal(database).beat(now)
                beat_due = loop.time() + BEAT_S
            for approval in await _pending(database, entry_session):
                if approval.expires_at is not None and approval.expires_at <= now:
                    _decide(
                        approval, ApprovalState.REJECTED, by="the clock", reason="nobody answered in time"
                    )
                    await announce(await database.connection(), Topic.APPROVAL)
            await database.flush()
            if not await _unsettled(database, entry_session, now):
                return True
        await pause(stop, POLL_S)
    return False


def _decide(approval: Approval, state: ApprovalState, *, by: str, reason: str = "") -> None:
    """A verdict of the replay itself: it says who it is, and types the id like anybody else."""
    approval.state = state
    approval.decided_by = by
    approval.decided_at = func.clock_timestamp()
    approval.decision_reason = reason
    approval.effective_at = func.clock_timestamp()
    if state is ApprovalState.APPROVED and approval.risky:
        approval.typed_id = approval.short_id


async def _pending(database: AsyncSession, entry_session: date) -> Sequence[Approval]:
    rows = await database.scalars(
        select(Approval)
        .where(Approval.state == ApprovalState.PENDING, Approval.entry_session == entry_session)
        .order_by(Approval.symbol)
        .with_for_update()
    )
    return rows.all()


async def _unsettled(database: AsyncSession, entry_session: date, now: datetime) -> int:
    """Approvals nobody answered, and verdicts that may still be taken back."""
    return (
        await database.scalar(
            select(func.count())
            .select_from(Approval)
            .where(
                Approval.entry_session == entry_session,
                (Approval.state == ApprovalState.PENDING) | (Approval.effective_at > now),
            )
        )
    ) or 0


async def _now(database: AsyncSession) -> datetime:
    """The database's clock: the one the verdict commands compare with."""
    return (await database.execute(select(func.now()))).scalar_one()


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait `seconds`, or less when `stop` is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
