"""Whether a step may enter: asked under the lock that a halt waits for, or is waited for by."""

from __future__ import annotations

from sqlalchemy import select, text

from app.runtime.step import Step
from storage.halt import LOCK
from storage.models import Halt


async def halted(step: Step, *, entering: bool) -> str:
    """Why nothing may be entered, or nothing.

    `entering` holds the answer until the step's transaction ends: a halt that comes meanwhile waits for it.
    """
    if entering:
        await step.database.execute(text("select pg_advisory_xact_lock_shared(:lock)"), {"lock": LOCK})
    stands = await step.database.scalar(select(Halt).where(Halt.lifted_at.is_(None)))
    return "" if stands is None else f"halted by {stands.halted_by}: {stands.reason}"
