"""The desk as a machine: who leads it, who works for it, what comes next, what was done to it and by whom."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, DateTime, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Id, Instant, choice
from storage.records import AgentName, OperationKind, Slot


class Leadership(Base):
    """The one row that says who leads; whoever holds the desk's advisory lock writes it.

    `epoch` is unique so that a leader's write can hold it with FOR KEY SHARE: a successor's new epoch then
    waits for that write, and no later one finds its epoch again. Heartbeats touch no key and wait for nobody.
    """

    __tablename__ = "leadership"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(BigInteger, unique=True)
    holder: Mapped[str]  # the application_name of every connection of that process
    host: Mapped[str]
    pid: Mapped[int]
    since: Mapped[Instant]
    heartbeat_at: Mapped[Instant]  # by the database's clock
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # it left in good order
    stops: Mapped[int] = mapped_column(server_default="0")  # how often it was asked for
    stop_asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    stop_asked_by: Mapped[str | None]


class Worker(Base):
    """A process that takes jobs; it is gone when it has not been seen for a while."""

    __tablename__ = "workers"

    id: Mapped[Id]
    host: Mapped[str]
    pid: Mapped[int]
    queues: Mapped[list[str]] = mapped_column(ARRAY(String))
    started_at: Mapped[Instant]
    seen_at: Mapped[Instant]  # by the database's clock


class ScheduledSlot(Base):
    """When each slot is due next, as the leader last worked it out."""

    __tablename__ = "schedule"

    slot: Mapped[Slot] = mapped_column(choice(Slot, "slot"), primary_key=True)
    agents: Mapped[list[str]] = mapped_column(ARRAY(String))  # the agents that take part in it
    session: Mapped[date]
    due_at: Mapped[Instant]  # by the desk's clock
    lacks: Mapped[str]  # why it will be skipped, or nothing


class AgentState(Base):
    """What an agent is doing now and whether a human has paused it."""

    __tablename__ = "agent_states"

    agent_name: Mapped[AgentName] = mapped_column(choice(AgentName, "agent_name"), primary_key=True)
    symbol: Mapped[str | None]  # being worked on now
    working_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paused_by: Mapped[str | None]
    paused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Operation(Base):
    """One thing that happened to the desk as a machine, or that a human did to it; only ever added to."""

    __tablename__ = "operations"

    id: Mapped[Id]
    at: Mapped[Instant]
    kind: Mapped[OperationKind] = mapped_column(choice(OperationKind, "kind"))
    who: Mapped[str]  # the operator, or host:pid
    text: Mapped[str]
    origin: Mapped[str] = mapped_column(server_default="")  # tty and SSH origin of an operator
