"""Start the product as its users do, find its processes, kill them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def home_of_its_own() -> Iterator[Path]:
    """A QUORUM_HOME with a durable server of its own; whatever runs there is gone at the end."""
    home = Path(tempfile.mkdtemp(prefix="quorum-journey-"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        for pid in (postmaster(home), keeper(home)):
            kill(pid)
        shutil.rmtree(home, ignore_errors=True)


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command of the product in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def environment(home: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("QUORUM_", "DATABASE_"))
    }
    return {**kept, "QUORUM_HOME": str(home), "TERM": "xterm-256color"}


def last_json(process: subprocess.Popen[str]) -> dict[str, object]:
    """What the command's last line said, once it has ended well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    answer: dict[str, object] = json.loads(out.strip().splitlines()[-1])
    return answer


def postmaster(home: Path) -> int | None:
    """The server's process id, from its own file."""
    try:
        return int((home / "postgres/data/postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def keeper(home: Path) -> int | None:
    """The process that owns the server: its parent."""
    server = postmaster(home)
    if server is None:
        return None
    try:
        status = Path(f"/proc/{server}/status").read_text()
    except FileNotFoundError:
        return None
    parent = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid"))
    return parent if parent > 1 else None


def kill(pid: int | None) -> bool:
    """kill -9; False when there was nothing to kill."""
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def wait_until(reached: Callable[[], T], *, timeout_s: float = 30.0) -> T:
    """Ask again and again until the answer is true."""
    deadline = time.monotonic() + timeout_s
    while not (answer := reached()):
        assert time.monotonic() < deadline, f"not reached within {timeout_s} s"
        time.sleep(0.05)
    return answer
