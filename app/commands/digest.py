"""`quorum digest`: the day as the desk told it; `quorum report`: a week of it as one HTML file."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import psycopg
import typer

from app.commands.desks import open_desk
from app.runtime.weekly import read_week
from app.runtime.weekly_file import report_path, write_report
from app.settings import load_settings
from storage.digest import read_digest
from storage.errors import OperatorError
from storage.plain import as_json, clean


def print_digest(desk: str | None, session: date | None, *, as_object: bool) -> None:
    """The digest of a session, of the last without one. Raises OperatorError when there is none."""
    with open_desk(desk) as opened:
        opened.snapshot()  # of a desk that is founded
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
            found = read_digest(connection, session)
    if found is None:
        when = f"of {session}" if session else "yet"
        raise OperatorError(
            f"desk {opened.name} has no digest {when}",
            "it comes at 18:45 New York, once the close is settled",
        )
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "digest": as_json(found)}))
        return
    written = f", written {found.written_at:%Y-%m-%d %H:%M}Z" if found.written_at else ""
    typer.echo(f"desk {opened.name}: {found.session}{written}")
    if not found.sections:
        typer.echo(clean(found.summary))
    for section in found.sections:
        for number, line in enumerate(section.lines):
            typer.echo(f"{clean(section.heading) if number == 0 else '':<10}{clean(line)}")


def make_report(desk: str | None, day: date | None, to: Path | None) -> None:
    """Write the report of a week, of the last settled without a day; its path is printed.

    Raises OperatorError when nothing has settled and when the file cannot be written.
    """
    with open_desk(desk) as opened:
        settled = opened.snapshot().header.session
        chosen = day or settled
        if chosen is None:
            raise OperatorError(f"desk {opened.name} has settled nothing yet", "there is no week to report")
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
            week = read_week(connection, chosen)
    path = to or report_path(load_settings().home, opened.name, week.monday)
    try:
        write_report(path, week)
    except OSError as fault:
        raise OperatorError(
            f"the report cannot be written to {clean(str(path))}: {os.strerror(fault.errno or 0)}",
            "name another file with --to",
        ) from fault
    typer.echo(clean(str(path)))
