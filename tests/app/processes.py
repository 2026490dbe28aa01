"""A command in a process of its own, quickly: a fork of this one, which has long imported what it needs."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import NoReturn

from app import cli

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def in_a_fork(environment: Mapping[str, str], *arguments: str) -> Said:
    """`quorum` with these arguments, with signals, logs and an environment of its own.

    The imports of a new interpreter would take 2.5 s of a processor; that one reaches the command line at all
    is for one test to show.
    """
    with TemporaryFile() as out, TemporaryFile() as err:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of other threads: none is used
            child = os.fork()
        if child == 0:
            _become(environment, arguments, out.fileno(), err.fileno())
        code = _ended(child)
        for file in (out, err):
            file.seek(0)
        return Said(code, out.read().decode(), err.read().decode())


def _become(environment: Mapping[str, str], arguments: tuple[str, ...], out: int, err: int) -> NoReturn:
    code = 1
    try:
        os.setsid()
        for stream, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(stream, target)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["quorum", *arguments]
        code = cli.main()
    except BaseException:  # noqa: BLE001 - as an interpreter does with what nobody caught
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # none of what the tests have set up is this process's to clean away


def _ended(child: int) -> int:
    """The exit code; a child that hangs is killed."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
