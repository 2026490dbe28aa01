"""Processes that ask the vendor at once: what it served was counted before, and never more than the limit."""

from __future__ import annotations

import random
import time
from multiprocessing.context import ForkProcess

import pytest

from tests.forks import ended, forked
from tests.journeys.asking import ask
from tests.standins.fmp import FmpStandIn
from tests.storage.desk_builder import scalar

pytestmark = pytest.mark.long
KEY = "a-key-nobody-has"
PROCESSES, CALLS = 8, 1000
COUNTED = "select count(*) from vendor_calls"


def start(conninfo: str, vendor: FmpStandIn) -> ForkProcess:
    return forked(ask, conninfo, vendor.base_url, KEY, CALLS // PROCESSES)


def test_eight_processes_that_ask_a_thousand_times_send_exactly_250(database: str) -> None:
    with FmpStandIn(key=KEY, calls_a_day=10_000) as vendor:
        asking = [start(database, vendor) for _ in range(PROCESSES)]
        assert [ended(process, 240) for process in asking] == [0] * PROCESSES
        sent = len(vendor.served)
    assert (sent, scalar(database, COUNTED)) == (250, 250)


def test_killed_at_any_moment_they_have_sent_nothing_that_is_not_counted(database: str) -> None:
    chance = random.Random(11)
    killed = 0
    with FmpStandIn(key=KEY, calls_a_day=10_000) as vendor:
        asking = [start(database, vendor) for _ in range(PROCESSES)]
        deadline = time.monotonic() + 240
        while scalar(database, COUNTED) < 250 and time.monotonic() < deadline:
            time.sleep(chance.uniform(0.02, 0.1))
            victim = chance.randrange(PROCESSES)
            if len(vendor.served) and asking[victim].is_alive():
                asking[victim].kill()
                asking[victim].join()
                killed += 1
            if not asking[victim].is_alive():
                asking[victim] = start(database, vendor)
            assert len(vendor.served) <= scalar(database, COUNTED) <= 250
        for process in asking:
            ended(process, 240)
        sent, counted = len(vendor.served), scalar(database, COUNTED)
    print(f"\n{killed} killed: {sent} sent, {counted} counted")  # noqa: T201
    assert killed > 0
    assert sent <= counted == 250
