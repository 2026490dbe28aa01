"""The account in a snapshot: positions, trades, closes, ladder, limits in force, what all of it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

from storage.records import (
    LimitInForce,
    LimitSource,
    Slot,
)
from storage.rows import fetch_all, fetch_one
from storage.snapshot import (
    EquityRow,
    LadderRow,
    LimitsRow,
    PositionRow,
    TradeRow,
    TradeTotals,
)

Connection = psycopg.Connection[tuple[object, ...]]

TRADES_SHOWN = 30
EQUITY_SHOWN = 250


def read_positions(connection: Connection) -> tuple[PositionRow, ...]:
    return fetch_all(connection, PositionRow, _POSITIONS)


def read_trades(connection: Connection) -> tuple[TradeRow, ...]:
    """The last closed trades, latest first."""
    return fetch_all(connection, TradeRow, _TRADES, [TRADES_SHOWN])


def read_equity(connection: Connection) -> tuple[EquityRow, ...]:
    """The last closes, oldest first."""
    return fetch_all(connection, EquityRow, _EQUITY, [EQUITY_SHOWN])[::-1]


def read_ladder(connection: Connection) -> LadderRow | None:
    return fetch_one(connection, LadderRow, _LADDER)


def read_limits(connection: Connection) -> LimitsRow | None:
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


def read_totals(connection: Connection) -> TradeTotals:
    trades = fetch_one(connection, _Trades, _TOTALS)
    denials = fetch_all(connection, _Count, _DENIALS)
    return TradeTotals(
        trades=trades.trades if trades else 0,
        wins=trades.wins if trades else 0,
        mean_r=trades.mean_r if trades else None,
        max_drawdown=trades.max_drawdown if trades else 0.0,
        denials=tuple((denial.name, denial.count) for denial in denials),
    )


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


_POSITIONS = """
    select p.id, p.symbol, p.shares, p.entry_session, p.entry_price, p.stop, p.target, p.last_close,
           p.last_session, p.max_hold,
           (select count(*) from runs
             where slot = 'settle' and state = 'done' and session > p.entry_session) as sessions_held,
           round((p.last_close - p.entry_price) * p.shares, 2) as unrealised,
           coalesce((p.last_close - p.entry_price) / nullif(p.entry_price - p.initial_stop, 0), 0) as r_now,
           greatest(p.entry_price - p.stop, 0) * p.shares
             / coalesce((select equity from equity order by session desc limit 1),
                        (select start_equity from desk)) as heat,
           (select short_id from approvals a where a.id = p.approval_id) as short_id,
           p.initial_stop, p.protected_by, p.unprotected_since,
           coalesce((select string_agg(r.verb || coalesce(' ' || round(r.stop, 2), '') || ', ' || r.state
                                       || ', by ' || r.asked_by, '; ' order by r.asked_at)
                       from position_requests r
                      where r.position_id = p.id and r.state in ('waiting', 'sent')), '') as asked,
           coalesce((p.target - p.entry_price) / nullif(p.entry_price - p.initial_stop, 0), 0) as target_r,
           (select nullif(looked.snapshot ->> 'atr14', '')::float8
              from (select session, technical_snapshot as snapshot from screener_results s
                     where s.symbol = p.symbol and s.session >= p.entry_session
                     union all
                    select session, technical_snapshot from deliberations d where d.symbol = p.symbol) looked
             where looked.snapshot ->> 'atr14' is not null order by looked.session desc limit 1) as atr,
           (select min(told.row ->> 'date')
              from vendor_cache c, jsonb_array_elements(
                     case jsonb_typeof(c.body) when 'array' then c.body else '[]' end) told(row)
             where c.endpoint = 'earnings' and c.symbol = p.symbol
               and told.row ->> 'date' >= p.last_session::text) as earnings_told,
           coalesce((select array_agg(t.text order by t.at, t.text)
                       from (select distinct on (n.text) n.text, n.kind, n.at from trade_notes n
                              where n.position_id = p.id and n.kind in ('tag', 'untag')
                              order by n.text, n.at desc, n.id desc) t
                      where t.kind = 'tag'), '{}') as tags
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
