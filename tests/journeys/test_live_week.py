"""The paper desk as its runtime runs it, for a week, against the vendor as a server of its own.

`SESSIONS` and `SPEED` (desk seconds a second) make it longer or gentler: SESSIONS=7 SPEED=600 is the week.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

import pytest

from agents.market.calendar import add_sessions, sessions
from app.runtime.live import Rehearsal, open_live_desk
from app.runtime.slots import due_at
from storage.embedded import EmbeddedServer
from storage.records import Slot
from storage.server import EmbeddedDatabases
from tests.journeys.processes import ROOT, home_of_its_own, wait_until
from tests.journeys.runtimes import Desk, Process
from tests.runtime.live_stage import (
    HELD,
    MONDAY,
    WATCHED,
    assert_decided_on_good_data,
    calls_of,
    seed,
)
from tests.runtime.stage import EQUITY
from tests.standins.market import StandInMarket

pytestmark = pytest.mark.long
SESSIONS = int(os.environ.get("SESSIONS", "3"))
SPEED = float(os.environ.get("SPEED", "900"))
NAME = "rehearsal"
KEY = "a-key-nobody-may-read-0123456789"
# A busy machine misses slots at this speed, and its backfill takes a session longer: that two are enough is
# held by the week in one process, tests/runtime/test_live_week.py.
BACKFILL = 3
MOST_A_DAY = 130


def test_a_week_of_the_runtime_keeps_to_the_quota_and_decides_on_good_data() -> None:
    days = sessions(MONDAY, add_sessions(MONDAY, SESSIONS - 1))
    with home_of_its_own() as home, EmbeddedServer(home) as server:
        databases = EmbeddedDatabases(server)
        founded = asyncio.run(
            open_live_desk(
                databases,
                NAME,
                start_equity=EQUITY,
                rehearsal=Rehearsal(pack=None, first=MONDAY, speed=SPEED),
            )
        )
        seed(founded.conninfo, StandInMarket(), MONDAY, WATCHED, HELD)
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
            with Process(home, "run", "--desk", NAME, settings=settings) as runtime:
                last = due_at(days[-1], Slot.SETTLE_EVENING)
                left_s = (last - founded.clock.now()).total_seconds() / SPEED
                done = (
                    "select count(*) from runs where session = %s and slot = %s and finished_at is not null"
                )
                wait_until(
                    lambda: desk.one(done, days[-1], Slot.SETTLE_EVENING.value),
                    timeout_s=left_s + 120,
                    saw=lambda: f"{runtime.said[-3000:]}\n{unwell(desk)}",
                )
                said = runtime.said
        try:
            report(desk, days, said)
        finally:
            desk.close()


def report(desk: Desk, days: list[date], said: str) -> None:
    calls = calls_of(desk.conninfo)
    states = {row["state"]: row["n"] for row in desk.ask("select state, count(*) as n from runs group by 1")}
    print(f"\n{calls}\n{states}\n{unwell(desk)}")  # noqa: T201
    print(f"{assert_decided_on_good_data(desk.conninfo)} values read")  # noqa: T201
    assert KEY not in said
    assert calls.faults == 0
    assert calls.fullest <= 250
    assert all(calls.a_day[day] <= MOST_A_DAY for day in days[BACKFILL:])
    settled = desk.ask("select session from runs where slot = 'settle' and state = 'done' order by 1")
    assert [row["session"] for row in settled] == days
    held = desk.ask("select symbol, last_session from positions where state = 'open' order by 1")
    assert [(row["symbol"], row["last_session"]) for row in held][: len(HELD)] == [
        (symbol, days[-1]) for symbol in sorted(HELD)
    ]


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
