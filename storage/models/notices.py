"""What is to be told to a human who is not looking: an outbox."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Id, Instant, choice
from storage.records import NoticeKind, Severity


class Notification(Base):
    """One message about one subject, written once for each step of its escalation, whoever writes it."""

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint("step >= 0 and attempts >= 0", name="counts"),
        UniqueConstraint("subject", "step"),
        Index("ix_notifications_unsent", "next_try_at", postgresql_where=text("sent_at is null")),
    )

    id: Mapped[Id]
    kind: Mapped[NoticeKind] = mapped_column(choice(NoticeKind, "kind"))
    subject: Mapped[str]  # what it is about: "approval:<id>"
    step: Mapped[int] = mapped_column(
        SmallInteger
    )  # 0: told first; 1, 2, ...: told again, nobody having seen it
    severity: Mapped[Severity] = mapped_column(choice(Severity, "severity"))
    text: Mapped[str]
    created_at: Mapped[Instant]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_try_at: Mapped[Instant]
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_error: Mapped[str | None]
    seen_at: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True)
    )  # by a human, or its cause is gone
    seen_by: Mapped[str | None]
