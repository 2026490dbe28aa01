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
from storage.proposal_evidence import proposal_digest
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
    select short_id, kind, parameter_name, old_value, new_value, status, route, effective_at <= now(),
           evidence, decided_digest, effective_at
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
_BY_SETTINGS = """
    select case %s when 'limits' then limits when 'screen' then screen else parameters end #> %s
      from parameter_versions where source = 'settings' order by version desc limit 1
"""
_LAST_APPLIED = """
    select id, new_value from strategy_adjustments
     where status = 'applied' and kind = %s and parameter_name = %s
     order by effective_at desc, id desc limit 2
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
           rolled_back_because = %s,
           turned_down_session = (select (desk_time at time zone 'America/New_York')::date from desk)
     where id = %s
"""
_TRIAL_OVER = """
    update experiments set state = 'rolled_back' where adjustment_id = %s and (state = 'running' or %s)
"""
_OPERATION = """
    insert into operations (id, at, kind, who, origin, text)
    values (%s, clock_timestamp(), %s, %s, %s, %s)
"""
_CHAMPION = "select system_message, prompt_template from agent_prompts where agent_name = %s and active"
_WORDS_BEFORE = """
    select old_value, effective_at from strategy_adjustments
     where kind = 'prompt' and parameter_name = %s and new_value = %s and status = 'rolled_back'
       and applied_session is not null and effective_at < %s
     order by effective_at desc limit 1
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
    is_sound: bool  # it is what was approved
    effective_at: object  # an instant, only ever handed back to the database


async def hold_changes(connection: AsyncConnection) -> None:
    """Until the caller's transaction ends nobody else puts a change into force or takes one back.

    Whoever holds rows of changes takes this first: the other order ends in a deadlock.
    """
    await connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])


async def apply_change(connection: AsyncConnection, adjustment_id: UUID) -> CommandReceipt:
    """Let an approved change take effect in the caller's transaction: into the shadow, or into force.

    Refused before its undo window is over. A change that does not start any more from what is in force, or is
    not what was approved, is marked refused, and says so.
    """
    return await _answered_async(connection, _apply(adjustment_id))


def roll_back(
    connection: Connection, adjustment_id: UUID, *, operator: Operator, reason: str
) -> CommandReceipt:
    """Take a change back, from the shadow or from force.

    One in force is undone by a new version that differs from the newest by this one value alone, so changes
    made since stay; it holds what the last change before it that is still in force had put there. One that a
    later change of the same value has followed is undone without a new version. An approved change that was
    due and has not taken effect yet is stopped; others are refused.
    """
    with connection.transaction():
        return _answered(connection, _roll_back(adjustment_id, operator, reason))


async def roll_back_async(
    connection: AsyncConnection, adjustment_id: UUID, *, operator: Operator, reason: str
) -> CommandReceipt:
    """As `roll_back`, in the caller's transaction."""
    return await _answered_async(connection, _roll_back(adjustment_id, operator, reason))


def words_in_force(connection: Connection, agent: str) -> str | None:
    """The prompt an agent answers with as one text; None where it has no champion."""
    return _answered(connection, _words_in_force(agent))


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


async def refuse_change(connection: AsyncConnection, adjustment_id: UUID, reason: str) -> str:
    """Keep in the caller's transaction why an approved change does not take effect; in words."""
    return await _answered_async(connection, _refuse(adjustment_id, reason))


def _refuse(adjustment_id: UUID, reason: str) -> Dialogue[str]:
    rows = yield (
        "update strategy_adjustments set status = 'refused', refused_because = %s where id = %s"
        " returning short_id",
        [reason, adjustment_id],
    )
    text = f"{rows[0][0]} is refused: {reason}"
    yield from _told(Operator(name="the desk"), text)
    return text


def _apply(adjustment_id: UUID) -> Dialogue[CommandReceipt]:
    yield "select pg_advisory_xact_lock(%s)", [LOCK]
    change = yield from _found(adjustment_id)
    if change is None or change.status is not AdjustmentStatus.APPROVED:
        return _refused("there is no approved change of that id")
    if not change.is_due:
        return _refused("the approval may still be taken back")
    if why_not := (yield from _overtaken(change)):
        text = yield from _refuse(change.id, why_not)
        return CommandReceipt(accepted=True, message=text)
    if change.route is AdjustmentRoute.SHADOW:
        yield "update strategy_adjustments set status = 'shadow' where id = %s", [change.id]
        text = f"{change.short_id} goes into the shadow"
    elif change.kind is AdjustmentKind.PROMPT:
        number = yield from _crown(change.name, change.new)
        yield _APPLIED, [None, change.id]
        text = f"{change.short_id}: the prompt of {change.name} is version {number} now"
    else:
        reason = f"{change.short_id}: {change.name} {change.old} -> {change.new}"
        version = yield from _new_version(change, change.new, reason)
        yield _APPLIED, [version, change.id]
        text = f"{reason}, in force as version {version}"
    yield from _told(Operator(name="the desk"), text)
    return CommandReceipt(accepted=True, message=text)


def _overtaken(change: _Change) -> Dialogue[str]:
    """Why an approved change cannot take effect, or nothing."""
    if not change.is_sound:
        return "it was changed after it was approved"
    if change.kind is AdjustmentKind.PROMPT:
        words = yield from _words_in_force(change.name)
        return "" if words == change.old else "the words it starts from are not in force any more"
    in_force = yield from _value_in_force(change.name)
    return "" if in_force == Decimal(change.old) else f"it starts from {change.old}, in force is {in_force}"


def _roll_back(adjustment_id: UUID, operator: Operator, reason: str) -> Dialogue[CommandReceipt]:
    yield "select pg_advisory_xact_lock(%s)", [LOCK]
    change = yield from _found(adjustment_id)
    if change is not None and change.status is AdjustmentStatus.APPROVED and not change.is_due:
        return _refused(f"{change.short_id} has not taken effect: its approval can be taken back instead")
    if change is None or change.status not in (
        AdjustmentStatus.APPROVED,
        AdjustmentStatus.SHADOW,
        AdjustmentStatus.PROMOTABLE,
        AdjustmentStatus.APPLIED,
    ):
        return _refused("only a change in the shadow or in force can be rolled back")
    text = f"{change.short_id} rolled back: {reason}"
    if change.status is AdjustmentStatus.APPLIED:
        text += yield from _restore(change, reason)
    yield _ROLLED_BACK, [operator.name, reason, change.id]
    # What has won its trial and came into force has won it still.
    yield _TRIAL_OVER, [change.id, change.status is not AdjustmentStatus.APPLIED]
    yield from _told(operator, text)
    return CommandReceipt(accepted=True, message=text)


def _restore(change: _Change, reason: str) -> Dialogue[str]:
    """Put back what the change had replaced, unless another has followed it; in words."""
    rows = yield _LAST_APPLIED, [change.kind, change.name]
    if not rows or rows[0][0] != change.id:
        return f"; {change.name} stays as a later change has it"
    below = str(rows[1][1]) if len(rows) > 1 else None
    if change.kind is AdjustmentKind.PROMPT:
        words = below if below is not None else (yield from _words_before(change))
        number = yield from _crown(change.name, words)
        return f"; the prompt of {change.name} is version {number} now"
    value = Decimal(below) if below is not None else (yield from _value_in_force(change.name, _BY_SETTINGS))
    if value is None:
        return f"; the settings know no {change.name}: it stays"
    version = yield from _new_version(change, str(value), f"{change.short_id} rolled back: {reason}")
    return f"; {change.name} is {value} again, version {version}"


def _words_before(change: _Change) -> Dialogue[str]:
    """The words that were in force before a prompt, past those that were themselves rolled back since."""
    words, before = change.old, change.effective_at
    while True:
        rows = yield _WORDS_BEFORE, [change.name, words, before]
        if not rows:
            return words
        words, before = str(rows[0][0]), rows[0][1]


def _found(adjustment_id: UUID) -> Dialogue[_Change | None]:
    rows = yield _FIND, [adjustment_id]
    if not rows:
        return None
    short_id, kind, name, old, new, status, route, is_due, evidence, approved, effective_at = rows[0]
    assert isinstance(evidence, dict)  # JSONB that is never null
    digest = proposal_digest(AdjustmentKind(str(kind)), str(name), str(old), str(new), evidence)
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
        is_sound=digest == approved,
        effective_at=effective_at,
    )


def _words_in_force(agent: str) -> Dialogue[str | None]:
    rows = yield _CHAMPION, [agent]
    return prompt_text(str(rows[0][0]), str(rows[0][1])) if rows else None


def _value_in_force(name: str, question: str = _IN_FORCE) -> Dialogue[Decimal | None]:
    column, path = _place(name)
    rows = yield question, [column, path]
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
