"""Who answers the approvals of a replay: a human while the clock stands, the recommendation, or nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.runtime.waiting import pause
from storage.events import Topic, announce
from storage.journal import Journal
from storage.models import Approval, Verdict
from storage.records import ApprovalState, Recommendation, VerdictMode, VerdictVerb

POLL_S = 0.1
BEAT_S = 1.0


async def answer_approvals(
    engine: AsyncEngine, entry_session: date, mode: VerdictMode, *, ask_timeout_s: float, stop: asyncio.Event
) -> bool:
    """See to it that no approval for this open is pending and every verdict has taken effect.

    The caller's clock stands still until then. In ASK a human answers, and after `ask_timeout_s` seconds what
    is left is rejected; else the replay answers at once. Returns False when `stop` was set first.
    """
    if mode is VerdictMode.ASK:
        await _set_expiry(engine, entry_session, ask_timeout_s)
    loop = asyncio.get_running_loop()
    beat_due = loop.time() + BEAT_S
    while not stop.is_set():
        async with AsyncSession(engine) as database, database.begin():
            now = await _now(database)
            if loop.time() >= beat_due:
                await Journal(database).beat(now)
                beat_due = loop.time() + BEAT_S
            for approval in await _pending(database, entry_session):
                if mode is not VerdictMode.ASK:
                    _decide(database, approval, _recommended(approval, mode), now, by=f"replay:{mode}")
                elif approval.expires_at is not None and approval.expires_at <= now:
                    late = "nobody answered in time"
                    _decide(database, approval, ApprovalState.REJECTED, now, by="the clock", reason=late)
                    await announce(await database.connection(), Topic.APPROVAL)
            await database.flush()
            if not await _unsettled(database, entry_session, now):
                return True
        await pause(stop, POLL_S)
    return False


async def _set_expiry(engine: AsyncEngine, entry_session: date, timeout_s: float) -> None:
    """Counted from here, not from the proposal: time in which nobody ran the desk is not time to decide.

    Answered ones get theirs too: a verdict that is taken back leaves an approval that must not wait for ever.
    """
    async with AsyncSession(engine) as database, database.begin():
        asked = await database.execute(
            update(Approval)
            .where(Approval.entry_session == entry_session)
            .values(expires_at=await _now(database) + timedelta(seconds=timeout_s))
            .returning(Approval.id)
        )
        if asked.all():
            await announce(await database.connection(), Topic.APPROVAL)


def _recommended(approval: Approval, mode: VerdictMode) -> ApprovalState:
    approve = mode is VerdictMode.RECOMMENDED and approval.recommendation is Recommendation.APPROVE
    return ApprovalState.APPROVED if approve else ApprovalState.REJECTED


def _decide(
    database: AsyncSession,
    approval: Approval,
    state: ApprovalState,
    now: datetime,
    *,
    by: str,
    reason: str = "",
) -> None:
    """A verdict of the replay itself: it says who it is, and types the id like anybody else."""
    approval.state = state
    approval.decided_by = by
    approval.decided_at = approval.effective_at = now
    approval.decided_digest = approval.digest
    approval.decision_reason = reason
    if state is ApprovalState.APPROVED and approval.risky:
        approval.typed_id = approval.short_id
    database.add(verdict_of(approval, VerdictVerb(state), by=by, reason=reason, now=now))


def verdict_of(approval: Approval, verb: VerdictVerb, *, by: str, reason: str, now: datetime) -> Verdict:
    """A row for the list of everything ever said about an approval."""
    return Verdict(
        approval_id=approval.id,
        verb=verb,
        digest=approval.digest,
        given_by=by,
        given_from="",
        reason=reason,
        given_at=now,
    )


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
