"""Where a chain's heads are kept outside its database: one line each, in a file that is only added to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from storage.audit import AuditHead
from storage.errors import OperatorError


def anchors_path(home: Path, desk: str) -> Path:
    """The file of a desk's anchors."""
    return home / "audit" / f"{desk}.anchors"


def read_anchors(path: Path) -> tuple[AuditHead, ...]:
    """The heads of a file, oldest first; none where there is no file.

    A last line that a crash cut off is none. Raises OperatorError for any other line that is no anchor.
    """
    try:
        lines = path.read_text().split("\n")
    except FileNotFoundError:
        return ()
    found = []
    for number, text in enumerate(lines, 1):
        if not text:
            continue
        try:
            found.append(_anchor(text))
        except (ValueError, KeyError, TypeError) as broken:
            if number == len(lines):
                break
            raise OperatorError(
                f"line {number} of {path} is no anchor",
                "somebody has written to it; restore it from a backup, or move it away and anchor anew",
            ) from broken
    return tuple(found)


def write_anchor(path: Path, head: AuditHead) -> bool:
    """Add a head unless it is the last one; whether it was added. On disk when this returns."""
    known: Sequence[AuditHead] = read_anchors(path)
    if known and known[-1].hash == head.hash:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    row = json.dumps({"at": head.at.isoformat(), "seq": head.seq, "hash": head.hash})
    with path.open("a+b") as file:
        file.seek(0)
        whole = file.read().rpartition(b"\n")
        file.truncate(len(whole[0]) + len(whole[1]))  # what a crash left half written is no anchor
        file.write(f"{row}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    return True


def _anchor(text: str) -> AuditHead:
    values = json.loads(text)
    return AuditHead(
        seq=int(values["seq"]), hash=str(values["hash"]), at=datetime.fromisoformat(values["at"])
    )
