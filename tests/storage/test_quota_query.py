"""The quota as a screen reads it, and what an operator may do about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from agents.market.planner import Ask, SlotWant, plan_calls
from storage.calls import CachedAnswer, CallEnd, CallFault, Priority, QuotaRefused
from storage.desk import Desk
from storage.engine import open_engine
from storage.quota import QuotaLedger
from storage.quota_plans import keep_plan
from storage.quota_query import read_quota
from storage.quota_rules import WINDOW, EntitlementState, QuotaRules, ResetHour
from storage.quota_snapshot import CallCount, QuotaRow
from storage.vendor_cache import VendorCache
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, execute, scalar
from tests.storage.test_quota import DONE, KEY, RULES, call, end, failed, pass_time


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(database)
    yield engine
    await engine.dispose()


@pytest.fixture
def ledger(engine: AsyncEngine) -> QuotaLedger:
    return QuotaLedger(engine, KEY, RULES)


def quota(conninfo: str) -> QuotaRow:
    with psycopg.connect(conninfo) as connection:
        row = read_quota(connection)
    assert row is not None
    return row


def test_a_desk_that_never_had_a_key_has_no_quota(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert read_quota(connection) is None
    with Desk(database) as desk:
        assert desk.entitlements() == ()
        assert (desk.quota_use().by_job, desk.quota_use().by_endpoint) == ((), ())


async def test_every_number_of_the_quota_is_read_as_the_ledger_wrote_it(
    database: str, engine: AsyncEngine, ledger: QuotaLedger
) -> None:
    await end(ledger, DONE, job="settle")
    pass_time(database, WINDOW)  # what has left the window counts for the bytes alone
    await end(ledger, DONE, job="settle")
    pass_time(database, timedelta(hours=2))
    await ledger.admit(call(Priority.EXITS, symbol="MSFT"))
    await end(ledger, failed(CallFault.SYMBOL_NOT_IN_PLAN), symbol="QQQ")
    await end(ledger, failed(CallFault.ENDPOINT_NOT_IN_PLAN), endpoint="batch-quote")
    await ledger.reserve("settle", Priority.POSITIONS, 2)
    await ledger.reserve("stops", Priority.EXITS, 4)
    cache, now = VendorCache(engine), datetime.now(UTC)
    for symbol, age, lasts in (("AAPL", 1, 3), ("MSFT", 2, 3), ("KO", 9, 3)):
        await cache.put(
            CachedAnswer(
                endpoint="quote",
                symbol=symbol,
                params="",
                body=[],
                fetched_at=now - timedelta(hours=age),
                expires_at=now + timedelta(hours=lasts - age),
            )
        )
    row = quota(database)
    assert (row.used, row.limit, row.reserve, row.last_hour, row.unsettled) == (4, 10, 3, 3, 1)
    assert (row.held, row.left, row.reserve_left) == (3, 0, 3)
    oldest = scalar(database, "select admitted_at from vendor_calls order by admitted_at offset 1 limit 1")
    assert row.next_free_at == oldest + WINDOW
    assert (row.received_bytes, row.bytes_limit) == (2 * 1_000 + 2 * 200, RULES.bandwidth_bytes)
    assert (row.allowed, row.refused_symbols, row.refused_endpoints) == (1, 1, 1)
    assert (row.cached_fresh, row.cached_stale) == (2, 1)
    assert row.oldest_fresh_at == now - timedelta(hours=2)
    assert row.by_priority == (CallCount(name="exits", calls=1), CallCount(name="watchlist", calls=3))
    assert (row.blocks, row.planned, row.planned_at, row.dry_at) == ((), (), None, None)
    with Desk(database) as desk:
        use = desk.quota_use()
        states = [(known.endpoint, known.symbol, known.state) for known in desk.entitlements()]
    assert use.by_job == (CallCount(name="mark_noon", calls=3), CallCount(name="settle", calls=1))
    assert use.by_endpoint == (CallCount(name="quote", calls=3), CallCount(name="batch-quote", calls=1))
    assert states == [
        ("batch-quote", "", EntitlementState.REFUSED),
        ("quote", "QQQ", EntitlementState.REFUSED),
        ("quote", "AAPL", EntitlementState.ALLOWED),
    ]


async def test_the_key_put_in_force_last_is_the_one_that_is_shown(
    database: str, engine: AsyncEngine, ledger: QuotaLedger
) -> None:
    await end(ledger, DONE)
    other = QuotaRules(daily_calls=100, exits_reserve=5, bandwidth_bytes=1_000_000_000)
    await QuotaLedger(engine, "another", other).put_in_force()
    assert (quota(database).used, quota(database).limit) == (0, 100)
    await ledger.put_in_force()
    assert (quota(database).used, quota(database).limit) == (1, 10)


async def test_a_plan_comes_back_as_it_was_made_and_an_overtaken_one_changes_nothing(
    database: str, engine: AsyncEngine, ledger: QuotaLedger
) -> None:
    await ledger.put_in_force()
    now = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
    asks = tuple(Ask(endpoint="quote", symbol=f"S{number}", typical_bytes=500) for number in range(9))
    want = SlotWant(
        slot="mark_noon", job="mark_noon of 2026-03-02", due_at=now, priority=Priority.WATCHLIST, asks=asks
    )
    made = plan_calls(now, [], [want], RULES)
    for at, plan in ((now, made), (now - timedelta(hours=1), plan_calls(now, [], [], RULES))):
        await keep_plan(engine, ledger.fingerprint, made_at=at, dry_at=plan.dry_at, slots=plan.rows())
    row = quota(database)
    assert row.planned == made.rows()
    assert (row.planned_at, row.dry_at) == (now, now)
    assert (row.planned[0].calls, row.planned[0].deferred_symbols) == (7, ("S7", "S8"))


async def test_blocks_are_shown_with_the_vendors_words_and_the_hour_it_learned(
    database: str, ledger: QuotaLedger
) -> None:
    await end(ledger, failed(CallFault.DAILY_LIMIT, 429, "Limit \x1b[31mReach ."))
    execute(
        database,
        "insert into quota_resets (id, key_fingerprint, hour, refused_at, worked_at)"
        " values (gen_random_uuid(), %s, '00:00 UTC', now(), now())",
        ledger.fingerprint,
    )
    row = quota(database)
    (block,) = row.blocks
    assert (block.fault, block.note) == (CallFault.DAILY_LIMIT, "Limit Reach .")
    assert block.until is not None
    assert row.reset_hour is ResetHour.UTC_MIDNIGHT


async def test_an_accelerated_desk_counts_by_its_own_clock(database: str, engine: AsyncEngine) -> None:
    with build.writing(database) as session:
        build.found_paper(session, name="rehearsal")
    ledger = QuotaLedger(engine, KEY, RULES, accelerated=True)
    start = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
    clock = "update desk set clock_speed = 1, clock_anchor = now(), clock_from = %s"
    execute(database, clock, start)
    await end(ledger, CallEnd(status=200, fault=None, received_bytes=1, latency_ms=1.0))
    admitted = scalar(database, "select admitted_at from vendor_calls")
    assert start <= admitted < start + timedelta(minutes=1)
    assert quota(database).used == 1
    execute(database, clock, start + WINDOW + timedelta(minutes=1))
    assert quota(database).used == 0


# -- what an operator may do ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["QQQ", "qqq", "batch-quote"])
async def test_a_refusal_is_forgotten_by_symbol_or_endpoint(
    database: str, ledger: QuotaLedger, what: str
) -> None:
    await end(ledger, failed(CallFault.SYMBOL_NOT_IN_PLAN), symbol="QQQ")
    await end(ledger, failed(CallFault.ENDPOINT_NOT_IN_PLAN), endpoint="batch-quote")
    with Desk(database) as desk:
        receipt = desk.forget_refusal(what, operator=ADA)
        assert (receipt.accepted, receipt.message) == (True, f"1 refused for {what} forgotten")
        again = desk.forget_refusal(what, operator=ADA)
    assert not again.accepted
    await ledger.admit(call(endpoint="batch-quote") if what == "batch-quote" else call(symbol="QQQ"))
    assert scalar(database, "select count(*) from entitlements where state = 'refused'") == 1
    assert scalar(database, "select kind || ' ' || who from operations") == "vendor ada"


async def test_a_blocked_key_is_tried_again_when_an_operator_says_so(
    database: str, ledger: QuotaLedger
) -> None:
    await end(ledger, failed(CallFault.INVALID_KEY, 401))
    with pytest.raises(QuotaRefused):
        await ledger.admit(call())
    with Desk(database) as desk:
        assert desk.unblock_vendor(operator=ADA).accepted
        assert desk.unblock_vendor(operator=ADA).message == "no key is blocked"
    await ledger.admit(call())
    assert scalar(database, "select ended_by from vendor_blocks") == "ada"
