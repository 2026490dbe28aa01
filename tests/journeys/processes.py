"""Start the product as its users do, find its processes, kill them."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pyte

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, ROWS = 120, 40


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
    """The environment without settings of ours and without the size of another terminal."""
    foreign = ("QUORUM_", "DATABASE_", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
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


def wait_until(
    reached: Callable[[], T | None], *, timeout_s: float = 30.0, saw: Callable[[], str] = str
) -> T:
    """Ask again and again until the answer is true; a failure shows what `saw` gives."""
    deadline = time.monotonic() + timeout_s
    while not (answer := reached()):
        assert time.monotonic() < deadline, f"not reached within {timeout_s} s\n{saw()}"
        time.sleep(0.05)
    return answer


class Console:
    """The console in an emulated terminal, 120 by 40."""

    def __init__(self, home: Path, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
        self.terminal, inside = pty.openpty()
        self._reading = threading.Event()
        self._reading.set()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.console", *arguments],
            cwd=ROOT,
            env={**environment(home), **(settings or {})},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def host(self) -> int | None:
        """The process that drives the desk: the console's child."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        try:
            lists = [(task / "children").read_text() for task in tasks.iterdir()]
        except FileNotFoundError:
            return None
        return next((int(pid) for pids in lists for pid in pids.split()), None)

    @property
    def picture(self) -> str:
        """What the terminal shows right now."""
        return "\n".join(self._screen.display)

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    @contextmanager
    def not_reading(self) -> Iterator[None]:
        """A terminal that takes nothing any more, as one behind a sleeping laptop."""
        self._reading.clear()
        try:
            yield
        finally:
            self._reading.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing running, also when the test has failed."""
        if self.process.poll() is None:
            self.process.kill()
            self.end()

    def end(self, timeout_s: float = 40.0) -> int:
        """Wait for it to end and close the terminal; its exit code, negative for a signal."""
        code = self.process.wait(timeout=timeout_s)
        self._reader.join(timeout=timeout_s)
        os.close(self.terminal)
        return code

    def _read(self) -> None:
        while True:
            try:
                self._reading.wait()
                self._stream.feed(os.read(self.terminal, 65536))
            except OSError:  # the other end is closed: the console is gone
                return
