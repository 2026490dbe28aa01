"""`quorum agents`: how each agent stands, and what an operator may do to one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

import typer

from agents.market.calendar import NEW_YORK
from app.commands.desks import open_desk
from app.operator import this_operator
from storage.desk import Desk
from storage.errors import OperatorError
from storage.plain import as_json, clean, shortened, span
from storage.records import AgentName, CommandReceipt, Operator
from storage.snapshot import AgentRow, DeskSnapshot

RESULT_SHOWN = 60  # characters of an agent's last result

Act = Callable[[Desk, AgentName, Operator], CommandReceipt]


def print_agents(desk: str | None, *, as_object: bool) -> None:
    """One line an agent, or one JSON object with every number."""
    with open_desk(desk) as opened:
        taken = opened.snapshot()
    if as_object:
        typer.echo(json.dumps({"desk": opened.name, "agents": as_json(taken.agents)}))
        return
    if not taken.agents:
        typer.echo(f"no agent has worked on desk {opened.name} yet; `quorum status` tells what it lacks")
    for row in taken.agents:
        typer.echo(clean(agent_line(row, taken)))


def pause_agent(agent: str, desk: str | None) -> None:
    """From now on it abstains and its own slots are skipped."""
    _act(agent, desk, lambda opened, name, operator: opened.pause_agent(name, operator=operator))


def resume_agent(agent: str, desk: str | None) -> None:
    _act(agent, desk, lambda opened, name, operator: opened.resume_agent(name, operator=operator))


def run_agent_now(agent: str, desk: str | None) -> None:
    """Its last slot again, if that failed or was skipped."""
    _act(agent, desk, lambda opened, name, operator: opened.run_agent_now(name, operator=operator))


def agent_line(row: AgentRow, taken: DeskSnapshot) -> str:
    """How an agent stands: paused or at work first, then what it did last and what comes next."""
    states = []
    if row.paused_by is not None:
        since = f" for {_ago(row.paused_at, taken)}" if row.paused_at else ""
        states.append(f"PAUSED by {shortened(row.paused_by, RESULT_SHOWN)}{since}")
    if row.working_since is not None:
        on = f" on {clean(row.symbol)}" if row.symbol else ""
        states.append(f"working{on} for {_ago(row.working_since, taken)}")
    if row.failures:
        states.append(f"FAILED {row.failures} in a row")
    if row.last_session is not None:
        took = f" in {row.latency_ms:,.0f} ms" if row.latency_ms is not None else ""
        result = shortened(row.last_result, RESULT_SHOWN) or "done"
        states.append(f"{row.last_session}: {result}{took}")
    elif not states:
        states.append("has not worked yet")
    if row.next_slot is not None and row.next_due_at is not None:
        left = (row.next_due_at - taken.header.desk_time).total_seconds()
        when = f"{row.next_due_at.astimezone(NEW_YORK):%m-%d %H:%M} New York"
        states.append(f"next {row.next_slot} {when}, {f'in {span(left)}' if left >= 1 else 'due now'}")
    return f"{row.agent:<9} {'; '.join(states)}"


def taken_or_refused(receipt: CommandReceipt) -> str:
    """What a command's receipt says. Raises OperatorError when it was refused."""
    said = clean(receipt.message)
    if not receipt.accepted:
        raise OperatorError(said, "nothing was changed; `quorum agents` tells how each stands")
    return said


def agent_named(agent: str) -> AgentName:
    """The agent of that name. Raises OperatorError when there is none."""
    if agent not in list(AgentName):
        raise OperatorError(f"there is no agent {agent!r}", f"name one of: {', '.join(AgentName)}")
    return AgentName(agent)


def _act(agent: str, desk: str | None, act: Act) -> None:
    name = agent_named(agent)
    with open_desk(desk) as opened:
        opened.snapshot()  # of a desk that is founded
        typer.echo(taken_or_refused(act(opened.desk, name, this_operator())))


def _ago(moment: datetime, taken: DeskSnapshot) -> str:
    return span((taken.taken_at - moment).total_seconds())
