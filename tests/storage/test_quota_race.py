"""Processes that ask at once are admitted exactly as many calls as there are, also while some are killed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from storage.calls import Priority
from storage.quota_rules import key_fingerprint
from tests.storage import racers
from tests.storage.desk_builder import execute, scalar
from tests.storage.racers import RULES

FREE = RULES.daily_calls - RULES.exits_reserve
COUNTED = "select count(*) from vendor_calls"


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    """Where each call that is made leaves a byte."""
    file = tmp_path / "vendor"
    file.touch()
    return file


def used(conninfo: str, calls: int) -> None:
    """Calls made before the race."""
    execute(
        conninfo,
        "insert into vendor_calls (id, key_fingerprint, endpoint, priority, job, admitted_at)"
        " select gen_random_uuid(), %s, 'quote', 3, 'before', clock_timestamp() from generate_series(1, %s)",
        key_fingerprint(racers.KEY),
        calls,
    )


def test_several_processes_make_exactly_the_calls_that_are_left(database: str, vendor: Path) -> None:
    used(database, FREE - 40)
    runners = [racers.start(database, 50, vendor, Priority.WATCHLIST) for _ in range(3)]
    for runner in runners:
        runner.go()
    assert [runner.finish() for runner in runners] == [0, 0, 0]
    assert vendor.stat().st_size == 40
    assert scalar(database, COUNTED) == FREE


@pytest.mark.long
def test_eight_processes_that_ask_for_400_calls_make_250(database: str, vendor: Path) -> None:
    runners = [racers.start(database, 50, vendor, Priority.EXITS) for _ in range(8)]
    for runner in runners:
        runner.go()
    assert [runner.finish() for runner in runners] == [0] * 8
    assert (vendor.stat().st_size, scalar(database, COUNTED)) == (250, 250)


@pytest.mark.long
def test_processes_killed_at_any_moment_have_made_no_call_that_is_not_counted(
    database: str, vendor: Path
) -> None:
    chance = random.Random(7)
    for _ in range(3):
        runners = [racers.start(database, 40, vendor, Priority.EXITS) for _ in range(6)]
        for runner in runners:
            runner.go()
        goal = vendor.stat().st_size + chance.randint(10, 40)
        while vendor.stat().st_size < min(goal, 250) and any(runner.runs for runner in runners):
            pass
        for runner in chance.sample(runners, 4):
            runner.kill()
        for runner in runners:
            runner.finish()
        assert vendor.stat().st_size <= scalar(database, COUNTED) <= 250
    assert scalar(database, COUNTED) >= 30
