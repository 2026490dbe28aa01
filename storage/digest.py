"""The day as its digest tells it: the rows it is made of, and the digest as it was kept.

One query serves the desk's own step, whose transaction it runs in, and a report that reads past days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg

from storage.records import Direction, ExitReason, Rung, Slot, Volatility
from storage.rows import fetch_one

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class DayRegime:
    """The market; `moved` and `since_start` are the index's own, fractions, None where nothing is before."""

    direction: Direction
    volatility: Volatility
    standing: int  # sessions the direction has stood
    index_symbol: str
    moved: float | None
    since_start: float | None  # since the desk's first close


@dataclass(frozen=True, kw_only=True)
class DayFill:
    """An entry of the session."""

    symbol: str
    shares: int
    price: Decimal
    stop: Decimal


@dataclass(frozen=True, kw_only=True)
class DayExit:
    """A trade that ended with the session."""

    symbol: str
    reason: ExitReason
    r: float
    pnl: Decimal  # net of fees


@dataclass(frozen=True, kw_only=True)
class DayClose:
    """The account at the close; `growth` is the time-weighted return since the first close, a fraction."""

    equity: Decimal
    cash: Decimal
    heat: float
    drawdown: float
    day_return: float
    growth: float
    positions: int
    rung: Rung | None
    paid_in: Decimal  # on this session; below zero when it was taken out


@dataclass(frozen=True, kw_only=True)
class DayPending:
    """An approval that waits for its verdict."""

    short_id: str
    symbol: str
    risky: bool
    max_risk: Decimal
    entry_session: date
    expires_at: datetime | None  # wall clock; None where nothing expires by the clock


@dataclass(frozen=True, kw_only=True)
class Day:
    """What a session came to."""

    session: date
    regime: DayRegime | None
    fills: tuple[DayFill, ...]
    exits: tuple[DayExit, ...]
    close: DayClose | None
    pending: tuple[DayPending, ...]
    expired: tuple[str, ...]  # symbols of proposals for this session that nobody answered
    troubles: tuple[str, ...]  # slots that failed or were skipped, with the reason
    halt: str  # its reason while it stands


@dataclass(frozen=True, kw_only=True)
class DigestSection:
    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StoredDigest:
    """A digest as it was written; `sections` is empty in those from before it was kept."""

    session: date
    written_at: datetime | None  # wall clock
    summary: str
    sections: tuple[DigestSection, ...]


@dataclass(frozen=True)
class _Stored:
    session: date
    written_at: datetime | None
    summary: str
    sections: tuple[Mapping[str, Any], ...]


def read_digest(connection: Connection, session: date | None = None) -> StoredDigest | None:
    """The digest of a session, of the last one without; None where there is none."""
    row = fetch_one(connection, _Stored, _DIGEST, {"session": session, "slot": Slot.DIGEST})
    if row is None:
        return None
    return StoredDigest(
        session=row.session,
        written_at=row.written_at,
        summary=row.summary,
        sections=tuple(
            DigestSection(heading=str(found["heading"]), lines=tuple(map(str, found["lines"])))
            for found in row.sections
        ),
    )


def day_query(session: date) -> tuple[str, dict[str, object]]:
    """The query of a day and its parameters: one row, one JSON object."""
    return _DAY, {"session": session}


def day_of(session: date, told: Mapping[str, Any]) -> Day:
    """A day from the object its query gives."""
    regime, close = told["regime"], told["close"]
    return Day(
        session=session,
        regime=None
        if regime is None
        else DayRegime(
            direction=Direction(regime["direction"]),
            volatility=Volatility(regime["volatility"]),
            standing=int(regime["standing"]),
            index_symbol=str(regime["index_symbol"]),
            moved=_fraction(regime["moved"]),
            since_start=_fraction(regime["since_start"]),
        ),
        fills=tuple(
            DayFill(
                symbol=str(row["symbol"]),
                shares=int(row["shares"]),
                price=_exact(row["price"]),
                stop=_exact(row["stop"]),
            )
            for row in told["fills"]
        ),
        exits=tuple(
            DayExit(
                symbol=str(row["symbol"]),
                reason=ExitReason(row["reason"]),
                r=float(row["r"]),
                pnl=_exact(row["pnl"]),
            )
            for row in told["exits"]
        ),
        close=None
        if close is None
        else DayClose(
            equity=_exact(close["equity"]),
            cash=_exact(close["cash"]),
            heat=float(close["heat"]),
            drawdown=float(close["drawdown"]),
            day_return=float(close["day_return"]),
            growth=float(close["growth"]),
            positions=int(close["positions"]),
            rung=Rung(close["rung"]) if close["rung"] else None,
            paid_in=_exact(close["paid_in"]),
        ),
        pending=tuple(
            DayPending(
                short_id=str(row["short_id"]),
                symbol=str(row["symbol"]),
                risky=bool(row["risky"]),
                max_risk=_exact(row["max_risk"]),
                entry_session=date.fromisoformat(row["entry_session"]),
                expires_at=datetime.fromisoformat(row["expires_at"]) if row["expires_at"] else None,
            )
            for row in told["pending"]
        ),
        expired=_words(told["expired"]),
        troubles=_words(told["troubles"]),
        halt=str(told["halt"] or ""),
    )


def _exact(value: object) -> Decimal:
    """Money passes JSON as text: as a number a cent could be lost."""
    return Decimal(str(value))


def _fraction(value: object) -> float | None:
    return None if value is None else float(str(value))


def _words(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(map(str, values))


_DIGEST = """
    select session, finished_at as written_at, summary, coalesce(result -> 'digest', '[]') as sections
      from runs
     where slot = %(slot)s and state = 'done' and (%(session)s::date is null or session = %(session)s)
     order by session desc limit 1
"""
_DAY = """
    select jsonb_build_object(
      'regime', (
        select jsonb_build_object(
                 'direction', r.direction, 'volatility', r.volatility, 'standing', r.standing,
                 'index_symbol', r.index_symbol,
                 'moved', (select r.index_close / b.index_close - 1 from regime_readings b
                            where b.session < r.session and b.index_symbol = r.index_symbol
                            order by b.session desc limit 1),
                 'since_start', (select r.index_close / b.index_close - 1 from regime_readings b
                                  where b.session >= (select min(session) from equity)
                                    and b.session <= r.session and b.index_symbol = r.index_symbol
                                  order by b.session limit 1))
          from regime_readings r where r.session = %(session)s::date),
      'fills', (
        select coalesce(jsonb_agg(jsonb_build_object(
                 'symbol', f.symbol, 'shares', f.shares, 'price', f.price::text, 'stop', p.stop::text)
                 order by f.symbol), '[]')
          from fills f join positions p on p.id = f.position_id
         where f.side = 'buy' and f.session = %(session)s::date),
      'exits', (
        select coalesce(jsonb_agg(jsonb_build_object(
                 'symbol', t.symbol, 'reason', t.exit_reason, 'r', t.r_multiple, 'pnl', t.pnl::text)
                 order by t.symbol), '[]')
          from trade_outcomes t join positions p on p.id = t.position_id
         where p.closed_session = %(session)s::date),
      'close', (
        select jsonb_build_object(
                 'equity', e.equity::text, 'cash', e.cash::text, 'heat', e.heat, 'drawdown', e.drawdown,
                 'day_return', e.day_return,
                 'growth', (select coalesce(exp(sum(ln(greatest(1 + b.day_return, 1e-12)))) - 1, 0)
                              from equity b where b.session <= e.session),
                 'positions', (select count(*) from positions where state = 'open'),
                 'rung', (select l.rung from ladder_readings l where l.session = e.session),
                 'paid_in', (select coalesce(sum(c.amount), 0)::text from cash_events c
                              where c.kind in ('deposit', 'withdrawal') and c.session = e.session
                                and c.key is not null))
          from equity e where e.session = %(session)s::date),
      'pending', (
        select coalesce(jsonb_agg(jsonb_build_object(
                 'short_id', a.short_id, 'symbol', a.symbol, 'risky', a.risky,
                 'max_risk', a.max_risk::text, 'entry_session', a.entry_session,
                 'expires_at', a.expires_at) order by a.symbol), '[]')
          from approvals a where a.state = 'pending'),
      'expired', (
        select coalesce(jsonb_agg(a.symbol order by a.symbol), '[]')
          from approvals a where a.state = 'expired' and a.entry_session = %(session)s::date),
      'troubles', (
        select coalesce(jsonb_agg(r.slot || ' ' || r.state || ': ' || r.summary order by r.desk_time), '[]')
          from runs r where r.session = %(session)s::date and r.state in ('failed', 'skipped')),
      'halt', (select reason from halts where lifted_at is null)
    ) as day
"""
