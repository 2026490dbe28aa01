"""The morning of a session: the verdict cutoff, then what the open made of the approved entries."""

from __future__ import annotations

import asyncio

from agents.brokers.port import BrokerUnreachable
from app.runtime.book import book_at_open
from app.runtime.booking import Booked, take_fills
from app.runtime.entering import entry_row, place_entries
from app.runtime.exits import order_exits
from app.runtime.halting import held_back, withdraw
from app.runtime.limits import kelly_caps, limits_now
from app.runtime.protection import protect_all
from app.runtime.reconcile import reconcile
from app.runtime.requests import carry_out, take_out_of_book
from app.runtime.step import Step, StepResult
from app.runtime.verdicts import verdict_of
from storage.models import Approval
from storage.records import ApprovalState, OrderState, VerdictVerb

ASKED, PATIENCE_S = 3, 2.0  # so often, and so far apart, is a broker asked before its silence counts
DIFFERS = "book and broker differ: `quorum reconcile` says where"
MISSED = "missed: the desk did not run before the open"


async def cutoff(step: Step) -> StepResult:
    """Approvals for this open are sent to the broker; those nobody answered expire. Exits at this close too.

    After the open there is no order to place any more: what was approved is missed, and never chased.
    """
    booked, waits = await _broker_first(step)
    approved: list[Approval] = []
    expired = 0
    for approval in await step.ledger.approvals_for(step.session):
        if approval.state is ApprovalState.PENDING:
            approval.state = ApprovalState.EXPIRED
            step.database.add(
                verdict_of(
                    approval, VerdictVerb.EXPIRED, by="the desk", reason="unanswered", now=step.wall_now
                )
            )
            expired += 1
        elif approval.state is ApprovalState.APPROVED:
            approved.append(approval)
    held = await held_back(step, entering=True)
    why_not = held.why if held else MISSED if step.missed_open else waits
    missed = _withhold(step, approved, why_not, held.by if held else None) if why_not else 0
    orders = [] if why_not else await place_entries(step, approved)
    denied = [f"{order.symbol} {order.note}" for order in orders if order.state is OrderState.SKIPPED]
    placed = len(orders) - len(denied)
    told = [f"{placed} approved for the open, {expired} expired unanswered"]
    if missed:
        told[0] += f", {missed} missed"
    told += [f"skipped {why}" for why in denied]
    told[:0] = [held.why] if held else []
    told += [*booked.closed, *booked.notes, *await protect_all(step)]
    told += [*await carry_out(step), *await order_exits(step)]
    return StepResult(
        "; ".join(told),
        {
            "placed": placed,
            "expired": expired,
            "missed": missed,
            "skipped": list(denied),
        },
    )


async def _broker_first(step: Step) -> tuple[Booked, str]:
    """Book what the broker has executed, compare the books; with why no entry may be sent, or nothing."""
    silence = ""
    for _ in range(ASKED):
        try:
            booked = await take_fills(step)
            booked.notes += await take_out_of_book(step)
            compared = await reconcile(step)
        except BrokerUnreachable as error:
            silence = f"the broker does not answer: {error}"
            await asyncio.sleep(PATIENCE_S)
            continue
        booked.notes += [f"DIFFERS {words}" for words in compared.standing]
        return booked, "" if compared.agrees else DIFFERS
    return Booked(notes=[silence]), silence


def _withhold(step: Step, approved: list[Approval], why: str, denied_by: str | None) -> int:
    """What became of entries that are not sent; how many they were."""
    for approval in approved:
        order = entry_row(step, approval)
        order.state, order.note, order.denied_by = OrderState.SKIPPED, why, denied_by
        step.ledger.place(order)
    return len(approved)


async def open_session(step: Step) -> StepResult:
    """Book what the open has filled, protect it, and send what is to be sold at this close."""
    held = await held_back(step, entering=True)
    resting = await step.ledger.resting_entries(step.session)
    if held is not None:
        await withdraw(step, [order for order, _ in resting], held)
    booked = await take_fills(step)
    told = [*booked.closed, *booked.notes, *await protect_all(step)]
    told += [*await carry_out(step), *await order_exits(step)]
    told += [held.why] if held else []
    if not resting:
        return StepResult("; ".join(["no entries were waiting", *told]), {"filled": [], "skipped": []})
    orders = [order for order, _ in resting]
    filled = [order.symbol for order in orders if order.state is OrderState.FILLED]
    skipped = [order.symbol for order in orders if order.state is OrderState.SKIPPED]
    what = ", ".join([*(f"bought {name}" for name in filled), *(f"skipped {name}" for name in skipped)])
    book, records = await book_at_open(step, []), await kelly_caps(step)
    limits = limits_now(step, await step.memory.regime(step.session), book, records)
    return StepResult(
        "; ".join([what or "the entries still rest", *told]),
        {"filled": list(filled), "skipped": list(skipped), "limits": limits},
    )
