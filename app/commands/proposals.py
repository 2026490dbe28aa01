"""`quorum proposals`: what the desk would change about itself, and what a human says to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from difflib import unified_diff
from typing import TypeVar

import psycopg
import typer

from app.commands.desks import open_desk
from app.operator import this_operator
from storage.errors import OperatorError
from storage.learning_records import AdjustmentKind, AdjustmentRoute
from storage.plain import as_json, clean
from storage.proposal_evidence import ProposalEvidence
from storage.proposals import (
    ProposalRow,
    approve,
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
EVENINGS_SHOWN = 20


def print_proposals(desk: str | None, most: int, *, as_object: bool) -> None:
    """Those that wait first."""
    name, rows = _ask(desk, lambda connection: read_proposals(connection, most=most))
    if as_object:
        typer.echo(json.dumps({"desk": name, "proposals": as_json(rows)}))
        return
    if not rows:
        typer.echo(f"desk {name}: nothing was ever proposed; `quorum loop` tells how the nights went")
    for row in rows:
        typer.echo(clean(_line(row)))


def print_proposal(short_id: str, desk: str | None, *, as_object: bool) -> None:
    """One change with all of its evidence, and its digest."""
    name, row = _ask(desk, lambda connection: _named(connection, short_id))
    if as_object:
        typer.echo(json.dumps({"desk": name, "proposal": as_json(row)}))
        return
    for text in _card(row):
        typer.echo(clean(text))


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


def defer_proposal(short_id: str, until: datetime, desk: str | None) -> None:
    """Decide it later."""

    def act(connection: Connection) -> CommandReceipt:
        row = _named(connection, short_id)
        return defer(connection, row.id, row.digest, until.astimezone(UTC), this_operator())

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


def _line(row: ProposalRow) -> str:
    verdict = row.evidence.verdict if row.evidence else "evidence unreadable"
    state = str(row.status)
    if row.refused_because:
        state = f"refused: {row.refused_because}"
    elif row.waits and row.deferred_until is not None:
        state = f"deferred until {row.deferred_until:%Y-%m-%d}"
    elif row.decided_by:
        state = f"{row.status} by {row.decided_by}"
    outcome = f", {row.outcome}" if row.status == "applied" else ""
    return f"{row.short_id} {row.session} {row.words}: {verdict}; {state}{outcome}"


def _card(row: ProposalRow) -> Iterator[str]:
    yield _line(row)
    yield f"  {'digest':<{LABEL}}{row.digest}"
    if row.bounds:
        yield f"  {'bounds':<{LABEL}}{row.bounds}"
    yield f"  {'why':<{LABEL}}{row.reasoning}"
    yield f"  {'expected':<{LABEL}}{row.expected_impact}"
    if row.expires_at is not None:
        yield f"  {'expires':<{LABEL}}{row.expires_at:%Y-%m-%d %H:%M}Z, unanswered it is rejected"
    if row.kind is AdjustmentKind.PROMPT:
        yield from unified_diff(
            row.old_value.splitlines(), row.new_value.splitlines(), "in force", "proposed", lineterm=""
        )
    if row.evidence is None:
        yield "  what is stored as its evidence cannot be read: it cannot be approved"
        return
    yield from _evidence(row.evidence)


def _evidence(found: ProposalEvidence) -> Iterator[str]:
    for sentence in found.sentences:
        yield f"  {sentence}"
    for check in found.checks:
        value = "unknown" if check.value is None else f"{check.value:.4g}"
        yield f"  {'ok ' if check.passed else 'NOT'} {check.name}: {value}, needed {check.needed}"
    for cell in found.by_regime:
        mean = "too few to say" if cell.mean is None else f"{cell.mean:+.3f} R"
        yield f"  {cell.direction}: {mean} over {cell.n}"
    if found.mix is not None:
        mix = found.mix
        shift = f"{dict(mix.before)} -> {dict(mix.after)}"
        yield f"  decisions {shift}, p {mix.p_value:.3f}, {mix.cost_usd} dollars"
    for one in found.evenings[:EVENINGS_SHOWN]:
        yield f"  {one.session} {one.symbol}: {one.before} -> {one.after}"
    for gap in found.missing:
        yield f"  missing: {gap}"
    if found.if_ignored:
        yield f"  if ignored: {found.if_ignored}"
