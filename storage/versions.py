"""Changes put into force and taken back: parameters as versioned rows, prompts as champions.

What is asked of the database stands here once, as questions that are yielded; a psycopg connection, blocking
or not, answers them. So the loop and the console roll a change back in the same words.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import psycopg

from storage.learning_records import AdjustmentKind, AdjustmentRoute, AdjustmentStatus, VersionSource
from storage.records import CommandReceipt, OperationKind, Operator, uuid7

Connection = psycopg.Connection[tuple[object, ...]]
AsyncConnection = psycopg.AsyncConnection[tuple[object, ...]]

LOCK = 0x51554F57  # advisory: whoever writes a version of the parameters goes alone

Answer = TypeVar("Answer")
Rows = Sequence[tuple[object, ...]]
Values = Sequence[object] | Mapping[str, object]
Dialogue = Generator[tuple[str, Values], Rows, Answer]

# Where a parameter's first word is kept; every other one lies below `parameters`.
_COLUMNS = ("limits", "screen")
_ALIASES = {"pool": ("consensus", "pool")}

_FIND = """
    select short_id, kind, parameter_name, old_value, new_value, status, route, effective_at <= now()
      from strategy_adjustments where id = %s for update
"""
_DUE = """
    select id from strategy_adjustments
     where status = 'approved' and effective_at <= now() order by effective_at, id
"""
_IN_FORCE = """
    select case %s when 'limits' then limits when 'screen' then screen else parameters end #> %s
      from parameter_versions order by version desc limit 1
"""
_NEW_VERSION = """
    insert into parameter_versions
           (version, parameters, limits, costs, screen, reason, source, adjustment_id, created_at)
    select version + 1,
           case %(column)s when 'parameters' then jsonb_set(parameters, %(path)s, %(value)s::jsonb)
                           else parameters end,
           case %(column)s when 'limits' then jsonb_set(limits, %(path)s, %(value)s::jsonb) else limits end,
           costs,
           case %(column)s when 'screen' then jsonb_set(screen, %(path)s, %(value)s::jsonb) else screen end,
           %(reason)s, %(source)s, %(id)s, (select desk_time from desk)
      from parameter_versions order by version desc limit 1
    returning version
"""
_APPLIED = """
    update strategy_adjustments
       set status = 'applied', applied_version = %s,
           applied_session = (select (desk_time at time zone 'America/New_York')::date from desk)
     where id = %s
"""
_ROLLED_BACK = """
    update strategy_adjustments
       set status = 'rolled_back', rolled_back_at = clock_timestamp(), rolled_back_by = %s,
           rolled_back_because = %s
     where id = %s
"""
_OPERATION = """
    insert into operations (id, at, kind, who, origin, text)
    values (%s, clock_timestamp(), %s, %s, %s, %s)
"""
_RETIRE = "update agent_prompts set active = false where agent_name = %s and active returning id"
_NEW_PROMPT = """
    insert into agent_prompts
           (id, agent_name, prompt_version, prompt_template, system_message, active, created_at)
    select %(id)s, %(agent)s::varchar, coalesce(max(prompt_version), 0) + 1, %(template)s, %(system)s, true,
           clock_timestamp()
      from agent_prompts where agent_name = %(agent)s::varchar
    returning prompt_version
"""


@dataclass(frozen=True)
class _Change:
    id: UUID
    short_id: str
    kind: AdjustmentKind
    name: str
    old: str
    new: str
    status: AdjustmentStatus
    route: AdjustmentRoute | None
    is_due: bool


def apply_change(connection: Connection, adjustment_id: UUID) -> CommandReceipt:
    """Let an approved change take effect: into the shadow, or into force as a new version.

    Refused before its undo window is over. A change that does not start any more from what is in force is
    marked refused, and says so.
    """
    with connection.transaction():
        return _answered(connection, _apply(adjustment_id))


async def apply_change_async(connection: AsyncConnection, adjustment_id: UUID) -> CommandReceipt:
    """As `apply_change`, in the caller's transaction."""
    return await _answered_async(connection, _apply(adjustment_id))


def roll_back(
    connection: Connection, adjustment_id: UUID, *, operator: Operator, reason: str
) -> CommandReceipt:
    """Take a change back, from the shadow or from force.

    One in force is undone by a new version that differs from the newest by this one value alone, so changes
    made since stay. Refused for a change that is in neither.
    """
    with connection.transaction():
        return _answered(connection, _roll_back(adjustment_id, operator, reason))


async def roll_back_async(
    connection: AsyncConnection, adjustment_id: UUID, *, operator: Operator, reason: str
) -> CommandReceipt:
    """As `roll_back`, in the caller's transaction."""
    return await _answered_async(connection, _roll_back(adjustment_id, operator, reason))


def value_in_force(connection: Connection, name: str) -> Decimal | None:
    """What a parameter stands at now; None where no version has it."""
    return _answered(connection, _value_in_force(name))


async def due_changes(connection: AsyncConnection) -> tuple[UUID, ...]:
    """Approved changes whose undo window is over, in the order they were decided."""
    cursor = await connection.execute(_DUE)
    return tuple(row[0] for row in await cursor.fetchall())  # type: ignore[misc]


def prompt_text(system: str, template: str) -> str:
    """A prompt as one text, as it is proposed and compared: the two parts with a line of dashes between."""
    return f"{system}\n---\n{template}"


def prompt_parts(text: str) -> tuple[str, str]:
    """The system text and the template of a prompt proposed as one text. ValueError without both."""
    system, dashes, template = text.partition("\n---\n")
    if not (dashes and system.strip() and template.strip()):
        raise ValueError("expected a system text, a line of three dashes and a template")
    return system.strip(), template.strip()


def _apply(adjustment_id: UUID) -> Dialogue[CommandReceipt]:
    yield "select pg_advisory_xact_lock(%s)", [LOCK]
    change = yield from _found(adjustment_id)
    if change is None or change.status is not AdjustmentStatus.APPROVED:
        return _refused("there is no approved change of that id")
    if not change.is_due:
        return _refused("the approval may still be taken back")
    if change.route is AdjustmentRoute.SHADOW:
        yield "update strategy_adjustments set status = 'shadow' where id = %s", [change.id]
        text = f"{change.short_id} goes into the shadow"
    elif change.kind is AdjustmentKind.PROMPT:
        text = yield from _apply_prompt(change)
    else:
        text = yield from _apply_parameter(change)
    yield from _told(Operator(name="the desk"), text)
    return CommandReceipt(accepted=True, message=text)


def _apply_parameter(change: _Change) -> Dialogue[str]:
    in_force = yield from _value_in_force(change.name)
    if in_force != Decimal(change.old):
        reason = f"it starts from {change.old}, in force is {in_force}"
        yield (
            "update strategy_adjustments set status = 'refused', refused_because = %s where id = %s",
            [reason, change.id],
        )
        return f"{change.short_id} is refused: {reason}"
    reason = f"{change.short_id}: {change.name} {change.old} -> {change.new}"
    version = yield from _new_version(change, change.new, reason)
    yield _APPLIED, [version, change.id]
    return f"{reason}, in force as version {version}"


def _apply_prompt(change: _Change) -> Dialogue[str]:
    version = yield from _crown(change.name, change.new)
    yield _APPLIED, [None, change.id]
    return f"{change.short_id}: the prompt of {change.name} is version {version} now"


def _roll_back(adjustment_id: UUID, operator: Operator, reason: str) -> Dialogue[CommandReceipt]:
    yield "select pg_advisory_xact_lock(%s)", [LOCK]
    change = yield from _found(adjustment_id)
    if change is None or change.status not in (
        AdjustmentStatus.SHADOW,
        AdjustmentStatus.PROMOTABLE,
        AdjustmentStatus.APPLIED,
    ):
        return _refused("only a change in the shadow or in force can be rolled back")
    text = f"{change.short_id} rolled back: {reason}"
    if change.status is AdjustmentStatus.APPLIED:
        if change.kind is AdjustmentKind.PROMPT:
            version = yield from _crown(change.name, change.old)
            text += f"; the prompt of {change.name} is version {version} now"
        else:
            text += yield from _restore(change, reason)
    yield _ROLLED_BACK, [operator.name, reason, change.id]
    yield from _told(operator, text)
    return CommandReceipt(accepted=True, message=text)


def _restore(change: _Change, reason: str) -> Dialogue[str]:
    in_force = yield from _value_in_force(change.name)
    if in_force != Decimal(change.new):
        return f"; {change.name} is {in_force} by the settings and stays so"
    version = yield from _new_version(change, change.old, f"{change.short_id} rolled back: {reason}")
    return f"; {change.name} is {change.old} again, version {version}"


def _found(adjustment_id: UUID) -> Dialogue[_Change | None]:
    rows = yield _FIND, [adjustment_id]
    if not rows:
        return None
    short_id, kind, name, old, new, status, route, is_due = rows[0]
    return _Change(
        id=adjustment_id,
        short_id=str(short_id),
        kind=AdjustmentKind(str(kind)),
        name=str(name),
        old=str(old),
        new=str(new),
        status=AdjustmentStatus(str(status)),
        route=None if route is None else AdjustmentRoute(str(route)),
        is_due=bool(is_due),
    )


def _value_in_force(name: str) -> Dialogue[Decimal | None]:
    column, path = _place(name)
    rows = yield _IN_FORCE, [column, path]
    value = rows[0][0] if rows else None
    if value is None:
        return None
    return Decimal(str(int(value) if isinstance(value, bool) else value))


def _new_version(change: _Change, value: str, reason: str) -> Dialogue[int]:
    column, path = _place(change.name)
    rows = yield _IN_FORCE, [column, path]
    as_before = rows[0][0]
    number: object = float(value)
    if isinstance(as_before, bool):
        number = bool(int(value))
    elif isinstance(as_before, int) and Decimal(value) == int(Decimal(value)):
        number = int(Decimal(value))
    told = {
        "column": column,
        "path": path,
        "value": json.dumps(number),
        "reason": reason,
        "source": VersionSource.LOOP,
        "id": change.id,
    }
    rows = yield _NEW_VERSION, told
    return int(str(rows[0][0]))


def _crown(agent: str, text: str) -> Dialogue[int]:
    """Make the text the agent's champion, as a version of its own: versions are only added."""
    system, template = prompt_parts(text)
    yield _RETIRE, [agent]
    told = {"id": uuid7(), "agent": agent, "template": template, "system": system}
    rows = yield _NEW_PROMPT, told
    return int(str(rows[0][0]))


def _told(operator: Operator, text: str) -> Dialogue[None]:
    yield _OPERATION, [uuid7(), OperationKind.PROPOSAL, operator.name, operator.origin, text]
    yield "select pg_notify('quorum', 'desk')", []


def _place(name: str) -> tuple[str, list[str]]:
    """The column of a parameter and the path within."""
    first, *rest = name.split(".")
    if first in _COLUMNS:
        return first, rest
    return "parameters", [*_ALIASES.get(first, (first,)), *rest]


def _refused(message: str) -> CommandReceipt:
    return CommandReceipt(accepted=False, message=message)


def _answered(connection: Connection, dialogue: Dialogue[Answer]) -> Answer:
    rows: Rows = ()
    try:
        question = next(dialogue)
        while True:
            cursor = connection.execute(question[0].encode(), question[1])
            rows = cursor.fetchall() if cursor.description else ()
            question = dialogue.send(rows)
    except StopIteration as end:
        answer: Answer = end.value
        return answer


async def _answered_async(connection: AsyncConnection, dialogue: Dialogue[Answer]) -> Answer:
    rows: Rows = ()
    try:
        question = next(dialogue)
        while True:
            cursor = await connection.execute(question[0].encode(), question[1])
            rows = await cursor.fetchall() if cursor.description else ()
            question = dialogue.send(rows)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
