"""what the votes came to, what screened symbols did afterwards, any figure of an agent

The way back drops what 0004 has no place for.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

AGENTS = ("regime", "research", "news", "strategy", "risk", "learning")
SETUPS = ("oversold_bounce", "momentum", "breakout")
STANCES = ("for", "against", "abstain")
CONSENSUS = ("consensus_rule", "consensus", "probability", "pooled", "base_rate", "pool_skill")


def upgrade() -> None:
    op.add_column("deliberations", sa.Column("consensus_rule", sa.String(), nullable=True))
    op.add_column("deliberations", sa.Column("consensus", _choice("consensus", STANCES), nullable=True))
    for name in CONSENSUS[2:]:
        op.add_column("deliberations", sa.Column(name, sa.Double(), nullable=True))
    for name in ("dissent", "abstained"):
        op.add_column(
            "deliberations",
            sa.Column(name, postgresql.ARRAY(sa.String()), server_default="{}", nullable=False),
        )
    op.add_column(
        "deliberations", sa.Column("consensus_note", sa.String(), server_default="", nullable=False)
    )
    op.add_column("screener_results", sa.Column("setup_type", _choice("setup_type", SETUPS), nullable=True))
    op.add_column("screener_results", sa.Column("outcome_5s", sa.Double(), nullable=True))
    op.add_column("screener_results", sa.Column("outcome_21s", sa.Double(), nullable=True))
    op.create_check_constraint(
        op.f("ck_deliberations_consensus"), "deliberations", _within("consensus", STANCES)
    )
    op.create_check_constraint(
        op.f("ck_screener_results_setup_type"), "screener_results", _within("setup_type", SETUPS)
    )
    op.create_index("ix_trade_outcomes_exit_time", "trade_outcomes", ["exit_time"])
    op.create_table(
        "agent_measurements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_name", _choice("agent_name", AGENTS), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(_within("agent_name", AGENTS), name=op.f("ck_agent_measurements_agent_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_measurements")),
        sa.UniqueConstraint(
            "agent_name", "session", "name", name=op.f("uq_agent_measurements_agent_name_session_name")
        ),
    )


def downgrade() -> None:
    op.drop_table("agent_measurements")
    op.drop_index("ix_trade_outcomes_exit_time", "trade_outcomes")
    for name in ("outcome_21s", "outcome_5s", "setup_type"):
        op.drop_column("screener_results", name)
    for name in ("consensus_note", "abstained", "dissent", *reversed(CONSENSUS)):
        op.drop_column("deliberations", name)


def _choice(name: str, words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=False, length=24)


def _within(column: str, words: tuple[str, ...]) -> str:
    return f"{column} in ({', '.join(repr(word) for word in words)})"
