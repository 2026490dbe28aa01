"""A paper week as its runtime runs it, against the vendor as a server of its own, a human at the console.

Proposals are answered by keys; then the quota, the books, the protection and the audit are looked at.
`SESSIONS` and `SPEED` (desk seconds a second) make it longer or gentler: SESSIONS=6 is a week with exits.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal

import psycopg
import pytest

from agents.market.calendar import add_sessions, sessions
from app.runtime.live import Rehearsal, open_live_desk
from app.runtime.slots import due_at
from storage.anchors import anchors_path, read_anchors
from storage.audit import verify
from storage.embedded import EmbeddedServer
from storage.records import Slot
from storage.server import EmbeddedDatabases
from tests.journeys.operating import answer_everything, pending
from tests.journeys.processes import ROOT, Console, home_of_its_own, wait_until
from tests.journeys.runtimes import Desk, Process
from tests.runtime.live_stage import (
    MONDAY,
    WATCHED,
    assert_decided_on_good_data,
    calls_of,
    seed,
)
from tests.runtime.stage import EQUITY
from tests.standins.market import StandInMarket

pytestmark = pytest.mark.long
SESSIONS = int(os.environ.get("SESSIONS", "2"))
SPEED = float(os.environ.get("SPEED", "900"))
NAME = "rehearsal"
KEY = "a-key-nobody-may-read-0123456789"
# A busy machine misses slots at this speed, and its backfill takes a session longer: that two are enough is
# held by the week in one process, tests/runtime/test_live_week.py.
BACKFILL = 3
MOST_A_DAY = 130
APPROVED_A_DAY = 2


def test_a_week_of_verdicts_by_keys_ends_with_sound_books_and_a_whole_audit() -> None:
    days = sessions(MONDAY, add_sessions(MONDAY, SESSIONS - 1))
    with home_of_its_own() as home, EmbeddedServer(home) as server:
        founded = asyncio.run(
            open_live_desk(
                EmbeddedDatabases(server),
                NAME,
                start_equity=EQUITY,
                rehearsal=Rehearsal(pack=None, first=MONDAY, speed=SPEED),
            )
        )
        seed(founded.conninfo, StandInMarket(), MONDAY, WATCHED, ())
        desk = Desk(founded.conninfo)
        with stand_in(founded.clock.now(), SPEED) as base_url:
            settings = {
                "FMP_API_KEY": KEY,
                "FMP_BASE_URL": base_url,
                "CBOE_VIX_URL": base_url.replace("/stable", "/public/VIX_History.csv"),
                "FRED_VIX_URL": base_url.replace("/stable", "/public/VIXCLS.csv"),
                "QUORUM_REHEARSAL__FIRST": MONDAY.isoformat(),
                "QUORUM_REHEARSAL__SPEED": str(SPEED),
            }
            with (
                Process(home, "run", "--desk", NAME, settings=settings) as runtime,
                # One the console started would take over from this one, killed last, when the vendor is gone.
                Console(
                    home, "--desk", NAME, settings=settings | {"AGENT_ORCHESTRATOR_ENABLED": "false"}
                ) as console,
            ):
                given = [0, 0]
                ended = "select 1 from runs where session = %s and slot = %s and finished_at is not null"
                for day in days:
                    left_s = (due_at(day, Slot.DIGEST) - founded.clock.now()).total_seconds() / SPEED
                    wait_until(
                        lambda day=day: desk.one(ended, day, Slot.DIGEST.value),  # type: ignore[misc]
                        timeout_s=max(left_s, 0) + 120,
                        saw=lambda: f"{runtime.said[-3000:]}\n{unwell(desk)}",
                    )
                    if pending(founded.conninfo):
                        approved, rejected = answer_everything(console, founded.conninfo, most=APPROVED_A_DAY)
                        given[0] += approved
                        given[1] += rejected
                last = add_sessions(days[-1], 1)
                left_s = (due_at(last, Slot.SETTLE) - founded.clock.now()).total_seconds() / SPEED
                wait_until(
                    lambda: desk.one(ended, last, Slot.SETTLE.value),
                    timeout_s=max(left_s, 0) + 120,
                    saw=lambda: f"{runtime.said[-3000:]}\n{unwell(desk)}",
                )
                console.press("\x11\x11")
                console.end(timeout_s=20)
                # In good order: what it has begun is answered before the vendor goes, and its children end.
                runtime.send(signal.SIGTERM)
                runtime.end(timeout_s=120)
                said = runtime.said
        try:
            report(desk, given, home_anchors=len(read_anchors(anchors_path(home, NAME))))
            check_audit(founded.conninfo)
            check_quota(desk, days, said)
        finally:
            desk.close()


def report(desk: Desk, given: list[int], *, home_anchors: int) -> None:
    orders = desk.ask("select symbol, side, state, note from orders order by created_at")
    outcomes = desk.ask("select symbol, exit_reason, r_multiple from trade_outcomes order by exit_time")
    verbs = {row["verb"]: row["n"] for row in desk.ask("select verb, count(*) n from verdicts group by 1")}
    print(f"\n{given} verdicts by keys\n{verbs}\n{orders}\n{outcomes}\n{unwell(desk)}")  # noqa: T201
    assert sum(given) > 0 and given[0] > 0, "nothing was proposed that could be answered"
    assert verbs.get("approved", 0) == given[0] and verbs.get("rejected", 0) == given[1]
    assert home_anchors > 0
    entries = [row for row in orders if row["side"] == "buy"]
    assert entries and all(row["state"] in ("filled", "skipped") for row in entries)
    fills = desk.ask(
        "select f.symbol, f.price, f.shares, a.min_entry, a.max_entry, a.max_shares from fills f"
        " join orders o on o.id = f.order_id join approvals a on a.id = o.approval_id where f.side = 'buy'"
    )
    assert len(fills) == sum(row["state"] == "filled" for row in entries)
    for fill in fills:
        price, low, high = (Decimal(str(fill[name])) for name in ("price", "min_entry", "max_entry"))
        assert low <= price <= high
        assert int(str(fill["shares"])) <= int(str(fill["max_shares"]))
    naked = desk.ask("select symbol from positions where state = 'open' and protected_by is null")
    assert naked == []
    held = {
        str(row["symbol"]): row["shares"]
        for row in desk.ask("select symbol, shares from positions where state = 'open'")
    }
    account = {
        str(row["symbol"]): row["shares"] for row in desk.ask("select symbol, shares from paper_holdings")
    }
    assert held == account


def check_quota(desk: Desk, days: list[date], said: str) -> None:
    calls = calls_of(desk.conninfo)
    print(f"{calls}\n{assert_decided_on_good_data(desk.conninfo)} values read")  # noqa: T201
    assert KEY not in said
    assert desk.ask("select endpoint, symbol, fault, note from vendor_calls where fault is not null") == []
    assert calls.fullest <= 250
    assert all(calls.a_day[day] <= MOST_A_DAY for day in days[BACKFILL:])
    settled = [
        row["session"]
        for row in desk.ask("select session from runs where slot = 'settle' and state = 'done'")
    ]
    assert set(days) <= set(settled)


def check_audit(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        found = verify(connection)
    assert found.is_whole, found.damage[:5]
    assert found.rows > 20


def unwell(desk: Desk) -> str:
    rows = desk.ask(
        "select session, slot, state, summary from runs where state in ('failed', 'skipped')"
        " and slot <> 'learn' order by desk_time"
    )
    return "\n".join(f"{row['session']} {row['slot']} {row['state']}: {row['summary']}" for row in rows)


@contextmanager
def stand_in(start: datetime, speed: float) -> Iterator[str]:
    """The vendor as a process, its clock beside the desk's; its base URL."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.standins.fmp",
            "--key",
            KEY,
            "--start",
            start.isoformat(),
            "--speed",
            str(speed),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
