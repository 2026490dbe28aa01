"""risk: where the ladder stands, who re-armed it, what has not settled, positions sold in parts

The way back keeps every row. What 0003 has no word for gets the nearest it has: an exit before earnings
becomes manual, a re-arm becomes resume.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

EXITS = (
    "stop_loss",
    "take_profit",
    "time_exit",
    "trailing_stop",
    "manual",
    "circuit_breaker",
    "regime_change",
    "corporate_action",
)
OPERATIONS = (
    "led",
    "stepped_down",
    "caught_up",
    "rescued",
    "stop",
    "pause",
    "resume",
    "run_now",
    "fault",
)


def upgrade() -> None:
    op.create_table(
        "ladder_readings",
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column(
            "rung",
            sa.Enum(
                "full",
                "half",
                "quarter",
                "no entries",
                "halt",
                name="rung",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("drawdown", sa.Float(), nullable=False),
        sa.Column("halted_since", sa.Date(), nullable=True),
        sa.Column("probation_left", sa.Integer(), nullable=False),
        sa.CheckConstraint("probation_left >= 0", name=op.f("ck_ladder_readings_probation_left")),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_ladder_readings")),
    )
    op.create_table(
        "rearms",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("rearmed_by", sa.String(), nullable=False),
        sa.Column("rearmed_from", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rearms")),
        sa.UniqueConstraint("session", name=op.f("uq_rearms_session")),
    )
    money = sa.Numeric(precision=18, scale=2)
    op.add_column("equity", sa.Column("unsettled", money, server_default="0", nullable=False))
    op.add_column("equity", sa.Column("settles_on", sa.Date(), nullable=True))
    op.add_column("positions", sa.Column("sold_shares", sa.Numeric(), server_default="0", nullable=False))
    op.add_column("positions", sa.Column("sold_fees", money, server_default="0", nullable=False))
    _check("trade_outcomes", "exit_reason", (*EXITS, "earnings"))
    _check("operations", "kind", (*OPERATIONS, "rearm"))


def downgrade() -> None:
    op.execute("update trade_outcomes set exit_reason = 'manual' where exit_reason = 'earnings'")
    op.execute("update operations set kind = 'resume' where kind = 'rearm'")
    _check("trade_outcomes", "exit_reason", EXITS)
    _check("operations", "kind", OPERATIONS)
    op.drop_column("positions", "sold_fees")
    op.drop_column("positions", "sold_shares")
    op.drop_column("equity", "settles_on")
    op.drop_column("equity", "unsettled")
    op.drop_table("rearms")
    op.drop_table("ladder_readings")


def _check(table: str, column: str, words: tuple[str, ...]) -> None:
    name = op.f(f"ck_{table}_{column}")
    allowed = ", ".join(f"'{word}'" for word in words)
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"{column} in ({allowed})")
