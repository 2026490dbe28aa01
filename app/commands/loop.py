"""`quorum loop`: how the nights of learning went, what is on trial, which lessons stood beside decisions."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import typer

from app.commands.desks import open_desk
from storage.loop_health import LoopHealth, read_loop_health
from storage.plain import as_json, clean


def print_loop(desk: str | None, *, as_object: bool) -> None:
    """The last run of each stage with what went in and out, trials in the shadow, lessons, alarms."""
    with open_desk(desk) as opened:
        opened.snapshot()
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, autocommit=True, options="-c TimeZone=UTC") as connection:
            health = read_loop_health(connection)
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "loop": as_json(health)}))
        return
    if not health.stages:
        typer.echo(f"desk {opened.name}: no night has run yet; it is due at 20:00 New York")
    for text in _lines(health):
        typer.echo(clean(text))


def _lines(health: LoopHealth) -> Iterator[str]:
    for stage in health.stages:
        yield f"{stage.session} {stage.stage}: {stage.rows_in} in, {stage.rows_out} out; {stage.note}"
    outcomes = f"{health.resolved} resolved, {health.pending} pending, {health.blocked} without a bar"
    yield f"outcomes {outcomes}; {health.trials} variants ever tried"
    for trial in health.shadow:
        change = f"{trial.parameter_name} {trial.old_value} -> {trial.new_value}"
        wealth = f"E+ {trial.e_up:.2f}, E- {trial.e_down:.2f} after {trial.opportunities} opportunities"
        state = f"trial {trial.state} since {trial.started}, the change {trial.status}"
        yield f"{trial.short_id} {change}: {state}; {wealth}"
    for lesson in health.lessons:
        yield f"{lesson.session} {lesson.symbol}: {lesson.sentence}"
    for alarm in health.alarms:
        yield f"! {alarm.at:%Y-%m-%d %H:%M}Z {alarm.text}"
