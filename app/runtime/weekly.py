"""One week of a desk, from its rows: what it earned beside the market, its trades, what nobody answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg

from app.runtime.performance import Performance, read_performance
from storage.curve import CurvePoint, RegimeResult, read_curve
from storage.digest import read_digest
from storage.notes import NoteRow, read_notes, tags_of
from storage.records import DeskKind, ExitReason, NoteKind
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class WeekTrade:
    """A trade that closed in the week; dollars net of fees, prices a share."""

    symbol: str
    setup: str
    entry_session: date
    exit_session: date
    exit_reason: ExitReason
    shares: int
    entry_price: Decimal
    exit_price: Decimal
    pnl: Decimal
    r: float
    tags: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HeldPosition:
    """A position that is open."""

    symbol: str
    entry_session: date
    shares: int
    entry_price: Decimal
    last_close: Decimal
    stop: Decimal
    target: Decimal
    r_now: float


@dataclass(frozen=True, kw_only=True)
class WeekCounts:
    """What was decided in the week; `missed` expired unanswered."""

    argued: int
    proposed: int
    approved: int
    rejected: int
    missed: int
    entered: int


@dataclass(frozen=True, kw_only=True)
class Week:
    """Monday to Sunday; `curve` is the desk's whole way, `closes` those of the week with the one before."""

    desk: str
    kind: DeskKind
    monday: date
    written_at: datetime
    curve: tuple[CurvePoint, ...]
    closes: tuple[CurvePoint, ...]
    performance: Performance
    regimes: tuple[RegimeResult, ...]
    trades: tuple[WeekTrade, ...]
    held: tuple[HeldPosition, ...]
    counts: WeekCounts
    warnings: tuple[str, ...]

    @property
    def sunday(self) -> date:
        return self.monday + timedelta(days=6)

    @property
    def sessions(self) -> tuple[CurvePoint, ...]:
        """The closes of the week itself."""
        return tuple(point for point in self.closes if point.session >= self.monday)

    @property
    def growth(self) -> float | None:
        """The week's time-weighted return, a fraction; None where nothing settled."""
        return self.closes[-1].growth / self.closes[0].growth - 1 if self.sessions else None

    @property
    def market(self) -> float | None:
        """The index over the same closes, a fraction."""
        if not self.sessions:
            return None
        before, last = self.closes[0].market, self.closes[-1].market
        return last / before - 1 if last is not None and before else None

    @property
    def r(self) -> float:
        """Of the trades that closed."""
        return sum(trade.r for trade in self.trades)


@dataclass(frozen=True)
class _Desk:
    name: str
    kind: DeskKind
    at: datetime


@dataclass(frozen=True)
class _Trade:
    position_id: UUID
    symbol: str
    setup: str
    entry_session: date
    exit_session: date
    exit_reason: ExitReason
    shares: int
    entry_price: Decimal
    exit_price: Decimal
    pnl: Decimal
    r: float


def monday_of(day: date) -> date:
    """The Monday of the week a day lies in."""
    return day - timedelta(days=day.weekday())


def read_week(connection: Connection, day: date) -> Week:
    """The week the day lies in."""
    monday = monday_of(day)
    span = {"first": monday, "last": monday + timedelta(days=6)}
    desk = fetch_one(connection, _Desk, _DESK)
    counts = fetch_one(connection, WeekCounts, _COUNTS, span)
    assert desk is not None and counts is not None  # of a desk that is founded
    curve = read_curve(connection)
    closes = [point for point in curve.points if point.session <= span["last"]]
    before = [point for point in closes if point.session < monday][-1:]
    rows = fetch_all(connection, _Trade, _TRADES, span)
    notes = read_notes(connection, [row.position_id for row in rows])
    return Week(
        desk=desk.name,
        kind=desk.kind,
        monday=monday,
        written_at=desk.at,
        curve=tuple(closes),
        closes=(*before, *(point for point in closes if point.session >= monday)),
        performance=read_performance(connection),
        regimes=curve.regimes,
        trades=tuple(_trade(row, notes) for row in rows),
        held=fetch_all(connection, HeldPosition, _HELD),
        counts=counts,
        warnings=_warnings(connection, monday),
    )


def _trade(row: _Trade, notes: tuple[NoteRow, ...]) -> WeekTrade:
    mine = [note for note in notes if note.position_id == row.position_id]
    return WeekTrade(
        symbol=row.symbol,
        setup=row.setup,
        entry_session=row.entry_session,
        exit_session=row.exit_session,
        exit_reason=row.exit_reason,
        shares=row.shares,
        entry_price=row.entry_price,
        exit_price=row.exit_price,
        pnl=row.pnl,
        r=row.r,
        tags=tags_of(mine),
        notes=tuple(note.text for note in mine if note.kind is NoteKind.NOTE),
    )


def _warnings(connection: Connection, monday: date) -> tuple[str, ...]:
    """What the week's digests warned of, each once a day."""
    found = []
    for offset in range(7):
        digest = read_digest(connection, monday + timedelta(days=offset))
        for section in digest.sections if digest else ():
            if section.heading in ("missed", "warnings") and digest is not None:
                found += [f"{digest.session}: {line}" for line in section.lines]
    return tuple(found)


_DESK = "select name, kind, now() as at from desk"
_COUNTS = """
    select count(*)::int as argued, count(a.id)::int as proposed,
           count(*) filter (where a.state = 'approved')::int as approved,
           count(*) filter (where a.state = 'rejected')::int as rejected,
           count(*) filter (where a.state = 'expired')::int as missed,
           (select count(*) from positions
             where entry_session between %(first)s and %(last)s)::int as entered
      from deliberations d left join approvals a on a.deliberation_id = d.id
     where d.session between %(first)s and %(last)s
"""
_TRADES = """
    select t.position_id, t.symbol, t.setup_type as setup, p.entry_session, p.closed_session as exit_session,
           t.exit_reason, t.quantity as shares, t.entry_price, t.exit_price, t.pnl, t.r_multiple as r
      from trade_outcomes t join positions p on p.id = t.position_id
     where p.closed_session between %(first)s and %(last)s order by p.closed_session, t.symbol
"""
_HELD = """
    select symbol, entry_session, shares, entry_price, last_close, stop, target,
           coalesce((last_close - entry_price) / nullif(entry_price - initial_stop, 0), 0) as r_now
      from positions where state = 'open' order by symbol
"""
