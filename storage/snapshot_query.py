"""The SQL behind a DeskSnapshot, all of it in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from storage.evening import consensus_of, read_evening
from storage.quota_query import read_quota
from storage.records import (
    AgentName,
    ApprovalState,
    LimitCheck,
    LimitInForce,
    LimitSource,
    OrderState,
    Queue,
    Recommendation,
    SetupType,
    Slot,
    Stance,
    TradeTerms,
)
from storage.rows import fetch_all, fetch_one
from storage.snapshot import (
    AgentRow,
    ApprovalRow,
    DeskHeader,
    DeskSnapshot,
    EquityRow,
    FigureRow,
    LadderRow,
    LeaderRow,
    LimitsRow,
    OperationRow,
    PositionRow,
    QueueRow,
    RegimeRow,
    RunRow,
    SlotRow,
    TradeRow,
    TradeTotals,
    VoteRow,
    WatchRow,
)
from storage.snapshot_spend import read_spend

Connection = psycopg.Connection[tuple[object, ...]]

DECIDED_SHOWN = 20
TRADES_SHOWN = 30
RUNS_SHOWN = 60
OPERATIONS_SHOWN = 30
EQUITY_SHOWN = 250
CLOSES_SHOWN = 60
WORKER_GONE_S = 15  # a worker says every few seconds that it lives


def read_snapshot(connection: Connection) -> DeskSnapshot | None:
    """The desk as of the transaction's start; None before the desk was founded."""
    header = fetch_one(connection, DeskHeader, _HEADER)
    if header is None:
        return None
    now = fetch_one(connection, _Instant, _INSTANT)
    assert now is not None
    return DeskSnapshot(
        taken_at=now.at,
        header=header,
        regime=fetch_one(connection, RegimeRow, _REGIME),
        followed=now.followed,
        watch=fetch_all(connection, WatchRow, _WATCH, {"closes": CLOSES_SHOWN}),
        approvals=_approvals(connection, _LISTED, [DECIDED_SHOWN]),
        positions=fetch_all(connection, PositionRow, _POSITIONS),
        trades=fetch_all(connection, TradeRow, _TRADES, [TRADES_SHOWN]),
        equity=fetch_all(connection, EquityRow, _EQUITY, [EQUITY_SHOWN])[::-1],
        ladder=fetch_one(connection, LadderRow, _LADDER),
        limits=_limits(connection),
        agents=fetch_all(connection, AgentRow, _AGENTS),
        runs=fetch_all(connection, RunRow, _RUNS, [RUNS_SHOWN]),
        leader=fetch_one(connection, LeaderRow, _LEADER),
        queues=fetch_all(connection, QueueRow, _QUEUES, [WORKER_GONE_S, list(Queue)]),
        schedule=fetch_all(connection, SlotRow, _SCHEDULE),
        operations=fetch_all(connection, OperationRow, _OPERATIONS, [OPERATIONS_SHOWN]),
        evening=read_evening(connection),
        totals=_totals(connection),
        quota=read_quota(connection),
        spend=read_spend(connection),
    )


def read_approval(connection: Connection, approval_id: UUID) -> ApprovalRow | None:
    """One approval as it stands."""
    return next(iter(_approvals(connection, "where a.id = %s", [approval_id])), None)


@dataclass(frozen=True)
class _Instant:
    at: datetime
    followed: int


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


@dataclass(frozen=True)
class _Count:
    name: str
    count: int


@dataclass(frozen=True)
class _Limits:
    session: date
    slot: Slot
    limits: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class _Trades:
    trades: int
    wins: int
    mean_r: float | None
    max_drawdown: float


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
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _limits(connection: Connection) -> LimitsRow | None:
    row = fetch_one(connection, _Limits, _LIMITS)
    if row is None:
        return None
    return LimitsRow(
        session=row.session,
        slot=row.slot,
        limits=tuple(
            LimitInForce(**{**limit, "source": LimitSource(str(limit["source"]))}) for limit in row.limits
        ),
    )


def _totals(connection: Connection) -> TradeTotals:
    trades = fetch_one(connection, _Trades, _TOTALS)
    denials = fetch_all(connection, _Count, _DENIALS)
    return TradeTotals(
        trades=trades.trades if trades else 0,
        wins=trades.wins if trades else 0,
        mean_r=trades.mean_r if trades else None,
        max_drawdown=trades.max_drawdown if trades else 0.0,
        denials=tuple((denial.name, denial.count) for denial in denials),
    )


_INSTANT = """
    select now() as at, (select count(*) from watchlist where removed_at is null)::int as followed
"""
_HEADER = """
    select name, kind, state, verdict_mode, history_title, survivors, first_session, last_session,
           case when clock_anchor is not null then clock_from + (now() - clock_anchor) * clock_speed
                when kind = 'history' then desk_time
                else now() end as desk_time, clock_speed,
           coalesce((select heartbeat_at from leadership), host_seen_at) as host_seen_at,
           start_equity, sessions_total,
           (select max(session) from runs where slot = 'settle' and state = 'done') as session,
           (select count(*) from runs where slot = 'digest' and state = 'done') as sessions_done
      from desk
"""

_REGIME = """
    select session, direction, volatility, bear_probability, index_symbol, index_close, sma200,
           index_close / sma200 - 1 as distance, volatility_source, volatility_value,
           since, standing, source, comment, flags
      from regime_readings order by session desc limit 1
"""

# Bars are kept as they were traded. Those before a split are brought to the basis of the newest one, or a
# split would read as a fall; a ratio that `corporate.py` calls absurd is none.
_WATCH = """
    with screened as (
        select * from screener_results
         where session = (select max(session) from runs where slot = 'screen' and state = 'done')
    ), watched as (
        select symbol from screened
        union select symbol from positions where state = 'open'
        union select symbol from approvals where state = 'pending'
    )
    select w.symbol, i.name, coalesce(i.sector, '') as sector, b.closes[1] as close,
           b.closes[1] / nullif(b.closes[2], 0) - 1 as change, b.sessions[1] as bar_session,
           s.composite_score as score, (s.technical_snapshot ->> 'rsi14')::float8 as rsi14,
           s.thesis, s.confidence, coalesce(s.source, '') as source, coalesce(s.reasoning, '') as reasoning,
           exists (select 1 from positions p where p.symbol = w.symbol and p.state = 'open') as held,
           coalesce((select array_agg(close order by nr desc)
                       from unnest(b.closes) with ordinality as c (close, nr)), '{}') as closes
      from watched w
      join instruments i on i.symbol = w.symbol
      left join screened s on s.symbol = w.symbol
      left join lateral (
          select array_agg(adjusted.close order by adjusted.session desc) as closes,
                 array_agg(adjusted.session order by adjusted.session desc) as sessions
            from (select last.session, last.close::float8 / coalesce(exp(sum(ln(a.value))), 1) as close
                    from (select close, session, max(session) over () as newest from bars
                           where symbol = w.symbol and close is not null
                           order by session desc limit %(closes)s) last
                    left join corporate_actions a
                      on a.symbol = w.symbol and a.kind = 'split' and a.value between 0.01 and 100
                     and a.ex_date > last.session and a.ex_date <= last.newest
                   group by last.session, last.close) adjusted
      ) b on true
     order by s.composite_score desc nulls last, w.symbol
"""

_APPROVALS = """
    select a.id, a.deliberation_id, a.short_id, a.state, a.digest, a.symbol, a.setup_type, a.entry_session,
           a.min_entry, a.max_entry, a.stop, a.target, a.max_shares, a.max_risk, a.max_hold,
           a.parameters_version, a.limits, a.risky, a.risky_reasons, a.recommendation, a.reasoning, d.checks,
           to_jsonb(d) - 'checks' - 'technical_snapshot' as argument,
           a.facts, a.close, a.created_session, a.expires_at, coalesce(a.decided_by, '') as decided_by,
           a.decided_at, coalesce(a.decision_reason, '') as decision_reason, a.effective_at,
           o.state as order_state, coalesce(o.note, '') as order_note
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

_POSITIONS = """
    select p.id, p.symbol, p.shares, p.entry_session, p.entry_price, p.stop, p.target, p.last_close,
           p.last_session, p.max_hold,
           (select count(*) from runs
             where slot = 'settle' and state = 'done' and session > p.entry_session) as sessions_held,
           round((p.last_close - p.entry_price) * p.shares, 2) as unrealised,
           coalesce((p.last_close - p.entry_price) / nullif(p.entry_price - p.initial_stop, 0), 0) as r_now,
           greatest(p.entry_price - p.stop, 0) * p.shares
             / coalesce((select equity from equity order by session desc limit 1),
                        (select start_equity from desk)) as heat
      from positions p where p.state = 'open' order by p.symbol
"""

_TRADES = """
    select t.symbol, t.setup_type, p.entry_session, p.closed_session as exit_session, t.exit_reason,
           t.quantity as shares, t.pnl, t.r_multiple
      from trade_outcomes t join positions p on p.id = t.position_id
     order by p.closed_session desc, t.symbol limit %s
"""

_EQUITY = """
    select session, equity, cash, heat, drawdown, day_return, unsettled, settles_on
      from equity order by session desc limit %s
"""

_LADDER = """
    select session, rung, drawdown, halted_since, probation_left
      from ladder_readings order by session desc limit 1
"""

_LIMITS = """
    select session, slot, result -> 'limits' as limits
      from runs where slot in ('deliberate', 'open') and state = 'done' and result ? 'limits'
     order by desk_time desc limit 1
"""

# What an agent did last: on a desk with a schedule its last run, in a replay the votes and readings of a day.
_AGENTS = """
    with metrics as (
        select m.*, coalesce(
                   (select string_agg(distinct v.source, ', ') from votes v
                      join deliberations d on d.id = v.deliberation_id
                     where v.agent_name = m.agent_name and d.session = m.date),
                   (select r.source from regime_readings r
                     where r.session = m.date and m.agent_name = 'regime'), '') as source
          from agent_metrics m
          join (select agent_name, max(date) as date from agent_metrics
                 where tasks_completed + abstained > 0 group by 1) latest
            on (latest.agent_name, latest.date) = (m.agent_name, m.date)
    ), taking_part as (
        select unnest(agents) as agent_name, slot, due_at from schedule
    ), worked as (
        select t.agent_name, r.state, r.state in ('done', 'skipped', 'failed') as ended,
               r.desk_time, r.session,
               max(r.desk_time) filter (where r.state = 'done') over (partition by t.agent_name) as done_at,
               r.summary, r.seconds
          from runs r join taking_part t on t.slot = r.slot
    ), last as (
        select distinct on (agent_name) agent_name, session, summary, seconds
          from worked where ended order by agent_name, desk_time desc, session desc
    ), next as (
        select distinct on (agent_name) agent_name, slot, due_at
          from taking_part order by agent_name, due_at, slot
    )
    select coalesce(a.agent_name, m.agent_name) as agent, coalesce(m.source, '') as source,
           coalesce(last.session, m.date) as last_session,
           coalesce(m.tasks_completed + m.abstained, 0) as tasks, coalesce(m.abstained, 0) as abstained,
           m.success_rate, coalesce(last.seconds * 1000, m.avg_latency_ms) as latency_ms,
           coalesce(last.summary, m.tasks_completed || ' done' || case when m.abstained > 0
               then ', ' || m.abstained || ' abstained' else '' end, '') as last_result,
           a.symbol, a.working_since, a.paused_by, a.paused_at,
           next.slot as next_slot, next.due_at as next_due_at,
           (select count(*) from worked w
             where w.agent_name = a.agent_name and w.state = 'failed'
               and w.desk_time > coalesce(w.done_at, '-infinity')) as failures
      from agent_states a
      full join metrics m on m.agent_name = a.agent_name
      left join last on last.agent_name = a.agent_name
      left join next on next.agent_name = a.agent_name
     order by array_position(array['regime', 'research', 'news', 'strategy', 'risk', 'learning'],
                             coalesce(a.agent_name, m.agent_name)::text)
"""

_RUNS = """
    select agent, slot, session, state, summary, desk_time, late_s, seconds, attempts, asked_by, finished_at
      from runs order by desk_time desc, session desc, id desc limit %s
"""

_LEADER = """
    select epoch, host, pid, since, heartbeat_at, ended_at, stop_asked_at,
           coalesce(stop_asked_by, '') as stop_asked_by
      from leadership
"""

_QUEUES = """
    select queue, coalesce(j.waiting, 0) as waiting, coalesce(j.running, 0) as running,
           (select count(*) from workers
             where queue = any(queues) and seen_at > now() - make_interval(secs => %s)) as workers
      from unnest(%s::text[]) as queue
      left join (select queue_name, count(*) filter (where status = 'todo') as waiting,
                        count(*) filter (where status = 'doing') as running
                   from procrastinate.procrastinate_jobs
                  where status in ('todo', 'doing') group by 1) j on j.queue_name = queue
"""

_SCHEDULE = """
    select slot, session, due_at, agents, lacks from schedule order by due_at, slot
"""

_OPERATIONS = """
    select at, kind, who, text from operations order by at desc, id desc limit %s
"""

_TOTALS = """
    select count(*) as trades, count(*) filter (where pnl > 0) as wins, avg(r_multiple) as mean_r,
           (select coalesce(max(drawdown), 0) from equity) as max_drawdown
      from trade_outcomes
"""

_DENIALS = """
    select denied_by as name, count(*) as count
      from (select denied_by from deliberations union all select denied_by from orders) denials
     where denied_by is not null group by 1 order by 2 desc, 1
"""
