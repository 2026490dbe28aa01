"""spend: model calls as a ledger with caps, and what a server said about coming back later

The way back keeps every call; what it has no column for is left out.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TABLE = "llm_interactions"
COLUMNS = (
    ("provider", sa.String(), "anthropic"),
    ("key_fingerprint", sa.String(), ""),
    ("attempt", sa.Integer(), "1"),
    ("question", sa.String(), ""),
    ("idempotency_key", sa.String(), None),
    ("batched", sa.Boolean(), "false"),
    ("batch_id", sa.String(), None),
    ("over_reported", sa.Boolean(), "false"),
    ("parked_until", sa.DateTime(timezone=True), None),
    ("park_scope", sa.String(), None),
)
INDEXES = (
    ("ix_llm_interactions_created_at", "created_at", None),
    ("ix_llm_interactions_parked_until", "parked_until", "parked_until is not null"),
    ("ix_llm_interactions_open", "created_at", "state = 'reserved'"),
    ("ix_llm_interactions_idempotency_key", "idempotency_key", "idempotency_key is not null"),
)


def upgrade() -> None:
    for name, kind, default in COLUMNS:
        op.add_column(TABLE, sa.Column(name, kind, server_default=default, nullable=default is None))
    op.execute("update llm_interactions set cost_usd = 0 where state = 'released'")
    op.execute("update llm_interactions set cost_usd = reserved_usd where state in ('reserved', 'uncertain')")
    op.create_check_constraint(
        op.f("ck_llm_interactions_cost"),
        TABLE,
        "cost_usd >= 0 and case state when 'settled' then true when 'released' then cost_usd = 0"
        " else cost_usd = reserved_usd end",
    )
    op.create_check_constraint(
        op.f("ck_llm_interactions_park"), TABLE, "(parked_until is null) = (park_scope is null)"
    )
    for name, column, where in INDEXES:
        op.create_index(name, TABLE, [column], postgresql_where=sa.text(where) if where else None)
    op.create_table(
        "spend_limits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("call_usd", sa.Numeric(precision=14, scale=8), nullable=False),
        sa.Column("agent_day_usd", sa.Numeric(precision=14, scale=8), nullable=False),
        sa.Column("day_usd", sa.Numeric(precision=14, scale=8), nullable=False),
        sa.Column("month_usd", sa.Numeric(precision=14, scale=8), nullable=False),
        sa.Column("equity_share_year", sa.Numeric(precision=8, scale=6), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_spend_limits_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spend_limits")),
    )


def downgrade() -> None:
    op.drop_table("spend_limits")
    for name, _, _ in INDEXES:
        op.drop_index(name, table_name=TABLE)
    for check in ("ck_llm_interactions_park", "ck_llm_interactions_cost"):
        op.drop_constraint(op.f(check), TABLE)
    for name, _, _ in reversed(COLUMNS):
        op.drop_column(TABLE, name)
