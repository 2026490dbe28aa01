"""The approvals of a snapshot, with the argument behind each: pending ones first, then the latest decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from storage.evening import consensus_of
from storage.records import (
    AgentName,
    ApprovalState,
    LimitCheck,
    OrderState,
    Recommendation,
    SetupType,
    Stance,
    TradeTerms,
)
from storage.rows import fetch_all, fetch_one
from storage.snapshot import (
    ApprovalRow,
    FigureRow,
    VoteRow,
)
from storage.standstill import MissedRow

Connection = psycopg.Connection[tuple[object, ...]]

DECIDED_SHOWN = 20


def read_approvals(connection: Connection) -> tuple[ApprovalRow, ...]:
    """Those that wait, and the last decided ones."""
    return _approvals(connection, _LISTED, [DECIDED_SHOWN])


def read_missed(connection: Connection) -> MissedRow | None:
    """What was not traded came to; None where there is nothing to tell."""
    return fetch_one(connection, MissedRow, _MISSED)


def read_approval(connection: Connection, approval_id: UUID) -> ApprovalRow | None:
    """One approval as it stands."""
    return next(iter(_approvals(connection, "where a.id = %s", [approval_id])), None)


@dataclass(frozen=True)
class _Approval:
    """A row of approvals with its order and its deliberation's checks, before it is put together."""

    id: UUID
    deliberation_id: UUID
    short_id: str
    state: ApprovalState
    digest: str
    symbol: str
    setup_type: SetupType
    entry_session: date
    min_entry: Decimal
    max_entry: Decimal
    stop: Decimal
    target: Decimal
    max_shares: int
    max_risk: Decimal
    max_hold: int
    parameters_version: int
    limits: Mapping[str, float]
    risky: bool
    risky_reasons: tuple[str, ...]
    recommendation: Recommendation
    reasoning: str
    checks: tuple[Mapping[str, Any], ...]
    argument: Mapping[str, object]  # the deliberation's columns
    facts: tuple[tuple[str, ...], ...]
    close: Decimal
    created_session: date
    expires_at: datetime | None
    decided_by: str
    decided_at: datetime | None
    decision_reason: str
    effective_at: datetime | None
    order_state: OrderState | None
    order_note: str
    what_if_r: float | None


@dataclass(frozen=True)
class _Vote:
    deliberation_id: UUID
    agent: AgentName
    stance: Stance
    conviction: float | None
    source: str
    reason: str
    veto_only: bool
    figures: tuple[Mapping[str, Any], ...]
    flags: tuple[str, ...]
    cost_usd: Decimal | None


def _approvals(connection: Connection, which: str, parameters: list[object]) -> tuple[ApprovalRow, ...]:
    rows = fetch_all(connection, _Approval, _APPROVALS + which, parameters)
    votes = fetch_all(connection, _Vote, _VOTES, [[row.deliberation_id for row in rows]])
    return tuple(_approval(row, votes) for row in rows)


def _approval(row: _Approval, votes: tuple[_Vote, ...]) -> ApprovalRow:
    return ApprovalRow(
        id=row.id,
        short_id=row.short_id,
        state=row.state,
        digest=row.digest,
        terms=TradeTerms(
            symbol=row.symbol,
            setup_type=row.setup_type,
            entry_session=row.entry_session,
            min_entry=row.min_entry,
            max_entry=row.max_entry,
            stop=row.stop,
            target=row.target,
            max_shares=row.max_shares,
            max_risk=row.max_risk,
            max_hold=row.max_hold,
            parameters_version=row.parameters_version,
            limits=row.limits,
        ),
        risky=row.risky,
        risky_reasons=row.risky_reasons,
        recommendation=row.recommendation,
        reasoning=row.reasoning,
        checks=tuple(LimitCheck(**check) for check in row.checks),
        votes=tuple(
            VoteRow(
                agent=vote.agent,
                stance=vote.stance,
                conviction=vote.conviction,
                source=vote.source,
                reason=vote.reason,
                veto_only=vote.veto_only,
                figures=tuple(
                    FigureRow(
                        name=str(figure["name"]), value=float(figure["value"]), source=str(figure["source"])
                    )
                    for figure in vote.figures
                ),
                flags=vote.flags,
                cost_usd=vote.cost_usd,
            )
            for vote in votes
            if vote.deliberation_id == row.deliberation_id
        ),
        consensus=consensus_of(row.argument),
        contradictions=_texts(row.argument["contradictions"]),
        facts=tuple((fact[0], fact[1]) for fact in row.facts),
        close=row.close,
        created_session=row.created_session,
        expires_at=row.expires_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
        effective_at=row.effective_at,
        order_state=row.order_state,
        order_note=row.order_note,
        what_if_r=row.what_if_r,
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


_APPROVALS = """
    select a.id, a.deliberation_id, a.short_id, a.state, a.digest, a.symbol, a.setup_type, a.entry_session,
           a.min_entry, a.max_entry, a.stop, a.target, a.max_shares, a.max_risk, a.max_hold,
           a.parameters_version, a.limits, a.risky, a.risky_reasons, a.recommendation, a.reasoning, d.checks,
           to_jsonb(d) - 'checks' - 'technical_snapshot' as argument,
           a.facts, a.close, a.created_session, a.expires_at, coalesce(a.decided_by, '') as decided_by,
           a.decided_at, coalesce(a.decision_reason, '') as decision_reason, a.effective_at,
           o.state as order_state, coalesce(o.note, '') as order_note, a.what_if_r
      from approvals a
      join deliberations d on d.id = a.deliberation_id
      left join orders o on o.approval_id = a.id
"""

_LISTED = """
     where a.state = 'pending' or a.id in (
           select id from approvals where state <> 'pending'
            order by entry_session desc, decided_at desc nulls last, symbol limit %s)
     order by (a.state = 'pending') desc, a.entry_session desc, d.rank, a.symbol
"""

# By the sessions of the desk, whose clock is not always the wall's.
_MISSED = """
    with last as (select max(session) as session from equity)
    select count(*) filter (where state = 'expired' and entry_session > last.session - 7) as expired,
           count(*) filter (where state = 'expired' and what_if_note is null
                              and entry_session > last.session - 7) as running,
           coalesce(sum(what_if_r) filter (
               where state = 'expired' and entry_session > last.session - 7), 0) as expired_r,
           count(*) filter (where state = 'rejected') as rejected,
           coalesce(sum(what_if_r) filter (where state = 'rejected'), 0) as rejected_r
      from approvals, last
     where (state = 'expired' or (state = 'rejected' and what_if_r is not null))
       and entry_session > last.session - 31
    having count(*) > 0
"""

_VOTES = """
    select v.deliberation_id, v.agent_name as agent, v.stance, v.conviction, v.source, v.reason, v.veto_only,
           v.figures, v.flags,
           (select sum(tried.cost_usd) from llm_interactions tried
             where tried.session = i.session and tried.agent_name = i.agent_name
               and tried.question = i.question and tried.idempotency_key = i.idempotency_key) as cost_usd
      from votes v left join llm_interactions i on i.id = v.interaction_id
     where v.deliberation_id = any(%s)
     order by v.veto_only, array_position(array['research', 'news', 'strategy', 'risk'], v.agent_name::text)
"""
