"""What humans write about trades: notes and tags; rows are only added."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Id, Instant, choice
from storage.records import NoteKind


class TradeNote(Base):
    """One note, or a tag put on or taken off; what a trade is tagged with follows from all of them."""

    __tablename__ = "trade_notes"
    __table_args__ = (
        CheckConstraint("length(text) > 0", name="text"),
        Index("ix_trade_notes_position_id", "position_id"),
    )

    id: Mapped[Id]
    position_id: Mapped[UUID] = mapped_column(ForeignKey("positions.id"))
    kind: Mapped[NoteKind] = mapped_column(choice(NoteKind, "kind"))
    text: Mapped[str]
    written_by: Mapped[str]
    written_from: Mapped[str]  # tty and SSH origin
    at: Mapped[Instant]
