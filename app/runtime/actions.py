"""Before the open: what corporate actions make of the holdings, and of entries that were still to come.

Every action of the market is looked at once: its row in corporate_actions says what it did. A step that runs
again finds the rows and does nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from agents.brokers.port import ActionLivedThrough, Broker, BrokerRefused
from agents.market.actions import ActionKey, CorporateAction
from agents.market.calendar import previous_session
from agents.trading.book import OpenPosition
from agents.trading.broker import paid_out
from agents.trading.corporate import Applied, Refused, live_through, pending_after
from app.runtime.closing import close_trade
from app.runtime.protection import protect_all
from app.runtime.step import Step, StepResult, held
from app.runtime.verdicts import verdict_of
from storage.broker_records import BrokerOrderState
from storage.models import Approval, CorporateActionRow, Instrument, Order, Position
from storage.records import (
    ApprovalState,
    CashKind,
    OrderState,
    VerdictVerb,
)

NOT_HELD = "not held"


@dataclass(frozen=True)
class Lived:
    """What actions did to the holdings, each in a few words."""

    applied: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def sentences(self) -> list[str]:
        return [*self.applied, *(f"refused: {reason}" for reason in self.refused)]


async def corporate_actions(step: Step) -> StepResult:
    """Let every holding live through its actions, and end entries whose terms they make void."""
    lived = await live_through_actions(step)
    void = await _void_entries(step)
    told = [*lived.sentences, *(f"void: {reason}" for reason in void)]
    return StepResult(
        "; ".join(told) or "no corporate action concerned the desk",
        {"applied": list(lived.applied), "refused": list(lived.refused), "void": void},
    )


async def live_through_actions(step: Step) -> Lived:
    """Apply to each holding what its source tells of and nobody has looked at yet, late ones too.

    The session's actions of symbols that are not held are written down as well.
    """
    if step.actions is None:
        return Lived((), ())
    positions = await step.ledger.open_positions()
    eve = previous_session(step.session)
    first = min([eve, *(position.entry_session for position in positions)])
    rows = await step.ledger.actions_since(first)
    seen = {(row.symbol, row.ex_date, row.kind): row for row in rows}
    applied = {key for key, row in seen.items() if row.applied_session is not None}
    fresh = [action for action in step.actions.between(first, step.session) if action.key not in seen]
    looked_at: set[ActionKey] = set()
    sentences: list[str] = []
    refused: list[str] = []
    names = {position.symbol for position in positions}
    for position in positions:
        mine = [
            action
            for action in fresh
            if action.symbol == position.symbol and position.entry_session < action.ex_date
        ]
        looked_at.update(action.key for action in mine)
        taken = [action for action in mine if action.new_symbol in names]
        for refusal in [Refused(action, f"{action.new_symbol} is held already") for action in taken]:
            refused.append(await _refuse(step, refusal))
        for result in _results(step, position, [action for action in mine if action not in taken], applied):
            if isinstance(result, Refused):
                refused.append(await _refuse(step, result))
            else:
                await _apply(step, position, result)
                names.add(position.symbol)
                sentences.append(f"{result.action.symbol} {result.note}")
    step.ledger.book_actions(
        [
            _row(step, action, NOT_HELD)
            for action in fresh
            if action.key not in looked_at and action.ex_date > eve
        ]
    )
    await step.database.flush()
    sentences += await protect_all(step)
    return Lived(tuple(sentences), tuple(refused))


def _results(
    step: Step, position: Position, actions: Sequence[CorporateAction], applied: set[ActionKey]
) -> list[Applied | Refused]:
    own = {key for key in applied if key[0] == position.symbol and key[1] > position.entry_session}
    return live_through(held(position), actions, today=step.session, applied=own)[1]


async def _refuse(step: Step, refusal: Refused) -> str:
    step.ledger.book_actions([_row(step, refusal.action, refusal.reason)])
    return refusal.reason


async def _apply(step: Step, position: Position, result: Applied) -> None:
    before = held(position)
    row = _row(step, result.action, result.note, applied_session=step.session, late=result.late)
    kind = CashKind.DIVIDEND if result.is_income else CashKind.CASH_IN_LIEU
    await step.ledger.book_action(row, position, kind, result.cash, session=step.session)
    await step.broker.lived_through(_lived_through(step, before, result))
    if result.position is None:
        await close_trade(step, position, before, paid_out(before, result.cash, step.session))
        return
    if not result.is_income:
        position.realised += result.realised
    if result.position.symbol != position.symbol:
        await _introduce(step, position.symbol, result.position.symbol)
    _write(position, result.position)
    if result.position != before:  # what protected it stood on another basis; protect_all sends a new one
        position.protected_by, position.unprotected_since = None, step.wall_now


def _lived_through(step: Step, before: OpenPosition, result: Applied) -> ActionLivedThrough:
    action, after = result.action, result.position
    return ActionLivedThrough(
        key=f"{action.symbol} {action.ex_date} {action.kind} {before.id}",
        symbol=before.symbol,
        new_symbol=after.symbol if after is not None else before.symbol,
        shares=after.shares if after is not None else 0,
        last_close=after.last_close if after is not None else before.last_close,
        cash=result.cash,
        session=step.session,
    )


def _write(position: Position, after: OpenPosition) -> None:
    position.symbol = after.symbol
    position.shares = after.shares
    position.sold_shares = after.sold_shares
    position.entry_price = after.entry_price
    position.stop = after.stop
    position.initial_stop = after.initial_stop
    position.target = after.target
    position.low_since = after.low_since
    position.high_since = after.high_since
    position.last_close = after.last_close


async def _introduce(step: Step, old: str, new: str) -> None:
    """The instrument of a new symbol, which is the old one's."""
    known = await step.database.get(Instrument, old)
    if known is not None:
        await step.memory.store_instruments(
            [
                Instrument(
                    symbol=new,
                    name=known.name,
                    sector=known.sector,
                    industry=known.industry,
                    asset_type=known.asset_type,
                )
            ]
        )


def _row(
    step: Step,
    action: CorporateAction,
    note: str,
    *,
    applied_session: date | None = None,
    late: bool = False,
) -> CorporateActionRow:
    return CorporateActionRow(
        symbol=action.symbol,
        ex_date=action.ex_date,
        kind=action.kind,
        value=action.value,
        new_symbol=action.new_symbol,
        source=action.source,
        applied_session=applied_session,
        late=late,
        note=note,
        created_at=step.now,
    )


async def _void_entries(step: Step) -> list[str]:
    """End the entries of this open whose prices mean something else by now; the reasons."""
    reasons: list[str] = []
    for approval in await step.ledger.approvals_for(step.session):
        if step.actions is None or approval.state not in (ApprovalState.PENDING, ApprovalState.APPROVED):
            continue
        since = [
            action
            for action in step.actions.of(approval.symbol)
            if approval.created_session < action.ex_date <= step.session
        ]
        decision = pending_after(approval.symbol, since, approval.close)
        if decision.keep:
            continue
        if await void_entry(step, approval, decision.reason):
            reasons.append(decision.reason)
    return reasons


async def void_entry(step: Step, approval: Approval, reason: str) -> bool:
    """End an entry that is still to come, with the reason; False when there is nothing left to end."""
    order = await step.ledger.entry_order(approval)
    if order is None:
        approval.state = ApprovalState.EXPIRED
        approval.decision_reason = reason
        approval.effective_at = None  # nothing is left to take effect
        step.database.add(
            verdict_of(approval, VerdictVerb.EXPIRED, by="the desk", reason=reason, now=step.wall_now)
        )
        return True
    if order.state is OrderState.RESTING:
        return await cancel_entry(step.broker, order, f"void: {reason}")
    return False


async def cancel_entry(broker: Broker, order: Order, note: str) -> bool:
    """Take a resting entry back at the broker; False when it is too late: what is filled is booked as ever.

    Raises BrokerUnreachable: until it is known to be gone, it rests.
    """
    try:
        found = await broker.cancel(order.client_order_id)
    except BrokerRefused:  # it never had it
        found = None
    if found is not None and found.state is BrokerOrderState.FILLED:
        return False
    order.state, order.note = OrderState.SKIPPED, note
    return True
