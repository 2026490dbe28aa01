"""roles: what a model call is about, which call answered a vote, the numbers and the flags of a verdict

The way back keeps every call and vote; what it has no column for is left out.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXTS = postgresql.ARRAY(sa.String())


def upgrade() -> None:
    op.add_column("llm_interactions", sa.Column("symbol", sa.String(), nullable=True))
    op.add_column("llm_interactions", sa.Column("session", sa.Date(), nullable=True))
    op.execute(
        "update llm_interactions set symbol = input_context ->> 'symbol',"
        " session = case when input_context ->> 'session' ~ '^\\d{4}-\\d{2}-\\d{2}$'"
        " then (input_context ->> 'session')::date end"
    )
    op.create_index(
        "ix_llm_interactions_session",
        "llm_interactions",
        ["session"],
        postgresql_where=sa.text("session is not null"),
    )
    _from_a_call("votes")
    op.add_column(
        "votes",
        sa.Column(
            "figures",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
    )
    op.create_index(
        "ix_votes_interaction_id",
        "votes",
        ["interaction_id"],
        postgresql_where=sa.text("interaction_id is not null"),
    )
    op.add_column("deliberations", sa.Column("contradictions", TEXTS, server_default="{}", nullable=False))
    _from_a_call("regime_readings")
    op.add_column("regime_readings", sa.Column("comment", sa.String(), server_default="", nullable=False))


def downgrade() -> None:
    for column in ("comment", "flags", "interaction_id"):
        op.drop_column("regime_readings", column)
    op.drop_column("deliberations", "contradictions")
    op.drop_index("ix_votes_interaction_id", table_name="votes")
    for column in ("figures", "flags", "interaction_id"):
        op.drop_column("votes", column)
    op.drop_index("ix_llm_interactions_session", table_name="llm_interactions")
    for column in ("session", "symbol"):
        op.drop_column("llm_interactions", column)


def _from_a_call(table: str) -> None:
    """The call that answered, and what was noticed about the answer."""
    op.add_column(table, sa.Column("interaction_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f(f"fk_{table}_interaction_id_llm_interactions"),
        table,
        "llm_interactions",
        ["interaction_id"],
        ["id"],
    )
    op.add_column(table, sa.Column("flags", TEXTS, server_default="{}", nullable=False))
