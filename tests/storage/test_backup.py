"""A backup is one instant, proves itself, comes back whole or not at all, and leaves nothing half done."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from app.runtime.backups import NightlyBackup
from storage import backup, schema
from storage.audit import verify
from storage.backup import BackupSettings, back_up, backups_in, forget_old, read_manifest, restore
from storage.embedded import EmbeddedServer
from storage.errors import OperatorError
from storage.retention import RetentionSettings
from storage.server import EmbeddedDatabases
from tests.storage import desk_builder as build
from tests.storage.desk_builder import execute, scalar, writing

OLD_NEWS = " (gen_random_uuid(), 'd', '2026-01-05', 'wire', 'Up', 'It rose.', null, '2026-01-05', '{}', null)"
NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def bare(embedded: EmbeddedServer) -> EmbeddedDatabases:
    """Without a template: what is brought back comes into an empty database."""
    return EmbeddedDatabases(embedded)


@pytest.fixture
def desk(bare: EmbeddedDatabases, template: str) -> Iterator[str]:
    """A desk with some rows, by its name."""
    name = f"b{uuid4().hex[:10]}"
    with psycopg.connect(bare.conninfo(), autocommit=True) as connection:
        connection.execute(f"create database quorum_{name} template {template} strategy file_copy")
    with writing(bare.conninfo(f"quorum_{name}")) as session:
        build.found_paper(session, name=name)
        session.add(build.deposit("100000.00"))
    yield name
    bare.drop_desk(name)


@pytest.fixture
def made(bare: EmbeddedDatabases, desk: str, tmp_path: Path) -> Path:
    path, _ = back_up(bare, desk, tmp_path, now=NOW)
    return path


@contextmanager
def restored(bare: EmbeddedDatabases, path: Path) -> Iterator[str]:
    name = f"r{uuid4().hex[:10]}"
    restore(bare, path, name)
    try:
        yield bare.conninfo(f"quorum_{name}")
    finally:
        bare.drop_desk(name)


def desks(bare: EmbeddedDatabases) -> list[str]:
    return bare.desks()


def test_what_comes_back_is_what_was_there_with_its_audit(
    bare: EmbeddedDatabases, desk: str, made: Path
) -> None:
    manifest = read_manifest(made)
    assert (manifest.desk, manifest.kind, manifest.rows["cash_events"]) == (desk, "paper", 1)
    assert made.name == f"{desk}-20260302T063000Z.quorum" and made.stat().st_mode & 0o077 == 0
    with restored(bare, made) as conninfo:
        assert scalar(conninfo, "select sum(amount) from cash_events") == 100_000
        with psycopg.connect(conninfo, autocommit=True) as connection:
            report = verify(connection)
        assert report.is_whole
        name = scalar(conninfo, "select name from desk")
        assert name != desk and report.head is not None  # its new name is in the chain too
        assert report.rows == int(manifest.audit_head.split(":")[0]) + 1


@pytest.mark.long
def test_a_backup_is_of_one_instant_whatever_is_written_meanwhile(
    bare: EmbeddedDatabases, desk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = backup._run

    def writes_first(program: str, conninfo: str, *arguments: str) -> None:
        if program == "pg_dump":
            execute(
                conninfo, "insert into rearms values (gen_random_uuid(), '2018-01-02', 'x', '', 'x', now())"
            )
        run(program, conninfo, *arguments)

    monkeypatch.setattr(backup, "_run", writes_first)
    path, manifest = back_up(bare, desk, tmp_path, now=NOW)
    assert manifest.rows["rearms"] == 0
    with restored(bare, path) as conninfo:
        assert scalar(conninfo, "select count(*) from rearms") == 0


@pytest.mark.parametrize("damage", ["short", "flipped", "foreign", "empty", "text", "manifest"])
def test_what_is_damaged_or_foreign_makes_no_desk(bare: EmbeddedDatabases, made: Path, damage: str) -> None:
    content = bytearray(made.read_bytes())
    match damage:
        case "short":
            made.write_bytes(content[: len(content) * 2 // 3])
        case "flipped":
            content[len(content) // 2] ^= 0xFF
            made.write_bytes(content)
        case "foreign":
            with tarfile.open(made, "w") as archive:
                archive.add(__file__, arcname="../../etc/passwd")
        case "empty":
            made.write_bytes(b"")
        case "text":
            made.write_text("-- PostgreSQL database dump\n")
        case _:
            _with_manifest(made, rows={"desk": 7})
    before = desks(bare)
    with pytest.raises(OperatorError, match=r"cannot be restored|nothing was kept"):
        restore(bare, made, "elsewhere")
    assert desks(bare) == before


def _with_manifest(path: Path, **changes: object) -> None:
    with tarfile.open(path) as archive:
        archive.extract("desk.dump", path.parent, filter="data")
    manifest = replace(read_manifest(path), **changes)  # type: ignore[arg-type]
    backup._pack(manifest, path.parent / "desk.dump", path.parent / "forged")
    (path.parent / "forged").replace(path)


def test_any_cut_is_seen(bare: EmbeddedDatabases, made: Path) -> None:
    content = made.read_bytes()
    for length in random.Random(7).sample(range(len(content) - 10_240), 6):
        made.write_bytes(content[:length])
        with pytest.raises(OperatorError, match="cannot be restored"):
            restore(bare, made, "elsewhere")
    assert not bare.has_desk("elsewhere")


def test_a_newer_schema_or_format_is_refused(made: Path) -> None:
    _with_manifest(made, revision="9999")
    with pytest.raises(OperatorError, match="schema 9999 is newer"):
        read_manifest(made)
    _with_manifest_raw(made, {"format": 99})
    with pytest.raises(OperatorError, match=r"of format 99|cut off"):
        read_manifest(made)


def _with_manifest_raw(path: Path, values: dict[str, object]) -> None:
    manifest = path.parent / "manifest.json"
    manifest.write_text(json.dumps(values))
    with tarfile.open(path, "w") as archive:
        archive.add(manifest, arcname="manifest.json")
        archive.add(path.parent / "desk.dump", arcname="desk.dump")


def test_a_desk_that_is_there_is_never_touched(bare: EmbeddedDatabases, desk: str, made: Path) -> None:
    execute(bare.conninfo(f"quorum_{desk}"), "update cash_events set note = 'newer'")
    with pytest.raises(OperatorError, match="there is a desk"):
        restore(bare, made, desk)
    assert scalar(bare.conninfo(f"quorum_{desk}"), "select note from cash_events") == "newer"


def test_a_backup_of_an_older_schema_is_brought_up(
    bare: EmbeddedDatabases, desk: str, tmp_path: Path
) -> None:
    from tests.storage.test_schema import migrate

    migrate(bare.conninfo(f"quorum_{desk}"), "downgrade", "0011")
    path, manifest = back_up(bare, desk, tmp_path, now=NOW)
    assert manifest.revision == "0011"
    with restored(bare, path) as conninfo:
        assert schema.current_revision(conninfo) == schema.known_revisions()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_leaves_no_half_backup_and_the_earlier_ones(
    bare: EmbeddedDatabases, desk: str, made: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(OperatorError):
            back_up(bare, desk, small, now=NOW)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_folder_nobody_may_write_is_one_line(bare: EmbeddedDatabases, desk: str, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(OperatorError, match="the backup cannot be written"):
        back_up(bare, desk, in_the_way / "backups", now=NOW)


def test_old_ones_go_and_the_newest_stay(made: Path, desk: str, tmp_path: Path) -> None:
    for day in range(1, 5):
        shutil.copy(made, tmp_path / f"{desk}-2026030{day + 2}T060000Z.quorum")
    (tmp_path / f"{desk}-2-20200101T060000Z.quorum").write_text("another desk's")
    assert forget_old(tmp_path, desk, keep=2) == 3
    assert [path.name[-23:-15] for path in backups_in(tmp_path, desk)] == ["20260305", "20260306"]
    assert (tmp_path / f"{desk}-2-20200101T060000Z.quorum").exists()


def test_the_nightly_one_is_made_once_a_day_and_a_failure_is_noted(
    bare: EmbeddedDatabases, desk: str, tmp_path: Path
) -> None:
    conninfo = bare.conninfo(f"quorum_{desk}")
    execute(conninfo, "insert into news_items values" + OLD_NEWS)
    with_words = "select count(*) from news_items where title <> ''"
    short = RetentionSettings(news_text_days=30)
    nightly = NightlyBackup(bare, desk, tmp_path, BackupSettings(keep=2), short)
    now = datetime.now(UTC).replace(hour=7)
    assert not nightly.is_due(now.replace(hour=5)) and nightly.is_due(now)
    nightly.make(now)
    assert not nightly.is_due(now + timedelta(hours=1))
    assert "came back whole" in scalar(conninfo, "select text from operations where kind = 'backup'")
    assert scalar(conninfo, with_words) == 0
    (made,) = backups_in(tmp_path / "backups", desk)
    later = now + timedelta(days=2)
    os.utime(made, (later.timestamp(), later.timestamp()))  # as one made by hand: the text waits for our own
    assert nightly.is_due(later)
    with restored(bare, made) as again:  # text goes once a backup holds it
        assert scalar(again, with_words) == 1
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    execute(conninfo, "update news_items set title = 'Up', text_removed_at = null")
    broken = NightlyBackup(bare, desk, tmp_path, BackupSettings(folder=blocked / "x"), short)
    broken.make(now)
    said = scalar(conninfo, "select text from operations where kind = 'backup' order by at desc limit 1")
    assert said.startswith("FAILED: the backup cannot be written")
    assert scalar(conninfo, with_words) == 1
    assert not broken.is_due(now + timedelta(minutes=30)) and broken.is_due(now + timedelta(days=2))
