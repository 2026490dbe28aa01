"""The stop and the target that the broker knows of a position: sent, replaced, or missing and said so."""

from __future__ import annotations

from datetime import datetime

from agents.brokers.port import Broker, BrokerError, Protection
from app.runtime.step import Step
from storage.broker_records import BrokerOrderState
from storage.models import Position

ATTEMPTS = 5  # ids that may have been used up by a desk that died before it could write so


async def protect(step: Step, row: Position) -> str:
    """Let the broker know where the position ends now; why it does not, or nothing."""
    return await protect_at(step.broker, row, step.wall_now)


async def protect_all(step: Step) -> list[str]:
    """Protect what the broker knows no protection of; what could not be, each in a few words."""
    told = []
    for row in await step.ledger.open_positions():
        if row.protected_by is None and (why := await protect(step, row)):
            told.append(f"{row.symbol} is unprotected: {why}")
    return told


async def protect_at(broker: Broker, row: Position, now: datetime) -> str:
    """As `protect`, with the broker in hand; `now` is the wall's clock.

    Every protection has an id of its own, numbered. One that was sent by a desk that died is found there, and
    taken if it is what is wanted now.
    """
    why = "its ids are used up"
    for _ in range(ATTEMPTS):
        row.protections += 1
        try:
            wanted = Protection(
                client_order_id=f"protect-{row.id}-{row.protections}",
                position=str(row.id),
                symbol=row.symbol,
                shares=row.shares,
                stop=row.stop,
                target=row.target,
            )
            found = await broker.protect(wanted)
        except (BrokerError, ValueError) as error:  # one row that makes no order must not stop the others
            why = " ".join(str(error).split()) or type(error).__name__
            break
        stands = found.state in (BrokerOrderState.RESTING, BrokerOrderState.FILLED)
        if stands and (found.stop, found.target, found.shares) == (row.stop, row.target, row.shares):
            row.protected_by = found.client_order_id
            row.unprotected_since = row.alarmed_at = None
            return ""
    row.protected_by = None
    row.unprotected_since = row.unprotected_since or now
    return why
