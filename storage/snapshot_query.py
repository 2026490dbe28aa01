"""The SQL behind a DeskSnapshot, all of it in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from storage.absence import standing_absence
from storage.changes import read_changes, read_night
from storage.evening import read_evening
from storage.halt import standing_halt
from storage.quota_query import read_quota
from storage.reconciliation import read_unexplained
from storage.records import (
    Queue,
)
from storage.rows import fetch_all, fetch_one
from storage.snapshot import (
    AgentRow,
    DeskHeader,
    DeskSnapshot,
    LeaderRow,
    OperationRow,
    QueueRow,
    RegimeRow,
    RunRow,
    SlotRow,
    WatchRow,
)
from storage.snapshot_approvals import read_approvals, read_missed
from storage.snapshot_book import (
    read_equity,
    read_ladder,
    read_limits,
    read_positions,
    read_totals,
    read_trades,
)
from storage.snapshot_spend import read_spend

Connection = psycopg.Connection[tuple[object, ...]]

RUNS_SHOWN = 60
OPERATIONS_SHOWN = 30
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
        halt=standing_halt(connection),
        absence=standing_absence(connection),
        missed=read_missed(connection),
        watch=fetch_all(connection, WatchRow, _WATCH, {"closes": CLOSES_SHOWN}),
        approvals=read_approvals(connection),
        positions=read_positions(connection),
        differences=read_unexplained(connection),
        trades=read_trades(connection),
        equity=read_equity(connection),
        ladder=read_ladder(connection),
        limits=read_limits(connection),
        agents=fetch_all(connection, AgentRow, _AGENTS),
        runs=fetch_all(connection, RunRow, _RUNS, [RUNS_SHOWN]),
        leader=fetch_one(connection, LeaderRow, _LEADER),
        queues=fetch_all(connection, QueueRow, _QUEUES, [WORKER_GONE_S, list(Queue)]),
        schedule=fetch_all(connection, SlotRow, _SCHEDULE),
        operations=fetch_all(connection, OperationRow, _OPERATIONS, [OPERATIONS_SHOWN]),
        evening=read_evening(connection),
        totals=read_totals(connection),
        changes=read_changes(connection),
        night=read_night(connection),
        quota=read_quota(connection),
        spend=read_spend(connection),
    )


@dataclass(frozen=True)
class _Instant:
    at: datetime
    followed: int


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
