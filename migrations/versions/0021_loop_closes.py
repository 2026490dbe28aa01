"""loop: when a change was turned down, claims that are superseded, decisions of a prompt in the shadow

Versions of the parameters can only be added from here on. A proposed text is unique by its digest: an index
cannot hold a whole prompt, so the way back leaves that as it is. It forgets the shadow decisions and which
claims were superseded.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0021"
down_revision: str | Sequence[str] | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ADJUSTMENTS = "strategy_adjustments"
ONCE = f"uq_{ADJUSTMENTS}_session_parameter_name_new_value"
GROWS = """
create function versions_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'parameter_versions is only ever added to'
        using errcode = 'integrity_constraint_violation';
end $$
"""


def upgrade() -> None:
    op.add_column(ADJUSTMENTS, sa.Column("turned_down_session", sa.Date(), nullable=True))
    op.execute(
        "update strategy_adjustments set turned_down_session = session"
        " where status in ('rejected', 'rolled_back', 'expired') and decided_by is not null"
    )
    op.execute(f"alter table {ADJUSTMENTS} drop constraint if exists {ONCE}")
    op.execute(f"drop index if exists {ONCE}")
    op.create_index(ONCE, ADJUSTMENTS, ["session", "parameter_name", sa.text("md5(new_value)")], unique=True)
    op.add_column("claims", sa.Column("superseded", sa.Date(), nullable=True))
    # Every night wrote its claims anew: of one filter the last stands.
    op.execute(
        "update claims c set superseded = (select min(made) from claims later"
        " where later.filter = c.filter and later.made > c.made)"
    )
    op.execute(GROWS)
    op.execute(
        "create trigger parameter_versions_grow before update or delete on parameter_versions"
        " for each row execute function versions_refuse()"
    )
    op.create_table(
        "shadow_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("champion_interaction_id", sa.Uuid(), nullable=False),
        sa.Column("challenger_interaction_id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("champion", sa.String(), nullable=False),
        sa.Column("challenger", sa.String(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(14, 8), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_shadow_decisions_experiment_id_experiments")
        ),
        *(
            sa.ForeignKeyConstraint(
                [f"{side}_interaction_id"],
                ["llm_interactions.id"],
                name=op.f(f"fk_shadow_decisions_{side}_interaction_id_llm_interactions"),
            )
            for side in ("champion", "challenger")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_decisions")),
        sa.UniqueConstraint(
            "experiment_id",
            "session",
            "symbol",
            name=op.f("uq_shadow_decisions_experiment_id_session_symbol"),
        ),
    )


def downgrade() -> None:
    op.drop_table("shadow_decisions")
    op.execute("drop trigger parameter_versions_grow on parameter_versions")
    op.execute("drop function versions_refuse()")
    op.drop_column("claims", "superseded")
    op.drop_column(ADJUSTMENTS, "turned_down_session")
