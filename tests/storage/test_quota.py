"""The ledger of calls: counted before they are made, never above the limit, and taught by how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.calls import CallEnd, CallFault, NotEntitled, Priority, QuotaRefused, VendorCall
from storage.engine import open_engine
from storage.quota import QuotaLedger
from storage.quota_rules import (
    EXITS_BYTES,
    PROBE_PATIENCE,
    WINDOW,
    QuotaRules,
    ResetHour,
    key_fingerprint,
    next_probe,
    reset_between,
)
from tests.storage.desk_builder import execute, scalar

KEY = "a-key-nobody-has"
RULES = QuotaRules(daily_calls=10, exits_reserve=3, bandwidth_bytes=100_000_000)
DONE = CallEnd(status=200, fault=None, received_bytes=1_000, latency_ms=80.0)

# Time passes for the ledger when everything it remembers becomes older.
AGES = {
    "vendor_calls": ("admitted_at", "settled_at"),
    "call_reservations": ("reserved_at", "expires_at", "released_at"),
    "entitlements": ("learned_at", "ask_again_at"),
    "vendor_blocks": ("since", "refused_at", "until", "ended_at"),
}


def pass_time(conninfo: str, span: timedelta) -> None:
    for table, columns in AGES.items():
        moved = ", ".join(f"{column} = {column} - %(span)s" for column in columns)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(f"update {table} set {moved}".encode(), {"span": span})


def call(
    priority: Priority = Priority.WATCHLIST,
    *,
    endpoint: str = "quote",
    symbol: str | None = "AAPL",
    job: str = "mark_noon",
) -> VendorCall:
    return VendorCall(endpoint=endpoint, symbol=symbol, priority=priority, job=job)


def failed(fault: CallFault, status: int | None = 402, note: str = "") -> CallEnd:
    return CallEnd(status=status, fault=fault, received_bytes=200, latency_ms=50.0, note=note)


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(database)
    yield engine
    await engine.dispose()


@pytest.fixture
def ledger(engine: AsyncEngine) -> QuotaLedger:
    return QuotaLedger(engine, KEY, RULES)


async def admit(ledger: QuotaLedger, count: int, priority: Priority = Priority.WATCHLIST) -> int:
    """How many of so many calls one after the other are admitted."""
    admitted = 0
    for _ in range(count):
        try:
            await ledger.admit(call(priority))
        except QuotaRefused:
            continue
        admitted += 1
    return admitted


async def end(ledger: QuotaLedger, ending: CallEnd, **about: str) -> UUID:
    """One call that ends so."""
    ticket = await ledger.admit(call(**about))  # type: ignore[arg-type]
    await ledger.settle(ticket, ending)
    return ticket


# -- the count -----------------------------------------------------------------------------------------------


async def test_a_call_is_on_record_before_it_is_made_and_a_crash_leaves_it_counted(
    database: str, ledger: QuotaLedger
) -> None:
    ticket = await ledger.admit(call())
    row = (
        "select key_fingerprint, endpoint, symbol, priority, job, settled_at from vendor_calls where id = %s"
    )
    with psycopg.connect(database) as connection:
        kept = connection.execute(row.encode(), [ticket]).fetchone()
    assert kept == (key_fingerprint(KEY), "quote", "AAPL", 3, "mark_noon", None)
    assert await admit(ledger, 20) == RULES.daily_calls - RULES.exits_reserve - 1


async def test_the_reserve_is_left_for_exits_alone(ledger: QuotaLedger) -> None:
    for priority in (Priority.POSITIONS, Priority.APPROVALS, Priority.WATCHLIST, Priority.DISCOVERY):
        await admit(ledger, 10, priority)
    assert await admit(ledger, 10, Priority.POSITIONS) == 0
    assert await admit(ledger, 10, Priority.EXITS) == RULES.exits_reserve


async def test_a_refused_call_is_told_when_the_oldest_leaves_the_window(
    database: str, ledger: QuotaLedger
) -> None:
    await admit(ledger, 3)
    pass_time(database, timedelta(hours=20))
    await admit(ledger, 10)
    oldest = scalar(database, "select min(admitted_at) from vendor_calls")
    with pytest.raises(QuotaRefused, match="7 of 10 calls of 24 h are made, the last 3 are for exits") as no:
        await ledger.admit(call())
    assert no.value.until == oldest + WINDOW
    pass_time(database, timedelta(hours=4, minutes=2))
    assert await admit(ledger, 10) == 3


async def test_the_window_of_another_key_is_another(engine: AsyncEngine, ledger: QuotaLedger) -> None:
    await admit(ledger, 10, Priority.EXITS)
    assert await admit(QuotaLedger(engine, "another", RULES), 20) == 7


async def test_of_many_tasks_at_once_exactly_as_many_as_there_is_room_for_are_admitted(
    ledger: QuotaLedger,
) -> None:
    admitted = await asyncio.gather(*(admit(ledger, 2) for _ in range(20)))
    assert sum(admitted) == 7


@pytest.mark.long
async def test_a_process_that_freezes_while_it_counts_does_not_stop_the_others(
    engine: AsyncEngine, ledger: QuotaLedger
) -> None:
    with pytest.raises(DBAPIError, match="idle-in-transaction"):
        async with engine.begin() as frozen:
            await ledger._hold_key(frozen)
            await ledger.admit(call(Priority.EXITS))
            await ledger._now(frozen)


async def test_settings_of_another_process_do_not_loosen_the_rules_in_force(
    engine: AsyncEngine, ledger: QuotaLedger
) -> None:
    await ledger.put_in_force()
    loose = QuotaLedger(
        engine, KEY, QuotaRules(daily_calls=250, exits_reserve=5, bandwidth_bytes=1_000_000_000)
    )
    assert await admit(loose, 20) == 7


async def test_a_full_allowance_of_bytes_stops_calls_and_leaves_exits_the_last_of_it(
    database: str, ledger: QuotaLedger
) -> None:
    most = RULES.bandwidth_bytes - EXITS_BYTES
    await end(ledger, CallEnd(status=200, fault=None, received_bytes=most, latency_ms=1.0))
    first = scalar(database, "select admitted_at from vendor_calls")
    with pytest.raises(QuotaRefused, match="80 of 80 MB of 30 days are received") as no:
        await ledger.admit(call())
    assert no.value.until == first + timedelta(days=30)
    assert await admit(ledger, 1, Priority.EXITS) == 1
    pass_time(database, timedelta(days=30, seconds=1))
    assert await admit(ledger, 1) == 1


async def test_a_call_is_settled_once_and_only_when_it_was_admitted(
    database: str, ledger: QuotaLedger
) -> None:
    ticket = await end(ledger, failed(CallFault.UNAVAILABLE, None, note="\x1b[31mbad\0gateway"))
    await ledger.settle(ticket, DONE)
    row = "select status, fault, received_bytes, note from vendor_calls"
    with psycopg.connect(database) as connection:
        assert connection.execute(row.encode()).fetchone() == (None, "unavailable", 200, "badgateway")
    with pytest.raises(LookupError):
        await ledger.settle(uuid4(), DONE)


# -- reservations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("priority", [Priority.POSITIONS, Priority.WATCHLIST])
async def test_what_a_job_has_reserved_no_other_of_its_priority_or_a_lower_one_can_use(
    ledger: QuotaLedger, priority: Priority
) -> None:
    held = await ledger.reserve("settle", Priority.POSITIONS, 4)
    assert held.calls == 4
    assert await admit(ledger, 10, priority) == 3
    for _ in range(4):
        await ledger.admit(call(Priority.POSITIONS, job="settle"))
    with pytest.raises(QuotaRefused):
        await ledger.admit(call(Priority.POSITIONS, job="settle"))


async def test_what_a_job_has_used_it_holds_no_more(ledger: QuotaLedger) -> None:
    await ledger.reserve("settle", Priority.POSITIONS, 4)
    for _ in range(4):
        await ledger.admit(call(Priority.POSITIONS, job="settle"))
    assert await admit(ledger, 10) == 3


async def test_a_higher_priority_is_not_held_up_by_what_a_lower_one_has_reserved(ledger: QuotaLedger) -> None:
    await ledger.reserve("screen", Priority.DISCOVERY, 7)
    assert await admit(ledger, 10, Priority.POSITIONS) == 7
    assert await admit(ledger, 10, Priority.EXITS) == 3


async def test_what_was_not_used_is_free_when_the_job_ends_or_its_time_is_up(
    database: str, ledger: QuotaLedger
) -> None:
    held = await ledger.reserve("settle", Priority.POSITIONS, 7)
    with pytest.raises(QuotaRefused, match="7 held for jobs that go first") as no:
        await ledger.admit(call())
    assert no.value.until == held.expires_at
    await ledger.admit(call(Priority.POSITIONS, job="settle"))
    await ledger.release(held)
    assert await admit(ledger, 2) == 2
    await ledger.reserve("settle", Priority.POSITIONS, 4)
    pass_time(database, timedelta(minutes=31))
    assert await admit(ledger, 10) == 4


async def test_a_job_gets_what_there_is_and_is_refused_when_there_is_nothing(ledger: QuotaLedger) -> None:
    await admit(ledger, 5)
    assert (await ledger.reserve("settle", Priority.POSITIONS, 40)).calls == 2
    assert (await ledger.reserve("stops", Priority.EXITS, 40)).calls == 5
    with pytest.raises(QuotaRefused):
        await ledger.reserve("screen", Priority.DISCOVERY, 1)


async def test_what_exits_have_reserved_is_taken_from_their_reserve_first(ledger: QuotaLedger) -> None:
    await ledger.reserve("stops", Priority.EXITS, 3)
    assert await admit(ledger, 5) == 5
    await ledger.reserve("stops", Priority.EXITS, 4)
    assert await admit(ledger, 5) == 1
    assert await admit(ledger, 5, Priority.EXITS) == 0  # another job's
    for _ in range(4):
        await ledger.admit(call(Priority.EXITS, job="stops"))


async def test_a_job_that_begins_again_holds_what_it_asks_for_now(ledger: QuotaLedger) -> None:
    await ledger.reserve("settle", Priority.POSITIONS, 7)
    await ledger.reserve("settle", Priority.POSITIONS, 2)
    assert await admit(ledger, 10) == 5


# -- entitlements --------------------------------------------------------------------------------------------


async def test_a_symbol_that_is_not_in_the_plan_is_not_asked_for_again_for_ever_longer(
    database: str, ledger: QuotaLedger
) -> None:
    for days in (7, 14, 28, 30, 30):
        await end(ledger, failed(CallFault.SYMBOL_NOT_IN_PLAN), symbol="QQQ")
        learned = scalar(database, "select learned_at from entitlements where symbol = 'QQQ'")
        with pytest.raises(NotEntitled, match="FMP refused quote for QQQ on ") as no:
            await ledger.admit(call(symbol="QQQ"))
        assert (no.value.fault, no.value.until) == (
            CallFault.SYMBOL_NOT_IN_PLAN,
            learned + timedelta(days=days),
        )
        await ledger.admit(call(symbol="AAPL"))
        await ledger.admit(call(symbol="QQQ", endpoint="profile"))
        pass_time(database, timedelta(days=days, seconds=1))
    await end(ledger, DONE, symbol="QQQ")
    await ledger.admit(call(symbol="QQQ"))


@pytest.mark.parametrize(
    "fault", [CallFault.ENDPOINT_NOT_IN_PLAN, CallFault.LEGACY_ENDPOINT, CallFault.NOT_FOUND]
)
async def test_an_endpoint_that_is_refused_is_refused_for_every_symbol_for_a_week(
    database: str, ledger: QuotaLedger, fault: CallFault
) -> None:
    await end(ledger, failed(fault), endpoint="batch-quote")
    for symbol in ("AAPL", "MSFT", None):
        with pytest.raises(NotEntitled) as no:
            await ledger.admit(call(endpoint="batch-quote", symbol=symbol))
        assert no.value.fault is fault
    assert scalar(database, "select count(*) from vendor_calls") == 1
    pass_time(database, timedelta(days=7, seconds=1))
    await end(ledger, DONE, endpoint="batch-quote")
    await ledger.admit(call(endpoint="batch-quote", symbol="MSFT"))
    states = "select array_agg(state::text order by symbol) from entitlements"
    assert scalar(database, states) == ["allowed", "allowed"]


@pytest.mark.parametrize("fault", [CallFault.PARAMETER_NOT_IN_PLAN, CallFault.GARBLED, CallFault.UNAVAILABLE])
async def test_what_says_nothing_about_the_plan_teaches_nothing(
    database: str, ledger: QuotaLedger, fault: CallFault
) -> None:
    await end(ledger, failed(fault))
    await ledger.admit(call())
    assert scalar(database, "select count(*) from entitlements") == 0


# -- blocks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [CallFault.INVALID_KEY, CallFault.SUSPENDED])
async def test_a_refused_key_makes_no_call_until_it_is_another(
    database: str, engine: AsyncEngine, ledger: QuotaLedger, fault: CallFault
) -> None:
    await end(ledger, failed(fault, 401))
    pass_time(database, timedelta(days=90))
    with pytest.raises(QuotaRefused, match="before the key is another one"):
        await ledger.admit(call(Priority.EXITS))
    with pytest.raises(QuotaRefused):
        await ledger.reserve("stops", Priority.EXITS, 1)
    await QuotaLedger(engine, "another", RULES).admit(call())


async def test_after_the_daily_limit_one_call_at_a_time_tries_at_the_hours_of_a_reset(
    database: str, ledger: QuotaLedger
) -> None:
    await end(ledger, failed(CallFault.DAILY_LIMIT, 429, "Limit Reach ."))
    refused_at, until = blocked(database)
    assert until == next_probe(refused_at)
    with pytest.raises(
        QuotaRefused, match=r"FMP said the day's calls are used up at .*one call tries again"
    ) as no:
        await ledger.admit(call(Priority.EXITS))
    assert no.value.until == until

    pass_time(database, until - refused_at)
    probe = await ledger.admit(call())
    with pytest.raises(QuotaRefused, match="one call is trying"):
        await ledger.admit(call(Priority.EXITS))
    await ledger.settle(probe, failed(CallFault.DAILY_LIMIT, 429))
    refused_at, until = blocked(database)
    assert until == next_probe(refused_at)


async def test_a_probe_that_is_lost_or_proves_nothing_is_followed_by_another(
    database: str, ledger: QuotaLedger
) -> None:
    await end(ledger, failed(CallFault.BANDWIDTH_LIMIT, 429))
    pass_time(database, timedelta(days=1))
    await ledger.admit(call())
    pass_time(database, PROBE_PATIENCE)
    probe = await ledger.admit(call())
    await ledger.settle(probe, failed(CallFault.UNAVAILABLE, 502))
    with pytest.raises(QuotaRefused):
        await ledger.admit(call())
    pass_time(database, timedelta(minutes=5))
    await end(ledger, DONE)
    await ledger.admit(call())
    assert scalar(database, "select ended_by from vendor_blocks") == "probe"


async def test_the_hour_at_which_a_used_up_key_works_again_is_learned(
    database: str, ledger: QuotaLedger
) -> None:
    await end(ledger, failed(CallFault.DAILY_LIMIT, 429))
    now = scalar(database, "select clock_timestamp()")
    # Refused so that exactly the last hour of a reset lies between then and now.
    hours = [now - timedelta(minutes=minutes) for minutes in range(24 * 60)]
    refused_at = next(moment for moment in hours if next_probe(moment) <= now) - timedelta(minutes=1)
    execute(database, "update vendor_blocks set refused_at = %s, until = %s", refused_at, now)
    await end(ledger, DONE)
    learned = scalar(database, "select hour from quota_resets")
    assert learned == reset_between(refused_at, now)
    assert learned in list(ResetHour)


def blocked(conninfo: str) -> tuple[datetime, datetime]:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(
            "select refused_at, until from vendor_blocks where ended_at is null"
        ).fetchone()
    assert row is not None
    return row[0], row[1]


# -- the hours of a reset ------------------------------------------------------------------------------------


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "probe"),
    [
        ("2026-01-14T18:00", "2026-01-14T20:05"),
        ("2026-01-14T20:05", "2026-01-15T00:05"),
        ("2026-07-14T18:00", "2026-07-14T19:05"),  # daylight saving time
        ("2026-07-14T19:30", "2026-07-15T00:05"),
        ("2026-03-07T20:05", "2026-03-08T00:05"),
        ("2026-03-08T00:05", "2026-03-08T19:05"),  # the day the clocks change
    ],
)
def test_a_used_up_key_is_tried_after_midnight_utc_and_after_three_in_new_york(
    after: str, probe: str
) -> None:
    assert next_probe(utc(after)) == utc(probe)


@pytest.mark.parametrize(
    ("refused", "worked", "hour"),
    [
        ("2026-01-14T18:00", "2026-01-14T20:05", ResetHour.NEW_YORK_AFTERNOON),
        ("2026-01-14T22:00", "2026-01-15T00:06", ResetHour.UTC_MIDNIGHT),
        ("2026-01-14T18:00", "2026-01-15T00:06", None),  # either may have been it
        ("2026-01-14T18:00", "2026-01-14T19:00", None),  # neither was
    ],
)
def test_a_reset_is_learned_only_when_it_can_have_been_no_other(
    refused: str, worked: str, hour: ResetHour | None
) -> None:
    assert reset_between(utc(refused), utc(worked)) is hour
