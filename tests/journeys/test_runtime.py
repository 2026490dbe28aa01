"""The runtime as processes: killed, frozen, told to leave, left without its database; the desk goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.journeys.processes import home_of_its_own, kill, postmaster, wait_until
from tests.journeys.runtimes import Desk, Process, watched_desk

REHEARSAL = {
    "QUORUM_REHEARSAL__HISTORY": "sample",
    "QUORUM_REHEARSAL__FIRST": "2007-01-03",
    "QUORUM_REHEARSAL__SPEED": "3600",
}
NAME = "rehearsal"


@pytest.fixture
def home() -> Iterator[Path]:
    with home_of_its_own() as home:
        yield home


@contextmanager
def blocked(desk: Desk, table: str) -> Iterator[None]:
    """Nobody writes to a table: a job that must stays in the middle of its work."""
    with psycopg.connect(desk.conninfo) as connection:
        connection.execute(f"lock table {table} in exclusive mode".encode())
        yield


def runtime(home: Path, *arguments: str) -> Process:
    return Process(home, "run", "--desk", NAME, *arguments, settings=REHEARSAL)


def waiting_for(desk: Desk, slot: str) -> str | None:
    """The run of a slot that is in the middle of its work and cannot go on."""
    found = desk.one(
        "select r.id::text from runs r where r.slot = %s and r.state = 'running'"
        " and exists (select 1 from pg_locks where not granted)",
        slot,
    )
    return str(found) if found else None


def state_of(desk: Desk, run: str) -> object:
    return desk.one("select state from runs where id::text = %s", run)


@pytest.mark.long
def test_a_second_runtime_is_refused_and_one_that_stands_by_follows_a_killed_leader(home: Path) -> None:
    with watched_desk(home, "paper") as desk, Process(home, "run") as first:
        first.leads(desk)
        with Process(home, "run") as refused:
            assert refused.end() == 2
            (line,) = refused.said.strip().splitlines()
            assert line.startswith(
                f"quorum: a runtime of this home runs the desk paper already (pid {first.pid})"
            )
            assert "--standby" in line
        with Process(home, "run", "--standby") as second:
            wait_until(lambda: "stands by" in second.said, saw=lambda: second.said)
            assert desk.leader == first.pid
            first.kill()
            second.leads(desk)
            assert desk.epoch == 2
            assert desk.one("select text from operations order by at desc limit 1") != ""


@pytest.mark.long
def test_a_frozen_leader_loses_the_desk_and_writes_nothing_when_it_thaws(home: Path) -> None:
    with watched_desk(home, NAME) as desk, runtime(home) as first:
        first.leads(desk)
        with runtime(home, "--standby") as second:
            wait_until(lambda: "stands by" in second.said, saw=lambda: second.said)
            first.send(signal.SIGSTOP)
            second.leads(desk)
            since = desk.one("select since from leadership")
            first.send(
                signal.SIGCONT
            )  # an hour of its clock has passed every second: it would have much to do
            wait_until(lambda: "does not lead any more" in first.said, saw=lambda: first.said)
            time.sleep(2)
            assert desk.leader == second.pid
            assert desk.one("select count(*) from runs where epoch = 1 and queued_at > %s", since) == 0
            assert (
                desk.one(
                    "select count(*) from operations where who like %s and at > %s", f"%:{first.pid}", since
                )
                == 0
            )
            assert first.process.poll() is None  # it stands by


@pytest.mark.long
@pytest.mark.parametrize("victim", ["runtime", "child", "server"])
def test_a_job_in_the_middle_of_its_work_is_done_once_whoever_is_killed(home: Path, victim: str) -> None:
    slot, table = ("regime", "regime_readings") if victim == "child" else ("settle", "equity")
    with watched_desk(home, NAME) as desk, runtime(home) as first:
        first.leads(desk)
        with runtime(home, "--standby") as second:
            wait_until(lambda: "stands by" in second.said, saw=lambda: second.said)
            try:
                with blocked(desk, table):
                    run = wait_until(lambda: waiting_for(desk, slot), timeout_s=60, saw=lambda: first.said)
                    if victim == "runtime":
                        first.kill()
                    elif victim == "child":
                        assert kill(first.children()[0])
                    else:
                        assert kill(postmaster(home))
            except psycopg.OperationalError:
                assert victim == "server"
            wait_until(
                lambda: state_of(desk, run) == "done", timeout_s=40, saw=lambda: first.said + second.said
            )
            assert desk.one("select attempts >= 2 from runs where id::text = %s", run)
            doubles = desk.one(f"select count(*) - count(distinct session) from {table}")
            assert doubles == 0


@pytest.mark.long
def test_sigterm_lets_what_was_begun_end_and_sighup_is_ignored(home: Path) -> None:
    with watched_desk(home, NAME) as desk, runtime(home) as first:
        first.leads(desk)
        first.send(signal.SIGHUP)
        with blocked(desk, "equity"):
            run = wait_until(lambda: waiting_for(desk, "settle"), timeout_s=60, saw=lambda: first.said)
            assert desk.leader == first.pid
            first.send(signal.SIGTERM)
            time.sleep(1)
            assert first.process.poll() is None
            assert desk.leader == first.pid  # its heart beats while the last job ends
        assert first.end() == 0
        assert state_of(desk, run) == "done"
        assert desk.one("select ended_at is not null from leadership")
        assert desk.one("select count(*) from runs where state = 'running'") == 0


@pytest.mark.long
def test_stop_reaches_runtimes_and_workers(home: Path) -> None:
    with watched_desk(home, "paper") as desk, Process(home, "run") as first:
        first.leads(desk)
        with (
            Process(home, "run", "--standby") as second,
            Process(home, "worker", "--queues", "io,compute") as worker,
        ):
            wait_until(lambda: desk.one("select count(*) from workers") == 3, saw=lambda: worker.said)
            with Process(home, "stop") as stop:
                assert stop.end() == 0, stop.said
            assert [process.end() for process in (first, second, worker)] == [0, 0, 0]
            assert desk.one("select count(*) from workers") == 0
