"""kill -9 of replay, keeper and postmaster at random moments: it goes on, and nothing is twice."""

from __future__ import annotations

import random
import time

from storage.embedded import EmbeddedServer
from storage.server import EmbeddedDatabases
from tests.app.books import assert_books_balance
from tests.journeys.processes import home_of_its_own, keeper, kill, last_json, postmaster, start

KILLS = 10
REPLAY = ("replay", "--from", "2007-01-03", "--to", "2007-12-31", "--headless", "--json")


def test_ten_kills_leave_the_same_history_as_none() -> None:
    moment = random.Random(20070103)
    with home_of_its_own() as home:
        undisturbed = last_json(start(home, *REPLAY, "--desk", "whole"))
        killed = 0
        process = start(home, *REPLAY, "--desk", "killed")
        while killed < KILLS:
            time.sleep(moment.uniform(0.3, 2.0))
            if process.poll() is not None:
                assert process.returncode in (0, -9), process.communicate()[1]
                fresh = ("--fresh",) if process.returncode == 0 else ()
                process.communicate()
                process = start(home, *REPLAY, "--desk", "killed", *fresh)
                continue
            victim = moment.choice((process.pid, keeper(home), postmaster(home)))
            killed += kill(victim)
        if process.poll() == -9 or process.wait(timeout=120) == -9:
            process.communicate()
            process = start(home, *REPLAY, "--desk", "killed")
        survived = last_json(process)

        for report in (undisturbed, survived):
            report.pop("desk")
            report.pop("seconds")
        assert survived == undisturbed
        with EmbeddedServer(home) as server:
            assert_books_balance(EmbeddedDatabases(server).conninfo("quorum_killed"))
