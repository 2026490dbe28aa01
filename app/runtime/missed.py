"""What proposals that were not traded have come to by this close, so that silence has a price."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from agents.trading.hindsight import what_if
from app.runtime.entering import terms_of
from app.runtime.step import Step
from storage.models import Approval
from storage.records import ApprovalState

LOOKED_BACK = timedelta(days=90)


async def reckon_missed(step: Step) -> int:
    """Follow what was rejected or left unanswered until it would have ended; how many have now."""
    rows = await step.database.scalars(
        select(Approval).where(
            Approval.state.in_((ApprovalState.EXPIRED, ApprovalState.REJECTED)),
            Approval.what_if_note.is_(None),
            Approval.entry_session <= step.session,
            Approval.entry_session > step.session - LOOKED_BACK,
        )
    )
    known = 0
    for row in rows:
        found = what_if(terms_of(row), row.close, row.created_session, step.view, step.parts.costs)
        if found is not None:
            row.what_if_r, row.what_if_note = found.r, found.note
            known += 1
    return known
