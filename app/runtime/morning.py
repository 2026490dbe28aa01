"""The morning of a session: the verdict cutoff, then what the open makes of the approved entries."""

from __future__ import annotations

from decimal import Decimal

from agents.market.bars import Bar
from agents.trading.broker import EntryFill, EntrySkip, SkipReason, fill_entry
from agents.trading.limits import BookView, Candidate
from app.runtime.book import book_at_open, facts_at_open
from app.runtime.halting import halted
from app.runtime.limits import kelly_caps, limits_now
from app.runtime.step import Step, StepResult
from app.runtime.verdicts import verdict_of
from storage.halt import HALTED
from storage.models import Approval, Fill, Order, Position
from storage.records import (
    ApprovalState,
    OrderSide,
    OrderState,
    PositionState,
    TradeTerms,
    VerdictVerb,
    to_price,
    uuid7,
)

MISSED = "missed: the desk did not run before the open"


async def cutoff(step: Step) -> StepResult:
    """Approvals for this open become resting orders; those nobody answered expire.

    After the open there is no order to place any more: what was approved is missed, and never chased.
    """
    placed = expired = missed = 0
    stopped = await halted(step, entering=True)
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
            why_not = stopped or (MISSED if step.missed_open else "")
            step.ledger.place(
                Order(
                    client_order_id=f"entry-{approval.id}",
                    approval_id=approval.id,
                    symbol=approval.symbol,
                    side=OrderSide.BUY,
                    shares=approval.max_shares,
                    session=step.session,
                    state=OrderState.SKIPPED if why_not else OrderState.RESTING,
                    note=why_not,
                    denied_by=HALTED if stopped else None,
                    created_at=step.now,
                )
            )
            missed += bool(why_not)
            placed += not why_not
    summary = f"{placed} approved for the open, {expired} expired unanswered"
    if stopped:
        summary = f"{stopped}; {summary}"
    return StepResult(
        f"{summary}, {missed} missed" if missed else summary,
        {"placed": placed, "expired": expired, "missed": missed},
    )


async def open_session(step: Step) -> StepResult:
    """Fill or skip every resting entry at the open, best rank first, each against what the last one left."""
    resting = await step.ledger.resting_entries(step.session)
    if not resting:
        return StepResult("no entries were waiting", {"filled": [], "skipped": []})
    if stopped := await halted(step, entering=True):
        for order, _ in resting:
            order.state, order.note, order.denied_by = OrderState.SKIPPED, stopped, HALTED
        names = [order.symbol for order, _ in resting]
        return StepResult(f"{stopped}; withdrawn: {', '.join(names)}", {"filled": [], "skipped": names})
    book = await book_at_open(step, [order.symbol for order, _ in resting])
    records = await kelly_caps(step)
    filled, skipped = [], []
    for order, approval in resting:
        bar = step.view.bars(order.symbol).on(step.session)
        answer: EntryFill | EntrySkip
        try:
            facts = facts_at_open(step, order.symbol, records.get(approval.setup_type))
            answer = _answer(step, approval, bar, facts, book)
        except ValueError as error:
            # An open that fails holds up the exits of its session: one row must not do that.
            why = " ".join(str(error).split())
            answer = EntrySkip(reason=SkipReason.CHANGED, note=f"the entry cannot be reckoned: {why}")
        if isinstance(answer, EntrySkip):
            order.state = OrderState.SKIPPED
            order.note = f"{answer.reason}: {answer.note}"
            order.denied_by = answer.limit
            skipped.append(order.symbol)
            continue
        assert bar is not None
        await _enter(step, order, approval, answer, reference=to_price(bar.open))
        filled.append(order.symbol)
        book = book.bought(
            order.symbol,
            amount=answer.amount,
            fee=answer.fee,
            risk=answer.risk,
            sector=facts.sector,
        )
    summary = ", ".join([*(f"bought {name}" for name in filled), *(f"skipped {name}" for name in skipped)])
    limits = limits_now(step, await step.memory.regime(step.session), book, records)
    return StepResult(summary, {"filled": list(filled), "skipped": list(skipped), "limits": limits})


def _answer(
    step: Step, approval: Approval, bar: Bar | None, facts: Candidate, book: BookView
) -> EntryFill | EntrySkip:
    """ValueError on terms or limits that are none."""
    terms = terms_of(approval)
    if terms.digest != approval.decided_digest:
        # Nothing but what the human saw may be traded, whoever wrote to the row since.
        return EntrySkip(reason=SkipReason.CHANGED, note="the terms are not those that were approved")
    return fill_entry(terms, bar, facts, book, step.parts.limits, step.parts.costs)


def terms_of(approval: Approval) -> TradeTerms:
    """What an approval binds."""
    return TradeTerms(
        symbol=approval.symbol,
        setup_type=approval.setup_type,
        entry_session=approval.entry_session,
        min_entry=approval.min_entry,
        max_entry=approval.max_entry,
        stop=approval.stop,
        target=approval.target,
        max_shares=approval.max_shares,
        max_risk=approval.max_risk,
        max_hold=approval.max_hold,
        parameters_version=approval.parameters_version,
        limits={name: float(str(value)) for name, value in approval.limits.items()},
    )


async def _enter(
    step: Step, order: Order, approval: Approval, answer: EntryFill, *, reference: Decimal
) -> None:
    order.state = OrderState.FILLED
    order.note = f"{answer.shares} of {approval.max_shares} at {answer.price}"
    position = Position(
        id=uuid7(),
        approval_id=approval.id,
        symbol=order.symbol,
        setup_type=approval.setup_type,
        shares=answer.shares,
        entry_session=step.session,
        entry_price=answer.price,
        entry_fee=answer.fee,
        stop=approval.stop,
        initial_stop=approval.stop,
        target=approval.target,
        max_hold=approval.max_hold,
        low_since=answer.price,
        high_since=answer.price,
        last_close=answer.price,
        last_session=step.session,
        state=PositionState.OPEN,
    )
    await step.ledger.open_position(position)
    order.position_id = position.id
    await step.ledger.book_fill(
        Fill(
            id=uuid7(),
            order_id=order.id,
            position_id=position.id,
            symbol=order.symbol,
            side=OrderSide.BUY,
            shares=answer.shares,
            price=answer.price,
            reference_price=reference,
            fee=answer.fee,
            session=answer.session,
            created_at=step.now,
        ),
        note=f"bought {answer.shares} {order.symbol}",
    )
