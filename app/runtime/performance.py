"""What a desk has earned and what the same money could have bought, from its own rows alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import psycopg

from agents.market.bars import BENCHMARK_FUND, BENCHMARK_INDEX
from agents.statistics import Estimate, mean_interval
from agents.trading.benchmarks import Benchmark, BenchmarkInputs, benchmarks
from agents.trading.limits import EquityPoint, time_weighted
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

BILL_RATE = "^IRX"  # closes are the yield of 13-week Treasury bills, in percent


@dataclass(frozen=True, kw_only=True)
class Performance:
    """A desk from its first settled close to its last; dollars, returns and drawdown as fractions.

    The return is time-weighted: money paid in or out earns and loses nothing. `benchmarks` begin with the
    equity of the first close. `unknown` says what could not be told, each in a sentence.
    """

    first_session: date | None
    last_session: date | None
    sessions: int
    start_equity: Decimal
    final_equity: Decimal
    paid_in: Decimal  # after the opening balance; below zero when more was taken out
    total_return: float
    max_drawdown: float
    exposure: float | None  # mean fraction of equity in positions
    dividends: Decimal  # received; in the equity
    trades: int
    wins: int
    r: Estimate
    model_usd: Decimal
    model_calls: int
    benchmarks: tuple[Benchmark, ...]
    unknown: tuple[str, ...]

    @property
    def net_equity(self) -> Decimal:
        """The equity after the models were paid, which the account itself does not pay."""
        return self.final_equity - self.model_usd


@dataclass(frozen=True)
class _Close:
    session: date
    equity: Decimal
    flow: Decimal
    exposure: float


@dataclass(frozen=True)
class _Money:
    start_equity: Decimal
    survivors: bool
    dividends: Decimal
    model_usd: Decimal
    model_calls: int
    actions: int


@dataclass(frozen=True)
class _Trade:
    pnl: Decimal
    r_multiple: float


@dataclass(frozen=True)
class _Price:
    symbol: str
    session: date
    close: float


@dataclass(frozen=True)
class _Paid:
    """A split's ratio or a dividend's dollars a share."""

    symbol: str
    ex_date: date
    value: float


def read_performance(connection: Connection) -> Performance:
    """Everything that the desk's rows tell; a desk that has settled nothing has earned nothing."""
    money = fetch_one(connection, _Money, _MONEY)
    assert money is not None  # the desk was founded before it was read
    closes = fetch_all(connection, _Close, _CLOSES)
    trades = fetch_all(connection, _Trade, _TRADES)
    points = [EquityPoint(session=row.session, equity=row.equity, flow=row.flow) for row in closes]
    index = [float(point.index) for point in time_weighted(points)]
    compared, unknown = _compared(connection, closes, money)
    return Performance(
        first_session=closes[0].session if closes else None,
        last_session=closes[-1].session if closes else None,
        sessions=len(closes),
        start_equity=money.start_equity,
        final_equity=closes[-1].equity if closes else money.start_equity,
        paid_in=sum((row.flow for row in closes), Decimal(0)) - money.start_equity if closes else Decimal(0),
        total_return=_total_return(closes, index, money.start_equity),
        max_drawdown=_max_drawdown(index),
        exposure=sum(row.exposure for row in closes) / len(closes) if closes else None,
        dividends=money.dividends,
        trades=len(trades),
        wins=sum(trade.pnl > 0 for trade in trades),
        r=mean_interval([trade.r_multiple for trade in trades]),
        model_usd=money.model_usd,
        model_calls=money.model_calls,
        benchmarks=compared,
        unknown=unknown,
    )


def _total_return(closes: tuple[_Close, ...], index: list[float], start: Decimal) -> float:
    """Time-weighted; the first session's result, without its flow, counts against the opening balance."""
    if not closes or start <= 0:
        return 0.0
    earned = closes[0].equity - (closes[0].flow - start)
    return float(earned / start) * index[-1] - 1


def _max_drawdown(index: Iterable[float]) -> float:
    highest, worst = 0.0, 0.0
    for value in index:
        highest = max(highest, value)
        worst = max(worst, 1 - value / highest if highest > 0 else 0.0)
    return worst


def _compared(
    connection: Connection, closes: tuple[_Close, ...], money: _Money
) -> tuple[tuple[Benchmark, ...], tuple[str, ...]]:
    """The benchmarks that the desk's rows allow, and why the others are missing."""
    if not closes or closes[0].equity <= 0:
        return (), ("nothing has settled yet: there is nothing to compare",)
    span = {"first": closes[0].session, "last": closes[-1].session}
    splits = fetch_all(connection, _Paid, _ACTIONS, {"kind": "split", **span})
    prices: dict[str, dict[date, float]] = defaultdict(dict)
    funds = [BENCHMARK_FUND, BENCHMARK_INDEX, BILL_RATE]
    for row in fetch_all(connection, _Price, _INDEX, {"symbols": funds, **span}):
        prices[row.symbol][row.session] = row.close / _ratio(splits, row.symbol, row.session)
    universe: dict[str, dict[date, float]] = defaultdict(dict)
    for row in fetch_all(connection, _Price, _UNIVERSE, span):
        universe[row.symbol][row.session] = row.close / _ratio(splits, row.symbol, row.session)
    index = next((symbol for symbol in funds[:2] if span["first"] in prices[symbol]), BENCHMARK_FUND)
    paid = {
        row.ex_date: row.value / _ratio(splits, index, row.ex_date)
        for row in fetch_all(connection, _Paid, _ACTIONS, {"kind": "dividend", **span})
        if row.symbol == index
    }
    rates = {session: percent / 100 for session, percent in prices[BILL_RATE].items()}
    inputs = BenchmarkInputs(
        sessions=tuple(row.session for row in closes),
        start=closes[0].equity,
        index_symbol=index,
        index_closes=prices[index],
        exposure={row.session: row.exposure for row in closes},
        universe=universe,
        dividends=paid or None,
        bill_rates=rates or None,
        survivors=money.survivors,
    )
    missing = {
        f"no close of {index} on {span['first']}: the index is not compared": not prices[index],
        f"the dividends of {index} are not known: no total return": not paid,
        "no bill rate is known: idle cash earns nothing here": not rates,
        "no corporate action is on record: a split would distort the universe": not money.actions,
    }
    return benchmarks(inputs), tuple(words for words, is_missing in missing.items() if is_missing)


def _ratio(splits: tuple[_Paid, ...], symbol: str, session: date) -> float:
    """By how much splits after a session made more shares of one."""
    ratio = 1.0
    for split in splits:
        if split.symbol == symbol and split.ex_date > session:
            ratio *= split.value
    return ratio


_MONEY = """
    select start_equity, survivors,
           (select coalesce(sum(amount), 0) from cash_events where kind = 'dividend') as dividends,
           (select coalesce(sum(cost_usd), 0) from llm_interactions) as model_usd,
           (select count(*) from llm_interactions) as model_calls,
           (select count(*) from corporate_actions) as actions
      from desk
"""

# What was paid in since the close before counts as the flow of a session.
_CLOSES = """
    select e.session, e.equity, coalesce(e.positions_value / nullif(e.equity, 0), 0)::float8 as exposure,
           coalesce((select sum(c.amount) from cash_events c
                      where c.kind in ('deposit', 'withdrawal') and c.session <= e.session
                        and c.session > e.before), 0) as flow
      from (select *, coalesce(lag(session) over (order by session), '-infinity') as before from equity) e
     order by e.session
"""

_TRADES = "select pnl, r_multiple from trade_outcomes order by exit_time, symbol"

_INDEX = """
    select symbol, session, close from bars
     where symbol = any(%(symbols)s) and session between %(first)s and %(last)s and close > 0
"""

# The first close and the last: a benchmark that is bought and held asks for no other.
_UNIVERSE = """
    select b.symbol, b.session, b.close
      from instruments i
      join lateral (
          (select symbol, session, close from bars
            where symbol = i.symbol and session = %(first)s and close > 0)
          union all
          (select symbol, session, close from bars
            where symbol = i.symbol and session > %(first)s and session <= %(last)s and close > 0
            order by session desc limit 1)
      ) b on true
     where i.asset_type = 'stock'
"""

_ACTIONS = """
    select symbol, ex_date, value from corporate_actions
     where kind = %(kind)s and ex_date > %(first)s and ex_date <= %(last)s order by ex_date
"""
