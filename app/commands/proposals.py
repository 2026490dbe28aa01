"""`quorum proposals`: what the desk would change about itself, and what a human says to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date
from typing import TypeVar

import psycopg
import typer

from agents.market.calendar import is_session, next_session
from app.commands.desks import open_desk
from app.operator import this_operator
from storage.errors import OperatorError
from storage.learning_records import AdjustmentRoute
from storage.plain import as_json, clean
from storage.proposal_standing import ProposalStanding, read_standing
from storage.proposal_text import Told, Weight, line, proposal_text
from storage.proposals import (
    ProposalRow,
    approve,
    beginning_of,
    defer,
    read_proposal,
    read_proposals,
    reject,
    take_back,
    undo,
)
from storage.records import CommandReceipt

Connection = psycopg.Connection[tuple[object, ...]]
Answer = TypeVar("Answer")
LABEL = 16


def print_proposals(desk: str | None, most: int, *, as_object: bool) -> None:
    """Those that wait first."""
    name, rows = _ask(desk, lambda connection: read_proposals(connection, most=most))
    if as_object:
        typer.echo(json.dumps({"desk": name, "proposals": as_json(rows)}))
        return
    if not rows:
        typer.echo(f"desk {name}: nothing was ever proposed; `quorum loop` tells how the nights went")
    for row in rows:
        typer.echo(clean(line(row)))


def print_proposal(short_id: str, desk: str | None, *, as_object: bool) -> None:
    """One change with all of its evidence, its digest, and what became of it."""

    def read(connection: Connection) -> tuple[ProposalRow, ProposalStanding]:
        row = _named(connection, short_id)
        return row, read_standing(connection, row.id)

    name, (row, standing) = _ask(desk, read)
    if as_object:
        told = {"desk": name, "proposal": as_json(row), "standing": as_json(standing)}
        typer.echo(json.dumps(told))
        return
    typer.echo(clean(line(row)))
    for part in proposal_text(row, standing):
        typer.echo(clean(part.text.upper() if part.weight is Weight.HEAD else _labelled(part)))


def approve_proposal(short_id: str, digest: str, desk: str | None, *, at_once: bool) -> None:
    """Into the shadow, or at once into force, which asks for the id at a terminal."""

    def act(connection: Connection) -> CommandReceipt:
        row = _named(connection, short_id)
        if not (len(digest) >= 8 and row.digest.startswith(digest)):
            raise OperatorError(
                f"{clean(digest)!r} is not the digest of {row.short_id}",
                f"read it with `quorum proposals show {row.short_id}`; 8 digits are enough",
            )
        route = AdjustmentRoute.AT_ONCE if at_once else AdjustmentRoute.SHADOW
        typed = _typed(row) if at_once else ""
        return approve(connection, row.id, row.digest, route, typed, this_operator())

    _told(_ask(desk, act)[1])


def reject_proposal(short_id: str, reason: str, desk: str | None) -> None:
    """Turn a change down; it does not come again without new evidence."""

    def act(connection: Connection) -> CommandReceipt:
        row = _named(connection, short_id)
        return reject(connection, row.id, row.digest, clean(reason), this_operator())

    _told(_ask(desk, act)[1])


def defer_proposal(short_id: str, until: date, desk: str | None) -> None:
    """Decide it on the day of a session; a day without one means the session after it."""
    session = until if is_session(until) else next_session(until)

    def act(connection: Connection) -> CommandReceipt:
        row = _named(connection, short_id)
        return defer(connection, row.id, row.digest, beginning_of(session), this_operator())

    _told(_ask(desk, act)[1])


def undo_proposal(short_id: str, desk: str | None) -> None:
    """Take a verdict back before it takes effect."""
    _told(
        _ask(desk, lambda connection: undo(connection, _named(connection, short_id).id, this_operator()))[1]
    )


def roll_back_proposal(short_id: str, reason: str, desk: str | None) -> None:
    """Take a change out of the shadow or out of force."""

    def act(connection: Connection) -> CommandReceipt:
        return take_back(connection, _named(connection, short_id).id, clean(reason), this_operator())

    _told(_ask(desk, act)[1])


def _labelled(part: Told) -> str:
    return f"  {part.label:<{LABEL}}{part.text}"


def _ask(desk: str | None, question: Callable[[Connection], Answer]) -> tuple[str, Answer]:
    with open_desk(desk) as opened:
        opened.snapshot()
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, autocommit=True, options="-c TimeZone=UTC") as connection:
            return opened.name, question(connection)


def _named(connection: Connection, short_id: str) -> ProposalRow:
    row = read_proposal(connection, short_id)
    if row is None:
        waiting = [found.short_id for found in read_proposals(connection, most=20) if found.waits]
        raise OperatorError(
            f"there is no proposed change {clean(short_id)!r}", f"waiting: {', '.join(waiting) or 'none'}"
        )
    return row


def _typed(row: ProposalRow) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OperatorError(
            f"{row.short_id} at once is risky: its id is typed at a terminal, and this is none",
            "run the same command in a terminal, or send it into the shadow first",
        )
    typer.echo(clean(f"{row.words}, without a trial in the shadow"), err=True)
    typer.echo(f"type {row.short_id} to put it into force: ", err=True, nl=False)
    return sys.stdin.readline().strip()


def _told(receipt: CommandReceipt) -> None:
    if not receipt.accepted:
        raise OperatorError(clean(receipt.message), "nothing was changed; see `quorum proposals`")
    typer.echo(clean(receipt.message))
