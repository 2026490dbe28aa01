"""`quorum reconcile`: where book and broker differ, what a start found, what a human says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC
from enum import StrEnum

import typer

from app.commands.desks import open_desk
from app.operator import this_operator
from storage.broker_records import DifferenceState
from storage.errors import OperatorError
from storage.plain import as_json, clean
from storage.reconciliation import DifferenceRow
from storage.records import OperationKind
from storage.snapshot import DeskSnapshot


class Saying(StrEnum):
    """What becomes of a difference."""

    ADOPT = "adopt"
    IGNORE = "ignore"
    CORRECT = "correct"


def print_differences(desk: str | None, *, as_object: bool) -> bool:
    """List them, unexplained ones first; whether none is unexplained."""
    with open_desk(desk) as opened:
        taken = opened.snapshot()
        rows = opened.desk.differences()
    agree = all(row.state is not DifferenceState.OPEN for row in rows)
    if as_object:
        found = {"desk": opened.name, "agree": agree, "differences": as_json(rows), "last": last_word(taken)}
        typer.echo(json.dumps(found))
        return agree
    for line in _lines(opened.name, taken, rows, agree=agree):
        typer.echo(clean(line))
    return agree


def settle_difference(chosen: Mapping[Saying, int], reason: str, desk: str | None) -> None:
    """Raises OperatorError unless exactly one thing is said of one difference, with a reason."""
    if len(chosen) != 1:
        raise OperatorError("one difference at a time", "name one of --adopt, --ignore, --correct")
    said = clean(reason).strip()
    if not said:
        raise OperatorError("--reason says nothing", "say what explains the difference")
    ((saying, number),) = chosen.items()
    with open_desk(desk) as opened:
        opened.snapshot()
        verbs = {
            Saying.ADOPT: opened.desk.adopt,
            Saying.IGNORE: opened.desk.ignore,
            Saying.CORRECT: opened.desk.correct,
        }
        receipt = verbs[saying](number, said, operator=this_operator())
    if not receipt.accepted:
        raise OperatorError(clean(receipt.message), "nothing was changed; see `quorum reconcile`")
    typer.echo(clean(receipt.message))


def last_word(taken: DeskSnapshot) -> str:
    """What the desk said last of the comparison, as when it was started; "" where it has not yet."""
    for row in taken.operations:
        if row.kind is OperationKind.RECONCILE:
            return f"{row.at.astimezone(UTC):%Y-%m-%d %H:%M}Z {row.who}: {row.text}"
    return ""


def _lines(name: str, taken: DeskSnapshot, rows: tuple[DifferenceRow, ...], *, agree: bool) -> Iterator[str]:
    if word := last_word(taken):
        yield word
    if agree:
        yield f"desk {name}: nothing is unexplained between book and broker"
    else:
        yield f"desk {name}: no entry is sent until each of these is adopted, ignored or corrected"
    for row in rows:
        ended = "" if row.state is DifferenceState.OPEN else f"; {row.state}"
        by = f" by {row.said_by}: {row.reason}" if row.said_by else ""
        yield f"{row.number:>4}  {row.session}  {row.words}{ended}{by}"
