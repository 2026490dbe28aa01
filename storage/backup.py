"""Backups of one desk: one file, of one instant, proven by restoring it; and back, whole or not at all.

A backup is a tar of a manifest and what pg_dump wrote (custom format, compressed). The manifest is of the
very snapshot that was dumped: rows by table, schema, head of the audit chain, and the dump's SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import BaseModel, ConfigDict, Field

from storage import schema
from storage.embedded_host import find_wheel
from storage.errors import OperatorError
from storage.server import Server, checked_desk_name

Connection = psycopg.Connection[tuple[object, ...]]

MANIFEST, DUMP = "manifest.json", "desk.dump"
FORMAT = 1
LONGEST_MANIFEST = 1_000_000  # bytes
SUFFIX = ".quorum"
_TABLES = "select tablename from pg_tables where schemaname = 'public' order by 1"
_HEAD = "select seq || ':' || hash from audit_log order by seq desc limit 1"


class BackupSettings(BaseModel):
    """When, where and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nightly: bool = Field(True, description="Whether the runtime backs its desk up once a day")
    folder: Path | None = Field(
        None, description="Folder for backups; without it `backups` in QUORUM_HOME, better another disk"
    )
    keep: int = Field(14, ge=1, le=10_000, description="Backups of a desk that are kept, newest first")
    hour_utc: int = Field(6, ge=0, le=23, description="Hour of the day after which it is made, UTC")

    def folder_in(self, home: Path) -> Path:
        """Where the backups lie."""
        return self.folder.expanduser().absolute() if self.folder else home / "backups"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    format: int
    desk: str
    kind: str
    revision: str
    made_at: str  # ISO, UTC
    audit_head: str  # "seq:hash", or nothing
    rows: Mapping[str, int]
    dump_sha256: str


def back_up(server: Server, desk: str, folder: Path, *, now: datetime) -> tuple[Path, Manifest]:
    """Write a backup of the desk into the folder and prove it; its path and what it says.

    The file is there whole or not at all. Raises OperatorError when it cannot be written or not be restored.
    """
    conninfo = server.conninfo(server.desk_database(desk))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{desk}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"
        half = folder / f".{path.name}.{os.getpid()}"
        try:
            with TemporaryDirectory(prefix=".dump-", dir=folder) as scratch:
                dump = Path(scratch) / DUMP
                manifest = _dump(conninfo, desk, dump, now)
                _pack(manifest, dump, half)
            prove(server, half)
            half.replace(path)
            _to_disk(folder)
        finally:
            half.unlink(missing_ok=True)
    except OSError as failed:
        raise OperatorError(
            f"the backup cannot be written: {failed.strerror or failed}",
            f"see to room and rights in {folder}; earlier backups are as they were",
        ) from failed
    return path, manifest


def prove(server: Server, path: Path) -> Manifest:
    """Restore a backup into a database of its own, compare, and drop it. Raises OperatorError."""
    name = f"proof-{uuid4().hex[:12]}"
    try:
        return _bring_in(server, path, name)
    finally:
        server.drop_desk(name)


def restore(server: Server, path: Path, desk: str) -> Manifest:
    """Make a desk of a backup. Raises OperatorError; then there is no such desk, as before."""
    checked_desk_name(desk)
    if server.has_desk(desk):
        raise OperatorError(
            f"there is a desk {desk} already", "restore under another name: --desk NAME; nothing was changed"
        )
    proof = prove(server, path)  # a backup that does not come back makes no desk
    try:
        _bring_in(server, path, desk)
        conninfo = server.conninfo(server.desk_database(desk))
        schema.upgrade(conninfo)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("update desk set name = %s where name <> %s", [desk, desk])
    except BaseException:
        server.drop_desk(desk)
        raise
    return proof


def read_manifest(path: Path) -> Manifest:
    """What a backup says of itself. Raises OperatorError for a file that is none, or is cut off."""
    try:
        with tarfile.open(path, "r:") as archive:
            member = archive.getmember(MANIFEST)
            opened = archive.extractfile(member) if member.size <= LONGEST_MANIFEST else None
            if opened is None or {MANIFEST, DUMP} != set(archive.getnames()):
                raise KeyError(MANIFEST)
            manifest = Manifest(**json.load(opened))
    except FileNotFoundError:
        raise OperatorError(f"there is no file {path}", "`quorum backups` lists them") from None
    except (tarfile.TarError, KeyError, TypeError, ValueError, OSError) as foreign:
        raise _no_backup(path, "it is cut off, or was never one") from foreign
    if manifest.format != FORMAT:
        raise _no_backup(path, f"it is of format {manifest.format}, this Quorum reads {FORMAT}")
    if manifest.revision not in schema.known_revisions():
        raise _no_backup(path, f"its schema {manifest.revision} is newer than this Quorum's")
    return manifest


def backups_in(folder: Path, desk: str) -> list[Path]:
    """The backups of a desk, oldest first."""
    named = re.compile(re.escape(desk) + r"-\d{8}T\d{6}Z" + re.escape(SUFFIX))  # paper-2 is another desk
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if named.fullmatch(path.name))


def forget_old(folder: Path, desk: str, *, keep: int) -> int:
    """Remove all but the newest `keep` backups of the desk; how many went."""
    old = backups_in(folder, desk)[: -max(keep, 1)]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _dump(conninfo: str, desk: str, dump: Path, now: datetime) -> Manifest:
    with psycopg.connect(conninfo, autocommit=True) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        snapshot = connection.execute("select pg_export_snapshot()").fetchone()
        assert snapshot is not None
        kind = connection.execute("select kind from desk").fetchone()
        if kind is None:
            raise OperatorError(f"desk {desk} is empty", f"`quorum run --desk {desk}` founds it")
        rows, head = _rows(connection), _audit_head(connection)
        _run("pg_dump", conninfo, "-Fc", "--no-owner", f"--snapshot={snapshot[0]}", "-f", str(dump))
    return Manifest(
        format=FORMAT,
        desk=desk,
        kind=str(kind[0]),
        revision=schema.current_revision(conninfo) or "",
        made_at=now.astimezone(UTC).isoformat(),
        audit_head=head,
        rows=rows,
        dump_sha256=_sha256(dump),
    )


def _pack(manifest: Manifest, dump: Path, target: Path) -> None:
    text = json.dumps(asdict(manifest), sort_keys=True).encode()
    with target.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        with tarfile.open(fileobj=file, mode="w") as archive:
            entry = tarfile.TarInfo(MANIFEST)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
            archive.add(dump, arcname=DUMP, filter=_anonymous)
        file.flush()
        os.fsync(file.fileno())


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _bring_in(server: Server, path: Path, desk: str) -> Manifest:
    manifest = read_manifest(path)
    with _unpacked(path) as dump:
        if _sha256(dump) != manifest.dump_sha256:
            raise _no_backup(path, "it was damaged since it was made")
        server.create_desk(desk)
        conninfo = server.conninfo(server.desk_database(desk))
        # No comments: pgvector's is its owner's to make, and a server's administrator may be that.
        how = ("--no-owner", "--no-comments", "--exit-on-error", "--single-transaction")
        _run("pg_restore", conninfo, *how, str(dump))
        with psycopg.connect(conninfo, autocommit=True) as connection:
            if _rows(connection) != manifest.rows or _audit_head(connection) != manifest.audit_head:
                raise _no_backup(path, "what came back is not what was backed up")
    return manifest


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    with TemporaryDirectory(prefix="quorum-restore-") as folder:
        dump = Path(folder) / DUMP
        try:
            with tarfile.open(path, "r:") as archive:
                opened = archive.extractfile(DUMP)
                assert opened is not None  # read_manifest has looked
                with dump.open("wb") as file:
                    while block := opened.read(1 << 20):
                        file.write(block)
        except (tarfile.TarError, EOFError) as short:
            raise _no_backup(path, "it is cut off") from short
        yield dump


def _run(program: str, conninfo: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs on a database; the password goes by the environment, not by `ps`."""
    values = conninfo_to_dict(conninfo)
    password = values.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    command = [str(find_wheel().bin / program), "-d", make_conninfo("", **values), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
        raise OperatorError(f"{program}: {said.removeprefix(f'{program}: ')}", "nothing was kept of it")


def _rows(connection: Connection) -> dict[str, int]:
    counted = {}
    for (table,) in connection.execute(_TABLES).fetchall():
        row = connection.execute(
            psycopg.sql.SQL("select count(*) from {}").format(psycopg.sql.Identifier(str(table)))
        ).fetchone()
        counted[str(table)] = int(str(row[0])) if row else 0
    return counted


def _audit_head(connection: Connection) -> str:
    row = connection.execute(_HEAD).fetchone()
    return str(row[0]) if row else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _no_backup(path: Path, why: str) -> OperatorError:
    return OperatorError(f"{path.name} cannot be restored: {why}", "nothing was changed; take another backup")
