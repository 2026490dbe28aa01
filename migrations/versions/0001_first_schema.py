"""first schema"""

from collections.abc import Sequence

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("create extension if not exists vector")
    op.create_table(
        "agent_metrics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "agent_name",
            sa.Enum(
                "regime",
                "research",
                "news",
                "strategy",
                "risk",
                "learning",
                name="agent_name",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("tasks_completed", sa.Integer(), nullable=False),
        sa.Column("abstained", sa.Integer(), nullable=False),
        sa.Column("avg_latency_ms", sa.Double(), nullable=True),
        sa.Column("success_rate", sa.Double(), nullable=True),
        sa.Column("avg_confidence", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column("impact_on_pnl", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("cost_usd", sa.Numeric(precision=14, scale=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("success_rate between 0 and 1", name=op.f("ck_agent_metrics_success_rate")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_metrics")),
        sa.UniqueConstraint("agent_name", "date", name=op.f("uq_agent_metrics_agent_name_date")),
    )
    op.create_table(
        "agent_prompts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "agent_name",
            sa.Enum(
                "regime",
                "research",
                "news",
                "strategy",
                "risk",
                "learning",
                name="agent_name",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("prompt_version", sa.Integer(), nullable=False),
        sa.Column("prompt_template", sa.String(), nullable=False),
        sa.Column("system_message", sa.String(), nullable=False),
        sa.Column("performance_score", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "performance_score between 0 and 100", name=op.f("ck_agent_prompts_performance_score")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_prompts")),
        sa.UniqueConstraint(
            "agent_name", "prompt_version", name=op.f("uq_agent_prompts_agent_name_prompt_version")
        ),
    )
    op.create_index(
        "uq_agent_prompts_champion",
        "agent_prompts",
        ["agent_name"],
        unique=True,
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "bars",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("open", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("high", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("low", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("close", sa.Numeric(precision=18, scale=4), nullable=True),
        sa.Column("volume", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("symbol", "session", name=op.f("pk_bars")),
    )
    op.create_index("ix_bars_session", "bars", ["session"], unique=False)
    op.create_table(
        "deliberations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column(
            "setup_type",
            sa.Enum(
                "oversold_bounce", name="setup_type", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column("proposed", sa.Boolean(), nullable=False),
        sa.Column("denied_by", sa.String(), nullable=True),
        sa.Column("reasoning", sa.String(), nullable=False),
        sa.Column("checks", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("technical_snapshot", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliberations")),
        sa.UniqueConstraint("session", "symbol", name=op.f("uq_deliberations_session_symbol")),
    )
    op.create_table(
        "desk",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "paper", "live", "history", name="kind", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "running", "finished", name="state", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column(
            "verdict_mode",
            sa.Enum(
                "ask",
                "recommended",
                "reject",
                name="verdict_mode",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("history_title", sa.String(), nullable=False),
        sa.Column("history_digest", sa.String(), nullable=False),
        sa.Column("survivors", sa.Boolean(), nullable=False),
        sa.Column("first_session", sa.Date(), nullable=False),
        sa.Column("last_session", sa.Date(), nullable=False),
        sa.Column("start_equity", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("desk_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("host_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sessions_total", sa.Integer(), nullable=False),
        sa.Column("undo_s", sa.Integer(), nullable=False),
        sa.Column("undo_risky_s", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_desk_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk")),
    )
    op.create_table(
        "equity",
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("cash", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("positions_value", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("equity", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("heat", sa.Double(), nullable=False),
        sa.Column("day_return", sa.Double(), nullable=False),
        sa.Column("drawdown", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_equity")),
    )
    op.create_table(
        "instruments",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sector", sa.String(), nullable=True),
        sa.Column("industry", sa.String(), nullable=True),
        sa.Column("asset_type", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_instruments")),
    )
    op.create_table(
        "parameter_versions",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("limits", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("costs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("screen", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_parameter_versions")),
    )
    op.create_table(
        "regime_readings",
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column(
            "direction",
            sa.Enum(
                "BULL",
                "BEAR",
                "SIDEWAYS",
                name="direction",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column(
            "volatility",
            sa.Enum(
                "HIGH_VOL",
                "NORMAL_VOL",
                "LOW_VOL",
                name="volatility",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("standing", sa.Integer(), nullable=False),
        sa.Column("bear_probability", sa.Double(), nullable=False),
        sa.Column("index_symbol", sa.String(), nullable=False),
        sa.Column("index_close", sa.Double(), nullable=False),
        sa.Column("sma200", sa.Double(), nullable=False),
        sa.Column("volatility_source", sa.String(), nullable=False),
        sa.Column("volatility_value", sa.Double(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_regime_readings")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column(
            "slot",
            sa.Enum(
                "cutoff",
                "open",
                "settle",
                "regime",
                "screen",
                "deliberate",
                "digest",
                name="slot",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum("done", "skipped", name="state", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("desk_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("agent", "session", "slot", name=op.f("uq_runs_agent_session_slot")),
    )
    op.create_table(
        "screener_results",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scan_id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("asset_type", sa.String(), nullable=False),
        sa.Column("filters_matched", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("fundamental_snapshot", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("technical_snapshot", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("composite_score", sa.Numeric(precision=5, scale=2), nullable=False),
        sa.Column("selected_for_watchlist", sa.Boolean(), nullable=False),
        sa.Column("thesis", sa.String(), nullable=True),
        sa.Column("confidence", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("reasoning", sa.String(), nullable=True),
        sa.Column("outcome_7d", sa.Double(), nullable=True),
        sa.Column("outcome_30d", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "composite_score between 0 and 100", name=op.f("ck_screener_results_composite_score")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screener_results")),
        sa.UniqueConstraint("scan_id", "symbol", name=op.f("uq_screener_results_scan_id_symbol")),
    )
    op.create_index("ix_screener_results_session", "screener_results", ["session"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deliberation_id", sa.Uuid(), nullable=False),
        sa.Column("short_id", sa.String(length=20), nullable=False),
        sa.Column("created_session", sa.Date(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column(
            "setup_type",
            sa.Enum(
                "oversold_bounce", name="setup_type", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column("entry_session", sa.Date(), nullable=False),
        sa.Column("min_entry", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("max_entry", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("stop", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("target", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("max_shares", sa.Integer(), nullable=False),
        sa.Column("max_risk", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("max_hold", sa.Integer(), nullable=False),
        sa.Column("parameters_version", sa.Integer(), nullable=False),
        sa.Column("limits", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("close", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("risky", sa.Boolean(), nullable=False),
        sa.Column("risky_reasons", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column(
            "recommendation",
            sa.Enum(
                "approve",
                "reject",
                name="recommendation",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("reasoning", sa.String(), nullable=False),
        sa.Column("facts", postgresql.ARRAY(sa.String(), dimensions=2), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "approved",
                "rejected",
                "expired",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("typed_id", sa.String(), nullable=True),
        sa.Column("decided_digest", sa.String(length=64), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_from", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state in ('pending', 'expired')) or (decided_by is not null and decided_at is not null)",
            name=op.f("ck_approvals_decided"),
        ),
        sa.CheckConstraint(
            "not (risky and state = 'approved' and typed_id is distinct from short_id)",
            name=op.f("ck_approvals_typed_id"),
        ),
        sa.CheckConstraint(
            "state <> 'approved' or decided_digest = digest", name=op.f("ck_approvals_decided_digest")
        ),
        sa.CheckConstraint("max_shares > 0 and max_risk > 0", name=op.f("ck_approvals_size")),
        sa.CheckConstraint(
            "stop > 0 and stop < min_entry and min_entry <= max_entry", name=op.f("ck_approvals_band")
        ),
        sa.CheckConstraint("target > max_entry", name=op.f("ck_approvals_target")),
        sa.ForeignKeyConstraint(
            ["deliberation_id"], ["deliberations.id"], name=op.f("fk_approvals_deliberation_id_deliberations")
        ),
        sa.ForeignKeyConstraint(
            ["parameters_version"],
            ["parameter_versions.version"],
            name=op.f("fk_approvals_parameters_version_parameter_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("deliberation_id", name=op.f("uq_approvals_deliberation_id")),
    )
    op.create_index("ix_approvals_state", "approvals", ["state"], unique=False)
    op.create_index(
        "uq_approvals_pending_short_id",
        "approvals",
        ["short_id"],
        unique=True,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "llm_interactions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "agent_name",
            sa.Enum(
                "regime",
                "research",
                "news",
                "strategy",
                "risk",
                "learning",
                name="agent_name",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("prompt_id", sa.Uuid(), nullable=True),
        sa.Column("input_context", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("output_result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("tokens_used", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_write_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_read_tokens", sa.Integer(), nullable=False),
        sa.Column("thinking_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(precision=14, scale=8), nullable=False),
        sa.Column("reserved_usd", sa.Numeric(precision=14, scale=8), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("stop_reason", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("price_source", sa.String(), nullable=False),
        sa.Column("price_date", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state in ('reserved', 'settled', 'released', 'uncertain')",
            name=op.f("ck_llm_interactions_state"),
        ),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["agent_prompts.id"], name=op.f("fk_llm_interactions_prompt_id_agent_prompts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_llm_interactions")),
    )
    op.create_index(
        "ix_llm_interactions_agent_name_created_at",
        "llm_interactions",
        ["agent_name", "created_at"],
        unique=False,
    )
    op.create_table(
        "strategy_adjustments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("parameter_name", sa.String(), nullable=False),
        sa.Column("old_value", sa.String(), nullable=False),
        sa.Column("new_value", sa.String(), nullable=False),
        sa.Column("reasoning", sa.String(), nullable=False),
        sa.Column("expected_impact", sa.String(), nullable=False),
        sa.Column("confidence_score", sa.Numeric(precision=5, scale=2), nullable=False),
        sa.Column(
            "proposed_by",
            sa.Enum(
                "regime",
                "research",
                "news",
                "strategy",
                "risk",
                "learning",
                name="proposed_by",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "IMPROVED",
                "WORSENED",
                "NEUTRAL",
                "PENDING",
                name="outcome",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("sharpe_before", sa.Double(), nullable=True),
        sa.Column("sharpe_after", sa.Double(), nullable=True),
        sa.Column("win_rate_before", sa.Double(), nullable=True),
        sa.Column("win_rate_after", sa.Double(), nullable=True),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("experiment", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_version", sa.Integer(), nullable=True),
        sa.Column("rolled_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status in ('proposed', 'rejected', 'shadow', 'applied', 'rolled_back', 'expired')",
            name=op.f("ck_strategy_adjustments_status"),
        ),
        sa.CheckConstraint(
            "confidence_score between 0 and 100", name=op.f("ck_strategy_adjustments_confidence_score")
        ),
        sa.ForeignKeyConstraint(
            ["applied_version"],
            ["parameter_versions.version"],
            name=op.f("fk_strategy_adjustments_applied_version_parameter_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_adjustments")),
    )
    op.create_table(
        "votes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deliberation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "agent_name",
            sa.Enum(
                "regime",
                "research",
                "news",
                "strategy",
                "risk",
                "learning",
                name="agent_name",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column(
            "stance",
            sa.Enum(
                "for",
                "against",
                "abstain",
                name="stance",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("conviction", sa.Double(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("veto_only", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deliberation_id"],
            ["deliberations.id"],
            name=op.f("fk_votes_deliberation_id_deliberations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_votes")),
        sa.UniqueConstraint(
            "deliberation_id", "agent_name", name=op.f("uq_votes_deliberation_id_agent_name")
        ),
    )
    op.create_table(
        "positions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("approval_id", sa.Uuid(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column(
            "setup_type",
            sa.Enum(
                "oversold_bounce", name="setup_type", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column("shares", sa.Integer(), nullable=False),
        sa.Column("entry_session", sa.Date(), nullable=False),
        sa.Column("entry_price", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("entry_fee", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("stop", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("initial_stop", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("target", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("max_hold", sa.Integer(), nullable=False),
        sa.Column("low_since", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("high_since", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("last_close", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("last_session", sa.Date(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("open", "closed", name="state", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("closed_session", sa.Date(), nullable=True),
        sa.CheckConstraint("shares > 0", name=op.f("ck_positions_shares")),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_positions_approval_id_approvals")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_positions")),
        sa.UniqueConstraint("approval_id", name=op.f("uq_positions_approval_id")),
    )
    op.create_index(
        "uq_positions_open_symbol",
        "positions",
        ["symbol"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("approval_id", sa.Uuid(), nullable=False),
        sa.Column(
            "verb",
            sa.Enum(
                "approved",
                "rejected",
                "undone",
                "expired",
                name="verb",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("given_by", sa.String(), nullable=False),
        sa.Column("given_from", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_verdicts_approval_id_approvals")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
    )
    op.create_index("ix_verdicts_approval_id", "verdicts", ["approval_id"], unique=False)
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_order_id", sa.String(), nullable=False),
        sa.Column("approval_id", sa.Uuid(), nullable=True),
        sa.Column("position_id", sa.Uuid(), nullable=True),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column(
            "side",
            sa.Enum("buy", "sell", name="side", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("shares", sa.Integer(), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "resting",
                "filled",
                "skipped",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("denied_by", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approvals.id"], name=op.f("fk_orders_approval_id_approvals")
        ),
        sa.ForeignKeyConstraint(
            ["position_id"], ["positions.id"], name=op.f("fk_orders_position_id_positions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("approval_id", name=op.f("uq_orders_approval_id")),
        sa.UniqueConstraint("client_order_id", name=op.f("uq_orders_client_order_id")),
    )
    op.create_table(
        "trade_outcomes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("position_id", sa.Uuid(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("entry_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_price", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("exit_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("exit_price", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("pnl", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("fees", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("return_pct", sa.Double(), nullable=False),
        sa.Column("r_multiple", sa.Double(), nullable=False),
        sa.Column("mae_r", sa.Double(), nullable=False),
        sa.Column("mfe_r", sa.Double(), nullable=False),
        sa.Column(
            "setup_type",
            sa.Enum(
                "oversold_bounce", name="setup_type", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column("entry_reason", sa.String(), nullable=False),
        sa.Column(
            "exit_reason",
            sa.Enum(
                "stop_loss",
                "take_profit",
                "time_exit",
                "trailing_stop",
                "manual",
                "circuit_breaker",
                "regime_change",
                name="exit_reason",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column(
            "market_regime",
            sa.Enum(
                "BULL",
                "BEAR",
                "SIDEWAYS",
                name="market_regime",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column(
            "volatility",
            sa.Enum(
                "HIGH_VOL",
                "NORMAL_VOL",
                "LOW_VOL",
                name="volatility",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("vix_at_entry", sa.Numeric(precision=8, scale=2), nullable=True),
        sa.Column("rsi_at_entry", sa.Double(), nullable=True),
        sa.Column("volume_ratio", sa.Double(), nullable=True),
        sa.Column("llm_interaction_id", sa.Uuid(), nullable=True),
        sa.Column("strategy_params", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("parameters_version", sa.Integer(), nullable=False),
        sa.Column("state_vector", pgvector.sqlalchemy.vector.VECTOR(dim=8), nullable=True),
        sa.Column("desk_kind", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["llm_interaction_id"],
            ["llm_interactions.id"],
            name=op.f("fk_trade_outcomes_llm_interaction_id_llm_interactions"),
        ),
        sa.ForeignKeyConstraint(
            ["parameters_version"],
            ["parameter_versions.version"],
            name=op.f("fk_trade_outcomes_parameters_version_parameter_versions"),
        ),
        sa.ForeignKeyConstraint(
            ["position_id"], ["positions.id"], name=op.f("fk_trade_outcomes_position_id_positions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_outcomes")),
        sa.UniqueConstraint("position_id", name=op.f("uq_trade_outcomes_position_id")),
    )
    op.create_index(
        "ix_trade_outcomes_setup",
        "trade_outcomes",
        ["market_regime", "setup_type", "exit_time"],
        unique=False,
    )
    op.create_table(
        "fills",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position_id", sa.Uuid(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column(
            "side",
            sa.Enum("buy", "sell", name="side", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("shares", sa.Integer(), nullable=False),
        sa.Column("price", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("reference_price", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("fee", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("shares > 0 and price > 0", name=op.f("ck_fills_positive")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_fills_order_id_orders")),
        sa.ForeignKeyConstraint(
            ["position_id"], ["positions.id"], name=op.f("fk_fills_position_id_positions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fills")),
        sa.UniqueConstraint("order_id", name=op.f("uq_fills_order_id")),
    )
    op.create_table(
        "cash_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "fill",
                "fee",
                "dividend",
                "cash_in_lieu",
                "interest",
                "deposit",
                "withdrawal",
                "correction",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("fill_id", sa.Uuid(), nullable=True),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["fill_id"], ["fills.id"], name=op.f("fk_cash_events_fill_id_fills")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cash_events")),
        sa.UniqueConstraint("fill_id", "kind", name=op.f("uq_cash_events_fill_id_kind")),
    )


def downgrade() -> None:
    op.drop_table("cash_events")
    op.drop_table("fills")
    op.drop_index("ix_trade_outcomes_setup", table_name="trade_outcomes")
    op.drop_table("trade_outcomes")
    op.drop_table("orders")
    op.drop_index("ix_verdicts_approval_id", table_name="verdicts")
    op.drop_table("verdicts")
    op.drop_index(
        "uq_positions_open_symbol", table_name="positions", postgresql_where=sa.text("state = 'open'")
    )
    op.drop_table("positions")
    op.drop_table("votes")
    op.drop_table("strategy_adjustments")
    op.drop_index("ix_llm_interactions_agent_name_created_at", table_name="llm_interactions")
    op.drop_table("llm_interactions")
    op.drop_index(
        "uq_approvals_pending_short_id", table_name="approvals", postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_index("ix_approvals_state", table_name="approvals")
    op.drop_table("approvals")
    op.drop_index("ix_screener_results_session", table_name="screener_results")
    op.drop_table("screener_results")
    op.drop_table("runs")
    op.drop_table("regime_readings")
    op.drop_table("parameter_versions")
    op.drop_table("instruments")
    op.drop_table("equity")
    op.drop_table("desk")
    op.drop_table("deliberations")
    op.drop_index("ix_bars_session", table_name="bars")
    op.drop_table("bars")
    op.drop_index("uq_agent_prompts_champion", table_name="agent_prompts", postgresql_where=sa.text("active"))
    op.drop_table("agent_prompts")
    op.drop_table("agent_metrics")
    # Where an administrator has loaded it, it stays: only its owner may drop it.
    op.execute(
        """do $$ begin
             if exists (select from pg_extension
                         where extname = 'vector' and pg_has_role(extowner, 'usage')) then
               drop extension vector;
             end if;
           end $$"""
    )
