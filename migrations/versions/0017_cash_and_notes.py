"""cash and notes: what a human pays in or out is booked once, and what is written about trades

The way back forgets the notes and the keys of payments; the payments stay.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | Sequence[str] | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("cash_events", sa.Column("key", sa.String(), nullable=True))
    op.create_unique_constraint(op.f("uq_cash_events_key"), "cash_events", ["key"])
    op.create_table(
        "trade_notes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("position_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "note", "tag", "untag", name="kind", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("written_by", sa.String(), nullable=False),
        sa.Column("written_from", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(text) > 0", name=op.f("ck_trade_notes_text")),
        sa.ForeignKeyConstraint(
            ["position_id"], ["positions.id"], name=op.f("fk_trade_notes_position_id_positions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_notes")),
    )
    op.create_index("ix_trade_notes_position_id", "trade_notes", ["position_id"])


def downgrade() -> None:
    op.drop_table("trade_notes")
    op.drop_constraint(op.f("uq_cash_events_key"), "cash_events")
    op.drop_column("cash_events", "key")
