"""Accelerated days with everything killed at random: no slot twice in effect, none silently missing.

`HOURS` (of the desk's clock) and `SPEED` make it longer than the usual loop can afford: HOURS=72 SPEED=360.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from app.runtime.plan import due_slots
from storage.desk import Desk as Operations
from storage.records import Operator, Slot
from tests.app.books import assert_books_balance
from tests.journeys.processes import home_of_its_own, kill, postmaster, wait_until
from tests.journeys.runtimes import Desk, Process, watched_desk

pytestmark = pytest.mark.long
HOURS = float(os.environ.get("HOURS", "16"))
SPEED = float(os.environ.get("SPEED", "2400"))
KILL_EVERY_S = (3.0, 14.0)
NAME = "rehearsal"
RUNS = "select state, count(*) as n from runs group by 1"
REHEARSAL = {
    "QUORUM_REHEARSAL__HISTORY": "sample",
    "QUORUM_REHEARSAL__FIRST": "2007-01-08",
    "QUORUM_REHEARSAL__SPEED": str(SPEED),
}


def test_random_kills_leave_every_slot_with_one_ending() -> None:
    moment = random.Random(7)
    with home_of_its_own() as home, watched_desk(home, NAME) as desk, keeping(home) as processes:
        began = wait_until(lambda: desk.one("select created_at from desk"), timeout_s=60)
        assert isinstance(began, datetime)
        with approving(desk):
            killed = dict.fromkeys(("runtime", "child", "server"), 0)
            while (now := desk_time(desk)) is None or now < began + timedelta(hours=HOURS):
                time.sleep(moment.uniform(*KILL_EVERY_S))
                victim = moment.choice(sorted(killed))
                killed[victim] += strike(victim, home, desk, processes)
        time.sleep(1)  # what is left of a killed server answers for a moment
        wait_until(lambda: desk.leader)
        until = wait_until(lambda: desk_time(desk))
        # One kill may have been just now: what was due by then comes to an end without any more of them.
        settled = wait_until(lambda: ended(desk, until), timeout_s=90, saw=lambda: unfinished(desk))
        assert settled
        assert sum(killed.values()) > 0
        missing = never_ran(desk, began, until)
        assert not missing
        assert desk.one("select count(*) - count(distinct (session, slot)) from runs") == 0
        assert desk.one("select count(*) from runs where state = 'failed'") == 0
        assert_books_balance(desk.conninfo)
        report(desk, processes, killed)


@contextmanager
def keeping(home: Path) -> Iterator[list[Process]]:
    """Two runtimes, each started again when it is gone, as a service manager would."""
    processes: list[Process] = []
    over = threading.Event()

    def keep() -> None:
        while not over.wait(0.2):
            alive = [process for process in processes if process.process.poll() is None]
            if len(alive) < 2:
                processes.append(Process(home, "run", "--desk", NAME, "--standby", settings=REHEARSAL))

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield processes
    finally:
        over.set()
        thread.join()
        for process in processes:
            process.__exit__()


@contextmanager
def approving(desk: Desk) -> Iterator[None]:
    """An operator who approves whatever waits, also while everything falls."""
    over = threading.Event()
    operator = Operator(name="journey")

    def approve() -> None:
        with Operations(desk.conninfo) as operations:
            while not over.wait(0.5):
                with suppress(psycopg.Error):
                    snapshot = operations.snapshot()
                    for row in snapshot.pending if snapshot else ():
                        typed = row.short_id if row.risky else ""
                        operations.approve(row.id, digest=row.digest, typed_id=typed, operator=operator)

    thread = threading.Thread(target=approve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def strike(victim: str, home: Path, desk: Desk, processes: list[Process]) -> bool:
    """kill -9 of one process; False when there was none."""
    if victim == "server":
        return kill(postmaster(home))
    leader = next((process for process in processes if process.pid == desk.leader), None)
    if leader is None:
        return False
    return kill(leader.pid if victim == "runtime" else next(iter(leader.children()), None))


def desk_time(desk: Desk) -> datetime | None:
    now = desk.one("select clock_from + (now() - clock_anchor) * clock_speed from desk")
    return now if isinstance(now, datetime) else None


def ended(desk: Desk, until: datetime) -> bool:
    """Whether every slot due by then has a run, and every such run has ended."""
    began = desk.one("select created_at from desk")
    open_runs = desk.one("select count(*) from runs where finished_at is null and desk_time <= %s", until)
    return isinstance(began, datetime) and open_runs == 0 and not never_ran(desk, began, until)


def unfinished(desk: Desk) -> str:
    return str(desk.ask("select session, slot, state, summary from runs where finished_at is null"))


def never_ran(desk: Desk, began: datetime, until: datetime) -> list[str]:
    """Slots due in the meantime that have no row at all."""
    try:
        rows = desk.ask("select session, slot from runs")
    except psycopg.Error:
        return ["the database is away"]
    known = {(row["session"], Slot(str(row["slot"]))) for row in rows}
    due = due_slots(until, since=began, known=known, first=began.date())  # type: ignore[arg-type]
    return [f"{slot.session} {slot.slot}" for slot in due]


def report(desk: Desk, processes: list[Process], killed: dict[str, int]) -> None:
    """What a long run is read for; pytest -s shows it."""
    states = {row["state"]: row["n"] for row in desk.ask(RUNS)}
    late = desk.one("select count(*) from runs where late_s > 0")
    tries = desk.one("select max(attempts) from runs")
    counts = [f"{desk.one(f'select count(*) from {table}')} {table}" for table in ("approvals", "fills")]
    print(  # noqa: T201
        f"\n{HOURS:.0f} h at {SPEED:.0f}x: killed {killed}, {len(processes)} runtimes, {desk.epoch} terms;"
        f" runs {states}, {late} late, at most {tries} attempts;"
        f" {', '.join(counts)}"
    )
