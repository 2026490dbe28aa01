"""Beside the approvals themselves: what a human has allowed the desk to approve, and when nobody is there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ARRAY, CheckConstraint, DateTime, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Id, Instant


class StandingPolicy(Base):
    """One version of a standing policy: bounds, who approved it, until when. Bounds never change."""

    __tablename__ = "policies"
    __table_args__ = (
        CheckConstraint(
            "max_risk > 0 and max_risk <= 0.005 and min_probability >= 0 and min_probability <= 1"
            " and a_day between 1 and 2 and max_heat > 0 and max_heat <= 0.015",
            name="bounds",
        ),
        CheckConstraint(
            "approved_at is null or (approved_by is not null and typed_id = short_id"
            " and expires_at <= approved_at + interval '30 days')",
            name="approved",
        ),
    )

    id: Mapped[Id]
    short_id: Mapped[str] = mapped_column(unique=True)
    version: Mapped[int] = mapped_column(unique=True)
    setups: Mapped[list[str]] = mapped_column(ARRAY(String))
    max_risk: Mapped[float]  # of one trade, fraction of equity
    min_probability: Mapped[float]  # of a win, as the desk argued it
    a_day: Mapped[int]  # trades
    max_heat: Mapped[float]  # of all its open and approved trades, fraction of equity
    digest: Mapped[str] = mapped_column(String(64))
    proposed_by: Mapped[str]
    proposed_at: Mapped[Instant]
    typed_id: Mapped[str | None]
    approved_by: Mapped[str | None]
    approved_from: Mapped[str | None]
    approved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_by: Mapped[str | None]
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Absence(Base):
    """From when until when the operator is away: nothing is entered, nobody is called. Wall clock."""

    __tablename__ = "absences"
    __table_args__ = (CheckConstraint("until > since", name="span"),)

    id: Mapped[Id]
    since: Mapped[Instant]
    until: Mapped[Instant]
    reason: Mapped[str]
    told_by: Mapped[str]
    told_from: Mapped[str]  # tty and SSH origin
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_by: Mapped[str | None]
