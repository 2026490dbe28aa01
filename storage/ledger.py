"""The account at rest: orders, fills, cash events, positions, equity.

Cash is the sum of the cash events and nothing else; a position exists because a fill does. Unique keys (one
entry order an approval, one fill an order, one fee a fill, one row a corporate action) make a step that runs
twice fail, not count twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.broker_records import DifferenceState, RequestState
from storage.models import (
    Approval,
    CashEvent,
    CorporateActionRow,
    Deliberation,
    DeskRow,
    Difference,
    Equity,
    Fill,
    LadderReading,
    Order,
    Position,
    PositionRequest,
    RearmRow,
)
from storage.records import ApprovalState, CashKind, OrderSide, OrderState, PositionState, to_cents

ACCOUNT_LOCK = 0x51554F5A  # advisory lock of whoever deals with the broker


class Ledger:
    """Reads and writes within the transaction of the session it is handed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def cash(self) -> Decimal:
        """The settled balance in dollars."""
        total = await self._session.scalar(select(func.coalesce(func.sum(CashEvent.amount), 0)))
        return Decimal(total or 0)

    def deposit(self, event: CashEvent) -> None:
        self._session.add(event)

    async def open_positions(self) -> Sequence[Position]:
        """Positions not yet closed, by symbol."""
        rows = await self._session.scalars(
            select(Position).where(Position.state == PositionState.OPEN).order_by(Position.symbol)
        )
        return rows.all()

    async def approvals_for(self, session: date) -> Sequence[Approval]:
        """Approvals for entry at this session's open, best rank first.

        Locked until the transaction ends: a verdict comes before whatever is done with them, or is refused.
        """
        rows = await self._session.scalars(
            select(Approval)
            .join(Deliberation, Deliberation.id == Approval.deliberation_id)
            .where(Approval.entry_session == session)
            .order_by(Deliberation.rank, Approval.symbol)
            .with_for_update(of=Approval)
        )
        return rows.all()

    async def approved_for(self, session: date) -> Sequence[UUID]:
        """The approvals that stand for this session's open."""
        rows = await self._session.scalars(
            select(Approval.id).where(
                Approval.entry_session == session, Approval.state == ApprovalState.APPROVED
            )
        )
        return rows.all()

    async def approval(self, approval_id: UUID) -> Approval:
        return await self._session.get_one(Approval, approval_id)

    async def resting_entries(self, session: date) -> Sequence[tuple[Order, Approval]]:
        """Entry orders that wait for this session's open, best rank first."""
        rows = await self._session.execute(
            select(Order, Approval)
            .join(Approval, Approval.id == Order.approval_id)
            .join(Deliberation, Deliberation.id == Approval.deliberation_id)
            .where(Order.state == OrderState.RESTING, Order.session == session)
            .order_by(Deliberation.rank, Order.symbol)
        )
        return [(row[0], row[1]) for row in rows]

    async def entry_order(self, approval: Approval) -> Order | None:
        """The order an approval became, whatever became of it."""
        rows = await self._session.scalars(select(Order).where(Order.approval_id == approval.id))
        return rows.one_or_none()

    async def order(self, client_order_id: str) -> Order | None:
        """The order the desk sent under this id."""
        rows = await self._session.scalars(select(Order).where(Order.client_order_id == client_order_id))
        return rows.one_or_none()

    async def resting_orders(self, last: date) -> Sequence[Order]:
        """Orders of sessions up to `last` of which nobody knows the end."""
        rows = await self._session.scalars(
            select(Order)
            .where(Order.state == OrderState.RESTING, Order.session <= last)
            .order_by(Order.symbol)
        )
        return rows.all()

    async def booked_fills(self, since: date) -> frozenset[str]:
        """The broker's ids of the fills that are in the book, of sessions from `since` on."""
        rows = await self._session.scalars(
            select(Fill.broker_fill_id).where(Fill.session >= since, Fill.broker_fill_id.is_not(None))
        )
        return frozenset(found for found in rows if found is not None)

    async def standing_differences(self) -> Sequence[Difference]:
        """On what book and broker do not agree: unexplained, or ignored by a human."""
        rows = await self._session.scalars(
            select(Difference).where(Difference.state.in_((DifferenceState.OPEN, DifferenceState.IGNORED)))
        )
        return rows.all()

    async def requests(self) -> Sequence[tuple[PositionRequest, Position]]:
        """What humans ask of positions and is not over, oldest first; locked until the transaction ends."""
        rows = await self._session.execute(
            select(PositionRequest, Position)
            .join(Position, Position.id == PositionRequest.position_id)
            .where(
                PositionRequest.state.in_((RequestState.WAITING, RequestState.SENT)),
            )
            .order_by(PositionRequest.asked_at, PositionRequest.id)
            .with_for_update(of=PositionRequest)
        )
        return [(row[0], row[1]) for row in rows]

    async def hold_account(self) -> None:
        """Until the transaction ends nobody else of this desk deals with the broker."""
        await self._session.execute(select(func.pg_advisory_xact_lock(ACCOUNT_LOCK)))

    async def try_to_hold_account(self) -> bool:
        """The same without waiting: False while another deals with it."""
        return bool(await self._session.scalar(select(func.pg_try_advisory_xact_lock(ACCOUNT_LOCK))))

    async def position(self, position_id: UUID) -> Position | None:
        return await self._session.get(Position, position_id)

    async def actions_since(self, first: date) -> Sequence[CorporateActionRow]:
        """The corporate actions the desk was told of with an ex-date from `first` on."""
        rows = await self._session.scalars(
            select(CorporateActionRow).where(CorporateActionRow.ex_date >= first)
        )
        return rows.all()

    def book_actions(self, rows: Sequence[CorporateActionRow]) -> None:
        """Write down that corporate actions were looked at; a second look finds them."""
        self._session.add_all(rows)

    async def book_action(
        self,
        row: CorporateActionRow,
        position: Position,
        kind: CashKind,
        amount: Decimal,
        *,
        session: date,
    ) -> None:
        """Write what a corporate action did to a position, with its cash event where it paid any."""
        self._session.add(row)
        await self._session.flush()
        if amount:
            self._session.add(
                CashEvent(
                    kind=kind,
                    amount=amount,
                    position_id=position.id,
                    action_id=row.id,
                    session=session,
                    note=f"{row.symbol}: {row.note}",
                    created_at=row.created_at,
                )
            )

    def place(self, order: Order) -> None:
        self._session.add(order)

    async def book_fill(self, fill: Fill, *, note: str) -> None:
        """Write a fill with its two cash events: the price paid or received, and the fee."""
        self._session.add(fill)
        await self._session.flush()
        gross = to_cents(fill.price * fill.shares)
        signed = -gross if fill.side is OrderSide.BUY else gross
        for kind, amount in ((CashKind.FILL, signed), (CashKind.FEE, -fill.fee)):
            self._session.add(
                CashEvent(
                    kind=kind,
                    amount=amount,
                    fill_id=fill.id,
                    session=fill.session,
                    note=note,
                    created_at=fill.created_at,
                )
            )

    async def open_position(self, position: Position) -> None:
        self._session.add(position)
        await self._session.flush()

    def mark(self, equity: Equity) -> None:
        self._session.add(equity)

    async def last_equity(self) -> Equity | None:
        rows = await self._session.scalars(select(Equity).order_by(Equity.session.desc()).limit(1))
        return rows.one_or_none()

    async def closing_equity(self, last: date) -> Sequence[tuple[date, Decimal]]:
        """Session and equity of every close up to `last`, oldest first."""
        rows = await self._session.execute(
            select(Equity.session, Equity.equity).where(Equity.session <= last).order_by(Equity.session)
        )
        return [(row[0], row[1]) for row in rows]

    async def deposits(self) -> Sequence[tuple[date, Decimal]]:
        """Session and dollars of everything that was paid in (positive) or out."""
        return await self._events(CashEvent.kind.in_((CashKind.DEPOSIT, CashKind.WITHDRAWAL)))

    async def sales_since(self, first: date) -> Sequence[tuple[date, Decimal]]:
        """Session and proceeds of every sale from `first` on, fees aside."""
        return await self._events(
            CashEvent.kind == CashKind.FILL, CashEvent.amount > 0, CashEvent.session >= first
        )

    async def last_sale(self, position_id: UUID) -> date | None:
        """The session a part of a position was sold on last."""
        return await self._session.scalar(
            select(func.max(Fill.session)).where(Fill.position_id == position_id, Fill.side == OrderSide.SELL)
        )

    async def rearms(self) -> Sequence[date]:
        """The last session known at each re-arm, oldest first."""
        return (await self._session.scalars(select(RearmRow.session).order_by(RearmRow.session))).all()

    async def hold_ladder(self) -> None:
        """Until the transaction ends nobody re-arms the desk or pays in or out: both hold its row too."""
        await self._session.execute(select(DeskRow.id).with_for_update())

    def mark_ladder(self, reading: LadderReading) -> None:
        self._session.add(reading)

    async def _events(self, *which: ColumnElement[bool]) -> Sequence[tuple[date, Decimal]]:
        rows = await self._session.execute(select(CashEvent.session, CashEvent.amount).where(*which))
        return [(row[0], row[1]) for row in rows]
