"""Run replays in this process and check that the books they leave are sound."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from uuid import uuid4

import psycopg

from agents.market.clock import SystemClock
from agents.market.history import HistoryPack
from app.runtime.founding import ReplayRequest, found_desk, sessions_of
from app.runtime.replay import Pace, Replay
from app.runtime.report import ReplayReport, read_report
from app.settings import Settings
from app.wiring import desk_parts
from storage.records import DeskKind, VerdictMode
from storage.server import Server
from tests.databases import TemplateDatabases


async def prepare(
    server: Server,
    pack: HistoryPack,
    first: date,
    last: date,
    *,
    desk: str | None = None,
    verdicts: VerdictMode = VerdictMode.RECOMMENDED,
    ask_timeout_s: float = 0.2,
    undo_s: int = 0,
    loop: bool = False,
) -> tuple[str, Replay]:
    """A founded desk's connection string and its replay, not yet run; a new desk unless one is named."""
    desk = desk or f"t{uuid4().hex[:10]}"
    sessions = sessions_of(pack, first, last)
    parts = desk_parts(Settings(_env_file=None), DeskKind.HISTORY)
    request = ReplayRequest(
        desk=desk,
        pack=pack,
        first=sessions[0],
        last=sessions[-1],
        verdicts=verdicts,
        start_equity=Settings(_env_file=None).start_equity,
        undo_s=undo_s,
        fresh=False,
    )
    if isinstance(server, TemplateDatabases):
        server.make_desk(desk)
    await found_desk(server, desk, request, sessions, parts)
    database = server.desk_database(desk)
    run = Replay(
        server=server,
        database=database,
        pack=pack,
        sessions=sessions,
        parts=parts,
        pace=Pace(verdicts=verdicts, ask_timeout_s=ask_timeout_s, undo_s=undo_s, sessions_per_second=None),
        wall=SystemClock(),
        loop=loop,
    )
    return server.conninfo(database), run


async def run_through(
    server: Server,
    pack: HistoryPack,
    first: date,
    last: date,
    *,
    verdicts: VerdictMode = VerdictMode.RECOMMENDED,
) -> str:
    """Replay to the end on a new desk; returns its connection string."""
    conninfo, run = await prepare(server, pack, first, last, verdicts=verdicts)
    assert await run.run(asyncio.Event())
    return conninfo


def report_of(conninfo: str) -> ReplayReport:
    """The report without what two equal runs may differ in."""
    return replace(read_report(conninfo, 0.0), desk="")


def assert_books_balance(conninfo: str) -> None:
    """Cash is what came and went, positions are what was filled, nothing came twice or outside its terms."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for promise, query in _PROMISES.items():
            broken = connection.execute(query.encode()).fetchall()
            assert not broken, f"{promise}: {broken[:3]}"


_PROMISES = {
    "cash at the last close is the sum of all cash events": """
        select e.cash, s.total from equity e, (select sum(amount) as total from cash_events) s
         where e.session = (select max(session) from equity) and e.cash <> s.total
           and not exists (select 1 from runs where slot = 'open' and session > e.session)
    """,
    "the opening balance was paid in once": """
        select count(*) from cash_events where kind = 'deposit' having count(*) <> 1
    """,
    "every fill moved its price and its fee, once each": """
        select f.id from fills f left join cash_events c on c.fill_id = f.id
         group by f.id, f.side, f.price, f.shares, f.fee
        having count(*) <> 2
            or sum(c.amount) + f.fee
               <> round(f.price * f.shares, 2) * case f.side when 'buy' then -1 else 1 end
    """,
    "a position is one buy, sold in parts perhaps, and once closed a last sell of what it held": """
        select p.id from positions p
          left join fills b on b.position_id = p.id and b.side = 'buy'
          left join lateral (
              select count(*) filter (where o.client_order_id not like 'part-%') as last,
                     coalesce(sum(f.shares) filter (where o.client_order_id not like 'part-%'), 0) as rest,
                     coalesce(sum(f.shares) filter (where o.client_order_id like 'part-%'), 0) as parts
                from fills f join orders o on o.id = f.order_id
               where f.position_id = p.id and f.side = 'sell') s on true
         where b.id is null
            or (b.shares <> p.shares + s.parts and not exists (
                   select 1 from corporate_actions a
                    where a.symbol = p.symbol and a.kind = 'split'
                      and a.applied_session > p.entry_session
                      and a.applied_session <= coalesce(p.closed_session, 'infinity')))
            or (p.state = 'closed')::int <> s.last
            or (p.state = 'closed' and s.rest <> p.shares)
    """,
    "a stop only ever rises": "select symbol from positions where stop < initial_stop",
    "every close has its rung of the ladder": """
        select e.session from equity e left join ladder_readings l on l.session = e.session
         where l.session is null
    """,
    "what has not settled is what was sold that session": """
        select e.session, e.unsettled from equity e
         where e.unsettled <> (select coalesce(sum(c.amount), 0) from cash_events c
                                where c.kind = 'fill' and c.amount > 0 and c.session = e.session)
            or (e.unsettled > 0) <> (e.settles_on is not null)
    """,
    "every closed position has one outcome": """
        select p.id from positions p left join trade_outcomes t on t.position_id = p.id
         where (p.state = 'closed') <> (t.id is not null)
    """,
    "an outcome's profit is what its cash events say": """
        select t.id, t.pnl from trade_outcomes t
          join cash_events c on c.fill_id in (select id from fills where position_id = t.position_id)
                             or (c.position_id = t.position_id and c.kind = 'cash_in_lieu')
         group by t.id, t.pnl having sum(c.amount) <> t.pnl
    """,
    "no entry without an approval that had taken effect, inside its band, size and risk": """
        select f.symbol, f.session from fills f
          join orders o on o.id = f.order_id left join approvals a on a.id = o.approval_id
         where f.side = 'buy' and (a.id is null or a.state <> 'approved' or a.effective_at is null
               or f.session <> a.entry_session or f.price not between a.min_entry and a.max_entry
               or f.shares > a.max_shares or f.shares * (f.price - a.stop) > a.max_risk)
    """,
    "no order for an approval that was rejected, taken back or left unanswered": """
        select o.id from orders o join approvals a on a.id = o.approval_id where a.state <> 'approved'
    """,
    "what was last said about an approval is the state it is in": """
        select a.id, a.state, v.verb from approvals a
          join lateral (select verb from verdicts where approval_id = a.id
                         order by given_at desc limit 1) v on true
         where v.verb <> case a.state when 'pending' then 'undone' else a.state end
    """,
    "no risky approval without its typed id": """
        select id from approvals where risky and state = 'approved' and typed_id is distinct from short_id
    """,
    "heat stays within its limit when risk is added": """
        select e.session, e.heat from equity e
         where e.heat > 0.0605
           and exists (select 1 from fills f where f.session = e.session and f.side = 'buy')
    """,
    "no symbol is bought again before two sessions have passed since its exit": """
        select p.symbol, c.closed_session, p.entry_session from positions p
          join positions c on c.symbol = p.symbol and c.closed_session < p.entry_session
         where 3 > (select count(*) from equity e
                     where e.session > c.closed_session and e.session <= p.entry_session)
           and exists (select 1 from equity e where e.session = p.entry_session)
    """,
    "cash never falls below zero": "select session, cash from equity where cash < 0",
    "every step of every session of a replay before the last ran once": """
        select session, count(*) from runs
         where session < (select max(session) from runs) and (select clock_anchor is null from desk)
         group by session having count(*) <> 8
    """,
    "equity is cash plus positions": """
        select session from equity where equity <> cash + positions_value
    """,
}
