"""Looks at the market while something is under way: the news, what waits before the open, what is held.

None of them trades. Before the open a look may only end an entry; in the session it only tells.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.runtime.actions import void_entry
from app.runtime.exits import order_exits
from app.runtime.protection import protect_all
from app.runtime.requests import carry_out
from app.runtime.sources import PriceNow
from app.runtime.step import Step, StepResult
from storage.memory import ToldNews
from storage.models import Approval, Operation, Position
from storage.records import ApprovalState, OperationKind

OLD = timedelta(minutes=30)  # a price older than this ends no entry
STILL_TO_COME = (ApprovalState.PENDING, ApprovalState.APPROVED)


async def read_news(step: Step) -> StepResult:
    """Keep the news there is before the open, each piece once."""
    items = step.news.items if step.news is not None else ()
    told = [
        ToldNews(
            digest=item.digest,
            source=item.source,
            title=item.title,
            body=item.text,
            published_at=item.published,
            fetched_at=item.fetched_at,
            symbols=item.symbols,
        )
        for item in items
    ]
    fresh = await step.memory.store_news(step.session, told)
    about = sorted({symbol for item in items for symbol in item.symbols})
    return StepResult(
        f"{fresh} new of {len(told)} pieces, about {len(about)} symbols of the desk",
        {"told": len(told), "new": fresh, "symbols": about},
    )


async def recheck(step: Step) -> StepResult:
    """End the entries whose prices before the open lie wholly outside their band, or at their stop."""
    looked, void = 0, []
    for approval in await step.ledger.approvals_for(step.session):
        price = step.prices.get(approval.symbol)
        if approval.state not in STILL_TO_COME or price is None or step.now - price.as_of > OLD:
            continue
        looked += 1
        reason = outside(approval, price)
        if reason and await void_entry(step, approval, reason):
            void.append(reason)
    summary = f"{looked} entries looked at before the open"
    return StepResult("; ".join([summary, *(f"void: {reason}" for reason in void)]), {"void": void})


def outside(approval: Approval, price: PriceNow) -> str:
    """Why an entry can hardly be filled on its terms, or nothing.

    Before the open a spread is wide: both sides must say it. A bid above the band leaves nothing to buy in
    it; what is offered below it would be bought, at the open, at a price nobody approved.
    """
    bid, ask = price.bid or price.ask, price.ask or price.bid
    if bid is None or ask is None:
        return ""
    seen = f"{approval.symbol} is {bid} to {ask} at {price.as_of.astimezone(UTC):%H:%M}Z"
    if ask <= approval.stop:
        return f"{seen}, through its stop {approval.stop}"
    if bid > approval.max_entry or ask < approval.min_entry:
        side = "above" if bid > approval.max_entry else "below"
        return f"{seen}, {side} the band {approval.min_entry} to {approval.max_entry}"
    return ""


async def mark(step: Step) -> StepResult:
    """Look at what is held while it trades: a price past a stop or target is told, and nothing is sold by it.

    Such exits are the broker's. What is to be sold at the close is sent, where it has not been.
    """
    sent = [*await protect_all(step), *await carry_out(step), *await order_exits(step)]
    marks: dict[str, object] = {}
    alerts: list[str] = []
    for position in await step.ledger.open_positions():
        price = step.prices.get(position.symbol)
        if price is None or price.last is None:
            continue
        marks[position.symbol] = {"price": str(price.last), "as_of": price.as_of.isoformat()}
        if told := past(position, price.last, price.as_of):
            alerts.append(told)
            step.database.add(
                Operation(at=step.wall_now, kind=OperationKind.ALERT, who="the marks", text=told)
            )
    summary = "; ".join([f"{len(marks)} marked", *alerts, *sent])
    return StepResult(summary, {"marks": marks, "alerts": list(alerts)})


def past(position: Position, price: Decimal, as_of: datetime) -> str:
    """That a price has passed the stop or the target of what is held, or nothing."""
    seen = f"{position.symbol} traded at {price} at {as_of.astimezone(UTC):%H:%M}Z"
    if price <= position.stop:
        return f"{seen}, at or below its stop {position.stop}: the session's bar decides"
    if price >= position.target:
        return f"{seen}, at or above its target {position.target}: the session's bar decides"
    return ""
