"""The leader's watch over what is held: every few seconds, is there a stop at the broker for all of it?

It sends what is missing, moves the stops that humans asked to have moved, and raises the alarm where a
position has gone without for too long. When a leader takes office it says what it found.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.brokers.port import BrokerError
from agents.market.bars import MarketView
from agents.market.calendar import NEW_YORK, is_session, next_session
from agents.market.clock import Clock
from agents.trading.screener import ScreenResult
from app.runtime.halting import held_back, withdraw
from app.runtime.protection import protect
from app.runtime.reconcile import reconcile
from app.runtime.requests import move_stops
from app.runtime.step import DeskParts, Step
from storage.broker_records import BrokerOrderState
from storage.events import Topic, announce
from storage.leadership import Identity, SteppedDown, Term
from storage.models import Operation, Position
from storage.records import OperationKind, OrderState, SetupType, Slot

LOOK_S = 5.0
ALARM_S = 60.0  # a position may be without a stop for so long before it is said loudly


class Lookout:
    """Of one leader, for as long as its term lasts."""

    def __init__(
        self, *, engine: AsyncEngine, term: Term, identity: Identity, parts: DeskParts, clock: Clock
    ) -> None:
        self._engine = engine
        self._term = term
        self._identity = identity
        self._parts = parts
        self._clock = clock
        self._reported = False

    async def look(self) -> None:
        """One look, in one transaction. Raises SteppedDown where another leads; silence is told."""
        async with AsyncSession(self._engine) as database, database.begin():
            await fence(database, self._term, self._identity)
            step = self._step(database)
            if not await step.ledger.try_to_hold_account():
                return  # a step deals with the broker and leaves everything protected
            told = await self._report(step)
            try:
                told += await _withdraw_what_is_held_back(step)
                told += await move_stops(await step.ledger.requests(), step.broker, step.wall_now)
                told += await watch(step)
            except BrokerError as silence:
                told += await _alarms(step, str(silence))
            if told:
                await announce(await database.connection(), Topic.DESK)
        self._reported = True

    async def _report(self, step: Step) -> list[str]:
        """What a leader found when it took office, in one operation."""
        if self._reported:
            return []
        positions = await step.ledger.open_positions()
        resting = await step.ledger.resting_orders(step.session)
        try:
            compared = await reconcile(step)
        except BrokerError as silence:
            said = f"the broker does not answer: {silence}"
        else:
            differ = "; ".join(compared.standing)
            said = f"book and broker differ: {differ}" if differ else "book and broker agree"
        found = f"found {len(positions)} positions, {len(resting)} orders on their way; {said}"
        _note(step, OperationKind.RECONCILE, found)
        return [found]

    def _step(self, database: AsyncSession) -> Step:
        """A step that reads no market: what is sent here needs no price."""
        now = self._clock.now()
        day = now.astimezone(NEW_YORK).date()
        session = day if is_session(day) else next_session(day)
        return Step(
            database=database,
            parts=self._parts,
            parameters_version=0,
            session=session,
            slot=Slot.CUTOFF,
            next_session=None,
            view=MarketView(session, {}, {}),
            screened=_nothing_screened,
            now=now,
            wall_now=datetime.now(UTC),
        )


async def _withdraw_what_is_held_back(step: Step) -> list[str]:
    """A halt does not wait for the open: what rests for it is taken back now."""
    held = await held_back(step, entering=False)
    if held is None:
        return []
    entries = [order for order, _ in await step.ledger.resting_entries(step.session)]
    await withdraw(step, entries, held)
    return [f"{order.symbol} withdrawn: {held.why}" for order in entries if order.state is OrderState.SKIPPED]


async def watch(step: Step) -> list[str]:
    """See that the broker protects every position; what was amiss or is again in order, in a few words.

    Raises BrokerUnreachable.
    """
    positions = await step.ledger.open_positions()
    if not positions:
        return []
    since = min(row.entry_session for row in positions)
    there = {found.client_order_id: found.state for found in await step.broker.orders(since)}
    told = []
    for row in positions:
        state = there.get(row.protected_by or "")
        if row.protected_by is not None and state not in (BrokerOrderState.RESTING, BrokerOrderState.FILLED):
            told.append(f"{row.symbol}: the broker knows no {row.protected_by} any more")
            row.protected_by, row.unprotected_since = None, step.wall_now
        if row.protected_by is not None:
            continue
        alarmed = row.alarmed_at is not None
        why = await protect(step, row)
        if not why:
            told.append(f"{row.symbol} is protected at {row.stop}")
            if alarmed:
                _note(step, OperationKind.UNPROTECTED, f"{row.symbol} is protected again, at {row.stop}")
        elif said := _alarm(step, row, why):
            told.append(said)
    return told


async def _alarms(step: Step, why: str) -> list[str]:
    """The broker does not answer: whatever had no stop before has none now."""
    rows = [row for row in await step.ledger.open_positions() if row.protected_by is None]
    return [said for row in rows if (said := _alarm(step, row, why))]


def _alarm(step: Step, row: Position, why: str) -> str:
    """Raise it once for each time a position goes without; what was said, or nothing."""
    row.unprotected_since = row.unprotected_since or step.wall_now
    without_s = (step.wall_now - row.unprotected_since).total_seconds()
    if without_s < ALARM_S or row.alarmed_at is not None:
        return ""
    row.alarmed_at = step.wall_now
    said = f"{row.symbol} UNPROTECTED for {without_s:.0f} s: {row.shares} shares without a stop; {why}"
    _note(step, OperationKind.UNPROTECTED, said)
    return said


def _note(step: Step, kind: OperationKind, said: str) -> None:
    step.database.add(Operation(at=step.wall_now, kind=kind, who="the lookout", text=said))


def _nothing_screened(*, allowed: frozenset[SetupType]) -> ScreenResult:
    raise AssertionError("the lookout screens nothing")


async def fence(database: AsyncSession, term: Term, identity: Identity) -> None:
    """For a leader's write that is too large for the leader's own connection. Raises SteppedDown."""
    held = await database.execute(
        text("select 1 from leadership where epoch = :epoch and holder = :holder for key share"),
        {"epoch": term.epoch, "holder": identity.name},
    )
    if held.first() is None:
        raise SteppedDown
