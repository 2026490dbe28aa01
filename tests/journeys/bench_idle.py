"""What a desk costs while nothing is due: `python -m tests.journeys.bench_idle [SECONDS]`.

CPU as a share of one core, over a runtime with its child and its database; memory as RSS, and as PSS for the
database, whose processes share most of theirs.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from tests.journeys.processes import home_of_its_own, keeper, postmaster, wait_until
from tests.journeys.runtimes import Process, watched_desk


def main(seconds: float) -> None:
    with home_of_its_own() as home, watched_desk(home, "paper") as desk, Process(home, "run") as runtime:
        runtime.leads(desk)
        wait_until(lambda: desk.one("select count(*) from workers") == 2)
        desk.close()  # our own connection must not be counted
        time.sleep(5)
        server = postmaster(home)
        assert server is not None
        groups = {
            "runtime": [runtime.pid],
            "child": runtime.children(),
            "database": [pid for pid in (keeper(home), server, *children(server)) if pid],
        }
        before = {name: sum(map(cpu_s, pids)) for name, pids in groups.items()}
        time.sleep(seconds)
        used = {name: (sum(map(cpu_s, pids)) - before[name]) / seconds for name, pids in groups.items()}
        for name, share in used.items():
            memory = "Pss" if name == "database" else "Rss"
            size = sum(kilobytes(pid, memory) for pid in groups[name]) / 1024
            print(f"{name}: {share:.2%} of a core, {memory.upper()} {size:.0f} MB")  # noqa: T201
        print(f"together: {sum(used.values()):.2%} of a core over {seconds:.0f} s")  # noqa: T201


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_s(pid: int) -> float:
    """Seconds of CPU a process has used; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kilobytes(pid: int, what: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
