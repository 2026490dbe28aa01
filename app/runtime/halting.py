"""Whether a step may enter: asked under the lock that a halt waits for, or is waited for by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text

from agents.brokers.port import BrokerError
from app.runtime.step import Step
from storage.broker_records import BrokerOrderState
from storage.halt import LOCK
from storage.models import Absence, Halt, Order
from storage.records import OrderState
from storage.standstill import AWAY, HALTED


@dataclass(frozen=True)
class HeldBack:
    """Why nothing may be entered; `by` as a funnel and an order name it."""

    by: str
    why: str


async def held_back(step: Step, *, entering: bool) -> HeldBack | None:
    """What holds entries back; None where they may be made.

    `entering` holds the answer until the step's transaction ends: a halt that comes meanwhile waits for it.
    """
    if entering:
        await step.database.execute(text("select pg_advisory_xact_lock_shared(:lock)"), {"lock": LOCK})
    halt = await step.database.scalar(select(Halt).where(Halt.lifted_at.is_(None)))
    if halt is not None:
        return HeldBack(HALTED, f"halted by {halt.halted_by}: {halt.reason}")
    absence = await step.database.scalar(
        select(Absence).where(Absence.ended_at.is_(None), Absence.until > step.now).limit(1)
    )
    if absence is not None:
        return HeldBack(AWAY, f"{absence.told_by} is away until {absence.until:%Y-%m-%d %H:%M}Z")
    return None


async def withdraw(step: Step, entries: Sequence[Order], held: HeldBack) -> None:
    """Have the broker cancel entries that rest. What it has filled already, or does not answer for, stays."""
    for order in entries:
        try:
            found = await step.broker.cancel(order.client_order_id)
        except BrokerError as unknown:
            order.note = f"{held.why}; not withdrawn: {unknown}"
            continue
        if found.state is BrokerOrderState.CANCELLED:
            order.state, order.note, order.denied_by = OrderState.SKIPPED, held.why, held.by
