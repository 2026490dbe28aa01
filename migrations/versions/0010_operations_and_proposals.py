"""operations and proposals: what operators and the loop do to a desk, and the way of a proposed change

The way back forgets which kind an operation was; proposals lose what they have no column for.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | Sequence[str] | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BEFORE = (
    *("led", "stepped_down", "caught_up", "rescued", "stop", "pause", "resume", "run_now"),
    *("rearm", "fault", "vendor", "watch", "alert"),
)
ADDED = (
    *("halt", "lift", "away", "policy", "close", "stop_moved", "flatten", "reconcile", "unprotected"),
    *("cash", "note", "proposal", "loop", "backup", "notify"),
)
STATUS_BEFORE = ("proposed", "rejected", "shadow", "applied", "rolled_back", "expired")
STATUS = (
    *("proposed", "refused", "rejected", "approved", "shadow", "promotable"),
    *("applied", "rolled_back", "expired"),
)
TABLE = "strategy_adjustments"
CHECKS = {
    "kind": "kind in ('parameter', 'prompt')",
    "route": "route in ('shadow', 'at_once')",
    "typed_id": "not (route = 'at_once' and typed_id is distinct from short_id)",
    "refused_because": "(status = 'refused') = (refused_because is not null)",
    "decided": "status not in ('approved', 'rejected')"
    " or (decided_by is not null and decided_at is not null)",
    "decided_digest": "status <> 'approved' or decided_digest = digest",
}


def upgrade() -> None:
    _check_words("operations", "kind", (*BEFORE, *ADDED))
    moment = sa.DateTime(timezone=True)
    op.add_column(TABLE, sa.Column("short_id", sa.String(), nullable=True))
    op.add_column(TABLE, sa.Column("session", sa.Date(), nullable=True))
    op.add_column(TABLE, sa.Column("kind", sa.String(24), nullable=True))
    op.add_column(TABLE, sa.Column("family", sa.String(), nullable=True))
    # Nothing proposed changes before this migration, but whoever did must not lose them.
    op.execute(
        "update strategy_adjustments set short_id = left(id::text, 8), session = created_at::date,"
        " kind = 'parameter', family = parameter_name"
    )
    for name in ("short_id", "session", "kind", "family"):
        op.alter_column(TABLE, name, nullable=False)
    for name in ("unit", "bounds"):
        op.add_column(TABLE, sa.Column(name, sa.String(), server_default="", nullable=False))
    for name in ("refused_because", "typed_id", "decided_digest", "decided_from"):
        op.add_column(TABLE, sa.Column(name, sa.String(), nullable=True))
    op.add_column(TABLE, sa.Column("route", sa.String(24), nullable=True))
    for name in ("expires_at", "deferred_until"):
        op.add_column(TABLE, sa.Column(name, moment, nullable=True))
    op.alter_column(TABLE, "status", type_=sa.String(24))
    _check_words(TABLE, "status", STATUS)
    for name, check in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_{TABLE}_{name}"), TABLE, check)
    op.create_unique_constraint(
        op.f(f"uq_{TABLE}_session_parameter_name_new_value"),
        TABLE,
        ["session", "parameter_name", "new_value"],
    )
    _unique_while("in_flight", "family", "('approved', 'shadow', 'promotable')")
    _unique_while("waiting_short_id", "short_id", "('proposed', 'promotable')")


def downgrade() -> None:
    for name in ("waiting_short_id", "in_flight"):
        op.drop_index(f"uq_{TABLE}_{name}", TABLE)
    once = f"uq_{TABLE}_session_parameter_name_new_value"
    op.execute(f"alter table {TABLE} drop constraint if exists {once}")
    op.execute(f"drop index if exists {once}")  # what 0021 made of it, and leaves on its way back
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_{TABLE}_{name}"), TABLE)
    op.execute("update strategy_adjustments set status = 'rejected' where status = 'refused'")
    op.execute(
        "update strategy_adjustments set status = 'proposed' where status in ('approved', 'promotable')"
    )
    _check_words(TABLE, "status", STATUS_BEFORE)
    op.alter_column(TABLE, "status", type_=sa.String())
    for name in (
        *("expires_at", "deferred_until", "route", "refused_because", "typed_id", "decided_digest"),
        *("decided_from", "unit", "bounds", "short_id", "session", "kind", "family"),
    ):
        op.drop_column(TABLE, name)
    kept: sa.BindParameter[tuple[str, ...]] = sa.bindparam("kept", BEFORE, expanding=True)
    op.execute(sa.text("update operations set kind = 'resume' where kind not in :kept").bindparams(kept))
    _check_words("operations", "kind", BEFORE)


def _check_words(table: str, column: str, words: tuple[str, ...]) -> None:
    name = op.f(f"ck_{table}_{column}")
    allowed = ", ".join(f"'{word}'" for word in words)
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"{column} in ({allowed})")


def _unique_while(name: str, column: str, states: str) -> None:
    op.create_index(
        f"uq_{TABLE}_{name}", TABLE, [column], unique=True, postgresql_where=sa.text(f"status in {states}")
    )
