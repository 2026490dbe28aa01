"""The desk itself and its days: identity, parameter versions, runs, regime readings, equity."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from storage.learning_records import VersionSource
from storage.models.base import Base, Id, Instant, Json, Money, choice
from storage.records import DeskKind, DeskState, Direction, Rung, RunState, Slot, VerdictMode, Volatility


class DeskRow(Base):
    """One desk is one database; this is its only row."""

    __tablename__ = "desk"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str]
    kind: Mapped[DeskKind] = mapped_column(choice(DeskKind, "kind"))
    state: Mapped[DeskState] = mapped_column(choice(DeskState, "state"))
    verdict_mode: Mapped[VerdictMode] = mapped_column(choice(VerdictMode, "verdict_mode"))
    history_title: Mapped[str]
    history_digest: Mapped[str]
    survivors: Mapped[bool]
    first_session: Mapped[date]
    last_session: Mapped[date | None]  # None: the present has no last session
    start_equity: Mapped[Money]
    desk_time: Mapped[Instant]
    host_seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    sessions_total: Mapped[int | None]
    # The desk's clock showed clock_from at clock_anchor and runs clock_speed times as fast as the wall's.
    clock_speed: Mapped[float] = mapped_column(server_default="1")
    clock_from: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    clock_anchor: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    undo_s: Mapped[int]  # how long a verdict may be taken back before it takes effect
    undo_risky_s: Mapped[int]
    created_at: Mapped[Instant]


class ParameterVersion(Base):
    """Parameters, limits and costs in force; every approval and trade names its version."""

    __tablename__ = "parameter_versions"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    parameters: Mapped[Json]
    limits: Mapped[Json]
    costs: Mapped[Json]
    screen: Mapped[Json]
    reason: Mapped[str]
    source: Mapped[VersionSource] = mapped_column(
        choice(VersionSource, "source"), server_default=VersionSource.SETTINGS
    )
    adjustment_id: Mapped[UUID | None]  # the change a version of the loop puts in force or takes back
    created_at: Mapped[Instant]


class Run(Base):
    """One step of one session. It becomes DONE in the transaction that did its work: once or not at all."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("agent", "session", "slot"),
        Index("ix_runs_slot_desk_time", "slot", "desk_time"),
        Index("ix_runs_unfinished", "desk_time", postgresql_where=text("state in ('queued', 'running')")),
    )

    id: Mapped[Id]
    agent: Mapped[str]  # an AgentName, or "desk" for what needs no judgement
    session: Mapped[date]
    slot: Mapped[Slot] = mapped_column(choice(Slot, "slot"))
    state: Mapped[RunState] = mapped_column(choice(RunState, "state"))
    summary: Mapped[str]
    result: Mapped[Json]
    desk_time: Mapped[Instant]  # when it was due, by the desk's clock
    late_s: Mapped[float] = mapped_column(server_default="0")  # by the desk's clock, when it was queued
    seconds: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(server_default="1")
    failures: Mapped[int] = mapped_column(server_default="0")  # attempts it failed in; the rest were cut off
    worker: Mapped[str] = mapped_column(server_default="")  # host:pid of the process that took it last
    epoch: Mapped[int | None] = mapped_column(BigInteger)  # of the leader that queued it
    asked_by: Mapped[str | None]  # the human who wanted it run now
    asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    queued_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RegimeReading(Base):
    __tablename__ = "regime_readings"

    session: Mapped[date] = mapped_column(primary_key=True)
    direction: Mapped[Direction] = mapped_column(choice(Direction, "direction"))
    volatility: Mapped[Volatility] = mapped_column(choice(Volatility, "volatility"))
    since: Mapped[date]  # first session of the direction
    standing: Mapped[int]  # sessions it has stood, this one included
    bear_probability: Mapped[float]
    index_symbol: Mapped[str]
    index_close: Mapped[float]
    sma200: Mapped[float]
    volatility_source: Mapped[str]
    volatility_value: Mapped[float]
    source: Mapped[str]
    latency_ms: Mapped[float]
    comment: Mapped[str] = mapped_column(server_default="")  # a model's, which decides nothing
    flags: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    interaction_id: Mapped[UUID | None] = mapped_column(ForeignKey("llm_interactions.id"))
    created_at: Mapped[Instant]


class Equity(Base):
    """The account at the close of a session. Heat and drawdown are fractions of equity."""

    __tablename__ = "equity"

    session: Mapped[date] = mapped_column(primary_key=True)
    cash: Mapped[Money]
    positions_value: Mapped[Money]
    equity: Mapped[Money]
    heat: Mapped[float]
    day_return: Mapped[float]
    drawdown: Mapped[float]
    unsettled: Mapped[Money] = mapped_column(server_default="0")  # of the cash, from sales not settled yet
    settles_on: Mapped[date | None]  # when the first of it does


class LadderReading(Base):
    """Where the drawdown ladder stands since a close; a re-arm changes the last row and nothing else does."""

    __tablename__ = "ladder_readings"
    __table_args__ = (CheckConstraint("probation_left >= 0", name="probation_left"),)

    session: Mapped[date] = mapped_column(primary_key=True)
    rung: Mapped[Rung] = mapped_column(choice(Rung, "rung"))
    drawdown: Mapped[float]  # from the ladder's own high-water mark, time-weighted
    halted_since: Mapped[date | None]
    probation_left: Mapped[int]  # trades still to be closed at quarter size


class RearmRow(Base):
    """A human let a stopped desk trade again; rows are only added."""

    __tablename__ = "rearms"

    id: Mapped[Id]
    session: Mapped[date] = mapped_column(unique=True)  # the last one whose close was known
    rearmed_by: Mapped[str]
    rearmed_from: Mapped[str]  # tty and SSH origin
    reason: Mapped[str]
    created_at: Mapped[Instant]
