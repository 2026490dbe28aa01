"""`quorum screens`: what screened symbols did afterwards, by setup and score."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import fmean

import typer

from agents.statistics import Estimate, mean_interval
from app.commands.desks import recall
from storage.memory import Horizon, ScreenOutcome
from storage.plain import as_json, clean

BUCKET = 20  # points of score
UNKNOWN = "before it was kept"
WORDS = {
    Horizon.SESSIONS_5: "5 sessions, above the index",
    Horizon.SESSIONS_21: "21 sessions, above the index",
    Horizon.DAYS_7: "7 days",
    Horizon.DAYS_30: "30 days",
}


@dataclass(frozen=True, kw_only=True)
class ScreenCell:
    """Screened symbols of a setup and a range of scores after one horizon, as fractions.

    `rows` symbols on `mean.n` evenings: those of one evening move together, so the mean and its interval
    count each evening once. Spans of neighbouring evenings overlap, which makes the interval too narrow.
    """

    setup: str
    score_from: int
    score_to: int
    horizon: Horizon
    rows: int
    risen: float  # share above zero
    mean: Estimate


def print_screens(desk: str | None, first: date | None, last: date | None, *, as_object: bool) -> None:
    """Outcomes by setup and score bucket, each with its n; what has not matured is counted and left out."""
    name, found = recall(desk, lambda memory: memory.screen_outcomes(first=first, last=last))
    table = cells(found)
    waiting = {
        horizon.value: sum(getattr(row, horizon.value) is None for row in found) for horizon in Horizon
    }
    if as_object:
        typer.echo(
            json.dumps({"desk": name, "screened": len(found), "not_known": waiting, "cells": as_json(table)})
        )
        return
    for line in _lines(name, len(found), waiting, table):
        typer.echo(clean(line))


def cells(outcomes: Sequence[ScreenOutcome]) -> list[ScreenCell]:
    """The outcomes that are known, by horizon, setup and score."""
    values: dict[tuple[Horizon, str, int], dict[date, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in outcomes:
        bucket = min(int(row.score // BUCKET), 100 // BUCKET - 1)
        for horizon in Horizon:
            outcome = getattr(row, horizon.value)
            if outcome is not None:
                values[horizon, row.setup_type or UNKNOWN, bucket][row.session].append(outcome)
    order = list(Horizon)
    return [
        ScreenCell(
            setup=setup,
            score_from=bucket * BUCKET,
            score_to=(bucket + 1) * BUCKET,
            horizon=horizon,
            rows=sum(map(len, evenings.values())),
            risen=fmean(value > 0 for evening in evenings.values() for value in evening),
            mean=mean_interval([fmean(evening) for evening in evenings.values()]),
        )
        for (horizon, setup, bucket), evenings in sorted(
            values.items(), key=lambda item: (order.index(item[0][0]), *item[0][1:])
        )
    ]


def _lines(name: str, screened: int, waiting: dict[str, int], table: list[ScreenCell]) -> Iterator[str]:
    yield f"desk {name}: {screened} symbols screened; each is bought at the next open in thought, costs aside"
    shown: Horizon | None = None
    for cell in table:
        if cell.horizon is not shown:
            shown = cell.horizon
            yield ""
            yield f"after {WORDS[shown]} ({waiting[shown.value]} not known)"
            yield f"  {'setup':<20}{'score':<9}{'n':>6}{'evenings':>10}{'mean':>9}{'risen':>7}  95% interval"
        low, high = cell.mean.low, cell.mean.high
        interval = f"{low:+.2%} to {high:+.2%}" if low is not None and high is not None else "too few"
        yield (
            f"  {cell.setup.replace('_', ' '):<20}{f'{cell.score_from}-{cell.score_to}':<9}{cell.rows:>6}"
            f"{cell.mean.n:>10}{cell.mean.mean or 0.0:>+9.2%}{cell.risen:>7.0%}  {interval}"
        )
    if not table:
        yield "no outcome is known yet: the first comes five sessions after a screen"
