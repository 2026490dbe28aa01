"""What a replay came to, read back from its database alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import psycopg

from agents.market.bars import AssetType
from agents.market.history import HistoryPack
from storage.records import to_cents
from storage.rows import fetch_all, fetch_one

EQUAL_WEIGHT = "equal_weight_universe"
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
    benchmarks: Mapping[str, Decimal]  # final equity of buying and holding from the first session's close
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


@dataclass(frozen=True)
class _Denial:
    name: str
    count: int


def read_report(conninfo: str, pack: HistoryPack, seconds: float) -> ReplayReport:
    """Everything but the benchmarks comes from the desk's rows; those come from the pack's closes."""
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        totals = fetch_one(connection, _Totals, _TOTALS)
        denials = fetch_all(connection, _Denial, _DENIALS)
    assert totals is not None  # the desk was founded before it ran
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
        benchmarks=benchmarks(pack, totals.first_session, totals.last_session, totals.start_equity),
        regime_switches=totals.regime_switches,
        denials={denial.name: denial.count for denial in denials},
        seconds=round(seconds, 2),
    )


def benchmarks(pack: HistoryPack, first: date, last: date, start: Decimal) -> dict[str, Decimal]:
    """Buying and holding from the first close to the last: every stock in equal parts, then the index.

    Stocks that have no close on the first session are left out; prices only, no dividends.
    """
    stocks = [symbol for symbol, known in pack.instruments.items() if known.asset_type is AssetType.STOCK]
    growths = [growth for symbol in stocks if (growth := _growth(pack, symbol, first, last)) is not None]
    found = {}
    if growths:
        found[EQUAL_WEIGHT] = to_cents(start * Decimal(str(sum(growths) / len(growths))))
    index = pack.view(last).index_symbol
    growth = _growth(pack, index, first, last) if index else None
    if index and growth is not None:
        found[f"{index} price only"] = to_cents(start * Decimal(str(growth)))
    return found


def _growth(pack: HistoryPack, symbol: str, first: date, last: date) -> float | None:
    bought = pack.bars(symbol).on(first)
    sold = pack.bars(symbol).upto(last).last
    return sold.close / bought.close if bought and sold else None


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
             where before <> direction) as regime_switches
      from desk
"""

_DENIALS = """
    select denied_by as name, count(*) as count
      from (select denied_by from deliberations union all select denied_by from orders) denials
     where denied_by is not null group by 1 order by 1
"""
