"""the market-data vendor: its calls, what a key may ask, its answers, reservations and plans

The way back forgets all of it; an operator's order to the vendor becomes a resume.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)
FAULT = sa.Enum(
    "bad_request",
    "invalid_key",
    "suspended",
    "symbol_not_in_plan",
    "parameter_not_in_plan",
    "endpoint_not_in_plan",
    "legacy_endpoint",
    "not_found",
    "daily_limit",
    "bandwidth_limit",
    "unavailable",
    "garbled",
    "wrong_symbol",
    name="fault",
    native_enum=False,
    create_constraint=True,
    length=24,
)
KINDS = (
    "led",
    "stepped_down",
    "caught_up",
    "rescued",
    "stop",
    "pause",
    "resume",
    "run_now",
    "rearm",
    "fault",
)


def upgrade() -> None:
    op.create_table(
        "call_reservations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_fingerprint", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("reserved_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("released_at", INSTANT, nullable=True),
        sa.CheckConstraint("priority between 0 and 4", name=op.f("ck_call_reservations_priority")),
        sa.CheckConstraint("used between 0 and calls", name=op.f("ck_call_reservations_used")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_reservations")),
    )
    op.create_index(
        "uq_call_reservations_open",
        "call_reservations",
        ["key_fingerprint", "job", "priority"],
        unique=True,
        postgresql_where=sa.text("released_at is null"),
    )
    op.create_table(
        "entitlements",
        sa.Column("key_fingerprint", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("allowed", "refused", name="state", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("fault", FAULT, nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("learned_at", INSTANT, nullable=False),
        sa.Column("ask_again_at", INSTANT, nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(state = 'refused') = (ask_again_at is not null)", name=op.f("ck_entitlements_ask_again")
        ),
        sa.PrimaryKeyConstraint("key_fingerprint", "endpoint", "symbol", name=op.f("pk_entitlements")),
    )
    op.create_table(
        "quota_plans",
        sa.Column("key_fingerprint", sa.String(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("dry_at", INSTANT, nullable=True),
        sa.Column("slots", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("key_fingerprint", name=op.f("pk_quota_plans")),
    )
    op.create_table(
        "quota_resets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_fingerprint", sa.String(), nullable=False),
        sa.Column(
            "hour",
            sa.Enum(
                "00:00 UTC",
                "15:00 New York",
                name="hour",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("refused_at", INSTANT, nullable=False),
        sa.Column("worked_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_resets")),
    )
    op.create_table(
        "vendor_blocks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_fingerprint", sa.String(), nullable=False),
        sa.Column("fault", FAULT, nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("refused_at", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=True),
        sa.Column("probe_id", sa.Uuid(), nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vendor_blocks")),
    )
    op.create_index(
        "uq_vendor_blocks_open",
        "vendor_blocks",
        ["key_fingerprint", "fault"],
        unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_table(
        "vendor_cache",
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("params", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("fetched_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "symbol", "params", name=op.f("pk_vendor_cache")),
    )
    op.create_table(
        "vendor_calls",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_fingerprint", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("admitted_at", INSTANT, nullable=False),
        sa.Column("settled_at", INSTANT, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("fault", FAULT, nullable=True),
        sa.Column("received_bytes", sa.BigInteger(), nullable=True),
        sa.Column("latency_ms", sa.Double(), nullable=True),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.CheckConstraint(
            "(settled_at is null) = (received_bytes is null)", name=op.f("ck_vendor_calls_settled")
        ),
        sa.CheckConstraint("priority between 0 and 4", name=op.f("ck_vendor_calls_priority")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vendor_calls")),
    )
    op.create_index(
        "ix_vendor_calls_window", "vendor_calls", ["key_fingerprint", "admitted_at"], unique=False
    )
    op.create_table(
        "vendor_keys",
        sa.Column("key_fingerprint", sa.String(), nullable=False),
        sa.Column("daily_calls", sa.Integer(), nullable=False),
        sa.Column("exits_reserve", sa.Integer(), nullable=False),
        sa.Column("bandwidth_bytes", sa.BigInteger(), nullable=False),
        sa.Column("in_force_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "exits_reserve >= 0 and exits_reserve < daily_calls", name=op.f("ck_vendor_keys_reserve")
        ),
        sa.PrimaryKeyConstraint("key_fingerprint", name=op.f("pk_vendor_keys")),
    )
    _check_kinds((*KINDS, "vendor"))


def downgrade() -> None:
    op.execute("update operations set kind = 'resume' where kind = 'vendor'")
    _check_kinds(KINDS)
    for table in (
        "vendor_keys",
        "vendor_calls",
        "vendor_cache",
        "vendor_blocks",
        "quota_resets",
        "quota_plans",
        "entitlements",
        "call_reservations",
    ):
        op.drop_table(table)


def _check_kinds(words: tuple[str, ...]) -> None:
    name = op.f("ck_operations_kind")
    allowed = ", ".join(f"'{word}'" for word in words)
    op.drop_constraint(name, "operations")
    op.create_check_constraint(name, "operations", f"kind in ({allowed})")
