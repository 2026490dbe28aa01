"""corporate actions: what the desk was told of them and what they paid; the words of three setups

The way back keeps every row. What 0002 has no word for gets the nearest it has: setups become
oversold_bounce, an exit by a corporate action becomes manual.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SETUP_TABLES = ("deliberations", "approvals", "positions", "trade_outcomes")
SETUPS = (("oversold_bounce",), ("oversold_bounce", "momentum", "breakout"))
EXITS = (
    "stop_loss",
    "take_profit",
    "time_exit",
    "trailing_stop",
    "manual",
    "circuit_breaker",
    "regime_change",
)
EXIT_REASONS = (EXITS, (*EXITS, "corporate_action"))


def upgrade() -> None:
    op.create_table(
        "corporate_actions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("ex_date", sa.Date(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "split",
                "dividend",
                "symbol_change",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("value", sa.Numeric(), nullable=True),
        sa.Column("new_symbol", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("applied_session", sa.Date(), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind = 'symbol_change') = (new_symbol is not null)",
            name=op.f("ck_corporate_actions_new_symbol"),
        ),
        sa.CheckConstraint(
            "(kind = 'symbol_change') = (value is null)", name=op.f("ck_corporate_actions_value")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corporate_actions")),
        sa.UniqueConstraint(
            "symbol", "ex_date", "kind", name=op.f("uq_corporate_actions_symbol_ex_date_kind")
        ),
    )
    op.add_column(
        "positions",
        sa.Column("realised", sa.Numeric(precision=18, scale=2), server_default="0", nullable=False),
    )
    for column, table in (("position_id", "positions"), ("action_id", "corporate_actions")):
        op.add_column("cash_events", sa.Column(column, sa.Uuid(), nullable=True))
        op.create_foreign_key(
            op.f(f"fk_cash_events_{column}_{table}"), "cash_events", table, [column], ["id"]
        )
    op.create_unique_constraint(
        op.f("uq_cash_events_position_id_action_id_kind"), "cash_events", ["position_id", "action_id", "kind"]
    )
    _check_words(1)


def downgrade() -> None:
    for table in SETUP_TABLES:
        op.execute(f"update {table} set setup_type = 'oversold_bounce'")  # noqa: S608 - our own words
    op.execute("update trade_outcomes set exit_reason = 'manual' where exit_reason = 'corporate_action'")
    _check_words(0)
    op.drop_constraint(op.f("uq_cash_events_position_id_action_id_kind"), "cash_events")
    op.drop_column("cash_events", "action_id")
    op.drop_column("cash_events", "position_id")
    op.drop_column("positions", "realised")
    op.drop_table("corporate_actions")


def _check_words(age: int) -> None:
    for table in SETUP_TABLES:
        _check(table, "setup_type", SETUPS[age])
    _check("trade_outcomes", "exit_reason", EXIT_REASONS[age])


def _check(table: str, column: str, words: tuple[str, ...]) -> None:
    name = op.f(f"ck_{table}_{column}")
    allowed = ", ".join(f"'{word}'" for word in words)
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"{column} in ({allowed})")
