"""learning loop: stages of a night, every variant tried, claims, experiments; versions say who made them

The way back forgets what the loop measured; a version it put in force stays, as one of the settings.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0014"
down_revision: str | Sequence[str] | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
ADJUSTMENTS = "strategy_adjustments"
STAGES = ("measure", "analyse", "propose", "evidence", "store")
STATES = ("running", "promotable", "rolled_back", "expired")
AGENTS = ("regime", "research", "news", "strategy", "risk", "learning")
DIRECTIONS = ("BULL", "BEAR", "SIDEWAYS")
GROWS = """
create function registry_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'trial_registry is only ever added to' using errcode = 'integrity_constraint_violation';
end $$
"""
NEW_TABLES = (
    *("frozen_questions", "shadow_pairs", "experiments", "claim_links", "claims", "trial_registry"),
    "loop_stages",
)


def upgrade() -> None:
    op.add_column(
        "parameter_versions", sa.Column("source", sa.String(24), server_default="settings", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_parameter_versions_source"), "parameter_versions", _one_of("source", ("settings", "loop"))
    )
    op.add_column("parameter_versions", sa.Column("adjustment_id", sa.Uuid(), nullable=True))
    op.add_column(ADJUSTMENTS, sa.Column("applied_session", sa.Date(), nullable=True))
    for name in ("rolled_back_by", "rolled_back_because"):
        op.add_column(ADJUSTMENTS, sa.Column(name, sa.String(), nullable=True))
    op.add_column(ADJUSTMENTS, sa.Column("measure", postgresql.JSONB(), nullable=True))
    _nights()
    _claims()
    _experiments()


def downgrade() -> None:
    for table in NEW_TABLES:
        op.drop_table(table)
    op.execute("drop function registry_refuse()")
    for name in ("measure", "rolled_back_because", "rolled_back_by", "applied_session"):
        op.drop_column(ADJUSTMENTS, name)
    op.drop_constraint(op.f("ck_parameter_versions_source"), "parameter_versions")
    for name in ("adjustment_id", "source"):
        op.drop_column("parameter_versions", name)


def _nights() -> None:
    op.create_table(
        "loop_stages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("stage", sa.String(24), nullable=False),
        sa.Column("rows_in", sa.Integer(), nullable=False),
        sa.Column("rows_out", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.CheckConstraint(_one_of("stage", STAGES), name=op.f("ck_loop_stages_stage")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_stages")),
        sa.UniqueConstraint("session", "stage", name=op.f("uq_loop_stages_session_stage")),
    )
    op.create_table(
        "trial_registry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("parameter_name", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("old_value", sa.String(), nullable=False),
        sa.Column("new_value", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial_registry")),
    )
    op.create_index("ix_trial_registry_session", "trial_registry", ["session"])
    op.execute(GROWS)
    op.execute(
        "create trigger trial_registry_grows before update or delete on trial_registry"
        " for each row execute function registry_refuse()"
    )


def _claims() -> None:
    op.create_table(
        "claims",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("filter", postgresql.JSONB(), nullable=False),
        sa.Column("trade_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("statistics", postgresql.JSONB(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("made", sa.Date(), nullable=False),
        sa.Column("expires", sa.Date(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("expires > made", name=op.f("ck_claims_expires")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        sa.UniqueConstraint("made", "sentence", name=op.f("uq_claims_made_sentence")),
    )
    op.create_index("ix_claims_expires", "claims", ["expires"])
    op.create_table(
        "claim_links",
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("deliberation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_links_claim_id_claims")),
        sa.ForeignKeyConstraint(
            ["deliberation_id"],
            ["deliberations.id"],
            name=op.f("fk_claim_links_deliberation_id_deliberations"),
        ),
        sa.PrimaryKeyConstraint("claim_id", "deliberation_id", name=op.f("pk_claim_links")),
    )


def _experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("adjustment_id", sa.Uuid(), nullable=False),
        sa.Column("champion_version", sa.Integer(), nullable=False),
        sa.Column("started", sa.Date(), nullable=False),
        sa.Column("scale", sa.Double(), nullable=False),
        sa.Column("block_weeks", sa.Integer(), nullable=False),
        sa.Column("weeks", postgresql.JSONB(), nullable=False),
        sa.Column("e_up", sa.Double(), server_default="1", nullable=False),
        sa.Column("e_down", sa.Double(), server_default="1", nullable=False),
        sa.Column("opportunities", sa.Integer(), server_default="0", nullable=False),
        sa.Column("mean", sa.Double(), nullable=True),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("updated", sa.Date(), nullable=False),
        sa.CheckConstraint("scale > 0 and block_weeks in (1, 2)", name=op.f("ck_experiments_bets")),
        sa.CheckConstraint(
            "e_up >= 0 and e_down >= 0 and opportunities >= 0", name=op.f("ck_experiments_wealth")
        ),
        sa.CheckConstraint(_one_of("state", STATES), name=op.f("ck_experiments_state")),
        sa.ForeignKeyConstraint(
            ["adjustment_id"],
            ["strategy_adjustments.id"],
            name=op.f("fk_experiments_adjustment_id_strategy_adjustments"),
        ),
        sa.ForeignKeyConstraint(
            ["champion_version"],
            ["parameter_versions.version"],
            name=op.f("fk_experiments_champion_version_parameter_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("adjustment_id", name=op.f("uq_experiments_adjustment_id")),
    )
    op.create_table(
        "shadow_pairs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("direction", sa.String(24), nullable=False),
        sa.Column("champion_r", sa.Double(), nullable=True),
        sa.Column("challenger_r", sa.Double(), nullable=True),
        sa.Column("resolved", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "(resolved is null) = (champion_r is null or challenger_r is null)",
            name=op.f("ck_shadow_pairs_resolved"),
        ),
        sa.CheckConstraint(_one_of("direction", DIRECTIONS), name=op.f("ck_shadow_pairs_direction")),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_shadow_pairs_experiment_id_experiments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_pairs")),
        sa.UniqueConstraint(
            "experiment_id", "session", "symbol", name=op.f("uq_shadow_pairs_experiment_id_session_symbol")
        ),
    )
    op.create_index(
        "ix_shadow_pairs_open",
        "shadow_pairs",
        ["experiment_id"],
        postgresql_where=sa.text("resolved is null"),
    )
    op.create_table(
        "frozen_questions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_name", sa.String(24), nullable=False),
        sa.Column("interaction_id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=True),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("frozen_at", MOMENT, nullable=False),
        sa.CheckConstraint(_one_of("agent_name", AGENTS), name=op.f("ck_frozen_questions_agent_name")),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["llm_interactions.id"],
            name=op.f("fk_frozen_questions_interaction_id_llm_interactions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frozen_questions")),
        sa.UniqueConstraint("interaction_id", name=op.f("uq_frozen_questions_interaction_id")),
    )


def _one_of(column: str, words: Sequence[str]) -> str:
    return f"{column} in ({', '.join(repr(word) for word in words)})"
