"""`quorum limits`: every limit in force, how far it could be widened, what is used of it, and who set it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import typer

from app.commands.desks import open_desk
from storage.errors import OperatorError
from storage.plain import as_json, clean
from storage.records import LimitInForce, Slot
from storage.snapshot import LimitsRow

HEADING = f"{'limit':<24}{'in force':>12}{'bound':>12}{'used':>14}{'left':>14}  set by"


def print_limits(desk: str | None, *, as_object: bool) -> None:
    """One line a limit, or one JSON object. Raises OperatorError before the desk's first evening."""
    with open_desk(desk) as opened:
        found = opened.snapshot().limits
    if found is None:
        raise OperatorError(
            f"desk {opened.name} has not reckoned its limits yet",
            "they are there after the first evening; `quorum status` tells what it lacks",
        )
    if as_object:
        typer.echo(json.dumps({"desk": opened.name} | _object(found)))
        return
    for line in _lines(found):
        typer.echo(clean(line))


def _lines(found: LimitsRow) -> Iterator[str]:
    yield f"as of the {'open' if found.slot is Slot.OPEN else 'evening'} of {found.session}"
    yield HEADING
    for row in found.limits:
        note = f": {row.note}" if row.note else ""
        yield (
            f"{row.name:<24}{('>= ' if row.floor else '') + amount(row, row.limit):>12}"
            f"{amount(row, row.bound):>12}{amount(row, row.used):>14}{amount(row, row.left):>14}"
            f"  {row.source}{note}"
        )


def _object(found: LimitsRow) -> dict[str, object]:
    return {
        "session": as_json(found.session),
        "slot": found.slot,
        "limits": [{**dict_of(row), "left": row.left} for row in found.limits],
    }


def dict_of(row: LimitInForce) -> dict[str, object]:
    """A limit's own fields as JSON values."""
    fields = as_json(row)
    assert isinstance(fields, dict)
    return fields


def amount(row: LimitInForce, value: float | None) -> str:
    """A value in the limit's unit."""
    if value is None:
        return "-"
    match row.unit:
        case "usd":
            return f"{value:,.0f}"
        case "count":
            return f"{value:,.0f}"
        case "ratio":
            return f"{value:.2f}"
    return f"{value:.2%}"
