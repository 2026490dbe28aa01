"""The paper broker's book at rest: orders, fills and holdings of an account that exists nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.broker_records import BrokerOrderState
from storage.models.broker import PaperAction, PaperFill, PaperHolding, PaperOrder
from storage.models.trading import CashEvent
from storage.records import CashKind, OrderSide, to_cents

# No wire leads to a paper account: what the desk says was paid in or out is.
PAID = (CashKind.DEPOSIT, CashKind.WITHDRAWAL, CashKind.INTEREST)


class PaperBook:
    """Reads and writes within the transaction of the session it is handed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def order(self, client_order_id: str) -> PaperOrder | None:
        return await self._session.get(PaperOrder, client_order_id)

    async def resting(self) -> Sequence[PaperOrder]:
        """Every order that rests, oldest first."""
        return await self._orders(PaperOrder.state == BrokerOrderState.RESTING)

    async def orders(self, since: date) -> Sequence[PaperOrder]:
        """Those that rest, and those of sessions from `since` on; oldest first."""
        return await self._orders(
            or_(PaperOrder.state == BrokerOrderState.RESTING, PaperOrder.session >= since)
        )

    async def add(self, row: PaperOrder | PaperFill | PaperHolding | PaperAction) -> None:
        self._session.add(row)
        await self._session.flush()

    async def holdings(self) -> Sequence[PaperHolding]:
        """By symbol."""
        return (await self._session.scalars(select(PaperHolding).order_by(PaperHolding.symbol))).all()

    async def holding(self, symbol: str) -> PaperHolding | None:
        return await self._session.get(PaperHolding, symbol)

    async def remove(self, holding: PaperHolding) -> None:
        await self._session.delete(holding)
        await self._session.flush()

    async def knows_action(self, key: str) -> bool:
        return await self._session.get(PaperAction, key) is not None

    async def fills(self, since: date) -> Sequence[PaperFill]:
        """Oldest first."""
        rows = await self._session.scalars(
            select(PaperFill).where(PaperFill.session >= since).order_by(PaperFill.number)
        )
        return rows.all()

    async def cash(self) -> Decimal:
        """What was paid in, what actions brought, and what fills took and brought."""
        paid = select(func.coalesce(func.sum(CashEvent.amount), 0)).where(CashEvent.kind.in_(PAID))
        brought = select(func.coalesce(func.sum(PaperAction.cash), 0))
        gross = func.round(PaperFill.price * PaperFill.shares, 2)
        sign = func.coalesce(func.sum(gross).filter(PaperFill.side == OrderSide.SELL), 0) - func.coalesce(
            func.sum(gross).filter(PaperFill.side == OrderSide.BUY), 0
        )
        traded = select(sign - func.coalesce(func.sum(PaperFill.fee), 0))
        total = await self._session.scalar(
            select(paid.scalar_subquery() + brought.scalar_subquery() + traded.scalar_subquery())
        )
        return to_cents(Decimal(total or 0))

    async def _orders(self, which: object) -> Sequence[PaperOrder]:
        rows = await self._session.scalars(
            select(PaperOrder).where(which).order_by(PaperOrder.number)  # type: ignore[arg-type]
        )
        return rows.all()
