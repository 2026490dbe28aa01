"""`quorum notify`: try the addresses, and see what was told."""

from __future__ import annotations

import json

import psycopg
import typer

from app.commands.desks import open_desk
from app.runtime.notifying import send
from app.settings import load_settings
from storage.errors import OperatorError
from storage.notices import SentNotice, read_notices
from storage.plain import as_json, clean


def try_addresses() -> None:
    """Send one notice to every address of the settings. Raises OperatorError when one does not take it."""
    addresses = load_settings().notify.addresses
    if not addresses:
        raise OperatorError(
            "nobody is to be told", "set QUORUM_NOTIFY__URLS to apprise addresses, as ntfys://ntfy.sh/topic"
        )
    why = send(addresses, "Quorum", "This is a test: notices of your desk will arrive here.", urgent=False)
    if why:
        raise OperatorError(why, "correct QUORUM_NOTIFY__URLS, or see to the network")
    typer.echo(f"sent to {len(addresses)} address{'es' if len(addresses) > 1 else ''}")


def print_notices(desk: str | None, most: int, *, as_object: bool) -> None:
    """What was told outside the console, latest first."""
    with open_desk(desk) as opened:
        opened.snapshot()
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, autocommit=True, options="-c TimeZone=UTC") as connection:
            rows = read_notices(connection, most=most)
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "notices": as_json(rows)}))
        return
    if not rows:
        typer.echo(f"desk {opened.name}: nothing was ever told outside the console")
    for row in rows:
        typer.echo(clean(f"{row.created_at:%Y-%m-%d %H:%M}Z {_state(row)} {row.title}"))


def _state(row: SentNotice) -> str:
    if row.sent_at is not None:
        return "sent    "
    if row.given_up_at is not None:
        return f"GIVEN UP after {row.attempts}: {row.last_error};"
    return f"waits   {row.last_error}".rstrip() if row.attempts else "waits   "
