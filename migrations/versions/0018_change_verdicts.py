"""change verdicts: everything ever said about a proposed change, only added to; the way back forgets it"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0018"
down_revision: str | Sequence[str] | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

VERBS = ("shadow", "at_once", "rejected", "deferred", "undone", "rolled_back")


def upgrade() -> None:
    allowed = ", ".join(f"'{word}'" for word in VERBS)
    op.create_table(
        "change_verdicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("adjustment_id", sa.Uuid(), nullable=False),
        sa.Column("verb", sa.String(24), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("given_by", sa.String(), nullable=False),
        sa.Column("given_from", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"verb in ({allowed})", name=op.f("ck_change_verdicts_verb")),
        sa.ForeignKeyConstraint(
            ["adjustment_id"],
            ["strategy_adjustments.id"],
            name=op.f("fk_change_verdicts_adjustment_id_strategy_adjustments"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_verdicts")),
    )
    op.create_index("ix_change_verdicts_adjustment_id", "change_verdicts", ["adjustment_id"])
    for event in ("insert or delete", "update"):
        op.execute(
            f"create constraint trigger audit_change_verdicts_{event.split()[0]} after {event}"
            " on change_verdicts deferrable initially deferred for each row execute function audit_note('id')"
        )


def downgrade() -> None:
    op.drop_table("change_verdicts")
