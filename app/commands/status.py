"""`quorum status` and `quorum stop`: who leads a desk, what it did and does next, and the end of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import typer

from agents.market.calendar import NEW_YORK
from app.commands.agents import agent_line, taken_or_refused
from app.commands.desks import OpenDesk, open_desk
from app.commands.positions import protection
from app.commands.quota import quota_line
from app.commands.why import path
from app.operator import this_operator
from app.runtime.slots import AGENTS_OFF
from storage.errors import OperatorError
from storage.plain import as_json, clean, shortened, span
from storage.records import DeskKind, RunState
from storage.server import MAIN_DESK
from storage.snapshot import LEADER_SILENT_S, DeskSnapshot, LeaderRow, QueueRow, RunRow

LATELY = timedelta(days=1)  # of the desk's clock
LATE_S = 60.0  # of the wall's clock: what waits longer is late
SLOTS_SHOWN = 4
RUNS_SHOWN = 4  # of each kind of trouble
APPROVALS_SHOWN = 5
SUMMARY_SHOWN = 70  # characters
LOOK_S = 0.5  # how often a stop is looked after, at least
SUCCESSOR_S = 1.2  # a runtime that stands by takes over within a second or so


def print_status(desk: str | None, *, as_object: bool) -> bool:
    """One screen about a desk, or one JSON object with every number; whether anybody leads it."""
    with open_desk(desk) as opened:
        taken = opened.snapshot()
        # A replay has no leader that would say so: it is driven by whoever holds its lock.
        driven = opened.server.is_driven(opened.name) if _is_replay(taken) else taken.led
    if as_object:
        typer.echo(json.dumps(_object(opened.name, taken, driven)))
    else:
        for line in _lines(opened.name, taken, driven):
            typer.echo(clean(line))
    return driven


def stop_desk(desk: str | None, wait_s: float) -> None:
    """Ask the runtimes of a desk to finish and leave, and wait until its leader has.

    Raises OperatorError when nobody leads or the leader does not leave within `wait_s` seconds.
    """
    with open_desk(desk) as opened:
        leader = _leader_to_stop(opened.name, opened.snapshot())
        taken_or_refused(opened.desk.stop_runtimes(operator=this_operator()))
        typer.echo(f"asked {_who(leader)} to stop", err=True)
        typer.echo(_gone(opened, leader, wait_s))


# -- stop ----------------------------------------------------------------------------------------------------


def _leader_to_stop(name: str, taken: DeskSnapshot) -> LeaderRow:
    leader = taken.leader
    if _is_replay(taken):
        raise OperatorError(f"desk {name} is a replay, which no runtime leads", "end the replay itself")
    if leader is None or leader.ended_at is not None:
        raise OperatorError(f"desk {name}: {_nobody(taken)}", "there is nothing to stop")
    if not taken.led:
        raise OperatorError(
            f"{_who(leader)} has been silent for {_silent(leader, taken)} and would not hear of it",
            f"if it is still there, `kill -9 {leader.pid}` on {clean(leader.host)} is safe",
        )
    return leader


def _gone(opened: OpenDesk, leader: LeaderRow, wait_s: float) -> str:
    """What became of the leader. Raises OperatorError when it goes on, or another has taken its place."""
    until = time.monotonic() + wait_s
    looked_again = False
    while True:
        taken = opened.snapshot()
        now = taken.leader
        if now is not None and now.epoch != leader.epoch and taken.led:
            raise OperatorError(
                f"{_who(leader)} has stopped, but {_who(now)} leads desk {opened.name} now",
                "stop that one too",
            )
        if now is None or now.epoch != leader.epoch or now.ended_at is not None:
            if looked_again:
                return f"{_who(leader)} has stopped; nobody leads desk {opened.name}"
            looked_again = True
            time.sleep(SUCCESSOR_S)
            continue
        if (taken.taken_at - now.heartbeat_at).total_seconds() > LEADER_SILENT_S:
            return (
                f"{_who(leader)} fell silent without taking leave; if it is still there, "
                f"`kill -9 {leader.pid}` on {clean(leader.host)} is safe"
            )
        left = until - time.monotonic()
        if left <= 0:
            raise OperatorError(
                f"{_who(leader)} still leads desk {opened.name} after {wait_s:g} s",
                f"it may be in the middle of a run: wait longer with --wait; `kill -9 {leader.pid}` on "
                f"{clean(leader.host)} is safe too, what was half done is done again",
            )
        opened.desk.wait(min(LOOK_S, left))


# -- the screen ----------------------------------------------------------------------------------------------


def _lines(name: str, taken: DeskSnapshot, driven: bool) -> Iterator[str]:
    header = taken.header
    title = f", {shortened(header.history_title, SUMMARY_SHOWN)}" if header.history_title else ""
    yield f"desk {name}: {header.kind}, {header.state}{title}"
    yield from _leader_lines(name, taken, driven)
    if header.clock_speed != 1:
        yield _row("clock", f"{_new_york(header.desk_time)}, {header.clock_speed:g} times the wall's speed")
    yield from _rows("next", _next(taken))
    yield from _rows("runs", _runs(taken))
    if not _is_replay(taken):
        yield from _rows("queues", (_queue(queue, name) for queue in taken.queues))
    off = [f"none is called: {AGENTS_OFF}"] if agents_off(taken) else []
    yield from _rows("agents", (*off, *(agent_line(row, taken) for row in taken.agents)))
    yield from _rows("approvals", _approvals(taken))
    if taken.evening is not None:
        yield _row("why", f"{taken.evening.session}: {taken.evening.funnel.sentence}")
        yield _row("", path(taken.evening))
    yield _row("positions", _positions(taken))
    yield from _rows("differs", (f"{row.words}; `quorum reconcile`" for row in taken.differences))
    if taken.equity:
        last = taken.equity[-1]
        net = f"; {last.equity - taken.spend.total_usd:,.2f} net of models" if taken.spend.calls else ""
        yield _row("equity", f"{last.equity:,.2f} dollars as of the close of {last.session}{net}")
        waiting = f", {last.unsettled:,.2f} settles on {last.settles_on}" if last.settles_on else ""
        yield _row("cash", f"{last.settled:,.2f} dollars settled{waiting}")
    else:
        yield _row("equity", f"{header.start_equity:,.2f} dollars to begin with, no session settled yet")
    if taken.halt is not None:
        yield _row("halt", f"{taken.halt.words}; `quorum lift{_option(name)} --reason ...` lifts it")
    if taken.absence is not None:
        yield _row("away", f"{taken.absence.words}; `quorum back{_option(name)}` ends it")
    if taken.missed is not None and taken.missed.words:
        yield _row("missed", taken.missed.words)
    if taken.ladder is not None:
        rearm = f"; `quorum rearm{_option(name)} --reason ...` re-arms it" if taken.ladder.stopped else ""
        yield _row("ladder", f"{taken.ladder.words}{rearm}")
    spend = taken.spend
    yield _row("quota", quota_line(taken.quota))
    so_far = f"{spend.month_usd:,.2f} this month, {spend.calls} calls in all"
    yield _row("spend", f"{spend.today_usd:,.2f} dollars today, {so_far}")


def _positions(taken: DeskSnapshot) -> str:
    """How many, and those whose broker knows no stop for them."""
    bare = [f"{row.symbol} {protection(row, taken)}" for row in taken.positions if not row.protected_by]
    count = f"{len(taken.positions)} open"
    return f"{count}: {', '.join(bare)}" if bare else count


def _leader_lines(name: str, taken: DeskSnapshot, driven: bool) -> Iterator[str]:
    leader = taken.leader
    if _is_replay(taken):
        how = "a process replays it now" if driven else "nobody replays it; the command that began it resumes"
        yield _row("leader", f"{how}, {taken.header.sessions_done} sessions done")
    elif leader is not None and taken.led:
        beat = (taken.taken_at - leader.heartbeat_at).total_seconds()
        led_for = span((taken.taken_at - leader.since).total_seconds())
        yield _row(
            "leader",
            f"{_who(leader)}, number {leader.epoch}, for {led_for} since {_new_york(leader.since)}, "
            f"heartbeat {max(beat, 0):.1f} s ago",
        )
        if leader.stop_asked_at is not None and leader.stop_asked_at > leader.since:
            ago = span((taken.taken_at - leader.stop_asked_at).total_seconds())
            yield _row("", f"asked to stop by {shortened(leader.stop_asked_by, SUMMARY_SHOWN)} {ago} ago")
    elif leader is not None and leader.ended_at is None:
        yield _row("leader", f"{_who(leader)} is frozen or dead: silent for {_silent(leader, taken)}")
        yield _row("", f"`quorum run --standby{_option(name)}` takes over; `kill -9 {leader.pid}` is safe")
    else:
        yield _row("leader", f"{_nobody(taken)}: `quorum run{_option(name)}` or `./quorum --desk {name}`")


def _next(taken: DeskSnapshot) -> Iterator[str]:
    now, speed = taken.header.desk_time, taken.header.clock_speed
    for row in taken.schedule[:SLOTS_SHOWN]:
        left = (row.due_at - now).total_seconds()
        when = f"in {span(left)}" if left >= 1 else "due now"
        if -left > LATE_S * speed:
            when = f"LATE {span(-left)}"
        lacks = f", will be skipped: {shortened(row.lacks, SUMMARY_SHOWN)}" if row.lacks else ""
        yield f"{_new_york(row.due_at)}  {row.slot} {when}{lacks}"
    if not taken.schedule and not _is_replay(taken):
        yield "nothing is scheduled: no runtime has led this desk yet"


def _runs(taken: DeskSnapshot) -> Iterator[str]:
    """Counts of the last day, then each kind of trouble with its reasons."""
    lately = _lately(taken)
    counts = {state: sum(run.state is state for run in lately) for state in RunState}
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    yield f"{said or 'none'} in the last 24 h"
    slack = LATE_S * taken.header.clock_speed
    for words, found in (
        ("FAILED", [run for run in lately if run.state is RunState.FAILED]),
        ("running", [run for run in lately if run.state is RunState.RUNNING]),
        ("queued", [run for run in lately if run.state is RunState.QUEUED]),
        ("late", [run for run in lately if run.late_s > slack and run.state is RunState.DONE]),
    ):
        for run in found[:RUNS_SHOWN]:
            yield f"{words} {_run(run, slack)}"
        if len(found) > RUNS_SHOWN:
            yield f"{words} {len(found) - RUNS_SHOWN} more"
    for why, skipped in _skipped(lately).items():
        names = ", ".join(dict.fromkeys(run.slot for run in skipped))
        yield f"skipped {len(skipped)} ({names}): {why}"


def _run(run: RunRow, slack: float) -> str:
    parts = [f"{run.slot} of {run.session}"]
    if run.late_s > slack:
        parts.append(f"{span(run.late_s)} late")
    if run.attempts > 1:
        parts.append(f"{run.attempts} attempts")
    if run.asked_by is not None:
        parts.append(f"asked for by {shortened(run.asked_by, SUMMARY_SHOWN)}")
    summary = shortened(run.summary, SUMMARY_SHOWN)
    return ", ".join(parts) + (f": {summary}" if summary else "")


def _queue(queue: QueueRow, name: str) -> str:
    said = f"{queue.queue}: {queue.waiting} waiting, {queue.running} running"
    if queue.workers:
        return f"{said}, {queue.workers} worker{'s' if queue.workers > 1 else ''}"
    return f"{said}; nobody serves {queue.queue}: `quorum worker --queues {queue.queue}{_option(name)}`"


def _approvals(taken: DeskSnapshot) -> Iterator[str]:
    pending = taken.pending
    yield f"{len(pending)} pending"
    for row in pending[:APPROVALS_SHOWN]:
        terms = row.terms
        risky = ", RISKY" if row.risky else ""
        expires = ""
        if row.expires_at is not None:
            expires = f", expires in {span((row.expires_at - taken.taken_at).total_seconds())}"
        what = f"at most {terms.max_shares} {clean(terms.symbol)} on {terms.entry_session}"
        band = f"for {terms.min_entry:,.2f} to {terms.max_entry:,.2f} dollars"
        yield f"{clean(row.short_id)}: {what} {band}{risky}{expires}"
    if len(pending) > APPROVALS_SHOWN:
        yield f"and {len(pending) - APPROVALS_SHOWN} more"


# -- JSON ----------------------------------------------------------------------------------------------------


def _object(name: str, taken: DeskSnapshot, driven: bool) -> dict[str, object]:
    """Everything the screen shows and what it leaves out; spans in seconds."""
    now = taken.header.desk_time
    leader = taken.leader
    silent = (taken.taken_at - leader.heartbeat_at).total_seconds() if leader else None
    lately = _lately(taken)
    return {
        "desk": name,
        "taken_at": as_json(taken.taken_at),
        "led": driven,
        "header": as_json(taken.header),
        "leader": as_json(leader),
        "heartbeat_age_s": silent,
        "schedule": as_json(taken.schedule),
        "due_in_s": {row.slot: (row.due_at - now).total_seconds() for row in taken.schedule},
        "runs": as_json(lately),
        "run_counts": {state: sum(run.state is state for run in lately) for state in RunState},
        "queues": as_json(taken.queues),
        "agents": as_json(taken.agents),
        "agents_off": agents_off(taken),
        "operations": as_json(taken.operations),
        "pending": as_json(taken.pending),
        "positions": as_json(taken.positions),
        "differences": as_json(taken.differences),
        "equity": as_json(taken.equity[-1]) if taken.equity else None,
        "halt": as_json(taken.halt),
        "absence": as_json(taken.absence),
        "missed": as_json(taken.missed),
        "ladder": as_json(taken.ladder),
        "evening": as_json(taken.evening),
        "why": taken.evening.funnel.sentence if taken.evening else None,
        "totals": as_json(taken.totals),
        "net_of_models": as_json(taken.equity[-1].equity - taken.spend.total_usd) if taken.equity else None,
        "quota": as_json(taken.quota),
        "spend": as_json(taken.spend),
    }


# -- words ---------------------------------------------------------------------------------------------------


def agents_off(taken: DeskSnapshot) -> bool:
    """Whether the runtime that led last called no agents."""
    return any(row.lacks == AGENTS_OFF for row in taken.schedule)


def _is_replay(taken: DeskSnapshot) -> bool:
    """History with an end is replayed by the process that began it; everything else is led."""
    return taken.header.kind is DeskKind.HISTORY and taken.header.sessions_total is not None


def _lately(taken: DeskSnapshot) -> list[RunRow]:
    """The runs of the last day of the desk's clock, and whatever has not ended."""
    since = taken.header.desk_time - LATELY
    unfinished = (RunState.QUEUED, RunState.RUNNING)
    return [run for run in taken.runs if run.desk_time > since or run.state in unfinished]


def _skipped(runs: list[RunRow]) -> dict[str, list[RunRow]]:
    """The skipped runs by the reason they give."""
    found: dict[str, list[RunRow]] = {}
    for run in runs:
        if run.state is RunState.SKIPPED:
            found.setdefault(shortened(run.summary, SUMMARY_SHOWN), []).append(run)
    return found


def _nobody(taken: DeskSnapshot) -> str:
    leader = taken.leader
    if leader is None or leader.ended_at is None:
        return "nobody leads"
    left = span((taken.taken_at - leader.ended_at).total_seconds())
    return f"nobody leads (last: {_who(leader)}, left {left} ago)"


def _who(leader: LeaderRow) -> str:
    return f"pid {leader.pid} on {clean(leader.host)}"


def _silent(leader: LeaderRow, taken: DeskSnapshot) -> str:
    return span((taken.taken_at - leader.heartbeat_at).total_seconds())


def _option(name: str) -> str:
    """How a command names a desk that is not the main one."""
    return "" if name == MAIN_DESK else f" --desk {name}"


def _new_york(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York"


def _rows(label: str, texts: Iterable[str]) -> Iterator[str]:
    """A block whose first row alone is labelled."""
    for text in texts:
        yield _row(label, text)
        label = ""


def _row(label: str, text: str) -> str:
    return f"{label:<11}{text}"
