"""Whether a step may enter: asked under the lock that a halt waits for, or is waited for by."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, text

from agents.brokers.port import BrokerError
from app.runtime.step import Step
from storage.broker_records import BrokerOrderState
from storage.halt import HALTED, LOCK
from storage.models import Halt, Order
from storage.records import OrderState


async def halted(step: Step, *, entering: bool) -> str:
    """Why nothing may be entered, or nothing.

    `entering` holds the answer until the step's transaction ends: a halt that comes meanwhile waits for it.
    """
    if entering:
        await step.database.execute(text("select pg_advisory_xact_lock_shared(:lock)"), {"lock": LOCK})
    stands = await step.database.scalar(select(Halt).where(Halt.lifted_at.is_(None)))
    return "" if stands is None else f"halted by {stands.halted_by}: {stands.reason}"


async def withdraw(step: Step, entries: Sequence[Order], why: str) -> None:
    """Have the broker cancel entries that rest. What it has filled already, or does not answer for, stays."""
    for order in entries:
        try:
            found = await step.broker.cancel(order.client_order_id)
        except BrokerError as unknown:
            order.note = f"{why}; not withdrawn: {unknown}"
            continue
        if found.state is BrokerOrderState.CANCELLED:
            order.state, order.note, order.denied_by = OrderState.SKIPPED, why, HALTED
