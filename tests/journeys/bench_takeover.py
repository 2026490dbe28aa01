"""How long a desk is without a leader: `python -m tests.journeys.bench_takeover [ROUNDS]`.

Each round kills the leader (kill -9) while another runtime stands by; one more round freezes it (SIGSTOP).
The time runs from the signal to the successor's term, both by the database's clock.
"""

from __future__ import annotations

import signal
import statistics
import sys
from datetime import datetime

from storage.leadership import FROZEN_AFTER_S
from tests.journeys.processes import home_of_its_own, wait_until
from tests.journeys.runtimes import Desk, Process, watched_desk


def main(rounds: int) -> None:
    with home_of_its_own() as home, watched_desk(home, "paper") as desk:
        leader = Process(home, "run").leads(desk)
        gaps = []
        for _ in range(rounds):
            standby = _standby(home, desk)
            gaps.append(_gap(desk, leader, signal.SIGKILL))
            leader.kill()
            leader = standby
        gaps.sort()
        print(  # noqa: T201
            f"kill -9, {rounds} rounds: median {statistics.median(gaps):.3f} s, worst {gaps[-1]:.3f} s"
        )
        standby = _standby(home, desk)
        frozen = _gap(desk, leader, signal.SIGSTOP)
        print(f"frozen (a leader counts as frozen after {FROZEN_AFTER_S:.0f} s): {frozen:.3f} s")  # noqa: T201
        leader.kill()
        standby.send(signal.SIGTERM)
        standby.end()


def _standby(home: object, desk: Desk) -> Process:
    process = Process(home, "run", "--standby")  # type: ignore[arg-type]
    wait_until(lambda: "stands by" in process.said, saw=lambda: process.said)
    return process


def _gap(desk: Desk, leader: Process, blow: signal.Signals) -> float:
    epoch = desk.epoch
    struck = desk.one("select clock_timestamp()")
    leader.send(blow)
    wait_until(lambda: desk.epoch > epoch, timeout_s=30)
    since = desk.one("select since from leadership")
    assert isinstance(struck, datetime) and isinstance(since, datetime)
    return (since - struck).total_seconds()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
