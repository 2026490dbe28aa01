"""A paper desk whose market is the stand-in of the vendor, by a clock the test moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from agents.market.calendar import NEW_YORK, previous_session
from agents.market.fmp.free_plan import FREE_UNIVERSE
from agents.market.news.config import NewsConfig
from app.runtime.founding import set_rules
from app.runtime.jobs import Workbench
from app.runtime.live import DAWN, Rehearsal, open_live_desk
from app.runtime.slots import SLOTS, due_at, slots_of
from app.settings import Settings
from app.wiring import desk_parts, sources, vendor_market
from storage.engine import open_engine
from storage.models import PaperHolding, ParameterVersion, Watch
from storage.records import DeskKind, Slot, to_price
from tests.databases import TemplateDatabases
from tests.runtime.stage import EQUITY, HandClock, Stage, read
from tests.standins.fmp import FmpStandIn
from tests.standins.market import StandInMarket
from tests.storage.desk_builder import approved, execute, position, propose, terms, writing

WATCHED = FREE_UNIVERSE[:50]
HELD = WATCHED[:5]
MONDAY = date(2026, 3, 9)


class TellingClock(HandClock):
    """The test's clock, told to the database too: the vendor's windows move by the desk's own."""

    def __init__(self, conninfo: str, shown: datetime) -> None:
        super().__init__(shown)
        self._conninfo = conninfo
        self.show(shown)

    def show(self, shown: datetime) -> None:
        self.shown = shown
        execute(
            self._conninfo,
            "update desk set clock_from = %s, clock_anchor = clock_timestamp(), clock_speed = 0",
            shown,
        )


@dataclass(frozen=True)
class LiveStage(Stage):
    """A stage whose clock is also the stand-in's and the ledger's."""

    vendor: FmpStandIn
    told: TellingClock

    async def at(self, shown: datetime) -> None:
        await asyncio.to_thread(self.told.show, shown)

    async def slot(self, session: date, slot: Slot) -> tuple[str, str, dict[str, object]]:
        """Carry out a slot when it is due: state, summary and result of its run."""
        await self.at(due_at(session, slot))
        run_id = await self.queue(session, slot)
        await self.executor().carry_out(run_id)
        run = await self.run(run_id)
        return run.state, run.summary, run.result

    async def day(self, session: date, *, approve: bool = False) -> None:
        """A whole session, each slot when it is due; all that is proposed is approved where asked."""
        order = list(SLOTS)
        for slot in sorted(slots_of(session), key=lambda slot: (due_at(session, slot), order.index(slot))):
            state, summary, _ = await self.slot(session, slot)
            assert state in ("done", "skipped"), f"{slot} of {session}: {summary}"
            if approve and slot is Slot.DELIBERATE:
                await self.approve_all()


@asynccontextmanager
async def live_stage(
    databases: TemplateDatabases,
    *,
    first: date = MONDAY,
    watched: Sequence[str] = WATCHED,
    held: Sequence[str] = HELD,
    key: str = "standin-key",
    cboe: str = "/public/VIX_History.csv",
) -> AsyncIterator[LiveStage]:
    """A desk at dawn of its first session, with these names watched and held."""
    market = StandInMarket()
    rehearsed = Rehearsal(pack=None, first=first, speed=1.0)
    name = f"t{uuid4().hex[:10]}"
    databases.make_desk(name)
    desk = await open_live_desk(databases, name, start_equity=EQUITY, rehearsal=rehearsed)
    execute(desk.conninfo, "update desk set undo_s = 0, undo_risky_s = 0")
    seed(desk.conninfo, market, first, watched, held)
    clock = TellingClock(desk.conninfo, desk.founded)
    with (
        FmpStandIn(now=clock.now, market=market, key=key, reset_hour=4) as vendor,
        TemporaryDirectory() as home,
    ):
        configured = settings_for(vendor, key, cboe)
        engine = open_engine(desk.conninfo)
        try:
            async with vendor_market(configured, replace(desk, clock=clock), rehearsed) as source:
                assert source is not None
                await source.put_in_force()
                bench = Workbench(
                    parts=replace(desk_parts(configured, DeskKind.PAPER), home=Path(home)),
                    sources=sources(configured, None, source),
                    clock=clock,
                )
                async with AsyncSession(engine) as database, database.begin():
                    await set_rules(database, bench.parts, clock.now())
                yield LiveStage(desk.conninfo, clock, engine, bench, vendor, clock)
        finally:
            await engine.dispose()


def settings_for(vendor: FmpStandIn, key: str, cboe: str) -> Settings:
    """A desk's settings that lead to the stand-in."""
    return Settings(_env_file=None).model_copy(
        update={
            "fmp_api_key": SecretStr(key),
            "fmp_base_url": vendor.base_url,
            "cboe_vix_url": f"{vendor.root}{cboe}",
            "fred_vix_url": f"{vendor.root}/public/VIXCLS.csv",
            "news": NewsConfig(feeds=(f"{vendor.root}/public/feed.xml",)),
        }
    )


def seed(
    conninfo: str, market: StandInMarket, first: date, watched: Sequence[str], held: Sequence[str]
) -> None:
    """Watch these names alone, and hold a hundred shares of some since the session before."""
    eve = previous_session(first)
    dawn = datetime.combine(first, DAWN, NEW_YORK).astimezone(UTC)
    with writing(conninfo) as session:
        session.execute(delete(Watch))
        session.add_all(Watch(symbol=symbol, added_by="ada", added_at=dawn) for symbol in watched)
        if held:
            session.add(
                ParameterVersion(
                    version=1, parameters={}, limits={}, costs={}, screen={}, reason="seed", created_at=dawn
                )
            )
        session.flush()
        for symbol in held:
            close = to_price(market.bar(symbol, eve, dawn)[3])
            stop, target = to_price(close / 4), close * 4
            bound = terms(
                symbol=symbol,
                entry_session=eve,
                min_entry=close,
                max_entry=close,
                stop=stop,
                target=target,
                max_hold=250,
            )
            approval = propose(session, bound, **approved(decided_digest=bound.digest))
            session.add(
                position(
                    approval,
                    entry_price=close,
                    stop=stop,
                    initial_stop=stop,
                    low_since=close,
                    high_since=close,
                    last_close=close,
                    last_session=eve,
                )
            )
            session.add(
                PaperHolding(symbol=symbol, shares=100, entry_session=eve, last_close=close, last_session=eve)
            )


# -- what a week cost, and what its decisions rested on --------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class WeekOfCalls:
    """The vendor's calls as the ledger has them."""

    a_day: dict[date, int]  # by the New York day
    fullest: int  # in any 24 hours
    by_priority: dict[int, int]
    by_endpoint: dict[str, int]
    faults: int


def calls_of(conninfo: str) -> WeekOfCalls:
    rows = read(
        conninfo, "select admitted_at, priority, endpoint, fault from vendor_calls order by admitted_at"
    )
    times = [row[0] for row in rows]
    return WeekOfCalls(
        a_day=dict(sorted(Counter(at.astimezone(NEW_YORK).date() for at in times).items())),
        fullest=max(sum(at - timedelta(days=1) < other <= at for other in times) for at in set(times)),
        by_priority=dict(sorted(Counter(row[1] for row in rows).items())),
        by_endpoint=dict(Counter(row[2] for row in rows).most_common()),
        faults=sum(row[3] is not None for row in rows),
    )


def assert_decided_on_good_data(conninfo: str) -> int:
    """No run read anything past its lifetime, by its own row; how many values they read."""
    values = 0
    for slot, session, result in read(
        conninfo, "select slot, session, result from runs where state = 'done' and result ? 'market'"
    ):
        at = datetime.fromisoformat(result["market"]["at"])
        for endpoint, told in result["market"]["told"].items():
            values += told["symbols"]
            good_until = datetime.fromisoformat(told["good_until"])
            assert good_until > at, f"{slot} of {session} read {endpoint} past its lifetime: {told}"
            assert datetime.fromisoformat(told["oldest"]) <= at
    return values
