"""One runtime a desk and home: a file lock, which the kernel drops however its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import OperatorError


@contextmanager
def only_one(home: Path, desk: str) -> Iterator[bool]:
    """Hold this home's right to run a desk; False when another runtime of this home has it."""
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder / f"{desk}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.ftruncate(opened, 0)
        os.pwrite(opened, str(os.getpid()).encode(), 0)
        yield True
    finally:
        os.close(opened)


def holder_of(home: Path, desk: str) -> str:
    """The pid of the runtime that holds this home's right to run a desk."""
    try:
        return (home / "run" / f"{desk}.lock").read_text().strip() or "?"
    except OSError:
        return "?"


def refuse_second(home: Path, desk: str) -> OperatorError:
    return OperatorError(
        f"a runtime of this home runs the desk {desk} already (pid {holder_of(home, desk)})",
        "`quorum status` shows it; with --standby this one waits to take over",
    )
