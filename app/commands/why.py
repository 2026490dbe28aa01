"""`quorum why`: how far an evening's candidates came, and what stopped each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date

import typer

from app.commands.desks import open_desk
from storage.errors import OperatorError
from storage.evening import ArguedRow, ConsensusRow, Evening
from storage.plain import as_json, clean


def print_why(desk: str | None, session: date | None, *, as_object: bool) -> None:
    """The funnel of an evening, of the last without a session. Raises OperatorError when there is none."""
    with open_desk(desk) as opened:
        opened.snapshot()  # of a desk that is founded
        evening = opened.desk.evening(session)
    if evening is None:
        when = f"on {session}" if session else "yet"
        raise OperatorError(
            f"desk {opened.name} has screened nothing {when}", "name another --session, or none for the last"
        )
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "why": evening.funnel.sentence, **_object(evening)}))
        return
    for line in _lines(evening):
        typer.echo(clean(line))


def path(evening: Evening) -> str:
    """The funnel in one row: what left each rung."""
    return " > ".join(f"{rung.name} {rung.left}" for rung in evening.funnel.rungs)


def _object(evening: Evening) -> dict[str, object]:
    return {
        "session": as_json(evening.session),
        "funnel": as_json(evening.funnel.rungs),
        "argued": as_json(evening.argued),
    }


def _lines(evening: Evening) -> Iterator[str]:
    yield f"{evening.session}: {evening.funnel.sentence}"
    yield ""
    for rung in evening.funnel.rungs:
        yield f"{rung.name:<14}{rung.entered:>6} came {rung.left:>6} went on"
        for denial in rung.denials:
            named = f": {', '.join(denial.symbols)}" if denial.symbols else ""
            yield f"{'':<14}{denial.count:>6} {denial.reason}{named}"
    for row in evening.argued:
        yield ""
        yield from _argued(row)


def _argued(row: ArguedRow) -> Iterator[str]:
    fate = row.denied_by or (row.order or row.approval or "proposed")
    yield f"{row.symbol}  {row.setup_type.replace('_', ' ')}: {fate}"
    if row.consensus is not None:
        yield f"    {_consensus(row.consensus)}"
    yield f"    {row.note or row.reasoning}"


def _consensus(found: ConsensusRow) -> str:
    said = [f"{found.rule}: {found.stance}"]
    if found.probability is not None:
        said.append(f"chance of a win {found.probability:.0%}")
    elif found.pooled is not None:
        said.append(f"the pool says {found.pooled:.0%}")
    if found.base_rate is not None:
        said.append(f"base rate {found.base_rate:.0%}")
    if found.dissent:
        said.append(f"dissent: {', '.join(found.dissent)}")
    if found.abstained:
        said.append(f"abstained: {', '.join(found.abstained)}")
    if found.pool_gives_way:
        said.append(
            "the pool has no skill: base rate used" if found.rule == "pool" else "the pool has no skill"
        )
    return "; ".join(said)
