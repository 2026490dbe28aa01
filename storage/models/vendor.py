"""The market-data vendor: every call, what a key may ask, what was answered, what is planned."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Double,
    Index,
    SmallInteger,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from storage.calls import CallFault
from storage.models.base import Base, Id, Instant, JsonRows, choice
from storage.quota_rules import EntitlementState, ResetHour


class VendorKey(Base):
    """A key by its fingerprint, and the rules in force for it. Whoever counts a call holds this row."""

    __tablename__ = "vendor_keys"
    __table_args__ = (CheckConstraint("exits_reserve >= 0 and exits_reserve < daily_calls", name="reserve"),)

    key_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    daily_calls: Mapped[int]
    exits_reserve: Mapped[int]
    bandwidth_bytes: Mapped[int] = mapped_column(BigInteger)
    in_force_at: Mapped[Instant]  # the latest is the key in use


class VendorCallRow(Base):
    """One call, written down before it was made; one that never ended stays counted."""

    __tablename__ = "vendor_calls"
    __table_args__ = (
        CheckConstraint("priority between 0 and 4", name="priority"),
        CheckConstraint("(settled_at is null) = (received_bytes is null)", name="settled"),
        Index("ix_vendor_calls_window", "key_fingerprint", "admitted_at"),
    )

    id: Mapped[Id]
    key_fingerprint: Mapped[str]
    endpoint: Mapped[str]
    symbol: Mapped[str | None]
    priority: Mapped[int] = mapped_column(SmallInteger)
    job: Mapped[str]
    admitted_at: Mapped[Instant]
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    status: Mapped[int | None]  # None: nothing was answered
    fault: Mapped[CallFault | None] = mapped_column(choice(CallFault, "fault"))
    received_bytes: Mapped[int | None] = mapped_column(BigInteger)
    latency_ms: Mapped[float | None]
    note: Mapped[str] = mapped_column(server_default="")


class CallReservation(Base):
    """Calls that a job holds before it begins; what it has not used is free again when it ends or expires."""

    __tablename__ = "call_reservations"
    __table_args__ = (
        CheckConstraint("priority between 0 and 4", name="priority"),
        CheckConstraint("used between 0 and calls", name="used"),
        Index(
            "uq_call_reservations_open",
            "key_fingerprint",
            "job",
            "priority",
            unique=True,
            postgresql_where=text("released_at is null"),
        ),
    )

    id: Mapped[Id]
    key_fingerprint: Mapped[str]
    job: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger)
    calls: Mapped[int]
    used: Mapped[int]
    reserved_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    released_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Entitlement(Base):
    """Whether a key may ask an endpoint, for one symbol or, where that is "", at all."""

    __tablename__ = "entitlements"
    __table_args__ = (CheckConstraint("(state = 'refused') = (ask_again_at is not null)", name="ask_again"),)

    key_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    endpoint: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[EntitlementState] = mapped_column(choice(EntitlementState, "state"))
    fault: Mapped[CallFault | None] = mapped_column(choice(CallFault, "fault"))
    note: Mapped[str]
    learned_at: Mapped[Instant]
    ask_again_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    times: Mapped[int]  # refusals in a row


class VendorBlock(Base):
    """A time in which a key makes no calls, because the vendor said so."""

    __tablename__ = "vendor_blocks"
    __table_args__ = (
        Index(
            "uq_vendor_blocks_open",
            "key_fingerprint",
            "fault",
            unique=True,
            postgresql_where=text("ended_at is null"),
        ),
    )

    id: Mapped[Id]
    key_fingerprint: Mapped[str]
    fault: Mapped[CallFault] = mapped_column(choice(CallFault, "fault"))
    note: Mapped[str]
    since: Mapped[Instant]
    refused_at: Mapped[Instant]  # last
    # Then one call tries whether the key works again; None: none does before a human has seen to it.
    until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    probe_id: Mapped[UUID | None]  # the call that tries
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_by: Mapped[str | None]  # an operator, or "probe"


class QuotaReset(Base):
    """An hour at which a used-up key was found to work again."""

    __tablename__ = "quota_resets"

    id: Mapped[Id]
    key_fingerprint: Mapped[str]
    hour: Mapped[ResetHour] = mapped_column(choice(ResetHour, "hour"))
    refused_at: Mapped[Instant]
    worked_at: Mapped[Instant]


class VendorCacheRow(Base):
    """The last answer to one question; a body of NULL says that there is nothing to be had."""

    __tablename__ = "vendor_cache"

    endpoint: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    params: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[list[object] | None] = mapped_column(JSONB(none_as_null=True))
    fetched_at: Mapped[Instant]
    expires_at: Mapped[Instant]


class VendorSeriesRow(Base):
    """A symbol's daily bars as its source tells them now, all on one basis: arrays of one length.

    A split changes every price before it, so the row is replaced whole. What a session settled at is in
    `bars`.
    """

    __tablename__ = "vendor_series"

    symbol: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    fetched_at: Mapped[Instant]
    sessions: Mapped[list[date]] = mapped_column(ARRAY(Date))  # increasing
    open: Mapped[list[float]] = mapped_column(ARRAY(Double))  # NaN where the source has none, as below
    high: Mapped[list[float]] = mapped_column(ARRAY(Double))
    low: Mapped[list[float]] = mapped_column(ARRAY(Double))
    close: Mapped[list[float]] = mapped_column(ARRAY(Double))
    volume: Mapped[list[float]] = mapped_column(ARRAY(Double))


class QuotaPlan(Base):
    """How the calls to come were last planned; written by who leads, read by screens."""

    __tablename__ = "quota_plans"

    key_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    made_at: Mapped[Instant]
    dry_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # the first call that must wait
    slots: Mapped[JsonRows]  # as storage.snapshot.PlannedSlotRow
