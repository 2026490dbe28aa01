"""Any broker behind the port, and one that fails in every way: nothing twice, nothing lost or unsaid."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.ext.asyncio import AsyncSession

from agents.brokers.port import BrokerFill
from agents.market.bars import MarketView
from agents.market.calendar import next_session
from agents.market.history import HistoryPack
from app.runtime.jobs import TryAgain
from app.runtime.lookout import ALARM_S, watch
from app.runtime.slots import due_at
from app.runtime.step import Step
from storage.broker_records import Leg
from storage.desk import Desk
from storage.engine import open_engine
from storage.records import OrderSide, RunState, Slot, uuid7
from storage.server import EmbeddedDatabases
from tests.runtime.brokers import Faults, Killed, elsewhere
from tests.runtime.stage import ADA, EQUITY, FIRST, SECOND, Rows, Stage, open_stage, with_parts
from tests.runtime.test_equal_to_replay import left_by
from tests.storage.desk_builder import execute

THIRD = next_session(SECOND)
TRADED = ("orders", "fills", "cash_events", "positions", "trade_outcomes")
DAY = (Slot.CUTOFF, Slot.OPEN, Slot.SETTLE)


@asynccontextmanager
async def trading(
    stage: Stage, databases: EmbeddedDatabases, template: str, faults: Faults
) -> AsyncIterator[Stage]:
    """The same desk with an account at a broker elsewhere, into which the same was paid."""
    name = f"broker_{uuid7().hex[-12:]}"
    await asyncio.to_thread(
        execute, databases.conninfo(), f"create database {name} template {template} strategy file_copy"
    )
    conninfo = databases.conninfo(name)
    paid = """insert into cash_events (id, kind, amount, session, note, created_at)
              values (gen_random_uuid(), 'deposit', %s, %s, '', now())"""
    await asyncio.to_thread(execute, conninfo, paid, EQUITY, FIRST)
    engine = open_engine(conninfo)
    try:
        yield replace(stage, bench=with_parts(stage.bench, broker=elsewhere(engine, faults)))
    finally:
        await engine.dispose()
        await asyncio.to_thread(execute, databases.conninfo(), f"drop database {name} with (force)")


async def buy_and_sell(stage: Stage) -> dict[str, Rows]:
    """Two entries, a night, one sold by hand at the next open: what the book says of it."""
    for slot in DAY:
        await carried_out(stage, SECOND, slot)
    await asyncio.to_thread(ask_to_close, stage.conninfo, "MSFT")
    for slot in DAY:
        await carried_out(stage, THIRD, slot)
    left = await asyncio.to_thread(left_by, stage.conninfo)
    return {table: left[table] for table in TRADED}


async def carried_out(stage: Stage, session: object, slot: Slot) -> None:
    """As the queue does it: again where its worker died, until the run is done."""
    stage.clock.shown = due_at(session, slot)  # type: ignore[arg-type]
    run_id = await stage.queue(session, slot)  # type: ignore[arg-type]
    while (await stage.run(run_id)).state in (RunState.QUEUED, RunState.RUNNING):
        with suppress(Killed, TryAgain):
            await stage.executor().carry_out(run_id)
    run = await stage.run(run_id)
    assert run.state is RunState.DONE, run.summary


def ask_to_close(conninfo: str, symbol: str) -> None:
    with Desk(conninfo) as desk:
        assert desk.close_position(symbol, "no more", operator=ADA).accepted


@pytest.fixture
async def bought(stage: Stage) -> Stage:
    """The evening is over and both proposals are approved."""
    await stage.evening(FIRST)
    assert await stage.approve_all() == 2
    return stage


async def agreement(stage: Stage) -> Rows:
    return await stage.rows("select kind, subject, book, broker from differences where state = 'open'")


async def test_a_broker_elsewhere_does_what_the_paper_account_does(
    rehearsed: str,
    sample: HistoryPack,
    databases: EmbeddedDatabases,
    template: str,
    bought: Stage,
) -> None:
    """One desk is copied before its first cutoff: one copy trades on paper, the other over there."""
    copied = f"copy_{uuid7().hex[-12:]}"
    await bought.engine.dispose()
    source = conninfo_to_dict(rehearsed)["dbname"]
    make = f"create database {copied} template {source} strategy file_copy"
    await asyncio.to_thread(execute, databases.conninfo(), make)
    async with open_stage(databases.conninfo(copied), sample) as on_paper:
        expected = await buy_and_sell(on_paper)
        assert await agreement(on_paper) == []
    faults = Faults()
    async with trading(bought, databases, template, faults) as stage:
        assert await buy_and_sell(stage) == expected
        assert await agreement(stage) == []
    assert len(expected["fills"]) == 3
    assert len(expected["trade_outcomes"]) == 1
    assert "manual" in expected["trade_outcomes"][0][0]
    assert {"place limit_on_open", "protect", "place market_on_open"} <= set(faults.log)


@pytest.mark.long
async def test_a_desk_that_dies_after_any_word_to_its_broker_does_nothing_twice_and_loses_nothing(
    rehearsed: str,
    sample: HistoryPack,
    databases: EmbeddedDatabases,
    template: str,
    bought: Stage,
) -> None:
    await bought.engine.dispose()
    source = conninfo_to_dict(rehearsed)["dbname"]

    async def lives(faults: Faults) -> dict[str, Rows]:
        copied = f"copy_{uuid7().hex[-12:]}"
        make = f"create database {copied} template {source} strategy file_copy"
        await asyncio.to_thread(execute, databases.conninfo(), make)
        async with (
            open_stage(databases.conninfo(copied), sample) as stage,
            trading(stage, databases, template, faults) as elsewhere_stage,
        ):
            left = await buy_and_sell(elsewhere_stage)
            assert await agreement(elsewhere_stage) == []
            bare = await stage.rows("select 1 from positions where state = 'open' and protected_by is null")
            assert bare == []
        await asyncio.to_thread(execute, databases.conninfo(), f"drop database {copied} with (force)")
        return left

    whole = Faults()
    expected = await lives(whole)
    for number, name in enumerate(whole.log):
        if name in ("positions", "cash", "orders"):
            continue  # what only asks changes nothing; it is at the fills that the stand-in executes
        faults = Faults(dies_after=number)
        assert await lives(faults) == expected, (number, name)
        assert faults.calls > whole.calls  # it did die, and was asked again


@pytest.mark.long
async def test_a_broker_that_says_everything_twice_or_too_late_is_believed_once(
    bought: Stage, databases: EmbeddedDatabases, template: str
) -> None:
    """The first entry arrives and is not answered, and is then sent again; so do a sale and a protection."""
    entry, sale = "place limit_on_open", "place market_on_open"
    faults = Faults(tells_twice=True)
    faults.unanswered = frozenset({(entry, 0), (entry, 1), (sale, 0), ("protect", 0), ("cash", 0)})
    async with trading(bought, databases, template, faults) as stage:
        left = await buy_and_sell(stage)
        assert await agreement(stage) == []
    assert faults.log.count(entry) == 4
    assert len(left["fills"]) == 3
    assert len(left["positions"]) == 2


async def test_an_entry_that_never_arrived_is_known_for_it_at_the_open(
    bought: Stage, databases: EmbeddedDatabases, template: str
) -> None:
    entry = "place limit_on_open"  # the first one, each time it is sent
    faults = Faults(unheard=frozenset({(entry, 0), (entry, 1), (entry, 2)}))
    async with trading(bought, databases, template, faults) as stage:
        await carried_out(stage, SECOND, Slot.CUTOFF)
        [(state, note)] = await stage.rows("select state, note from orders where symbol = 'NVDA'")
        assert (state, note) == ("resting", "no answer from the broker: no route for place limit_on_open")
        await carried_out(stage, SECOND, Slot.OPEN)
        rows = await stage.rows("select symbol, state from orders order by 1")
        assert rows == [("MSFT", "filled"), ("NVDA", "skipped")]
        [(note,)] = await stage.rows("select note from orders where symbol = 'NVDA'")
        assert note.endswith("the broker never had it")


async def test_a_broker_that_does_not_answer_at_all_ends_the_entries_and_nothing_else(
    bought: Stage, databases: EmbeddedDatabases, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runtime.morning.PATIENCE_S", 0.0)
    silent = frozenset(("fills", number) for number in range(100))
    async with trading(bought, databases, template, Faults(unheard=silent)) as stage:
        await stage.do("update approvals set state = 'pending' where symbol = 'MSFT'")
        await carried_out(stage, SECOND, Slot.CUTOFF)
        assert await stage.rows("select symbol, state from approvals order by 1") == [
            ("MSFT", "expired"),
            ("NVDA", "approved"),
        ]
        rows = await stage.rows("select symbol, state, note from orders")
        assert rows == [("NVDA", "skipped", "the broker does not answer: no route for fills")]


def fill(**changes: object) -> BrokerFill:
    values: dict[str, object] = {
        "id": "odd-1",
        "client_order_id": "somebody-elses",
        "symbol": "AAPL",
        "side": OrderSide.BUY,
        "shares": 10,
        "price": Decimal("90"),
        "reference": Decimal("90"),
        "fee": Decimal("1.00"),
        "leg": Leg.OPEN,
        "session": SECOND,
    }
    return BrokerFill(**values | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        pytest.param(fill(), "is of no order of the desk", id="unknown order"),
        pytest.param(fill(price=Decimal(0)), "is none", id="zero price"),
        pytest.param(fill(shares=0), "is none", id="no shares"),
        pytest.param(fill(side=OrderSide.SELL), "is of no order of the desk", id="a sale of nothing"),
        pytest.param(
            fill(client_order_id="protect-x-1", side=OrderSide.SELL), "is of no order", id="nobody's stop"
        ),
    ],
)
async def test_a_fill_that_cannot_be_right_is_not_booked_and_holds_up_the_entries(
    bought: Stage, databases: EmbeddedDatabases, template: str, odd: BrokerFill, why: str
) -> None:
    faults = Faults(invented=(odd,))
    async with trading(bought, databases, template, faults) as stage:
        await carried_out(stage, SECOND, Slot.CUTOFF)
        [(kind, subject, book, broker)] = await agreement(stage)
        assert (kind, subject, book) == ("fill", "odd-1", "not booked")
        assert why in broker
        rows = await stage.rows("select symbol, state, note from orders order by 1")
        waits = "book and broker differ: `quorum reconcile` says where"
        assert rows == [("MSFT", "skipped", waits), ("NVDA", "skipped", waits)]
        await carried_out(stage, SECOND, Slot.OPEN)
        assert await stage.rows("select count(*) from fills") == [(0,)]
        await asyncio.to_thread(explain, stage.conninfo)
        await carried_out(stage, SECOND, Slot.SETTLE)
        await carried_out(stage, THIRD, Slot.CUTOFF)
        assert await agreement(stage) == []  # the same thing is explained for good


def explain(conninfo: str) -> None:
    with Desk(conninfo) as desk:
        [row] = desk.differences()
        assert not desk.adopt(row.number, "it is ours", operator=ADA).accepted
        assert not desk.correct(row.number, "it is cash", operator=ADA).accepted
        assert desk.ignore(row.number, "a test of the broker's", operator=ADA).accepted
        refused = desk.ignore(row.number, "again", operator=ADA)
        assert (refused.accepted, refused.message) == (
            False,
            f"difference {row.number} is ignored already by ada",
        )


async def test_a_position_without_a_stop_is_protected_or_the_alarm_is_raised_once(
    bought: Stage, databases: EmbeddedDatabases, template: str
) -> None:
    faults = Faults()
    async with trading(bought, databases, template, faults) as stage:
        await carried_out(stage, SECOND, Slot.CUTOFF)
        faults.refuses_protection = True
        await carried_out(stage, SECOND, Slot.OPEN)
        bare = await stage.rows("select symbol from positions where protected_by is null order by 1")
        assert bare == [("MSFT",), ("NVDA",)]
        now = datetime.now(UTC)
        assert await looked(stage, now) == []
        late = now + timedelta(seconds=ALARM_S + 1)
        assert [said.split(" for ")[0] for said in await looked(stage, late)] == [
            "MSFT UNPROTECTED",
            "NVDA UNPROTECTED",
        ]
        assert await looked(stage, late + timedelta(seconds=60)) == []  # once
        faults.refuses_protection = False
        assert len(await looked(stage, late + timedelta(seconds=65))) == 2
        rows = await stage.rows(
            "select symbol from positions where protected_by is not null and unprotected_since is null"
        )
        assert len(rows) == 2
        told = await stage.rows("select text from operations where kind = 'unprotected' order by at, text")
        assert len(told) == 4
        assert "is protected again, at" in told[-1][0]


async def looked(stage: Stage, now: datetime) -> list[str]:
    """What the leader's watch says at an instant of the wall's clock."""
    async with AsyncSession(stage.engine) as database, database.begin():
        step = Step(
            database=database,
            parts=stage.bench.parts,
            parameters_version=1,
            session=SECOND,
            slot=Slot.CUTOFF,
            next_session=None,
            view=MarketView(SECOND, {}, {}),
            screened=lambda **_: (_ for _ in ()).throw(AssertionError),
            now=due_at(SECOND, Slot.OPEN),
            wall_now=now,
        )
        return await watch(step)


async def test_a_stop_that_vanished_at_the_broker_is_sent_again(
    bought: Stage, databases: EmbeddedDatabases, template: str
) -> None:
    async with trading(bought, databases, template, Faults()) as stage:
        await carried_out(stage, SECOND, Slot.CUTOFF)
        await carried_out(stage, SECOND, Slot.OPEN)
        await stage.do("update positions set protected_by = 'protect-nothing' where symbol = 'MSFT'")
        said = await looked(stage, datetime.now(UTC))
        assert said[0] == "MSFT: the broker knows no protect-nothing any more"
        assert said[1].startswith("MSFT is protected at ")
        assert await looked(stage, datetime.now(UTC)) == []
