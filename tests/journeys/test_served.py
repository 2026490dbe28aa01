"""The same desk on a server reached by DATABASE_URL: other machines, other workers, a network that is cut."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.journeys.processes import environment, home_of_its_own, wait_until
from tests.journeys.runtimes import Desk, Process
from tests.journeys.served import served
from tests.journeys.test_runtime import REHEARSAL, blocked, state_of, waiting_for

pytestmark = pytest.mark.long
HERE, THERE = "10.213.77.1", "10.213.77.2"


@pytest.fixture
def machines() -> Iterator[tuple[Path, Path]]:
    """The homes of two machines."""
    with home_of_its_own() as one, home_of_its_own() as other:
        yield one, other


@contextmanager
def watched(url: str) -> Iterator[Desk]:
    desk = Desk(f"{url}_paper")
    try:
        yield desk
    finally:
        desk.close()


def command(home: Path, settings: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    line = [sys.executable, "-I", "-m", "app.cli", *words]
    return subprocess.run(
        line, env={**environment(home), **settings}, capture_output=True, text=True, check=False
    )


def test_two_machines_one_server_and_it_restarts_in_the_middle_of_a_job(machines: tuple[Path, Path]) -> None:
    one, other = machines
    with served() as server, ExitStack() as stack:
        settings = {**REHEARSAL, "DATABASE_URL": server.url}
        first = stack.enter_context(Process(one, "run", "--desk", "rehearsal", settings=settings))
        desk = Desk(f"{server.url}_rehearsal")
        stack.callback(desk.close)
        first.leads(desk)
        # No --standby: on another machine a second runtime is what one wants.
        second = stack.enter_context(Process(other, "run", "--desk", "rehearsal", settings=settings))
        wait_until(lambda: "stands by" in second.said, saw=lambda: second.said)
        words = ("worker", "--desk", "rehearsal", "--queues", "io,compute")
        worker = stack.enter_context(Process(other, *words, settings=settings))
        wait_until(lambda: desk.one("select count(*) from workers") == 3, saw=lambda: worker.said)
        with pytest.raises(Exception, match=r"terminat|closed|lost"), blocked(desk, "equity"):
            run = wait_until(lambda: waiting_for(desk, "settle"), timeout_s=60, saw=lambda: first.said)
            server.stop()
        server.start()
        wait_until(lambda: state_of(desk, run) == "done", timeout_s=120, saw=lambda: first.said + worker.said)
        wait_until(lambda: desk.leader in (first.pid, second.pid), saw=lambda: first.said + second.said)
        wait_until(
            lambda: desk.one("select count(distinct worker) >= 3 from runs where state = 'done'"),
            timeout_s=120,
            saw=lambda: str(desk.ask("select worker, count(*) from runs group by 1")),
        )
        assert desk.one("select count(*) - count(distinct session) from equity") == 0
        # As a user who may make databases and owns no extension.
        backup = command(one, settings, "backup", "--desk", "rehearsal")
        assert backup.stdout.endswith("it was restored once and came back whole\n"), backup.stderr
        check = command(one, settings, "db", "check")
        assert "up, down and up again" in check.stdout, check.stderr


def test_a_leader_that_is_cut_off_steps_down_and_another_leads(machines: tuple[Path, Path]) -> None:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("cutting a network needs root and the command ip")
    one, other = machines
    with another_network() as namespace, served(HERE) as server, watched(server.url) as desk:
        inside = ("ip", "netns", "exec", namespace)
        with Process(other, "run", wrapped=inside, settings={"DATABASE_URL": server.url}) as remote:
            wait_until(lambda: desk.leader is not None, saw=lambda: remote.said)
            with Process(one, "run", settings={"DATABASE_URL": server.url}) as local:
                wait_until(lambda: "stands by" in local.said, saw=lambda: local.said)
                cut(namespace, "down")
                local.leads(desk, timeout_s=30)
                wait_until(
                    lambda: "does not lead any more" in remote.said, timeout_s=30, saw=lambda: remote.said
                )
                cut(namespace, "up")
                wait_until(lambda: "stands by" in remote.said, timeout_s=120, saw=lambda: remote.said)
                assert desk.leader == local.pid
                assert desk.epoch == 2
                remote.send(signal.SIGTERM)
                assert remote.end() == 0


@contextmanager
def another_network() -> Iterator[str]:
    """A network namespace joined to ours by one cable."""
    name = f"quorum{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("this machine allows no network namespaces")
    try:
        for words in (
            f"link add {name}h type veth peer name {name}n netns {name}",
            f"addr add {HERE}/30 dev {name}h",
            f"link set {name}h up",
            f"-n {name} addr add {THERE}/30 dev {name}n",
            f"-n {name} link set {name}n up",
            f"-n {name} link set lo up",
        ):
            subprocess.run(["ip", *words.split()], check=True, capture_output=True)
        yield name
    finally:
        for words in (f"link delete {name}h", f"netns delete {name}"):
            subprocess.run(["ip", *words.split()], check=False, capture_output=True)


def cut(namespace: str, state: str) -> None:
    """Pull the cable out inside the namespace, or put it back."""
    subprocess.run(["ip", "-n", namespace, "link", "set", f"{namespace}n", state], check=True)
