"""A console on the paper desk: it starts the runtime, and nothing that happens to it reaches the runtime."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.journeys.processes import Console, home_of_its_own, kill, wait_until
from tests.journeys.runtimes import Desk, watched_desk

UNREAD_S = float(os.environ.get("UNREAD_S", "8"))  # UNREAD_S=60 is the promise
MISSED_S = 3.0  # a heart that beats every second has missed a beat by then


@pytest.fixture
def desk() -> Iterator[tuple[Path, Desk]]:
    with home_of_its_own() as home, watched_desk(home, "paper") as desk:
        try:
            yield home, desk
        finally:
            kill(desk.leader)


@pytest.mark.long
def test_a_console_starts_a_runtime_and_leaves_it_running(desk: tuple[Path, Desk]) -> None:
    home, paper = desk
    with Console(home, "--desk", "paper") as console:
        wait_until(lambda: "PAPER" in console.picture, saw=lambda: console.picture)
        leader = wait_until(lambda: paper.leader, saw=lambda: console.picture)
        assert os.getsid(leader) != os.getsid(console.process.pid)
        wait_until(lambda: attached(console), saw=lambda: console.picture)
        console.press("\x11")
        wait_until(lambda: "keeps running" in console.picture, saw=lambda: console.picture)
        console.press("\r")
        assert console.end() == 0
    assert paper.leader == leader
    with Console(home) as console:  # the paper desk is what opens from now on
        wait_until(lambda: attached(console), saw=lambda: console.picture)
        assert "PAPER" in console.picture
        assert paper.leader == leader
        console.press("\x11")
        wait_until(lambda: "keeps running" in console.picture, saw=lambda: console.picture)
        console.press("s")
        assert console.end(timeout_s=20) == 0
    wait_until(lambda: paper.leader is None)
    assert paper.one("select stop_asked_by is not null from leadership")


@pytest.mark.long
def test_a_console_replaces_a_runtime_that_was_killed(desk: tuple[Path, Desk]) -> None:
    home, paper = desk
    with Console(home, "--desk", "paper") as console:
        leader = wait_until(lambda: paper.leader, saw=lambda: console.picture)
        time.sleep(1)
        kill(leader)
        wait_until(lambda: paper.leader not in (None, leader), saw=lambda: console.picture)
        os.kill(console.process.pid, signal.SIGTERM)
        console.end()


@pytest.mark.long
@pytest.mark.parametrize("blow", ["hangup", "stopped", "resized", "unread"])
def test_whatever_happens_to_a_console_the_heart_beats_on(desk: tuple[Path, Desk], blow: str) -> None:
    home, paper = desk
    blows: dict[str, Callable[[Console], None]] = {
        "hangup": hang_up,
        "stopped": stop_and_continue,
        "resized": resize_storm,
        "unread": stop_reading,
    }
    with Console(home, "--desk", "paper") as console:
        leader = wait_until(lambda: paper.leader, saw=lambda: console.picture)
        wait_until(lambda: attached(console), saw=lambda: console.picture)
        with watching_the_heart(paper) as worst:
            blows[blow](console)
            time.sleep(2)
        assert max(worst) < MISSED_S
        assert paper.leader == leader
        assert paper.epoch == 1
        if blow == "hangup":
            assert console.process.wait(timeout=10) == 128 + signal.SIGHUP
        else:
            assert console.process.poll() is None


def attached(console: Console) -> bool:
    """Whether it has read a desk that is led."""
    return "db ok" in console.picture and "nobody leads" not in console.picture


def hang_up(console: Console) -> None:
    os.kill(console.process.pid, signal.SIGHUP)


def stop_and_continue(console: Console) -> None:
    for _ in range(3):
        os.kill(console.process.pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(console.process.pid, signal.SIGCONT)
        time.sleep(0.3)


def resize_storm(console: Console) -> None:
    moment = random.Random(3)
    for _ in range(200):
        size = struct.pack("HHHH", moment.randint(1, 80), moment.randint(1, 250), 0, 0)
        fcntl.ioctl(console.terminal, termios.TIOCSWINSZ, size)
        time.sleep(0.02)


def stop_reading(console: Console) -> None:
    with console.not_reading():
        for _ in range(int(UNREAD_S * 5)):
            console.press("\t")  # make it draw
            time.sleep(0.2)


@contextmanager
def watching_the_heart(desk: Desk) -> Iterator[list[float]]:
    """The ages of the heartbeat in seconds, read five times a second."""
    ages: list[float] = [0.0]
    over = threading.Event()
    other = Desk(desk.conninfo)

    def watch() -> None:
        while not over.wait(0.2):
            age = other.one(
                "select extract(epoch from clock_timestamp() - heartbeat_at)::float8 from leadership"
            )
            ages.append(float(str(age)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield ages
    finally:
        over.set()
        thread.join()
        other.close()
