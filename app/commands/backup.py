"""`quorum backup`, `backups`, `restore`: a desk as one file, and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import typer

from app.commands.desks import open_desk
from app.settings import load_settings
from storage.backup import Manifest, back_up, backups_in, read_manifest, restore
from storage.errors import OperatorError
from storage.plain import as_json, clean
from storage.server import MAIN_DESK, checked_desk_name, open_server, unreachable


def make_backup(desk: str | None, to: Path | None, *, as_object: bool) -> None:
    """Back a desk up now, into the folder of the settings unless another is named."""
    settings = load_settings()
    folder = to.expanduser().absolute() if to else settings.backup.folder_in(settings.home)
    with open_desk(desk) as opened:
        path, manifest = back_up(opened.server, opened.name, folder, now=datetime.now(UTC))
    if as_object:
        typer.echo(json.dumps({"file": str(path), **_object(manifest)}))
        return
    rows = sum(manifest.rows.values())
    size = path.stat().st_size
    typer.echo(f"{path}: {rows:,} rows, {size:,} bytes; it was restored once and came back whole")


def print_backups(desk: str | None, *, as_object: bool) -> None:
    """The backups of a desk, latest first."""
    settings, name = load_settings(), checked_desk_name(desk or MAIN_DESK)
    folder = settings.backup.folder_in(settings.home)
    rows = [(path, _read(path)) for path in reversed(backups_in(folder, name))]
    if as_object:
        typer.echo(json.dumps([{"file": str(path), **_object(found)} for path, found in rows]))
        return
    if not rows:
        typer.echo(f"no backup of {name} in {folder}: `quorum backup` makes one")
    for path, found in rows:
        typer.echo(clean(f"{path}: {_words(path, found)}"))


def restore_backup(file: Path, desk: str | None) -> None:
    """Make a desk of a backup: the desk it was of, unless another name is given."""
    settings = load_settings()
    path = file.expanduser().absolute()
    name = desk or read_manifest(path).desk
    server = open_server(settings.home, settings.database_url)
    try:
        manifest = restore(server, path, name)
    except psycopg.OperationalError as away:
        raise unreachable(away) from away
    rows = sum(manifest.rows.values())
    typer.echo(
        clean(f"desk {name}: {rows:,} rows as of {manifest.made_at[:16]}Z; `quorum --desk {name}` opens it")
    )


def _read(path: Path) -> Manifest | OperatorError:
    """The manifest, or why it is of no use here: one such file hides no other."""
    try:
        return read_manifest(path)
    except OperatorError as useless:
        return useless


def _words(path: Path, found: Manifest | OperatorError) -> str:
    if isinstance(found, OperatorError):
        return f"NOT USABLE, {found.problem}"
    rows = sum(found.rows.values())
    return f"made {found.made_at[:16]}Z, {rows:,} rows, {path.stat().st_size:,} bytes"


def _object(manifest: Manifest | OperatorError) -> dict[str, object]:
    if isinstance(manifest, OperatorError):
        return {"problem": manifest.problem}
    values = as_json(manifest)
    if not isinstance(values, dict):
        raise OperatorError("the manifest is no object", "take another backup")
    return values
