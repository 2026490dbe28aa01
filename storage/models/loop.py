"""The learning loop: its stages, every variant ever tried, claims, experiments and their pairs."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, DateTime, ForeignKey, Index, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.learning_records import ExperimentState, LoopStage
from storage.models.base import Base, Id, Instant, Json, JsonRows, Usd, choice
from storage.records import AgentName, Direction


class LoopStageRow(Base):
    """A stage of a night that is done; written by the transaction that did it: none is done twice."""

    __tablename__ = "loop_stages"
    __table_args__ = (UniqueConstraint("session", "stage"),)

    id: Mapped[Id]
    session: Mapped[dt.date]
    stage: Mapped[LoopStage] = mapped_column(choice(LoopStage, "stage"))
    rows_in: Mapped[int]
    rows_out: Mapped[int]
    note: Mapped[str]
    result: Mapped[Json]  # what the next stages read of it
    started_at: Mapped[Instant]
    finished_at: Mapped[Instant]


class TrialRow(Base):
    """One variant that was run, however it came out; only ever added to, for N counts them all."""

    __tablename__ = "trial_registry"
    __table_args__ = (Index("ix_trial_registry_session", "session"),)

    id: Mapped[Id]
    session: Mapped[dt.date]
    parameter_name: Mapped[str]
    family: Mapped[str]
    old_value: Mapped[str]
    new_value: Mapped[str]
    proposed_by: Mapped[str]  # "search" or "model"
    created_at: Mapped[Instant]


class ClaimRow(Base):
    """A claim: an executable filter, the trades it rests on, what they came to; gone from `expires` on."""

    __tablename__ = "claims"
    __table_args__ = (
        UniqueConstraint("made", "sentence"),
        CheckConstraint("expires > made", name="expires"),
        Index("ix_claims_expires", "expires"),
    )

    id: Mapped[Id]
    filter: Mapped[Json]
    trade_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()))
    statistics: Mapped[Json]
    sentence: Mapped[str]
    made: Mapped[dt.date]
    expires: Mapped[dt.date]
    superseded: Mapped[dt.date | None]  # the night on which its filter had other trades to speak of
    created_at: Mapped[Instant]


class ClaimLink(Base):
    """A claim that spoke of a candidate on the evening it was argued over."""

    __tablename__ = "claim_links"

    claim_id: Mapped[UUID] = mapped_column(ForeignKey("claims.id"), primary_key=True)
    deliberation_id: Mapped[UUID] = mapped_column(ForeignKey("deliberations.id"), primary_key=True)


class Experiment(Base):
    """One challenger in the shadow; scale, block and champion are frozen before its first week."""

    __tablename__ = "experiments"
    __table_args__ = (
        CheckConstraint("scale > 0 and block_weeks in (1, 2)", name="bets"),
        CheckConstraint("e_up >= 0 and e_down >= 0 and opportunities >= 0", name="wealth"),
    )

    id: Mapped[Id]
    adjustment_id: Mapped[UUID] = mapped_column(ForeignKey("strategy_adjustments.id"), unique=True)
    champion_version: Mapped[int] = mapped_column(ForeignKey("parameter_versions.version"))
    started: Mapped[dt.date]  # the first session on whose close both decide
    scale: Mapped[float]  # B, in R
    block_weeks: Mapped[int]
    weeks: Mapped[JsonRows]  # each with its Monday, the sum of the differences in R, the opportunities
    e_up: Mapped[float] = mapped_column(server_default="1")
    e_down: Mapped[float] = mapped_column(server_default="1")
    opportunities: Mapped[int] = mapped_column(server_default="0")
    mean: Mapped[float | None]
    state: Mapped[ExperimentState] = mapped_column(choice(ExperimentState, "state"))
    note: Mapped[str] = mapped_column(server_default="")
    updated: Mapped[dt.date]


class ShadowPair(Base):
    """One opportunity of an experiment: R of both, 0 for who skipped it, NULL while open."""

    __tablename__ = "shadow_pairs"
    __table_args__ = (
        UniqueConstraint("experiment_id", "session", "symbol"),
        Index("ix_shadow_pairs_open", "experiment_id", postgresql_where=text("resolved is null")),
        CheckConstraint("(resolved is null) = (champion_r is null or challenger_r is null)", name="resolved"),
    )

    id: Mapped[Id]
    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("experiments.id"))
    session: Mapped[dt.date]
    symbol: Mapped[str]
    direction: Mapped[Direction] = mapped_column(choice(Direction, "direction"))
    champion_r: Mapped[float | None]
    challenger_r: Mapped[float | None]
    resolved: Mapped[dt.date | None]  # the session by whose close both results were known


class ShadowDecision(Base):
    """What a role decided on one question, and what it would have by a prompt on trial: on no card."""

    __tablename__ = "shadow_decisions"
    __table_args__ = (UniqueConstraint("experiment_id", "session", "symbol"),)

    id: Mapped[Id]
    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("experiments.id"))
    champion_interaction_id: Mapped[UUID] = mapped_column(ForeignKey("llm_interactions.id"))
    challenger_interaction_id: Mapped[UUID] = mapped_column(ForeignKey("llm_interactions.id"))
    session: Mapped[dt.date]
    symbol: Mapped[str]
    champion: Mapped[str]
    challenger: Mapped[str]
    cost_usd: Mapped[Usd]
    decided_at: Mapped[Instant]


class FrozenQuestion(Base):
    """A past question to a role with the decision it got: what versions of its prompt are compared by."""

    __tablename__ = "frozen_questions"
    __table_args__ = (UniqueConstraint("interaction_id"),)

    id: Mapped[Id]
    agent_name: Mapped[AgentName] = mapped_column(choice(AgentName, "agent_name"))
    interaction_id: Mapped[UUID] = mapped_column(ForeignKey("llm_interactions.id"))
    session: Mapped[dt.date]
    symbol: Mapped[str | None]
    decision: Mapped[str]
    frozen_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
