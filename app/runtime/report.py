"""What a replay came to, read back from its database alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal

import psycopg

from agents.statistics import Estimate
from agents.trading.slippage import SlippageRecord, SlippageSummary, measure, summarise
from app.runtime.performance import read_performance
from storage.records import OrderSide
from storage.rows import fetch_all, fetch_one

SURVIVORS = "survivors"


@dataclass(frozen=True, kw_only=True)
class ReplayReport:
    """The result of a replay; money in dollars, win rate and drawdown as fractions, None without trades."""

    desk: str
    stamps: tuple[str, ...]  # what a reader must know before believing it
    first_session: date
    last_session: date
    sessions: int
    trades: int
    win_rate: float | None
    mean_r: float | None
    start_equity: Decimal
    final_equity: Decimal
    max_drawdown: float
    dividends: Decimal  # received; in the equity, in no trade's result
    model_spend: Decimal
    net_equity: Decimal  # the final equity after the models were paid
    benchmarks: Mapping[str, Decimal]  # final equity of the same money from the first session's close
    slippage: SlippageSummary  # of the entries, from the proposal's close
    regime_switches: int
    denials: Mapping[str, int]
    r: Estimate  # of a trade, with its 95% interval
    loop: LoopTotals
    seconds: float


@dataclass(frozen=True)
class LoopTotals:
    """What the nights came to; all 0 for a replay without them."""

    nights: int
    trials: int
    proposals: int
    refused: int
    approved: int  # into the shadow or into force, by whoever answers
    rejected: int
    promotions: int
    rollbacks: int
    expired: int
    alarms: int


@dataclass(frozen=True)
class _Totals:
    name: str
    survivors: bool
    first_session: date
    last_session: date
    sessions: int
    regime_switches: int


@dataclass(frozen=True)
class _EntryFill:
    symbol: str
    session: date
    shares: int
    decision_close: Decimal
    reference: Decimal
    fill: Decimal
    assumed_bps: float


@dataclass(frozen=True)
class _Denial:
    name: str
    count: int


def read_report(conninfo: str, seconds: float) -> ReplayReport:
    """Everything comes from the desk's rows; the benchmarks from the closes among them."""
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        totals = fetch_one(connection, _Totals, _TOTALS)
        denials = fetch_all(connection, _Denial, _DENIALS)
        loop = fetch_one(connection, LoopTotals, _LOOP)
        fills = fetch_all(connection, _EntryFill, _ENTRIES)
        performance = read_performance(connection)
    assert totals is not None and loop is not None  # the desk was founded before it ran
    return ReplayReport(
        desk=totals.name,
        stamps=(SURVIVORS,) if totals.survivors else (),
        first_session=totals.first_session,
        last_session=totals.last_session,
        sessions=totals.sessions,
        trades=performance.trades,
        win_rate=performance.wins / performance.trades if performance.trades else None,
        mean_r=performance.r.mean,
        start_equity=performance.start_equity,
        final_equity=performance.final_equity,
        max_drawdown=performance.max_drawdown,
        dividends=performance.dividends,
        model_spend=performance.model_usd,
        net_equity=performance.net_equity,
        benchmarks={found.name: found.final_equity for found in performance.benchmarks},
        slippage=summarise(_measured(fill) for fill in fills),
        regime_switches=totals.regime_switches,
        denials={denial.name: denial.count for denial in denials},
        r=performance.r,
        loop=loop,
        seconds=round(seconds, 2),
    )


def _measured(entry: _EntryFill) -> SlippageRecord:
    return measure(**asdict(entry), side=OrderSide.BUY, simulated=True)


_TOTALS = """
    select name, survivors, first_session, last_session,
           (select count(*) from runs where slot = 'digest') as sessions,
           (select count(*) from (select direction, lag(direction) over (order by session) as before
                                    from regime_readings) changes
             where before <> direction) as regime_switches
      from desk
"""

_LOOP = """
    select (select count(distinct session) from loop_stages) as nights,
           (select count(*) from trial_registry) as trials,
           count(*) filter (where status <> 'refused') as proposals,
           count(*) filter (where status = 'refused') as refused,
           count(*) filter (where decided_by is not null and status <> 'rejected') as approved,
           count(*) filter (where status = 'rejected') as rejected,
           count(*) filter (where applied_session is not null) as promotions,
           count(*) filter (where status = 'rolled_back') as rollbacks,
           count(*) filter (where status = 'expired') as expired,
           (select count(*) from operations where kind = 'loop') as alarms
      from strategy_adjustments
"""

_DENIALS = """
    select denied_by as name, count(*) as count
      from (select denied_by from deliberations union all select denied_by from orders) denials
     where denied_by is not null group by 1 order by 1
"""

_ENTRIES = """
    select f.symbol, f.session, f.shares, a.close as decision_close, f.reference_price as reference,
           f.price as fill, (v.costs ->> 'market_bps')::float8 as assumed_bps
      from fills f
      join orders o on o.id = f.order_id
      join approvals a on a.id = o.approval_id
      join parameter_versions v on v.version = a.parameters_version
     where f.side = 'buy' order by f.session, f.symbol
"""
