"""`quorum notify`: try the addresses, list what was told, say that it was seen, look once from a timer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
import typer

from app.commands.desks import open_desk
from app.operator import this_operator
from app.runtime.postman import Undelivered, deliver
from app.runtime.telling import Teller
from app.settings import load_settings
from storage.errors import OperatorError
from storage.notices import latest, mark_seen
from storage.plain import as_json, clean
from storage.records import Severity
from storage.server import MAIN_DESK, Server

REMEDY = "set QUORUM_NOTIFY__URLS in .env: .env.example shows how an address is written"


def send_test() -> None:
    """One message to every address. Raises OperatorError naming those that did not take it."""
    addresses = load_settings().notify.addresses(escalated=True)
    if not addresses:
        raise OperatorError("nobody is told: there are no addresses", REMEDY)
    try:
        missed = deliver(
            addresses,
            title="Quorum: a test",
            body="This desk can reach you here.",
            severity=Severity.INFO,
        )
    except Undelivered as failed:
        missed = str(failed)
    if missed:
        raise OperatorError(missed, "correct the address in .env, or the network; then `quorum notify test`")
    typer.echo(f"sent to {len(addresses)} address{'es' if len(addresses) > 1 else ''}")


def print_notices(desk: str | None, most: int, *, as_object: bool) -> None:
    """The outbox, latest first."""
    with open_desk(desk) as opened, psycopg.connect(_conninfo(opened.server, opened.name)) as connection:
        rows = latest(connection, most)
    if as_object:
        typer.echo(json.dumps([as_json(row) for row in rows]))
        return
    if not rows:
        told = load_settings().notify.addresses(escalated=True)
        typer.echo("nothing was told yet" if told else f"nobody is told: {REMEDY}")
    for row in rows:
        if row.sent_at:
            state = "sent" + (f", {row.last_error}" if row.last_error else "")
        else:
            state = f"unsent, {row.attempts} tries: {row.last_error or 'waits'}"
        if row.seen_at:
            state += f"; seen: {row.seen_by}"
        typer.echo(
            clean(f"{row.created_at:%Y-%m-%d %H:%M}Z {row.severity:<8} {row.subject}: {row.text} [{state}]")
        )


def see_notices(desk: str | None, subjects: Sequence[str] | None) -> None:
    """Mark them as seen. Raises OperatorError for a subject that is not there."""
    with (
        open_desk(desk) as opened,
        psycopg.connect(_conninfo(opened.server, opened.name), autocommit=True) as connection,
    ):
        count = mark_seen(connection, subjects, this_operator().name, datetime.now(UTC))
    if subjects and not count:
        raise OperatorError(
            f"nothing unseen is called {clean(', '.join(subjects))}",
            "`quorum notify list` names the subjects",
        )
    typer.echo(f"{count} seen")


def check_once(desk: str | None) -> bool:
    """Write down and send what is due now; whether nothing is left that could not be sent."""
    settings = load_settings()
    if not settings.notify.addresses(escalated=True):
        raise OperatorError("nobody is told: there are no addresses", REMEDY)
    name = desk or MAIN_DESK
    with open_desk(name) as opened:
        conninfo = _conninfo(opened.server, opened.name)
        sent = Teller(conninfo, name, settings.notify).once()
        with psycopg.connect(conninfo) as connection:
            failed = [row for row in latest(connection, 100) if row.last_error and not row.sent_at]
    typer.echo(f"{sent} sent" + (f", {len(failed)} could not be: {failed[0].last_error}" if failed else ""))
    return not failed


def _conninfo(server: Server, name: str) -> str:
    return server.conninfo(server.desk_database(name))
