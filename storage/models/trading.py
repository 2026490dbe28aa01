"""From an argument to money: deliberations, votes, approvals, orders, fills, cash, positions, outcomes."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Numeric,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, Id, Instant, Json, JsonRows, Money, Price, choice
from storage.records import (
    AgentName,
    ApprovalState,
    CashKind,
    Direction,
    ExitReason,
    OrderSide,
    OrderState,
    PositionState,
    Recommendation,
    RejectReason,
    SetupType,
    Stance,
    VerdictVerb,
    Volatility,
)

STATE_VECTOR_SIZE = 8


class Deliberation(Base):
    """One candidate argued over on one evening, and what became of it."""

    __tablename__ = "deliberations"
    __table_args__ = (UniqueConstraint("session", "symbol"),)

    id: Mapped[Id]
    session: Mapped[date]
    symbol: Mapped[str]
    rank: Mapped[int]  # 1 = best score of the evening; the order in which limits are used up
    setup_type: Mapped[SetupType] = mapped_column(choice(SetupType, "setup_type"))
    proposed: Mapped[bool]
    denied_by: Mapped[str | None]  # the limit, "consensus", "setup", "held" or "risk_manager"
    reasoning: Mapped[str]
    checks: Mapped[JsonRows]  # in the order the limits apply
    technical_snapshot: Mapped[Json]
    # What the votes came to; NULL in rows from before it was kept. Probabilities are of a win.
    consensus_rule: Mapped[str | None]
    consensus: Mapped[Stance | None] = mapped_column(choice(Stance, "consensus"))
    probability: Mapped[float | None]  # what counted; NULL under the majority, which claims none
    pooled: Mapped[float | None]  # the pool's own, whichever rule was in force
    base_rate: Mapped[float | None]  # the setup's shrunk win rate in this regime
    pool_skill: Mapped[float | None]  # of the pool against the base rate, by what had resolved then
    dissent: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    abstained: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    consensus_note: Mapped[str] = mapped_column(server_default="")
    contradictions: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")  # between agents
    created_at: Mapped[Instant]


class Vote(Base):
    __tablename__ = "votes"
    __table_args__ = (
        UniqueConstraint("deliberation_id", "agent_name"),
        Index(
            "ix_votes_interaction_id",
            "interaction_id",
            postgresql_where=text("interaction_id is not null"),
        ),
    )

    id: Mapped[Id]
    deliberation_id: Mapped[UUID] = mapped_column(ForeignKey("deliberations.id", ondelete="CASCADE"))
    agent_name: Mapped[AgentName] = mapped_column(choice(AgentName, "agent_name"))
    stance: Mapped[Stance] = mapped_column(choice(Stance, "stance"))
    conviction: Mapped[float | None]
    source: Mapped[str]
    reason: Mapped[str]
    veto_only: Mapped[bool]
    latency_ms: Mapped[float]
    interaction_id: Mapped[UUID | None] = mapped_column(ForeignKey("llm_interactions.id"))  # that answered
    figures: Mapped[JsonRows] = mapped_column(server_default=text("'[]'"))  # each number, grounded or not
    flags: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")


class Approval(Base):
    """A trade that waits for a human: its digest binds the terms, the checks below bind the verdict."""

    __tablename__ = "approvals"
    __table_args__ = (
        CheckConstraint("max_shares > 0 and max_risk > 0", name="size"),
        CheckConstraint("stop > 0 and stop < min_entry and min_entry <= max_entry", name="band"),
        CheckConstraint("target > max_entry", name="target"),
        # No slip approves a risky trade, whoever writes to the table.
        CheckConstraint(
            "not (risky and state = 'approved' and typed_id is distinct from short_id)", name="typed_id"
        ),
        CheckConstraint(
            "(state in ('pending', 'expired')) or (decided_by is not null and decided_at is not null)",
            name="decided",
        ),
        CheckConstraint("state <> 'approved' or decided_digest = digest", name="decided_digest"),
        # No policy approves what is risky, whoever writes to the table.
        CheckConstraint("policy_id is null or not risky or state <> 'approved'", name="policy"),
        Index("ix_approvals_state", "state"),
        Index(
            "uq_approvals_pending_short_id",
            "short_id",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: Mapped[Id]
    deliberation_id: Mapped[UUID] = mapped_column(ForeignKey("deliberations.id"), unique=True)
    short_id: Mapped[str] = mapped_column(String(20))
    created_session: Mapped[date]
    symbol: Mapped[str]
    setup_type: Mapped[SetupType] = mapped_column(choice(SetupType, "setup_type"))
    entry_session: Mapped[date]
    min_entry: Mapped[Price]
    max_entry: Mapped[Price]
    stop: Mapped[Price]
    target: Mapped[Price]
    max_shares: Mapped[int]
    max_risk: Mapped[Money]
    max_hold: Mapped[int]
    parameters_version: Mapped[int] = mapped_column(ForeignKey("parameter_versions.version"))
    limits: Mapped[Json]
    digest: Mapped[str] = mapped_column(String(64))
    close: Mapped[Price]
    risky: Mapped[bool]
    risky_reasons: Mapped[list[str]] = mapped_column(ARRAY(String))
    recommendation: Mapped[Recommendation] = mapped_column(choice(Recommendation, "recommendation"))
    reasoning: Mapped[str]
    facts: Mapped[list[list[str]]] = mapped_column(ARRAY(String, dimensions=2))
    state: Mapped[ApprovalState] = mapped_column(choice(ApprovalState, "state"))
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    typed_id: Mapped[str | None]
    decided_digest: Mapped[str | None] = mapped_column(String(64))  # of the terms the verdict was given on
    decided_by: Mapped[str | None]
    decided_from: Mapped[str | None]  # tty and SSH origin
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decision_reason: Mapped[str | None]
    reject_reason: Mapped[RejectReason | None] = mapped_column(choice(RejectReason, "reject_reason"))
    effective_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    policy_id: Mapped[UUID | None] = mapped_column(ForeignKey("policies.id"))  # that approved it
    # Of one that was not traded: what the desk's own rules would have made of it, in R.
    what_if_r: Mapped[float | None]
    what_if_note: Mapped[str | None]
    created_at: Mapped[Instant]


class Verdict(Base):
    """Everything ever said about an approval, also what was taken back; rows are only added."""

    __tablename__ = "verdicts"
    __table_args__ = (Index("ix_verdicts_approval_id", "approval_id"),)

    id: Mapped[Id]
    approval_id: Mapped[UUID] = mapped_column(ForeignKey("approvals.id"))
    verb: Mapped[VerdictVerb] = mapped_column(choice(VerdictVerb, "verb"))
    digest: Mapped[str] = mapped_column(String(64))
    given_by: Mapped[str]
    given_from: Mapped[str]  # tty and SSH origin
    reason: Mapped[str]
    given_at: Mapped[Instant]


class Position(Base):
    __tablename__ = "positions"
    __table_args__ = (
        CheckConstraint("shares > 0", name="shares"),
        Index("uq_positions_open_symbol", "symbol", unique=True, postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Id]
    approval_id: Mapped[UUID] = mapped_column(ForeignKey("approvals.id"), unique=True)
    symbol: Mapped[str]
    setup_type: Mapped[SetupType] = mapped_column(choice(SetupType, "setup_type"))
    shares: Mapped[int]
    entry_session: Mapped[date]
    entry_price: Mapped[Price]
    entry_fee: Mapped[Money]
    stop: Mapped[Price]
    initial_stop: Mapped[Price]
    target: Mapped[Price]
    max_hold: Mapped[int]
    low_since: Mapped[Price]
    high_since: Mapped[Price]
    last_close: Mapped[Price]
    last_session: Mapped[date]
    sold_shares: Mapped[Decimal] = mapped_column(Numeric, server_default="0")  # before the rest, of today's
    sold_fees: Mapped[Money] = mapped_column(server_default="0")  # what those sales cost
    # Dollars earned on the way, fees aside: by the sale of a part; cash in lieu less the cost that left with
    # it; and what rounding moved.
    realised: Mapped[Money] = mapped_column(server_default="0")
    stop_reason: Mapped[ExitReason] = mapped_column(  # what a stop that is hit ends the trade as
        choice(ExitReason, "stop_reason"), server_default=ExitReason.STOP_LOSS.value
    )
    protected_by: Mapped[str | None]  # the client's id of the stop and target the broker knows; NULL: none
    protections: Mapped[int] = mapped_column(server_default="0")  # how many were sent
    unprotected_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # wall clock
    alarmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))  # of that, once
    state: Mapped[PositionState] = mapped_column(choice(PositionState, "state"))
    closed_session: Mapped[date | None]


class Order(Base):
    """Every order carries a key made from what it is for, so that no restart can send it twice."""

    __tablename__ = "orders"

    id: Mapped[Id]
    client_order_id: Mapped[str] = mapped_column(unique=True)
    approval_id: Mapped[UUID | None] = mapped_column(ForeignKey("approvals.id"), unique=True)
    position_id: Mapped[UUID | None] = mapped_column(ForeignKey("positions.id"))
    symbol: Mapped[str]
    side: Mapped[OrderSide] = mapped_column(choice(OrderSide, "side"))
    shares: Mapped[int]
    session: Mapped[date]
    state: Mapped[OrderState] = mapped_column(choice(OrderState, "state"))
    note: Mapped[str]  # why it was skipped, or why it was sent
    denied_by: Mapped[str | None]  # the limit that left no room at the open
    created_at: Mapped[Instant]


class Fill(Base):
    __tablename__ = "fills"
    __table_args__ = (CheckConstraint("shares > 0 and price > 0", name="positive"),)

    id: Mapped[Id]
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), unique=True)
    position_id: Mapped[UUID] = mapped_column(ForeignKey("positions.id"))
    broker_fill_id: Mapped[str | None] = mapped_column(unique=True)  # NULL in rows from before it was kept
    symbol: Mapped[str]
    side: Mapped[OrderSide] = mapped_column(choice(OrderSide, "side"))
    shares: Mapped[int]
    price: Mapped[Price]
    reference_price: Mapped[Price]  # the market's price before slippage
    fee: Mapped[Money]
    session: Mapped[date]
    created_at: Mapped[Instant]


class CashEvent(Base):
    """The only way cash changes; the balance is the sum of this column."""

    __tablename__ = "cash_events"
    __table_args__ = (
        UniqueConstraint("fill_id", "kind"),
        UniqueConstraint("position_id", "action_id", "kind"),
        UniqueConstraint("key"),
    )

    id: Mapped[Id]
    kind: Mapped[CashKind] = mapped_column(choice(CashKind, "kind"))
    amount: Mapped[Money]
    fill_id: Mapped[UUID | None] = mapped_column(ForeignKey("fills.id"))
    position_id: Mapped[UUID | None] = mapped_column(ForeignKey("positions.id"))  # that the action paid
    action_id: Mapped[UUID | None] = mapped_column(ForeignKey("corporate_actions.id"))
    session: Mapped[date]
    note: Mapped[str]
    key: Mapped[str | None]  # of what a human paid in or out: asked for twice, it is booked once
    created_at: Mapped[Instant]


class TradeOutcome(Base):
    __tablename__ = "trade_outcomes"
    __table_args__ = (
        Index("ix_trade_outcomes_setup", "market_regime", "setup_type", "exit_time"),
        Index("ix_trade_outcomes_exit_time", "exit_time"),
    )

    id: Mapped[Id]
    position_id: Mapped[UUID] = mapped_column(ForeignKey("positions.id"), unique=True)
    symbol: Mapped[str]
    entry_time: Mapped[Instant]
    entry_price: Mapped[Price]
    exit_time: Mapped[Instant]
    exit_price: Mapped[Price]  # of the last sale
    quantity: Mapped[int]  # all shares that were sold
    pnl: Mapped[Money]  # net of fees
    fees: Mapped[Money]
    return_pct: Mapped[float]
    r_multiple: Mapped[float]
    mae_r: Mapped[float]
    mfe_r: Mapped[float]
    setup_type: Mapped[SetupType] = mapped_column(choice(SetupType, "setup_type"))
    entry_reason: Mapped[str]
    exit_reason: Mapped[ExitReason] = mapped_column(choice(ExitReason, "exit_reason"))
    market_regime: Mapped[Direction] = mapped_column(choice(Direction, "market_regime"))
    volatility: Mapped[Volatility] = mapped_column(choice(Volatility, "volatility"))
    vix_at_entry: Mapped[Decimal | None] = mapped_column(Numeric(8, 2))
    rsi_at_entry: Mapped[float | None]
    volume_ratio: Mapped[float | None]
    sector: Mapped[
        str | None
    ]  # as the desk knew it when the trade closed: what it is called later is no past
    llm_interaction_id: Mapped[UUID | None] = mapped_column(ForeignKey("llm_interactions.id"))
    strategy_params: Mapped[Json]
    parameters_version: Mapped[int] = mapped_column(ForeignKey("parameter_versions.version"))
    state_vector: Mapped[list[float] | None] = mapped_column(Vector(STATE_VECTOR_SIZE))
    desk_kind: Mapped[str]
    created_at: Mapped[Instant]
