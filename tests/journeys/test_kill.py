"""kill -9 of console, host, keeper and postmaster at random moments: it goes on, and nothing is twice."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from agents.market.history import HistoryPack
from app.runtime.report import read_report
from storage.desk import Desk
from storage.embedded import EmbeddedServer
from storage.records import Operator
from storage.server import EmbeddedDatabases
from tests.app.books import assert_books_balance
from tests.journeys.processes import (
    Console,
    home_of_its_own,
    keeper,
    kill,
    last_json,
    postmaster,
    start,
    wait_until,
)

pytestmark = pytest.mark.long
KILLS = int(os.environ.get("KILLS", "10"))
WINDOW = ("--from", "2007-01-03", "--to", os.environ.get("KILLS_TO", "2007-09-28"))


def test_kills_leave_the_same_history_as_none(sample: HistoryPack) -> None:
    moment = random.Random(KILLS)
    with home_of_its_own() as home:
        last_json(start(home, "replay", *WINDOW, "--desk", "whole", "--headless", "--json"))
        killed = 0
        while killed < KILLS and not finished(home):
            with open_console(home) as console:
                while console.process.poll() is None and killed < KILLS and not finished(home):
                    time.sleep(moment.uniform(0.3, 2.5))
                    victims = (console.process.pid, console.host, keeper(home), postmaster(home))
                    victim = moment.choice(victims)
                    killed += kill(victim)
                    if victim == console.process.pid:
                        assert console.end() == -9
        with open_console(home) as console:
            wait_until(lambda: finished(home), timeout_s=120)
            console.press("\x11")  # ctrl+q
            assert console.end() == 0

        with EmbeddedServer(home) as server:
            databases = EmbeddedDatabases(server)
            whole, disturbed = databases.conninfo("quorum_whole"), databases.conninfo("quorum_killed")
            assert killed >= KILLS * 2 // 3  # else the replay ended before it had been disturbed enough
            assert replace(read_report(disturbed, 0), desk="whole") == read_report(whole, 0)
            assert_books_balance(disturbed)


def test_kills_while_a_human_answers_leave_no_order_without_a_standing_verdict() -> None:
    moment = random.Random(KILLS)
    asking = ("replay", "--from", "2007-01-03", "--to", "2007-02-09", "--desk", "killed", "--headless")
    with home_of_its_own() as home:
        told = threading.Event()
        operator = threading.Thread(target=answer, args=(home, moment, told), daemon=True)
        operator.start()
        killed, process = 0, start(home, *asking, "--verdicts", "ask", "--ask-timeout", "1", "--json")
        while process.poll() is None or process.returncode == -9:
            if process.poll() == -9:
                process.communicate()
                process = start(home, *asking, "--verdicts", "ask", "--ask-timeout", "1", "--json")
            time.sleep(moment.uniform(0.5, 3.0))
            if killed < KILLS // 2:
                killed += kill(moment.choice((process.pid, postmaster(home))))
        told.set()
        operator.join(10)
        last_json(process)
        with EmbeddedServer(home) as server:
            conninfo = EmbeddedDatabases(server).conninfo("quorum_killed")
            assert_books_balance(conninfo)
            with psycopg.connect(conninfo) as connection:
                verbs = {row[0] for row in connection.execute("select distinct verb from verdicts")}
        assert {"approved", "rejected"} <= verbs


def answer(home: Path, moment: random.Random, told: threading.Event) -> None:
    """An operator who approves, thinks again or says nothing, whatever becomes of the database."""
    operator = Operator(name="ada", tty="/dev/pts/1")
    seen: set[UUID] = set()
    while not told.is_set():
        try:
            with Desk(conninfo_of(home)) as desk:
                snapshot = desk.snapshot()
                for row in snapshot.pending if snapshot else ():
                    if row.id in seen:
                        continue
                    seen.add(row.id)
                    if moment.random() < 0.7:
                        desk.approve(row.id, digest=row.digest, typed_id=row.short_id, operator=operator)
                    if moment.random() < 0.3:
                        desk.undo(row.id, operator=operator)
        except psycopg.Error:
            pass
        told.wait(0.1)


def conninfo_of(home: Path) -> str:
    return f"host={home}/postgres/socket user=postgres dbname=quorum_killed"


def open_console(home: Path) -> Console:
    return Console(
        home, "--history", "sample", *WINDOW, "--desk", "killed", "--verdicts", "recommended", "--speed", "15"
    )


def finished(home: Path) -> bool:
    """Whether the disturbed desk has reached its end; asked over the socket, so as to start no server."""
    try:
        with psycopg.connect(conninfo_of(home), autocommit=True, connect_timeout=2) as connection:
            return connection.execute("select 1 from desk where state = 'finished'").fetchone() is not None
    except psycopg.Error:
        return False
