"""What the desk knows of its own thinking: prompts, model calls, adjustments, daily agent metrics."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from storage.learning_records import (
    AdjustmentKind,
    AdjustmentOutcome,
    AdjustmentRoute,
    AdjustmentStatus,
    ChangeVerb,
)
from storage.models.base import Base, Id, Instant, Json, Money, Score, Usd, choice
from storage.records import AgentName


class AgentPrompt(Base):
    __tablename__ = "agent_prompts"
    __table_args__ = (
        UniqueConstraint("agent_name", "prompt_version"),
        CheckConstraint("performance_score between 0 and 100", name="performance_score"),
        Index(
            "uq_agent_prompts_champion", "agent_name", unique=True, postgresql_where=text("active")
        ),  # one champion per agent
    )

    id: Mapped[Id]
    agent_name: Mapped[AgentName] = mapped_column(choice(AgentName, "agent_name"))
    prompt_version: Mapped[int]
    prompt_template: Mapped[str]
    system_message: Mapped[str]
    performance_score: Mapped[Score | None]
    active: Mapped[bool]
    created_at: Mapped[Instant]


class LlmInteraction(Base):
    """One call to a model, and its place in the budget: `cost_usd` is what the row counts for."""

    __tablename__ = "llm_interactions"
    __table_args__ = (
        CheckConstraint("state in ('reserved', 'settled', 'released', 'uncertain')", name="state"),
        CheckConstraint(
            "cost_usd >= 0 and case state when 'settled' then true when 'released' then cost_usd = 0"
            " else cost_usd = reserved_usd end",
            name="cost",
        ),
        CheckConstraint("(parked_until is null) = (park_scope is null)", name="park"),
        CheckConstraint(
            "text_removed_at is null or (input_context = '{}' and coalesce(output_result, '{}') = '{}')",
            name="text_removed",
        ),
        Index("ix_llm_interactions_agent_name_created_at", "agent_name", "created_at"),
        Index("ix_llm_interactions_created_at", "created_at"),
        Index(
            "ix_llm_interactions_parked_until",
            "parked_until",
            postgresql_where=text("parked_until is not null"),
        ),
        Index("ix_llm_interactions_session", "session", postgresql_where=text("session is not null")),
        Index("ix_llm_interactions_open", "created_at", postgresql_where=text("state = 'reserved'")),
        Index(
            "ix_llm_interactions_idempotency_key",
            "idempotency_key",
            postgresql_where=text("idempotency_key is not null"),
        ),
    )

    id: Mapped[Id]
    agent_name: Mapped[AgentName] = mapped_column(choice(AgentName, "agent_name"))
    prompt_id: Mapped[UUID | None] = mapped_column(ForeignKey("agent_prompts.id"))
    symbol: Mapped[str | None]  # what it is about: by these its cost is charged
    session: Mapped[dt.date | None]
    input_context: Mapped[Json]  # every word that was sent
    output_result: Mapped[Json | None]
    model: Mapped[str]
    tokens_used: Mapped[int]
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    cache_write_tokens: Mapped[int]
    cache_read_tokens: Mapped[int]
    thinking_tokens: Mapped[int]
    cost_usd: Mapped[Usd]
    reserved_usd: Mapped[Usd]
    state: Mapped[str]
    latency_ms: Mapped[int | None]
    success: Mapped[bool | None]
    error_message: Mapped[str | None]
    stop_reason: Mapped[str | None]
    request_id: Mapped[str | None]
    price_source: Mapped[str]
    price_date: Mapped[dt.date | None]
    provider: Mapped[str] = mapped_column(server_default="anthropic")
    key_fingerprint: Mapped[str] = mapped_column(server_default="")
    attempt: Mapped[int] = mapped_column(server_default="1")  # of one question
    question: Mapped[str] = mapped_column(server_default="")  # digest, the same for each attempt
    idempotency_key: Mapped[str | None]  # of the work it was asked for
    batched: Mapped[bool] = mapped_column(server_default="false")
    batch_id: Mapped[str | None]  # the server's name for the batch
    over_reported: Mapped[bool] = mapped_column(server_default="false")  # it cost more than the worst case
    parked_until: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    park_scope: Mapped[str | None]
    text_removed_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))  # by retention
    created_at: Mapped[Instant]


class SpendLimit(Base):
    """What the operator allows to be spent on models; one row, locked by whoever reserves."""

    __tablename__ = "spend_limits"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    call_usd: Mapped[Usd]
    agent_day_usd: Mapped[Usd]
    day_usd: Mapped[Usd]
    month_usd: Mapped[Usd]
    equity_share_year: Mapped[Decimal] = mapped_column(Numeric(8, 6))
    updated_at: Mapped[Instant]


class StrategyAdjustment(Base):
    """A change that was proposed; its digest binds what it changes and the evidence it was shown with."""

    __tablename__ = "strategy_adjustments"
    __table_args__ = (
        CheckConstraint("confidence_score between 0 and 100", name="confidence_score"),
        # No slip sends a risky change, whoever writes to the table.
        CheckConstraint("not (route = 'at_once' and typed_id is distinct from short_id)", name="typed_id"),
        CheckConstraint("(status = 'refused') = (refused_because is not null)", name="refused_because"),
        CheckConstraint(
            "status not in ('approved', 'rejected') or (decided_by is not null and decided_at is not null)",
            name="decided",
        ),
        CheckConstraint("status <> 'approved' or decided_digest = digest", name="decided_digest"),
        # A night that runs twice proposes once; a family has one change on its way.
        Index(
            "uq_strategy_adjustments_session_parameter_name_new_value",
            "session",
            "parameter_name",
            text("md5(new_value)"),  # a whole prompt is too long for an index
            unique=True,
        ),
        Index(
            "uq_strategy_adjustments_in_flight",
            "family",
            unique=True,
            postgresql_where=text("status in ('approved', 'shadow', 'promotable')"),
        ),
        Index(
            "uq_strategy_adjustments_waiting_short_id",
            "short_id",
            unique=True,
            postgresql_where=text("status in ('proposed', 'promotable')"),
        ),
    )

    id: Mapped[Id]
    short_id: Mapped[str]
    session: Mapped[dt.date]  # whose night proposed it
    kind: Mapped[AdjustmentKind] = mapped_column(choice(AdjustmentKind, "kind"))
    parameter_name: Mapped[str]  # of a prompt: the agent's name
    family: Mapped[str]
    unit: Mapped[str] = mapped_column(server_default="")
    bounds: Mapped[str] = mapped_column(server_default="")
    old_value: Mapped[str]
    new_value: Mapped[str]
    reasoning: Mapped[str]
    expected_impact: Mapped[str]
    confidence_score: Mapped[Score]
    proposed_by: Mapped[AgentName] = mapped_column(choice(AgentName, "proposed_by"))
    status: Mapped[AdjustmentStatus] = mapped_column(choice(AdjustmentStatus, "status"))
    refused_because: Mapped[str | None]
    outcome: Mapped[AdjustmentOutcome] = mapped_column(choice(AdjustmentOutcome, "outcome"))
    sharpe_before: Mapped[float | None]
    sharpe_after: Mapped[float | None]
    win_rate_before: Mapped[float | None]
    win_rate_after: Mapped[float | None]
    evidence: Mapped[Json]  # storage/proposal_evidence.py says what stands in it
    digest: Mapped[str]
    experiment: Mapped[str | None]
    expires_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))  # unanswered: expired
    deferred_until: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    route: Mapped[AdjustmentRoute | None] = mapped_column(choice(AdjustmentRoute, "route"))
    typed_id: Mapped[str | None]
    decided_digest: Mapped[str | None]  # of what the verdict was given on
    decided_by: Mapped[str | None]
    decided_from: Mapped[str | None]  # tty and SSH origin
    decided_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    decision_reason: Mapped[str | None]
    effective_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    applied_version: Mapped[int | None] = mapped_column(ForeignKey("parameter_versions.version"))
    applied_session: Mapped[dt.date | None]  # the desk's day it came into force on
    turned_down_session: Mapped[dt.date | None]  # the desk's day a human or its trial turned it down on
    rolled_back_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    rolled_back_by: Mapped[str | None]
    rolled_back_because: Mapped[str | None]
    measure: Mapped[Json | None] = mapped_column(JSONB)  # AdjustmentMeasure in full, with its intervals
    measured_at: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[Instant]


class ChangeVerdict(Base):
    """Everything ever said about a proposed change, also what was taken back; rows are only added."""

    __tablename__ = "change_verdicts"
    __table_args__ = (Index("ix_change_verdicts_adjustment_id", "adjustment_id"),)

    id: Mapped[Id]
    adjustment_id: Mapped[UUID] = mapped_column(ForeignKey("strategy_adjustments.id"))
    verb: Mapped[ChangeVerb] = mapped_column(choice(ChangeVerb, "verb"))
    digest: Mapped[str] = mapped_column(String(64))
    given_by: Mapped[str]
    given_from: Mapped[str]  # tty and SSH origin
    reason: Mapped[str]
    given_at: Mapped[Instant]


class AgentMetric(Base):
    __tablename__ = "agent_metrics"
    __table_args__ = (
        UniqueConstraint("agent_name", "date"),
        CheckConstraint("success_rate between 0 and 1", name="success_rate"),
    )

    id: Mapped[Id]
    agent_name: Mapped[AgentName] = mapped_column(choice(AgentName, "agent_name"))
    date: Mapped[dt.date]
    tasks_completed: Mapped[int]
    abstained: Mapped[int]
    avg_latency_ms: Mapped[float | None]
    success_rate: Mapped[float | None]
    avg_confidence: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    impact_on_pnl: Mapped[Money]
    cost_usd: Mapped[Usd]
    created_at: Mapped[Instant]


class AgentMeasurement(Base):
    """Any figure logged for an agent's session, beside the sums of `agent_metrics`."""

    __tablename__ = "agent_measurements"
    __table_args__ = (UniqueConstraint("agent_name", "session", "name"),)

    id: Mapped[Id]
    agent_name: Mapped[AgentName] = mapped_column(choice(AgentName, "agent_name"))
    session: Mapped[dt.date]
    name: Mapped[str]
    value: Mapped[float]
    created_at: Mapped[Instant]
