"""Stops the embedded PostgreSQL when its last client is gone.

A process of its own, run by path with the standard library only, so that it costs little memory.
storage/embedded.py starts it and hands it two open files:

- keeper.lock, locked already: as long as this process lives, nobody else starts or adopts the server;
- clients.lock, not locked yet: every client shares that lock, so it is granted whole when no client is left.

Usage: keeper.py CLIENTS_FD UID GID DATA_FOLDER own POSTGRES OPTION...   (start the server as a child)
       keeper.py CLIENTS_FD UID GID DATA_FOLDER adopt PID                (the former keeper was killed)
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

POLL_S = 0.1
GAVE_UP = "keeper: PostgreSQL gave up"  # in the log: it ended by its own decision, it was not killed


def is_postmaster(pid: int, data: Path) -> bool:
    """Whether this process is the server of this data folder, and no zombie or reused pid."""
    return f"postgres -D {data} " in f"{_command_line(pid)} "


def _command_line(pid: int) -> str:
    """The arguments joined by spaces; empty for a zombie or no process at all."""
    if sys.platform == "linux":
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "))
        except (FileNotFoundError, ProcessLookupError):
            return ""
    ps = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return os.fsdecode(subprocess.run(ps, capture_output=True, check=False).stdout).strip()


def stop_server(pid: int, data: Path) -> None:
    """Ask for a fast shutdown: open transactions roll back, the data is left clean."""
    if is_postmaster(pid, data):
        with contextlib.suppress(ProcessLookupError):  # it ended between the two lines
            os.kill(pid, signal.SIGINT)


def give_up_root(uid: int, gid: int) -> None:
    """The server refuses to run as root, and its keeper needs no more rights than the server."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def keep(pid: int, data: Path, clients_fd: int, wait_for_end: Callable[[], object]) -> None:
    """Stay with the server until it ends; stop it on SIGTERM, SIGINT or when no client is left."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stop_server(pid, data)

    def go_on(_signal: int, _frame: FrameType | None) -> None:
        """A terminal that closes is no reason to stop."""

    def stop_when_alone() -> None:
        fcntl.flock(clients_fd, fcntl.LOCK_EX)  # held until our end: a new client waits for the next server
        stop_server(pid, data)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, go_on)
    threading.Thread(target=stop_when_alone, daemon=True).start()
    wait_for_end()


def main(arguments: list[str]) -> None:
    clients_fd, uid, gid = (int(argument) for argument in arguments[:3])
    data, task, details = Path(arguments[3]), arguments[4], arguments[5:]
    if os.fork():
        return  # the starter waits for this exit; from here on the keeper is nobody's child
    give_up_root(uid, gid)
    if task == "own":
        program, *options = details
        # -D is put in here: the keeper's own command line must never look like the server's
        server = subprocess.Popen([program, "-D", str(data), *options], stdin=subprocess.DEVNULL)
        keep(server.pid, data, clients_fd, server.wait)
        if server.returncode > 0:
            sys.stderr.write(f"{GAVE_UP}\n")
    else:
        pid = int(details[0])

        def wait_for_end() -> None:
            while is_postmaster(pid, data):  # not our child, so there is nothing to wait on
                time.sleep(POLL_S)

        keep(pid, data, clients_fd, wait_for_end)


if __name__ == "__main__":
    main(sys.argv[1:])
