"""The host is started, read, restarted and let go; the console leaves when its terminal does."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from time import monotonic, sleep

import pytest
from textual.message import Message

from app.console.feed import Feed
from app.console.host import ROOT, Host, host_environment, resuming
from app.console.messages import (
    DeskLost,
    HostDied,
    HostProgressed,
    HostReady,
    HostRefused,
    SnapshotArrived,
)
from app.console.state import HostHealth, Link

from .desks import FakeDesk, a_desk
from .running import running
from .test_safety import NEVER_IMPORTED

FAKE_HOST = Path(__file__).with_name("fake_host.py")


def wait_until(happened: Callable[[], bool], within_s: float = 8.0) -> None:
    limit = monotonic() + within_s
    while not happened():
        assert monotonic() < limit, f"did not happen within {within_s} s"
        sleep(0.01)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


class Heard(list[Message]):
    """What a host or a feed posted."""

    def post(self, message: Message) -> bool:
        self.append(message)
        return True

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self if isinstance(message, kind)]


def a_host(heard: Heard, *arguments: str) -> Host:
    return Host([sys.executable, str(FAKE_HOST), *arguments], host_environment(os.environ), heard.post)


def test_a_host_says_what_it_does_and_leaves_when_its_lifeline_is_let_go() -> None:
    heard = Heard()
    host = a_host(heard, "run")
    host.start()
    wait_until(lambda: bool(heard.of(HostReady)))
    pid = host.pid
    assert pid is not None
    progress, ready = heard[0], heard[1]
    assert isinstance(progress, HostProgressed) and progress.note == "starting the database"
    assert isinstance(ready, HostReady) and ready.desk == "history"
    assert os.getsid(pid) == pid
    host.close()
    assert gone(pid) and not heard.of(HostDied)


def test_a_host_that_dies_is_started_again(tmp_path: Path) -> None:
    heard = Heard()
    host = a_host(heard, "crash", str(tmp_path / "starts"))
    host.start()
    wait_until(lambda: len(heard.of(HostReady)) == 2)
    (died,) = heard.of(HostDied)
    assert isinstance(died, HostDied)
    assert died.reason == "RuntimeError: the replay broke" and died.retry_s == 0.5
    host.close()


def test_a_host_that_refuses_is_not_started_again() -> None:
    heard = Heard()
    host = a_host(heard, "refuse")
    host.start()
    wait_until(lambda: bool(heard))
    (refused,) = heard
    assert isinstance(refused, HostRefused)
    assert refused.problem == "unknown setting FMP_KEY; the name is FMP_API_KEY"
    host.close()


@pytest.mark.long
def test_a_host_that_refuses_after_it_ran_is_started_again(tmp_path: Path) -> None:
    """A database that restarts refuses for a moment: the console must not throw the operator out."""
    heard = Heard()
    host = a_host(heard, "refuse-later", str(tmp_path / "starts"))
    host.start()
    wait_until(lambda: len(heard.of(HostReady)) == 2)
    assert len(heard.of(HostDied)) == 2 and not heard.of(HostRefused)
    host.close()


async def test_while_the_host_is_away_the_data_stay_and_verdicts_are_closed() -> None:
    async with running(FakeDesk(a_desk())) as console:
        console.app.post_message(HostDied("killed", 0.5))
        await console.until(lambda: "! restarting" in console.text)
        assert "AAPL" in console.text and "verdicts are closed" in console.text
        await console.press("2", "enter")
        await console.until(lambda: "LOCKED: the desk's host is away" in console.text)
        console.app.post_message(HostReady("history", "fake"))
        await console.until(lambda: "LOCKED" not in console.text)
        assert console.app.state.host is HostHealth.RUNNING
        assert not console.review.armed, "what comes back is read anew before it is decided"


def test_the_feed_reports_a_lost_desk_once_for_each_try_and_comes_back() -> None:
    heard, desk = Heard(), FakeDesk(a_desk())
    feed = Feed(desk.open, "fake", heard.post)
    feed.start()
    wait_until(lambda: bool(heard.of(SnapshotArrived)))
    desk.away = "gone"
    wait_until(lambda: len(heard.of(DeskLost)) >= 2)
    delays = [message.retry_s for message in heard.of(DeskLost) if isinstance(message, DeskLost)]
    assert delays[:2] == [0.2, 0.4]
    desk.away = ""
    seen = len(heard.of(SnapshotArrived))
    wait_until(lambda: len(heard.of(SnapshotArrived)) > seen)
    feed.stop()
    feed.join(2.0)


def test_the_feed_takes_at_most_two_snapshots_a_second() -> None:
    heard, desk = Heard(), FakeDesk(a_desk())
    feed = Feed(desk.open, "fake", heard.post)
    began = monotonic()
    feed.start()
    while monotonic() - began < 1.2:
        desk.changed.set()
        sleep(0.01)
    feed.stop()
    feed.join(2.0)
    assert 2 <= len(heard.of(SnapshotArrived)) <= 4


async def test_a_desk_that_comes_back_is_said_to() -> None:
    desk = FakeDesk(a_desk())
    async with running(desk) as console:
        desk.away = "gone"
        await console.until(lambda: console.app.state.link is Link.AWAY)
        assert "AAPL" in console.text and "last good" in console.text
        desk.away = ""
        await console.until(lambda: console.app.state.link is Link.UP)
        assert console.app.state.events[0].text == "the desk can be read again"


@dataclass
class Terminal:
    """A console in a process and a terminal of its own."""

    process: subprocess.Popen[bytes]
    terminal: int
    seen: bytes = b""

    def read_until(self, part: bytes, within_s: float = 10.0) -> None:
        limit = monotonic() + within_s
        while part not in self.seen:
            assert monotonic() < limit, f"{part!r} not seen in {self.seen[-2000:]!r}"
            self.read(0.1)

    def read(self, wait_s: float) -> None:
        if select([self.terminal], [], [], wait_s)[0]:
            try:
                self.seen += os.read(self.terminal, 65_536)
            except OSError:  # the other side is closed
                sleep(0.01)


RUN = """
import contextlib
import sys
from app.console.__main__ import main
code = main([], command={command!r})
heavy = sorted({{name.split(".")[0] for name in sys.modules}} & set({never!r}))
with contextlib.suppress(OSError):  # the terminal may be gone by now
    sys.stderr.write(f"heavy={{heavy}} code={{code}}\\n")
sys.exit(code)
"""


@contextmanager
def in_a_terminal(*arguments: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    command = [sys.executable, str(FAKE_HOST), *arguments]
    code = RUN.format(command=command, never=sorted(NEVER_IMPORTED))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,  # textual draws there
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)


def leaves_within(terminal: Terminal, seconds: float) -> float:
    began = monotonic()
    while terminal.process.poll() is None:
        assert monotonic() - began < seconds, f"still there after {seconds} s"
        terminal.read(0.02)
    return monotonic() - began


@pytest.mark.parametrize(
    ("asked", "resumed"),
    [
        (["host"], ["host", "--desk", "history"]),
        (["host", "--fresh"], ["host", "--desk", "history"]),
        (["host", "--desk", "mine", "--fresh", "--speed", "2"], ["host", "--desk", "mine", "--speed", "2"]),
    ],
)
def test_a_host_that_comes_back_begins_nothing_anew(asked: list[str], resumed: list[str]) -> None:
    assert resuming(asked, asked[2] if "--desk" in asked else "history") == resumed


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_lost_terminal_ends_the_console_and_its_host(number: signal.Signals, tmp_path: Path) -> None:
    with in_a_terminal("run", str(tmp_path / "starts")) as terminal:
        terminal.read_until(b"db away")
        host = int((tmp_path / "starts").read_text())
        terminal.process.send_signal(number)
        leaves_within(terminal, 2.5)
        assert terminal.process.returncode == 128 + number
        wait_until(lambda: gone(host))


def test_a_terminal_that_reads_nothing_any_more_cannot_hold_the_console(tmp_path: Path) -> None:
    with in_a_terminal("run", str(tmp_path / "starts")) as terminal:
        terminal.read_until(b"db away")
        sleep(0.1)
        terminal.process.send_signal(signal.SIGHUP)
        terminal.process.wait(timeout=3.0)  # nobody reads the terminal meanwhile
        assert terminal.process.returncode == 128 + signal.SIGHUP


def test_a_terminal_that_is_gone_without_a_signal_ends_the_console_too(tmp_path: Path) -> None:
    with in_a_terminal("run", str(tmp_path / "starts")) as terminal, Path(os.devnull).open("rb") as nowhere:
        terminal.read_until(b"db away")
        os.dup2(nowhere.fileno(), terminal.terminal)  # closes the terminal's last outer end
        terminal.process.wait(timeout=4.0)
        # 120 is Python's own word for a last flush to a terminal that is gone
        assert terminal.process.returncode in (128 + signal.SIGHUP, 120)


def test_a_killed_console_takes_its_host_along(tmp_path: Path) -> None:
    with in_a_terminal("run", str(tmp_path / "starts")) as terminal:
        terminal.read_until(b"db away")
        host = int((tmp_path / "starts").read_text())
        terminal.process.kill()
        wait_until(lambda: gone(host))


def test_quit_says_what_keeps_running_and_nothing_heavy_was_imported() -> None:
    with in_a_terminal("run") as terminal:
        terminal.read_until(b"db away")
        os.write(terminal.terminal, b"\x11")
        leaves_within(terminal, 5.0)
        terminal.read(0.5)
        assert b"The replay pauses here and resumes at the next start." in terminal.seen
        assert b"heavy=[] code=0" in terminal.seen


def test_a_refusal_of_the_host_is_the_last_thing_said() -> None:
    with in_a_terminal("refuse") as terminal:
        leaves_within(terminal, 8.0)
        terminal.read(0.5)
        assert terminal.process.returncode == 2
        last = terminal.seen.rpartition(b"\x1b[?1049l")[2]
        assert b"unknown setting FMP_KEY; the name is FMP_API_KEY\r\n" in last


def test_a_led_desk_is_shown_before_anything_is_imported_that_its_console_would_wait_for() -> None:
    """`quorum`, `quorum --desk NAME`, and the host until it has said where a led desk is."""
    heavy = ("sqlalchemy", "alembic", "procrastinate", "apscheduler", "httpx", "anthropic", "numba")
    code = (
        "import sys, app.cli, app.commands.console, app.commands.attend;"
        f" print(sorted({{name.split('.')[0] for name in sys.modules}} & {set(heavy)!r}))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == "[]\n"
