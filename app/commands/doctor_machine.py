"""What a deployment needs of its machine: Python, disk, files nobody else reads, backups, who is told."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from app.commands.findings import Finding, Line
from app.settings import ROOT, Settings
from storage.backup import backups_in
from storage.errors import OperatorError
from storage.notices import latest
from storage.snapshot import DeskSnapshot
from storage.spending import Rung

PYTHON = (3, 11)
LITTLE, TOO_LITTLE = 2_000_000_000, 300_000_000  # bytes free
BACKUP_DUE = timedelta(hours=36)
NOTICES = 50


def look_at_machine(settings: Settings, env_file: Path = ROOT / ".env") -> Iterator[Line]:
    """Before any database is asked."""
    version = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info[:2] >= PYTHON
    yield Line(
        "python",
        Finding.OK if fine else Finding.FAILED,
        f"{version}, {sys.executable}",
        "" if fine else "install Python 3.11 or newer, remove .venv, start again",
    )
    doubts = list(doubts_about_settings_file(env_file))
    yield Line(
        "settings",
        Finding.FAILED if doubts else Finding.OK,
        doubts[0].problem if doubts else _settings_files(env_file),
        doubts[0].remedy if doubts else "",
    )
    yield _disk("disk", settings.home)
    if not _is_read_only(settings.home):
        yield _home(settings.home)
    folder = settings.backup.folder_in(settings.home)
    if _there(folder).stat().st_dev != _there(settings.home).stat().st_dev:
        yield _disk("backup disk", folder)


def doubts_about_settings_file(path: Path = ROOT / ".env") -> Iterator[OperatorError]:
    """Whether others may read the file that holds the keys."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # none, or one that load_settings has refused
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        where = path.resolve()
        yield OperatorError(
            f"others may read or change {where}, which holds keys ({stat.filemode(mode)})",
            f"chmod 640 {where}",
        )


def look_at_keeping(settings: Settings, desk: str, snapshot: DeskSnapshot, conninfo: str) -> Iterator[Line]:
    """Of a desk that is there: its backups, its budget, who is told."""
    yield _backups(settings, desk)
    yield _budget(snapshot)
    yield _notices(settings, conninfo)


def _settings_files(path: Path) -> str:
    return (
        f"{path.resolve()}, closed to others" if path.exists() else "from the environment, there is no .env"
    )


def _there(path: Path) -> Path:
    """The folder, or the nearest above it that can be seen; what is in a closed folder cannot."""
    # Unlike a Path, os.path does not raise over what it may not see.
    return next(above for above in (path, *path.parents) if os.path.isdir(above))  # noqa: PTH112


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(_there(path)).f_flag & os.ST_RDONLY)


def _home(home: Path) -> Line:
    """Whether the folder of everything may be written, or be made."""
    folder = _there(home)
    if os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        return Line("home", Finding.OK, f"{home}")
    whose = f"{folder} may not be written by user {os.geteuid()}"
    return Line("home", Finding.FAILED, f"{home}: {whose}", "correct its owner, or set QUORUM_HOME")


def _disk(what: str, path: Path) -> Line:
    folder = _there(path)
    if _is_read_only(path):
        return Line(what, Finding.FAILED, f"{folder} is on a read-only disk", "mount it for writing")
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free at {folder}"
    if free < TOO_LITTLE:
        return Line(what, Finding.FAILED, text, "free some space: a full disk stops the desk")
    return Line(
        what, *((Finding.WARNING, text, "free some space soon") if free < LITTLE else (Finding.OK, text))
    )


def _backups(settings: Settings, desk: str) -> Line:
    folder = settings.backup.folder_in(settings.home)
    try:
        found = backups_in(folder, desk)
        made = datetime.fromtimestamp(found[-1].stat().st_mtime, UTC) if found else None
    except OSError as closed:
        return Line(
            "backup", Finding.FAILED, f"{folder}: {closed.strerror}", "correct its owner or its mount"
        )
    if made is None:
        return Line("backup", Finding.WARNING, f"none in {folder}", "quorum backup")
    age = datetime.now(UTC) - made
    text = f"{len(found)} in {folder}, the newest {age.total_seconds() / 3600:.0f} h old"
    if age > BACKUP_DUE:
        return Line("backup", Finding.FAILED, text, "`quorum backup` says what is in its way")
    return Line("backup", Finding.OK, text)


def _budget(snapshot: DeskSnapshot) -> Line:
    standing = snapshot.spend.standing
    if standing is None:
        return Line("spend", Finding.OK, "nothing is spent, no model was asked yet")
    short = standing.rung in (Rung.RULES, Rung.STOP)
    remedy = (
        f"rules answer until {standing.resumes_at:%Y-%m-%d %H:%M}Z, or raise QUORUM_LLM__..." if short else ""
    )
    return Line("spend", Finding.WARNING if short else Finding.OK, str(standing), remedy)


def _notices(settings: Settings, conninfo: str) -> Line:
    addresses = settings.notify.addresses(escalated=True)
    if not addresses:
        return Line("notices", Finding.WARNING, "nobody is told of anything", "set QUORUM_NOTIFY__URLS")
    with psycopg.connect(conninfo, connect_timeout=10) as connection:
        unsent = [row for row in latest(connection, NOTICES) if row.last_error and not row.sent_at]
    text = f"{len(addresses)} addresses"
    if unsent:
        text += f", {len(unsent)} notices could not be sent: {unsent[0].last_error}"
        return Line("notices", Finding.FAILED, text, "quorum notify test")
    return Line("notices", Finding.OK, text)
