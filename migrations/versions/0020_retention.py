"""retention: raw text that was too old is gone, and its row says since when; the way back forgets when"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | Sequence[str] | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BEFORE = (
    *("led", "stepped_down", "caught_up", "rescued", "stop", "pause", "resume", "run_now"),
    *("rearm", "fault", "vendor", "watch", "alert"),
    *("halt", "lift", "away", "policy", "close", "stop_moved", "flatten", "reconcile", "unprotected"),
    *("cash", "note", "proposal", "loop", "backup", "notify"),
)
EMPTY = {
    "llm_interactions": "input_context = '{}' and coalesce(output_result, '{}') = '{}'",
    "news_items": "title = '' and body = ''",
}


def upgrade() -> None:
    _kinds((*BEFORE, "retention"))
    for table, empty in EMPTY.items():
        op.add_column(table, sa.Column("text_removed_at", sa.DateTime(timezone=True), nullable=True))
        op.create_check_constraint(
            op.f(f"ck_{table}_text_removed"), table, f"text_removed_at is null or ({empty})"
        )


def downgrade() -> None:
    for table in EMPTY:
        op.drop_constraint(op.f(f"ck_{table}_text_removed"), table)
        op.drop_column(table, "text_removed_at")
    op.execute("update operations set kind = 'backup' where kind = 'retention'")
    op.execute(
        "set constraints all immediate"
    )  # the audit of that row is written before the table is altered
    op.execute("set constraints all deferred")
    _kinds(BEFORE)


def _kinds(words: tuple[str, ...]) -> None:
    name = op.f("ck_operations_kind")
    allowed = ", ".join(f"'{word}'" for word in words)
    op.drop_constraint(name, "operations")
    op.create_check_constraint(name, "operations", f"kind in ({allowed})")
