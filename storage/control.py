"""What an operator does to the desk as a machine: pause, resume and hurry agents, stop the runtimes.

Each is one transaction with its row in `operations`; psycopg only, as everything a screen uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import psycopg

from storage.records import AgentName, CommandReceipt, OperationKind, Operator, RunState, Slot, uuid7
from storage.rows import fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

CHANNEL = "quorum"

_LAST_RUN = """
    select r.id::text as id, r.slot, r.session, r.state, r.summary,
           (select min(due_at) from schedule where %(agent)s = any(agents)) as next_due_at
      from runs r join schedule s on s.slot = r.slot
     where %(agent)s = any(s.agents)
     order by r.desk_time desc, r.session desc limit 1
       for update of r nowait
"""
_ASK_AGAIN = """
    update runs
       set state = 'queued', summary = 'asked to run now', finished_at = null, seconds = null,
           failures = 0, queued_at = null,
           asked_by = %s, asked_at = clock_timestamp()
     where id = %s
"""


@dataclass(frozen=True)
class _LastRun:
    id: str
    slot: Slot
    session: date
    state: RunState
    summary: str
    next_due_at: datetime | None


@dataclass(frozen=True)
class _Pause:
    paused_by: str | None
    paused_at: datetime | None


def pause_agent(connection: Connection, agent: AgentName, operator: Operator) -> CommandReceipt:
    """From now on the agent abstains and its own slots are skipped, until it is resumed."""
    with connection.transaction():
        found = _pause_of(connection, agent)
        if found is None:
            return refused(f"there is no agent {agent} on this desk")
        if found.paused_by is not None:
            return refused(f"{agent} is paused already, by {found.paused_by}")
        connection.execute(
            "update agent_states set paused_by = %s, paused_at = clock_timestamp() where agent_name = %s",
            [operator.name, agent],
        )
        return taken(connection, OperationKind.PAUSE, operator, f"{agent} paused")


def resume_agent(connection: Connection, agent: AgentName, operator: Operator) -> CommandReceipt:
    with connection.transaction():
        found = _pause_of(connection, agent)
        if found is None or found.paused_by is None:
            return refused(f"{agent} is not paused")
        connection.execute(
            "update agent_states set paused_by = null, paused_at = null where agent_name = %s", [agent]
        )
        return taken(connection, OperationKind.RESUME, operator, f"{agent} resumed")


def run_agent_now(connection: Connection, agent: AgentName, operator: Operator) -> CommandReceipt:
    """Run the agent's last slot again if it failed or was skipped: what is done is never done twice."""
    with connection.transaction():
        pause = _pause_of(connection, agent)
        if pause is not None and pause.paused_by is not None:
            return refused(f"{agent} is paused by {pause.paused_by}: resume it first")
        try:
            with connection.transaction():
                last = fetch_one(connection, _LastRun, _LAST_RUN, {"agent": agent})
        except psycopg.errors.LockNotAvailable:
            return refused(f"{agent} is at work: there is nothing to run again")
        if last is None:
            return refused(f"{agent} has not been due yet: there is no run to do again")
        what = f"{last.slot} of {last.session}"
        if last.state in (RunState.QUEUED, RunState.RUNNING):
            return refused(f"{what} is {last.state} already")
        if last.state is RunState.DONE:
            return refused(f"{what} is done, and nothing is done twice{_next(last.next_due_at)}")
        connection.execute(_ASK_AGAIN, [operator.name, last.id])
        return taken(connection, OperationKind.RUN_NOW, operator, f"{what} asked to run now, for {agent}")


def stop_runtimes(connection: Connection, operator: Operator) -> CommandReceipt:
    """Ask every runtime and worker of the desk to finish what it is doing and leave."""
    with connection.transaction():
        asked = connection.execute(
            "update leadership set stops = stops + 1, stop_asked_at = clock_timestamp(), stop_asked_by = %s",
            [operator.name],
        )
        if not asked.rowcount:
            return refused("no runtime has ever led this desk")
        return taken(connection, OperationKind.STOP, operator, "stop asked for")


def _pause_of(connection: Connection, agent: AgentName) -> _Pause | None:
    return fetch_one(
        connection,
        _Pause,
        "select paused_by, paused_at from agent_states where agent_name = %s for update",
        [agent],
    )


def _next(due_at: datetime | None) -> str:
    return f"; next at {due_at.astimezone(UTC):%Y-%m-%d %H:%M}Z" if due_at else ""


def taken(connection: Connection, kind: OperationKind, operator: Operator, text: str) -> CommandReceipt:
    """The receipt of a command, with its trace and a sign to who listens in the caller's transaction."""
    connection.execute(
        "insert into operations (id, at, kind, who, text) values (%s, clock_timestamp(), %s, %s, %s)",
        [uuid7(), kind, operator.name, text],
    )
    connection.execute("select pg_notify(%s, 'desk')", [CHANNEL])
    return CommandReceipt(accepted=True, message=text)


def refused(message: str) -> CommandReceipt:
    """The receipt of a command that changed nothing."""
    return CommandReceipt(accepted=False, message=message)
