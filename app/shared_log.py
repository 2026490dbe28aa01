"""A log file that several processes append to, cut down to its last lines by whoever finds it too long.

The console opens it as the stderr of the runtime it starts; the runtime, its child and a runtime that stands
by write to it, each for as long as it lives. What they log is in files of their own too (`app/logs.py`).
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

MOST_BYTES = 5_000_000
KEPT_BYTES = 1_000_000  # of the last lines, when it is cut
_OURS = os.O_RDWR | os.O_APPEND  # how no shell redirects: a file that was named to us is nobody's to cut


def open_shared(path: Path) -> int:
    """Open the file to append to it, cut where it is too long. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = os.open(path, _OURS | os.O_CREAT, 0o600)
    cut(opened)
    return opened


def is_shared(opened: int) -> bool:
    """Whether an open file is one that `open_shared` has opened, perhaps in another process."""
    return stat.S_ISREG(os.fstat(opened).st_mode) and fcntl.fcntl(opened, fcntl.F_GETFL) & _OURS == _OURS


def cut(opened: int) -> None:
    """Keep the last lines alone where the file has grown too long, unless somebody is doing just that.

    What another process writes in that moment may be lost. Raises OSError.
    """
    if os.fstat(opened).st_size <= MOST_BYTES:
        return
    try:
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of the process: not even a child shares it
    except BlockingIOError:  # who cuts may be frozen, and nobody waits for it
        return
    try:
        size = os.fstat(opened).st_size
        if size > MOST_BYTES:
            last = os.pread(opened, KEPT_BYTES, size - KEPT_BYTES)
            os.ftruncate(opened, 0)
            os.write(opened, last[last.find(b"\n") + 1 :])
    finally:
        fcntl.lockf(opened, fcntl.LOCK_UN)
