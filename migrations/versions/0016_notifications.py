"""notifications: what is to be told to a human who is not looking, and whether it was

The way back forgets what was told.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | Sequence[str] | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
KINDS = (
    "approval",
    "proposal",
    "halt",
    "budget",
    "quota",
    "agent",
    "leader",
    "backup",
    "protection",
    "digest",
)
SEVERITIES = ("info", "warning", "critical")


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", _choice(KINDS, "kind"), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("severity", _choice(SEVERITIES, "severity"), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_try_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("seen_at", MOMENT, nullable=True),
        sa.Column("seen_by", sa.String(), nullable=True),
        sa.CheckConstraint("step >= 0 and attempts >= 0", name=op.f("ck_notifications_counts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("subject", "step", name=op.f("uq_notifications_subject_step")),
    )
    op.create_index(
        "ix_notifications_unsent",
        "notifications",
        ["next_try_at"],
        postgresql_where=sa.text("sent_at is null"),
    )


def downgrade() -> None:
    op.drop_table("notifications")


def _choice(words: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)
