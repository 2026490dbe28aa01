"""`quorum audit`: prove the chain whole, read it, keep its head outside the database."""

from __future__ import annotations

import json

import psycopg
import typer

from app.commands.desks import OpenDesk, open_desk
from app.settings import load_settings
from storage.anchors import anchors_path, read_anchors, write_anchor
from storage.audit import read_head, read_log, verify
from storage.errors import OperatorError
from storage.plain import as_json, clean, shortened

SHOWN = 20  # damages
PAYLOAD = 160  # characters of a row's payload


def verify_chain(desk: str | None, *, as_object: bool) -> bool:
    """Tell whether the chain is whole and the one that was anchored; True when it is."""
    with open_desk(desk) as opened:
        opened.snapshot()
        path = anchors_path(load_settings().home, opened.name)
        anchors = read_anchors(path)
        with _connected(opened) as connection:
            report = verify(connection, anchors)
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "whole": report.is_whole, **_object(report)}))
        return report.is_whole
    head = f", head {report.head.short}" if report.head else ""
    if report.is_whole:
        known = f"{report.anchors} anchors in {path}" if anchors else "no anchor to compare with"
        typer.echo(f"desk {opened.name}: {report.rows} rows, whole{head}; {known}")
        return True
    typer.echo(f"desk {opened.name}: {report.rows} rows, NOT whole{head}")
    for damage in report.damage[:SHOWN]:
        typer.echo(clean(f"  {damage.kind}: {damage.text}"))
    if len(report.damage) > SHOWN:
        typer.echo(f"  and {len(report.damage) - SHOWN} more")
    typer.echo("  compare with a backup from before, and with the heads in your notifications")
    return False


def print_log(desk: str | None, subject: str | None, most: int, *, as_object: bool) -> None:
    """The last rows of the chain, latest first."""
    with open_desk(desk) as opened, _connected(opened) as connection:
        rows = read_log(connection, subject=subject, most=most)
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "log": as_json(rows)}))
        return
    if not rows:
        typer.echo("nothing is in it" + (f" of {clean(subject)}" if subject else ""))
    for row in rows:
        told = shortened(clean(row.payload), PAYLOAD)
        typer.echo(f"{row.seq:>7} {row.at:%Y-%m-%d %H:%M:%S}Z {row.event} {row.subject} {told}")


def anchor_chain(desk: str | None) -> None:
    """Keep the head of the chain in the file outside the database, and say it."""
    with open_desk(desk) as opened, _connected(opened) as connection:
        head = read_head(connection)
    if head is None:
        raise OperatorError(f"desk {opened.name}: the chain is empty", "there is nothing to anchor yet")
    path = anchors_path(load_settings().home, opened.name)
    added = write_anchor(path, head)
    typer.echo(f"{opened.name} {head.short} {'anchored' if added else 'is anchored already'} in {path}")


def _connected(opened: OpenDesk) -> psycopg.Connection[tuple[object, ...]]:
    conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
    return psycopg.connect(conninfo, autocommit=True, connect_timeout=5, options="-c TimeZone=UTC")


def _object(report: object) -> dict[str, object]:
    values = as_json(report)
    assert isinstance(values, dict)
    return values
