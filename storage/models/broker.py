"""The paper broker's own book, where it and the desk's do not agree, and what a human asks of a position.

The paper book is kept apart from the desk's orders, fills and positions, as a real broker's would be.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.broker_records import (
    BrokerOrderState,
    DifferenceKind,
    DifferenceState,
    Leg,
    OrderKind,
    RequestState,
    RequestVerb,
)
from storage.models.base import Base, Id, Instant, Money, Price, choice
from storage.records import OrderSide


class PaperOrder(Base):
    """An order as the client's id names it. A protection has a stop and a target, and no session."""

    __tablename__ = "paper_orders"
    __table_args__ = (
        CheckConstraint("shares > 0", name="shares"),
        CheckConstraint("(kind = 'protection') = (session is null)", name="auction"),
        CheckConstraint(
            "(kind = 'protection') = (stop is not null and target is not null and position is not null)",
            name="protection",
        ),
        Index("ix_paper_orders_resting", "symbol", postgresql_where=text("state = 'resting'")),
        Index("ix_paper_orders_session", "session"),
    )

    client_order_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)  # in the order they came
    kind: Mapped[OrderKind] = mapped_column(choice(OrderKind, "kind"))
    symbol: Mapped[str]
    side: Mapped[OrderSide] = mapped_column(choice(OrderSide, "side"))
    shares: Mapped[int]
    session: Mapped[date | None]
    limit_price: Mapped[Price | None]
    floor_price: Mapped[Price | None]
    write_off: Mapped[bool] = mapped_column(server_default="false")
    position: Mapped[str | None]  # what a protection protects
    stop: Mapped[Price | None]
    target: Mapped[Price | None]
    state: Mapped[BrokerOrderState] = mapped_column(choice(BrokerOrderState, "state"))
    note: Mapped[str] = mapped_column(server_default="")
    placed_at: Mapped[Instant]


class PaperFill(Base):
    """One execution, the only one of its order."""

    __tablename__ = "paper_fills"
    __table_args__ = (
        CheckConstraint("shares > 0 and price > 0", name="positive"),
        Index("ix_paper_fills_session", "session"),
    )

    client_order_id: Mapped[str] = mapped_column(ForeignKey("paper_orders.client_order_id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    symbol: Mapped[str]
    side: Mapped[OrderSide] = mapped_column(choice(OrderSide, "side"))
    shares: Mapped[int]
    price: Mapped[Price]
    reference: Mapped[Price]
    fee: Mapped[Money]
    leg: Mapped[Leg] = mapped_column(choice(Leg, "leg"))
    session: Mapped[date]


class PaperHolding(Base):
    """Shares of one symbol, and how far its prices have met the orders that rest on it."""

    __tablename__ = "paper_holdings"
    __table_args__ = (CheckConstraint("shares > 0", name="shares"),)

    symbol: Mapped[str] = mapped_column(primary_key=True)
    shares: Mapped[int]
    entry_session: Mapped[date]
    last_close: Mapped[Price]
    last_session: Mapped[date]  # whose close that is
    met_session: Mapped[date | None]  # the last whose bar has met the orders, also one that was doubted


class PaperAction(Base):
    """A corporate action that a holding has lived through, and the cash it brought."""

    __tablename__ = "paper_actions"

    key: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    cash: Mapped[Money]
    session: Mapped[date]


class Difference(Base):
    """One thing on which book and broker did not agree, from when it was found to what became of it."""

    __tablename__ = "differences"
    __table_args__ = (
        CheckConstraint("(state in ('open', 'gone')) or said_by is not null", name="said"),
        Index(
            "uq_differences_open_subject",
            "kind",
            "subject",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[Id]
    number: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)  # what a human calls it
    kind: Mapped[DifferenceKind] = mapped_column(choice(DifferenceKind, "kind"))
    subject: Mapped[str]  # a symbol, an order's or a fill's id, or "cash"
    book: Mapped[str]
    broker: Mapped[str]
    gap: Mapped[str]  # what lies between: the same gap is explained by the same words
    session: Mapped[date]
    found_at: Mapped[Instant]
    state: Mapped[DifferenceState] = mapped_column(choice(DifferenceState, "state"))
    said_by: Mapped[str | None]
    said_from: Mapped[str | None]
    reason: Mapped[str] = mapped_column(server_default="")
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PositionRequest(Base):
    """What a human asked of a position, and what the runtime made of it."""

    __tablename__ = "position_requests"
    __table_args__ = (
        CheckConstraint("(verb = 'stop') = (stop is not null)", name="stop"),
        Index(
            "uq_position_requests_open",
            "position_id",
            "verb",
            unique=True,
            postgresql_where=text("state in ('waiting', 'sent')"),
        ),
    )

    id: Mapped[Id]
    position_id: Mapped[UUID] = mapped_column(ForeignKey("positions.id"))
    verb: Mapped[RequestVerb] = mapped_column(choice(RequestVerb, "verb"))
    stop: Mapped[Price | None]
    looser: Mapped[bool] = mapped_column(server_default="false")  # its id was typed: it may lower the stop
    asked_by: Mapped[str]
    asked_from: Mapped[str]
    reason: Mapped[str]
    asked_at: Mapped[Instant]
    state: Mapped[RequestState] = mapped_column(choice(RequestState, "state"))
    note: Mapped[str] = mapped_column(server_default="")
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
