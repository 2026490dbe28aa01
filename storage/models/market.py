"""What the desk saw of the market: the watchlist, instruments, settled bars, news, screens."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Index,
    Numeric,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Id, Instant, Json, Price, Score, choice
from storage.records import ActionKind, SetupType


class Instrument(Base):
    __tablename__ = "instruments"

    symbol: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    sector: Mapped[str | None]
    industry: Mapped[str | None]
    asset_type: Mapped[str]


class Bar(Base):
    """One settled daily bar; a price is NULL where the source had none."""

    __tablename__ = "bars"
    __table_args__ = (Index("ix_bars_session", "session"),)

    symbol: Mapped[str] = mapped_column(primary_key=True)
    session: Mapped[date] = mapped_column(primary_key=True)
    open: Mapped[Price | None]
    high: Mapped[Price | None]
    low: Mapped[Price | None]
    close: Mapped[Price | None]
    volume: Mapped[int | None] = mapped_column(BigInteger)


class Watch(Base):
    """A symbol the desk follows, from when to when; a symbol stands on the list once."""

    __tablename__ = "watchlist"
    __table_args__ = (
        Index("uq_watchlist_open", "symbol", unique=True, postgresql_where=text("removed_at is null")),
        CheckConstraint("(removed_at is null) = (removed_by is null)", name="removed"),
    )

    id: Mapped[Id]
    symbol: Mapped[str]
    added_by: Mapped[str]
    added_at: Mapped[Instant]
    removed_by: Mapped[str | None]
    removed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class NewsRow(Base):
    """One piece of news as plain text, kept once however often it is told."""

    __tablename__ = "news_items"
    __table_args__ = (
        CheckConstraint("text_removed_at is null or (title = '' and body = '')", name="text_removed"),
        Index("ix_news_items_session", "session"),
    )

    id: Mapped[Id]
    digest: Mapped[str] = mapped_column(unique=True)  # SHA-256 of its words
    session: Mapped[date]  # the first one before whose open it was known
    source: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # as its source says
    fetched_at: Mapped[Instant]
    symbols: Mapped[list[str]] = mapped_column(ARRAY(String))  # it is plainly about
    text_removed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # by retention


class CorporateActionRow(Base):
    """An action the desk has been told of, looked at once: what it did to a holding, or why it did nothing.

    The row is the key that nothing happens twice; cash that the action brought names it.
    """

    __tablename__ = "corporate_actions"
    __table_args__ = (
        UniqueConstraint("symbol", "ex_date", "kind"),
        CheckConstraint("(kind = 'symbol_change') = (new_symbol is not null)", name="new_symbol"),
        CheckConstraint("(kind = 'symbol_change') = (value is null)", name="value"),
    )

    id: Mapped[Id]
    symbol: Mapped[str]
    ex_date: Mapped[date]
    kind: Mapped[ActionKind] = mapped_column(choice(ActionKind, "kind"))
    value: Mapped[Decimal | None] = mapped_column(Numeric)  # new shares for an old one, or dollars a share
    new_symbol: Mapped[str | None]
    source: Mapped[str]
    applied_session: Mapped[date | None]  # None: nothing was held, or it was refused
    late: Mapped[bool]  # seen after its ex-date
    note: Mapped[str]  # what it did, or why it did nothing
    created_at: Mapped[Instant]


class ScreenerResult(Base):
    __tablename__ = "screener_results"
    __table_args__ = (
        UniqueConstraint("scan_id", "symbol"),
        CheckConstraint("composite_score between 0 and 100", name="composite_score"),
        Index("ix_screener_results_session", "session"),
    )

    id: Mapped[Id]
    scan_id: Mapped[UUID]
    session: Mapped[date]
    symbol: Mapped[str]
    asset_type: Mapped[str]
    filters_matched: Mapped[Json]
    fundamental_snapshot: Mapped[Json]
    technical_snapshot: Mapped[Json]
    composite_score: Mapped[Score]
    selected_for_watchlist: Mapped[bool]
    setup_type: Mapped[SetupType | None] = mapped_column(choice(SetupType, "setup_type"))  # it was nearest to
    thesis: Mapped[str | None]
    confidence: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    source: Mapped[str | None]  # who wrote the thesis: "rules" or a model's name
    reasoning: Mapped[str | None]
    # From the next open to the close after so many sessions, as a fraction above the index over that span.
    outcome_5s: Mapped[float | None]
    outcome_21s: Mapped[float | None]
    # From the next open to the last close within so many days, the symbol by itself.
    outcome_7d: Mapped[float | None]
    outcome_30d: Mapped[float | None]
    created_at: Mapped[Instant]
