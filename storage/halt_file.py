"""The halt's other half: a file beside the database, which also stands while that is away or set back."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg

from storage.halt import halt, standing_halt, was_lifted
from storage.records import HaltRow, uuid7

Connection = psycopg.Connection[tuple[object, ...]]


def halt_path(home: Path, desk: str) -> Path:
    """The file that halts a desk for as long as it is there."""
    return home / "halt" / f"{desk}.json"


def write_halt(path: Path, asked: HaltRow) -> None:
    """Put the file there, whole or not at all. A file that is there already stays."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}")
    values = {
        "id": str(asked.id),
        "at": asked.at.isoformat(),
        "by": asked.halted_by,
        "from": asked.halted_from,
        "reason": asked.reason,
    }
    with half.open("w") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def read_halt(path: Path) -> HaltRow | None:
    """The halt a file asks for, None without a file. One that cannot be read halts as well."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        values = json.loads(text)
        return HaltRow(
            id=UUID(values["id"]),
            at=datetime.fromisoformat(values["at"]),
            halted_by=str(values["by"]),
            halted_from=str(values["from"]),
            reason=str(values["reason"]),
        )
    except (ValueError, KeyError, TypeError):
        seen = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return HaltRow(
            id=uuid7(), at=seen, halted_by="a file", halted_from="", reason=f"{path.name} lies there"
        )


def bring_together(connection: Connection, path: Path) -> HaltRow | None:
    """Make row and file say the same, in doubt halted; the halt that stands.

    A file whose halt was lifted is removed. Any other file becomes a row: its desk was halted while the
    database was away, or the database is one from before. A row without its file gets one.
    """
    stands, asked = standing_halt(connection), read_halt(path)
    if asked is not None and stands is None:
        if was_lifted(connection, asked.id):
            path.unlink(missing_ok=True)
            return None
        halt(connection, asked)
        stands = standing_halt(connection)
    if stands is not None and asked is None:
        write_halt(path, stands)
    return stands
