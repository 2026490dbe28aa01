"""Before the open: approved entries are looked at once more and become limit orders for the auction."""

from __future__ import annotations

from collections.abc import Sequence

from agents.brokers.port import BrokerError, BrokerOrder, BrokerRefused
from agents.trading.broker import EntryOrder, EntrySkip, SizedEntry, SkipReason, size_entry_order
from agents.trading.limits import BookView, Candidate
from app.runtime.book import book_before_open, facts_at_open
from app.runtime.limits import kelly_caps
from app.runtime.step import Step
from storage.broker_records import OrderKind
from storage.models import Approval, Order
from storage.records import OrderSide, OrderState, TradeTerms, uuid7

SENDS = 3  # a broker that does not answer is asked so often; then the open tells


async def place_entries(step: Step, approved: Sequence[Approval]) -> list[Order]:
    """Size each against what those before it may take, best rank first, and send it; what became of each."""
    if not approved:
        return []
    book = await book_before_open(step, [approval.symbol for approval in approved])
    records = await kelly_caps(step)
    orders = []
    for approval in approved:
        try:
            facts = facts_at_open(step, approval.symbol, records.get(approval.setup_type))
            answer = _sized(step, approval, facts, book)
        except ValueError as error:
            # A cutoff that fails holds up its whole session: one row must not do that.
            why = " ".join(str(error).split())
            answer = EntrySkip(reason=SkipReason.CHANGED, note=f"the entry cannot be reckoned: {why}")
        order = entry_row(step, approval)
        orders.append(order)
        if isinstance(answer, EntrySkip):
            order.state, order.denied_by = OrderState.SKIPPED, answer.limit
            order.note = f"{answer.reason}: {answer.note}"
            step.ledger.place(order)
            continue
        order.shares = answer.order.shares
        step.ledger.place(order)
        await step.database.flush()
        await _send(step, order, answer.order)
        if order.state is OrderState.RESTING:
            book = book.reserve(order.symbol, answer.cost, answer.risk, sector=facts.sector)
    return orders


def entry_row(step: Step, approval: Approval) -> Order:
    """The order of an approval as it is before anything has become of it."""
    return Order(
        id=uuid7(),
        client_order_id=f"entry-{approval.id}",
        approval_id=approval.id,
        symbol=approval.symbol,
        side=OrderSide.BUY,
        shares=approval.max_shares,
        session=step.session,
        state=OrderState.RESTING,
        note="",
        created_at=step.now,
    )


async def _send(step: Step, order: Order, entry: EntryOrder) -> None:
    """Nobody knows whether an unanswered order arrived: it rests, and the open tells."""
    asked = BrokerOrder(
        client_order_id=order.client_order_id,
        kind=OrderKind.LIMIT_ON_OPEN,
        symbol=entry.symbol,
        side=OrderSide.BUY,
        shares=entry.shares,
        session=entry.session,
        limit=entry.limit,
        floor=entry.floor,
    )
    for _ in range(SENDS):
        try:
            found = await step.broker.place(asked)
        except BrokerRefused as refusal:
            order.state, order.note = OrderState.SKIPPED, f"refused by the broker: {refusal}"
        except BrokerError as unknown:
            order.note = f"no answer from the broker: {unknown}"
            continue
        else:
            order.shares, order.note = found.shares, ""  # an earlier life of this step may have sent it
        return


def _sized(step: Step, approval: Approval, facts: Candidate, book: BookView) -> SizedEntry | EntrySkip:
    """ValueError on terms or limits that are none."""
    terms = terms_of(approval)
    if terms.digest != approval.decided_digest:
        # Nothing but what the human saw may be traded, whoever wrote to the row since.
        return EntrySkip(reason=SkipReason.CHANGED, note="the terms are not those that were approved")
    return size_entry_order(terms, facts, book, step.parts.limits, step.parts.costs)


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
