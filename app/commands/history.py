"""`quorum history`: every decision with what led to it and what came of it; decided again for nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import typer

from app.commands.desks import open_desk, recall
from storage.errors import OperatorError
from storage.exchanges import Exchange, read_decision_exchanges
from storage.history import PastDecision, PastProposal, PastVote, read_decisions, read_evenings
from storage.plain import as_json, clean
from storage.records import LimitCheck, NoteKind

if TYPE_CHECKING:
    from agents.rehearing import Rehearing
    from app.runtime.rehearing import Material
    from storage.memory import AgentMemory

AT_ONCE = 4_000  # characters that are made harmless in one go


@dataclass(frozen=True, kw_only=True)
class HistoryWanted:
    """Of which evening or symbol, and what beside the decisions themselves."""

    session: date | None
    symbol: str | None
    most: int
    replay: bool
    words: bool


@dataclass(frozen=True)
class _Told:
    decision: PastDecision
    calls: tuple[Exchange, ...]
    rehearing: Rehearing | None
    problem: str  # why it could not be decided again


def print_history(desk: str | None, wanted: HistoryWanted, *, as_object: bool) -> None:
    """The decisions, latest evening first. Raises OperatorError where there is none."""
    materials: dict[UUID, Material | OperatorError] = {}
    with open_desk(desk) as opened:
        opened.snapshot()  # of a desk that is founded
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
            decisions = _decisions(connection, opened.name, wanted)
            calls = {
                found.id: read_decision_exchanges(connection, found.id) if wanted.words else ()
                for found in decisions
            }
            if wanted.replay:
                materials = {found.id: _material(connection, found) for found in decisions}
    told = [_Told(found, calls[found.id], None, "") for found in decisions]
    if wanted.replay:
        _, told = recall(desk, lambda memory: _again(memory, told, materials))
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "decisions": [_object(row) for row in told]}))
        return
    session = None
    for row in told:
        if row.decision.session != session:
            session = row.decision.session
            typer.echo(f"{session}")
        for line in _lines(row):
            typer.echo(f"  {clean(line)}")


def _decisions(
    connection: psycopg.Connection[tuple[object, ...]], name: str, wanted: HistoryWanted
) -> tuple[PastDecision, ...]:
    session, symbol = wanted.session, wanted.symbol.upper() if wanted.symbol else None
    if session is None and symbol is None:
        evenings = read_evenings(connection)
        session = evenings[-1].session if evenings else None
    found = read_decisions(connection, session=session, symbol=symbol, most=wanted.most)
    if not found:
        about = f" about {clean(symbol)[:20]}" if symbol else ""
        when = f" on {wanted.session}" if wanted.session else ""
        raise OperatorError(
            f"desk {name} has decided nothing{about}{when}", "name another --session or --symbol, or neither"
        )
    return found


def _material(
    connection: psycopg.Connection[tuple[object, ...]], decision: PastDecision
) -> Material | OperatorError:
    from app.runtime.rehearing import material_of

    try:
        return material_of(connection, decision)
    except OperatorError as missing:
        return missing


async def _again(
    memory: AgentMemory, told: list[_Told], materials: dict[UUID, Material | OperatorError]
) -> list[_Told]:
    from app.runtime.rehearing import rehearing_of

    again = []
    for row in told:
        material = materials[row.decision.id]
        if isinstance(material, OperatorError):
            again.append(_Told(row.decision, row.calls, None, str(material)))
            continue
        try:
            rehearing = await rehearing_of(memory, row.decision, material)
        except OperatorError as gone:
            again.append(_Told(row.decision, row.calls, None, str(gone)))
        else:
            again.append(_Told(row.decision, row.calls, rehearing, ""))
        await asyncio.sleep(0)
    return again


def _object(row: _Told) -> dict[str, object]:
    decision = as_json(row.decision)
    assert isinstance(decision, dict)
    told: dict[str, object] = {**decision, "fate": row.decision.fate, "tags": list(row.decision.tags)}
    if row.calls:
        told["calls"] = as_json(row.calls)
    if row.rehearing is not None:
        told["replay"] = {"sentence": row.rehearing.sentence, **_plain(as_json(row.rehearing))}
    elif row.problem:
        told["replay"] = {"sentence": row.problem, "sameness": "cannot be replayed", "findings": []}
    return told


def _plain(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _lines(row: _Told) -> Iterator[str]:
    found = row.decision
    yield f"{found.symbol}  {found.setup_type.replace('_', ' ')}: {found.fate}"
    for vote in found.votes:
        yield f"    {_vote(vote)}"
    if found.consensus is not None:
        yield f"    consensus {found.consensus.stance} by {found.consensus.rule}: {found.consensus.note}"
    for check in found.checks:
        yield f"    {_check(check)}"
    if found.proposal is not None:
        yield f"    {_proposal(found.proposal)}"
    for said in found.verdicts:
        origin = f" from {said.given_from}" if said.given_from else ""
        why = f": {said.reason}" if said.reason else ""
        yield f"    {said.verb} by {said.given_by}{origin} at {said.given_at:%Y-%m-%d %H:%M:%S}Z{why}"
    if found.order is not None:
        yield f"    order {found.order}{f': {found.order_note}' if found.order_note else ''}"
    if found.fill is not None:
        yield f"    filled {found.fill.shares:,} at {found.fill.price:,.2f} on {found.fill.session}"
    if found.outcome is not None:
        yield (
            f"    out on {found.outcome.exit_session} by {found.outcome.exit_reason.replace('_', ' ')}: "
            f"{found.outcome.r_multiple:+.2f}R, {found.outcome.pnl:+,.2f} dollars"
        )
    if found.tags:
        yield f"    tags {', '.join(found.tags)}"
    for note in found.notes:
        if note.kind is NoteKind.NOTE:
            yield f"    note by {note.written_by} at {note.at:%Y-%m-%d %H:%M}Z: {note.text}"
    yield from _replayed(row)
    for call in row.calls:
        yield f"    {call.agent} {call.model}, ${call.cost_usd:.4f}"
        for heading, text in call.parts:
            for own in text.splitlines():
                for start in range(0, max(len(own), 1), AT_ONCE):
                    yield f"      {heading}: {own[start : start + AT_ONCE]}"


def _replayed(row: _Told) -> Iterator[str]:
    if row.problem:
        yield f"    replay: {row.problem}"
    if row.rehearing is None:
        return
    yield f"    replay: {row.rehearing.sentence}"
    for part in row.rehearing.findings:
        note = f" ({part.note})" if part.note else ""
        yield f"      {part.sameness:<18} {part.part}: {part.then} then, {part.now} now{note}"


def _vote(vote: PastVote) -> str:
    conviction = "" if vote.conviction is None else f" {vote.conviction:.2f}"
    flags = f" [{', '.join(vote.flags)}]" if vote.flags else ""
    return f"{vote.agent} {vote.stance}{conviction} ({vote.source}): {vote.reason}{flags}"


def _check(check: LimitCheck) -> str:
    verdict = "passed" if check.passed else "FAILED"
    figures = f"{check.before:g} before, {check.after:g} after, {check.limit:g} allowed"
    return f"limit {check.name} {verdict}: {figures}"


def _proposal(bound: PastProposal) -> str:
    risky = f"; risky: {', '.join(bound.risky_reasons)}" if bound.risky_reasons else ""
    return (
        f"{bound.short_id}: at most {bound.max_shares:,} at {bound.min_entry:.2f} to {bound.max_entry:.2f} "
        f"on {bound.entry_session}, stop {bound.stop:.2f}, target {bound.target:.2f}{risky}"
    )
