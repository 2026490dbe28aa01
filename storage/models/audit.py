"""What keeps the desk honest: the chain of what was done, and the stops a human has to lift."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Id, Instant


class AuditEvent(Base):
    """One change of a watched row, chained to the one before; written by the database, never by us."""

    __tablename__ = "audit_log"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[Instant]
    event: Mapped[str]  # insert, update or delete
    subject: Mapped[str]  # the table
    subject_id: Mapped[str]
    payload: Mapped[str]  # JSON: the row; of an update what changed
    prev_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class Halt(Base):
    """Trading stopped; at most one stands. `lifted_*` are written once."""

    __tablename__ = "halts"
    __table_args__ = (
        CheckConstraint(
            "(lifted_at is null and lifted_by is null and lift_reason is null)"
            " or (lifted_at is not null and length(lifted_by) > 0 and length(lift_reason) > 0)",
            name="lifted",
        ),
        Index(
            "uq_halts_standing",
            text("(lifted_at is null)"),
            unique=True,
            postgresql_where=text("lifted_at is null"),
        ),
    )

    id: Mapped[Id]
    at: Mapped[Instant]
    halted_by: Mapped[str]
    halted_from: Mapped[str]  # tty and SSH origin
    reason: Mapped[str]
    lifted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    lifted_by: Mapped[str | None]
    lifted_from: Mapped[str | None]
    lift_reason: Mapped[str | None]
