"""What a replay came to, read back from its database alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal

import psycopg

from agents.market.bars import AssetType
from agents.market.history import HistoryPack
from agents.trading.benchmarks import BenchmarkInputs, benchmarks, closes_of
from agents.trading.slippage import SlippageRecord, SlippageSummary, measure, summarise
from storage.records import ActionKind, OrderSide
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
    benchmarks: Mapping[str, Decimal]  # final equity of the same money from the first session's close
    slippage: SlippageSummary  # of the entries, from the proposal's close
    regime_switches: int
    denials: Mapping[str, int]
    seconds: float


@dataclass(frozen=True)
class _Totals:
    name: str
    survivors: bool
    first_session: date
    last_session: date
    start_equity: Decimal
    final_equity: Decimal
    sessions: int
    trades: int
    win_rate: float | None
    mean_r: float | None
    max_drawdown: float
    regime_switches: int
    dividends: Decimal


@dataclass(frozen=True)
class _Exposure:
    session: date
    exposure: float


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


def read_report(conninfo: str, pack: HistoryPack, seconds: float) -> ReplayReport:
    """Everything but the benchmarks comes from the desk's rows; those come from the pack's closes."""
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        totals = fetch_one(connection, _Totals, _TOTALS)
        denials = fetch_all(connection, _Denial, _DENIALS)
        exposure = {row.session: row.exposure for row in fetch_all(connection, _Exposure, _EXPOSURE)}
        fills = fetch_all(connection, _EntryFill, _ENTRIES)
    assert totals is not None  # the desk was founded before it ran
    inputs = _inputs(pack, totals, exposure, pack.view(totals.last_session).index_symbol or "")
    return ReplayReport(
        desk=totals.name,
        stamps=(SURVIVORS,) if totals.survivors else (),
        first_session=totals.first_session,
        last_session=totals.last_session,
        sessions=totals.sessions,
        trades=totals.trades,
        win_rate=totals.win_rate,
        mean_r=totals.mean_r,
        start_equity=totals.start_equity,
        final_equity=totals.final_equity,
        max_drawdown=totals.max_drawdown,
        dividends=totals.dividends,
        benchmarks={found.name: found.final_equity for found in benchmarks(inputs)},
        slippage=summarise(_measured(fill) for fill in fills),
        regime_switches=totals.regime_switches,
        denials={denial.name: denial.count for denial in denials},
        seconds=round(seconds, 2),
    )


def _measured(entry: _EntryFill) -> SlippageRecord:
    return measure(**asdict(entry), side=OrderSide.BUY, simulated=True)


def _inputs(
    pack: HistoryPack, totals: _Totals, exposure: Mapping[date, float], index: str
) -> BenchmarkInputs:
    """What the same money could have bought, over the desk's own sessions."""
    stocks = [symbol for symbol, known in pack.instruments.items() if known.asset_type is AssetType.STOCK]
    paid = {
        action.ex_date: float(action.amount)
        for action in pack.actions.of(index)
        if action.kind is ActionKind.DIVIDEND
    }
    return BenchmarkInputs(
        sessions=tuple(pack.sessions(totals.first_session, totals.last_session)),
        start=totals.start_equity,
        index_symbol=index,
        index_closes=closes_of(pack.bars(index)),
        exposure=exposure,
        universe={symbol: closes_of(pack.bars(symbol)) for symbol in stocks},
        dividends=paid or None,
        survivors=totals.survivors,
    )


_TOTALS = """
    select name, survivors, first_session, last_session, start_equity,
           coalesce((select equity from equity order by session desc limit 1), start_equity) as final_equity,
           (select count(*) from runs where slot = 'digest') as sessions,
           (select count(*) from trade_outcomes) as trades,
           (select avg((pnl > 0)::int) from trade_outcomes) as win_rate,
           (select avg(r_multiple) from trade_outcomes) as mean_r,
           (select coalesce(max(drawdown), 0) from equity) as max_drawdown,
           (select count(*) from (select direction, lag(direction) over (order by session) as before
                                    from regime_readings) changes
             where before <> direction) as regime_switches,
           (select coalesce(sum(amount), 0) from cash_events where kind = 'dividend') as dividends
      from desk
"""

_DENIALS = """
    select denied_by as name, count(*) as count
      from (select denied_by from deliberations union all select denied_by from orders) denials
     where denied_by is not null group by 1 order by 1
"""

_EXPOSURE = "select session, (positions_value / nullif(equity, 0))::float8 as exposure from equity"

_ENTRIES = """
    select f.symbol, f.session, f.shares, a.close as decision_close, f.reference_price as reference,
           f.price as fill, (v.costs ->> 'market_bps')::float8 as assumed_bps
      from fills f
      join orders o on o.id = f.order_id
      join approvals a on a.id = o.approval_id
      join parameter_versions v on v.version = a.parameters_version
     where f.side = 'buy' order by f.session, f.symbol
"""
