"""The account close by close, for a chart and a report: what a dollar became, not what was paid in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import psycopg

from storage.records import Direction
from storage.rows import fetch_all

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One close. `growth` and `market` are what a dollar of the first close has become, in the desk and in
    the index the regime is read from; fractions of equity else."""

    session: date
    equity: Decimal
    growth: float  # time-weighted
    market: float | None  # None: no regime was read, or another index than on the first close
    drawdown: float
    heat: float
    day_return: float
    flow: Decimal  # paid in on this session, out below zero; the opening balance aside
    direction: Direction | None
    r: float | None  # of the trades that closed on it, summed


@dataclass(frozen=True, kw_only=True)
class RegimeResult:
    """What the desk came to in one kind of market; `growth` over its sessions alone, a fraction."""

    direction: Direction
    sessions: int
    growth: float
    market: float | None
    trades: int
    r: float  # summed, by the regime the trades were entered in


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The whole way of the account."""

    points: tuple[CurvePoint, ...]  # oldest first
    regimes: tuple[RegimeResult, ...]


@dataclass(frozen=True)
class _Close:
    session: date
    equity: Decimal
    drawdown: float
    heat: float
    day_return: float
    flow: Decimal
    direction: Direction | None
    index_symbol: str | None
    index_close: float | None
    r: float | None


@dataclass(frozen=True)
class _Traded:
    direction: Direction
    trades: int
    r: float


def read_curve(connection: Connection) -> Curve:
    """Every close of the desk, and what it came to by market."""
    points = _points(connection)
    return Curve(points=points, regimes=_regime_results(connection, points))


def _points(connection: Connection) -> tuple[CurvePoint, ...]:
    rows = fetch_all(connection, _Close, _CURVE)
    first = rows[0] if rows else None
    growth, points = 1.0, []
    for row in rows:
        growth *= 1 + row.day_return
        comparable = (
            first is not None
            and first.index_close
            and row.index_close is not None
            and row.index_symbol == first.index_symbol
        )
        points.append(
            CurvePoint(
                session=row.session,
                equity=row.equity,
                growth=growth,
                market=row.index_close / first.index_close
                if comparable and first and first.index_close and row.index_close
                else None,
                drawdown=row.drawdown,
                heat=row.heat,
                day_return=row.day_return,
                flow=row.flow,
                direction=row.direction,
                r=row.r,
            )
        )
    return tuple(points)


def _regime_results(connection: Connection, points: tuple[CurvePoint, ...]) -> tuple[RegimeResult, ...]:
    """By the direction each session was read as: a session's return is that of the market it closed in."""
    traded = {row.direction: row for row in fetch_all(connection, _Traded, _TRADED)}
    results = []
    for direction in Direction:
        mine, market, sessions = 1.0, 1.0, 0
        known = True
        for before, point in zip((None, *points), points, strict=False):
            if point.direction is not direction:
                continue
            sessions += 1
            mine *= 1 + point.day_return
            if before is None:
                continue
            if before.market and point.market is not None:
                market *= point.market / before.market
            else:
                known = False
        found = traded.get(direction)
        if sessions or found:
            results.append(
                RegimeResult(
                    direction=direction,
                    sessions=sessions,
                    growth=mine - 1,
                    market=market - 1 if known and sessions else None,
                    trades=found.trades if found else 0,
                    r=found.r if found else 0.0,
                )
            )
    return tuple(results)


_CURVE = """
    select e.session, e.equity, e.drawdown, e.heat, e.day_return, r.direction, r.index_symbol, r.index_close,
           coalesce((select sum(c.amount) from cash_events c
                      where c.kind in ('deposit', 'withdrawal') and c.key is not null
                        and c.session <= e.session and c.session > e.before), 0) as flow,
           (select sum(t.r_multiple) from trade_outcomes t join positions p on p.id = t.position_id
             where p.closed_session = e.session) as r
      from (select *, coalesce(lag(session) over (order by session), '-infinity') as before from equity) e
      left join regime_readings r on r.session = e.session
     order by e.session
"""
_TRADED = """
    select market_regime as direction, count(*)::int as trades, sum(r_multiple) as r
      from trade_outcomes group by market_regime
"""
