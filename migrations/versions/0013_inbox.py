"""inbox: why a proposal was rejected, what it would have come to, standing policies, absences

The way back forgets policies and absences; verdicts given by a policy keep its name as their giver.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | Sequence[str] | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)
REASONS = ("extended", "event", "correlated", "news", "poor_reward_risk", "other")
AUDITED = {"policies": "id", "absences": "id"}


def upgrade() -> None:
    op.add_column("approvals", sa.Column("reject_reason", sa.String(24), nullable=True))
    allowed = ", ".join(f"'{word}'" for word in REASONS)
    op.create_check_constraint(
        op.f("ck_approvals_reject_reason"), "approvals", f"reject_reason in ({allowed})"
    )
    op.add_column("approvals", sa.Column("what_if_r", sa.Double(), nullable=True))
    op.add_column("approvals", sa.Column("what_if_note", sa.String(), nullable=True))
    op.create_table(
        "policies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("short_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("setups", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("max_risk", sa.Double(), nullable=False),
        sa.Column("min_probability", sa.Double(), nullable=False),
        sa.Column("a_day", sa.Integer(), nullable=False),
        sa.Column("max_heat", sa.Double(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("typed_id", sa.String(), nullable=True),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_from", sa.String(), nullable=True),
        sa.Column("approved_at", MOMENT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "max_risk > 0 and max_risk <= 0.005 and min_probability >= 0 and min_probability <= 1"
            " and a_day between 1 and 2 and max_heat > 0 and max_heat <= 0.015",
            name=op.f("ck_policies_bounds"),
        ),
        sa.CheckConstraint(
            "approved_at is null or (approved_by is not null and typed_id = short_id"
            " and expires_at <= approved_at + interval '30 days')",
            name=op.f("ck_policies_approved"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint("short_id", name=op.f("uq_policies_short_id")),
        sa.UniqueConstraint("version", name=op.f("uq_policies_version")),
    )
    op.add_column("approvals", sa.Column("policy_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_approvals_policy_id_policies"), "approvals", "policies", ["policy_id"], ["id"]
    )
    # No policy approves what is risky, whoever writes to the table.
    op.create_check_constraint(
        op.f("ck_approvals_policy"), "approvals", "policy_id is null or not risky or state <> 'approved'"
    )
    op.create_table(
        "absences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("told_by", sa.String(), nullable=False),
        sa.Column("told_from", sa.String(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.CheckConstraint("until > since", name=op.f("ck_absences_span")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absences")),
    )
    for table, key in AUDITED.items():
        for event in ("insert or delete", "update"):
            op.execute(
                f"create constraint trigger audit_{table}_{event.split()[0]} after {event} on {table}"
                f" deferrable initially deferred for each row execute function audit_note('{key}')"
            )


def downgrade() -> None:
    op.drop_table("absences")
    op.drop_constraint(op.f("ck_approvals_policy"), "approvals")
    op.drop_constraint(op.f("fk_approvals_policy_id_policies"), "approvals")
    op.drop_table("policies")
    op.drop_constraint(op.f("ck_approvals_reject_reason"), "approvals")
    for column in ("policy_id", "what_if_note", "what_if_r", "reject_reason"):
        op.drop_column("approvals", column)
