"""What models have cost, for a DeskSnapshot: read with psycopg alone, in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import psycopg

from storage.rows import fetch_all, fetch_one
from storage.snapshot import AgentSpendRow, ModelCallRow, ModelSpendRow, ParkRow, SpendRow
from storage.spending import SpendLimits, Standing


def read_spend(connection: psycopg.Connection[tuple[object, ...]]) -> SpendRow:
    """The budget as of the transaction's start."""
    sums = fetch_one(connection, _Sums, _SUMS)
    assert sums is not None
    limits = fetch_one(connection, SpendLimits, _LIMITS)
    standing = None
    if limits is not None:
        standing = Standing(
            at=sums.at,
            caps=limits.caps(sums.equity),
            today_usd=sums.today_usd - sums.held_today_usd,
            month_usd=sums.month_usd - sums.held_usd,
        )
    return SpendRow(
        today_usd=sums.today_usd,
        month_usd=sums.month_usd,
        total_usd=sums.total_usd,
        calls=sums.calls,
        uncertain_usd=sums.uncertain_usd,
        held_usd=sums.held_usd,
        over_reported=sums.over_reported,
        standing=standing,
        agents=fetch_all(connection, AgentSpendRow, _AGENTS),
        models=fetch_all(connection, ModelSpendRow, _MODELS),
        parks=fetch_all(connection, ParkRow, _PARKS),
        last=fetch_one(connection, ModelCallRow, _LAST),
    )


@dataclass(frozen=True)
class _Sums:
    at: datetime
    equity: Decimal | None
    today_usd: Decimal
    month_usd: Decimal
    held_today_usd: Decimal
    held_usd: Decimal
    uncertain_usd: Decimal
    over_reported: int
    total_usd: Decimal
    calls: int


_SUMS = """
    select now() as at,
           coalesce((select equity from equity order by session desc limit 1),
                    (select start_equity from desk)) as equity,
           coalesce(sum(cost_usd) filter (where today), 0) as today_usd,
           coalesce(sum(cost_usd), 0) as month_usd,
           coalesce(sum(cost_usd) filter (where today and state = 'reserved'), 0) as held_today_usd,
           coalesce(sum(cost_usd) filter (where state = 'reserved'), 0) as held_usd,
           coalesce(sum(cost_usd) filter (where state = 'uncertain'), 0) as uncertain_usd,
           count(*) filter (where over_reported) as over_reported,
           (select coalesce(sum(cost_usd), 0) from llm_interactions) as total_usd,
           (select count(*) from llm_interactions) as calls
      from (select *, created_at >= date_trunc('day', now(), 'UTC') as today from llm_interactions
             where created_at >= date_trunc('month', now(), 'UTC')) this_month
"""

_LIMITS = """
    select call_usd, agent_day_usd, day_usd, month_usd, equity_share_year from spend_limits
"""

_AGENTS = """
    select agent_name as agent, count(*) as calls,
           coalesce(sum(cost_usd) filter (where created_at >= date_trunc('day', now(), 'UTC')), 0)
             as today_usd,
           sum(cost_usd) as month_usd
      from llm_interactions where created_at >= date_trunc('month', now(), 'UTC')
     group by 1 order by 4 desc, 1
"""

_MODELS = """
    select model, count(*) as calls, sum(cost_usd) as month_usd,
           sum(cache_read_tokens)::float8
             / nullif(sum(input_tokens + cache_write_tokens + cache_read_tokens), 0) as cache_share
      from llm_interactions where created_at >= date_trunc('month', now(), 'UTC')
     group by 1 order by 3 desc, 1
"""

_PARKS = """
    select max(parked_until) as until, case park_scope when 'key' then '' else model end as model,
           (array_agg(coalesce(error_message, '') order by parked_until desc))[1] as because
      from llm_interactions where parked_until > now()
     group by 2 order by 1 desc
"""

_LAST = """
    select created_at as at, agent_name as agent, model, state, cost_usd,
           coalesce(error_message, '') as error, price_source, price_date
      from llm_interactions order by created_at desc, id desc limit 1
"""
