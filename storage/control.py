"""What an operator does to the desk: pause, resume and hurry agents, re-arm it, stop the runtimes.

Each is one transaction with its row in `operations`; psycopg only, as everything a screen uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import psycopg

from storage.records import AgentName, CommandReceipt, OperationKind, Operator, Rung, RunState, Slot, uuid7
from storage.rows import fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

CHANNEL = "quorum"
STOPPED = (Rung.NO_ENTRIES, Rung.HALT)  # the rungs that only a human ends

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


_LADDER = """
    select session, rung, drawdown, halted_since,
           (select (limits ->> 'probation_trades')::int from parameter_versions
             order by version desc limit 1) as probation_trades
      from ladder_readings order by session desc limit 1
"""


@dataclass(frozen=True)
class _Ladder:
    session: date
    rung: Rung
    drawdown: float
    halted_since: date | None
    probation_trades: int


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


def rearm(connection: Connection, reason: str, operator: Operator) -> CommandReceipt:
    """Let a desk trade again that the drawdown ladder has stopped: a new high-water mark, and probation.

    The mark is the last close; the reading of it is what the ladder will say of it from now on
    (`ladder_state` in agents/trading/limits/ladder.py). Nothing but a stopped ladder can be re-armed.
    """
    with connection.transaction():
        connection.execute("select from desk for update")  # a close that is being marked goes first
        found = fetch_one(connection, _Ladder, _LADDER)
        if found is None or found.rung not in STOPPED:
            return refused("nothing is halted")
        since = f"halted since {found.halted_since}" if found.halted_since else f"{found.rung}"
        connection.execute(
            """insert into rearms (id, session, rearmed_by, rearmed_from, reason, created_at)
               values (%s, %s, %s, %s, %s, clock_timestamp())""",
            [uuid7(), found.session, operator.name, operator.origin, reason],
        )
        connection.execute(
            """update ladder_readings
                  set rung = 'full', drawdown = 0, halted_since = null, probation_left = %s
                where session = %s""",
            [found.probation_trades, found.session],
        )
        return taken(
            connection,
            OperationKind.REARM,
            operator,
            f"re-armed ({since}, {found.drawdown:.1%} below its high): the close of {found.session} is the "
            f"new high, {found.probation_trades} trades at quarter size; {reason}",
        )


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
        "insert into operations (id, at, kind, who, origin, text)"
        " values (%s, clock_timestamp(), %s, %s, %s, %s)",
        [uuid7(), kind, operator.name, operator.origin, text],
    )
    connection.execute("select pg_notify(%s, 'desk')", [CHANNEL])
    return CommandReceipt(accepted=True, message=text)


def refused(message: str) -> CommandReceipt:
    """The receipt of a command that changed nothing."""
    return CommandReceipt(accepted=False, message=message)
