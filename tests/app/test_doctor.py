"""`quorum doctor` before the real thing: each fault is one line with its remedy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from app.commands import doctor_database
from app.commands.doctor_machine import look_at_machine
from app.commands.findings import Finding, Line
from app.runtime.slots import AGENTS_OFF
from app.settings import load_settings
from storage import server
from storage.records import AgentName, Slot
from storage.server import DRIVER_LOCK, EmbeddedDatabases
from tests.app.test_runtime_commands import Here, here, lead, now, paper
from tests.journeys.processes import environment, wait_until
from tests.storage import desk_builder as build
from tests.storage.desk_builder import writing

__all__ = ["here", "paper"]

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user whom a closed folder stops, which root is not."""
    before = os.geteuid()
    if before != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def no_postgres() -> Iterator[int]:
    """A port that something else uses."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    taken, _ = listening.accept()
                except OSError:
                    return
                taken.close()

        threading.Thread(target=answer, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def session(conninfo: str, name: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(conninfo, application_name=name, autocommit=True) as connection:
        yield connection


def found(here: Here, what: str) -> str:
    """The lines of the doctor about one thing."""
    lines = here.run("doctor").out.splitlines()
    return "\n".join(line for line in lines if line[9:23].rstrip() == what)


def machine(home: Path, env_file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Line]:
    monkeypatch.setenv("QUORUM_HOME", str(home))
    settings = load_settings(env_file)
    with unprivileged():
        return {line.what: line for line in look_at_machine(settings, env_file)}


def test_a_settings_file_that_others_may_read_is_told(
    shared_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file = shared_home / "settings.env"
    env_file.write_text("FMP_API_KEY=nobody-may-read-this\n")
    for mode, finding in ((0o644, Finding.FAILED), (0o660, Finding.FAILED), (0o640, Finding.OK)):
        env_file.chmod(mode)
        told = machine(shared_home, env_file, monkeypatch)["settings"]
        assert told.finding is finding
        assert "nobody-may-read-this" not in told.text
        assert told.remedy == (f"chmod 640 {env_file}" if finding is Finding.FAILED else "")
    env_file.unlink()


def test_a_home_one_may_not_write_or_not_even_enter_is_told(
    shared_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = shared_home / "closed"
    closed.mkdir(mode=0o755)
    for mode, home in ((0o555, closed), (0o700, closed / "in it")):
        closed.chmod(mode if os.geteuid() == 0 else mode & 0o444)
        told = machine(home, shared_home / "none", monkeypatch)["home"]
        assert told.finding is Finding.FAILED
        assert f"{closed} may not be written by user" in told.text
        assert told.remedy == "correct its owner, or set QUORUM_HOME"
    closed.chmod(0o755)
    closed.rmdir()


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_read_only_disk_is_one_line_each_and_no_damage(tmp_path: Path) -> None:
    """A disk of its own, mounted for reading where nobody else sees it."""
    script = (
        'mount -t tmpfs -o ro tmpfs "$QUORUM_HOME"; "$0" -I -m app.cli doctor; "$0" -I -m app.cli desks list'
    )
    said = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = said.stdout.splitlines()
    assert f"FAILED   disk          {tmp_path} is on a read-only disk; mount it for writing" in lines
    assert not any(line[9:23].rstrip() == "home" for line in lines)
    assert lines[-1].startswith("FAILED   database      ") and "Read-only file system" in lines[-1]
    assert said.stderr.startswith("quorum: ") and len(said.stderr.splitlines()) == 1


def test_a_port_that_something_else_uses_is_told_without_the_password(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_postgres() as port:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://ada:geheim@127.0.0.1:{port}/quorum")
        said = here.run("doctor")
    assert said.code == 1 and "geheim" not in said.out
    assert said.out.splitlines()[-1] == (
        f"FAILED   database      port {port} of 127.0.0.1 is in use by something that does not answer as "
        "PostgreSQL; end it there, or correct the port in DATABASE_URL"
    )
    said = here.run("doctor")  # nobody has the port now
    assert "no database answers" in said.out.splitlines()[-1]


def test_a_server_that_is_too_old_is_told(
    here: Here, databases: EmbeddedDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", databases.conninfo("postgres"))
    monkeypatch.setattr(server, "OLDEST_SERVER", 99)
    last = here.run("doctor").out.splitlines()[-1]
    assert last.startswith("FAILED   database      DATABASE_URL leads to PostgreSQL 18; 99 is the oldest")


def test_who_leads_and_when_the_heart_last_beat(here: Here, paper: str) -> None:
    assert found(here, "leader") == (
        "warning  leader        nobody leads paper; start its runtime: quorum run --desk paper"
    )
    assert "PostgreSQL 18" in found(here, "database") and "no port" in found(here, "database")
    with session(paper, "quorum run vm 4711 0a") as leading:
        leading.execute("select pg_advisory_lock(%s)", [DRIVER_LOCK])
        lead(paper)
        assert found(here, "leader").startswith("ok       leader        pid 4711 on ")
        leading.execute("update leadership set heartbeat_at = %s", [now() - timedelta(seconds=40)])
        silent = found(here, "leader")
    assert silent.startswith("FAILED   leader        pid 4711 on ")
    assert "holds the desk and has been silent for 40s" in silent
    assert silent.endswith("`quorum run --standby --desk paper` takes over; `kill -9 4711` there is safe")


def test_locks_that_were_forgotten_are_told(here: Here, paper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_database, "WAITED_S", 0.0)
    with session(paper, "psql") as holding, session(paper, "quorum run") as waiting:
        holding.execute("select pg_advisory_lock(%s)", [DRIVER_LOCK])
        pid = holding.info.backend_pid
        assert found(here, "leader") == (
            "FAILED   leader        psql holds the lock of paper and is no runtime of it; "
            f"end it, or: select pg_terminate_backend({pid})"
        )
        assert found(here, "locks").startswith("ok ")
        with holding.transaction():
            holding.execute("select from desk for update")
            blocked = threading.Thread(target=waiting.execute, args=["update desk set name = name"])
            blocked.start()
            waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and application_name = %s"
            wait_until(lambda: holding.execute(waits, ["quorum run"]).fetchone())
            told = found(here, "locks")
        blocked.join()
    assert told.startswith("FAILED   locks         psql has kept a transaction open for ")
    assert told.endswith(f", 1 waiting for its locks; end it, or: select pg_terminate_backend({pid})")


def test_a_desk_whose_agents_are_switched_off_says_so(here: Here, paper: str) -> None:
    assert found(here, "agents") == ""
    with writing(paper) as writes:
        for slot, agent in ((Slot.NEWS, AgentName.NEWS), (Slot.LEARN, AgentName.LEARNING)):
            writes.add(build.scheduled(slot, now() + timedelta(hours=2), agent, lacks=AGENTS_OFF))
    assert found(here, "agents") == (
        f"warning  agents        none is called: {AGENTS_OFF}; set it to true and restart the runtime"
    )
    status = here.run("status").out
    assert f"agents     none is called: {AGENTS_OFF}\n" in status
    assert f"will be skipped: {AGENTS_OFF}" in status
