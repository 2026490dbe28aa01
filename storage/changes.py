"""Proposed changes in a line each, and how the last night of learning went: what a screen always has.

psycopg only. The whole of one change with its evidence is storage/proposals.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import psycopg

from storage.learning_records import AdjustmentKind, AdjustmentOutcome, AdjustmentRoute, AdjustmentStatus
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

OVER_SHOWN = 20
WAITING = (AdjustmentStatus.PROPOSED, AdjustmentStatus.PROMOTABLE)


def change_words(kind: AdjustmentKind, name: str, old_value: str, new_value: str, unit: str) -> str:
    """Old and new in one line, with the change in percent where both are numbers."""
    if kind is AdjustmentKind.PROMPT:
        return f"another prompt for {name}"
    after = f" {unit}" if unit else ""
    return f"{name} {old_value} -> {new_value}{after}{_percent(old_value, new_value)}"


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """One proposed change without its evidence; the values of a prompt, which are whole texts, are empty."""

    id: UUID
    short_id: str
    session: date
    kind: AdjustmentKind
    name: str
    unit: str
    old_value: str
    new_value: str
    evidence: str  # promising, inconclusive or worse; "" where it cannot be read
    status: AdjustmentStatus
    refused_because: str
    outcome: AdjustmentOutcome
    digest: str
    expires_at: datetime | None
    deferred_until: datetime | None
    route: AdjustmentRoute | None
    decided_by: str
    effective_at: datetime | None
    rolled_back_by: str

    @property
    def waits(self) -> bool:
        """Whether a human may decide it now."""
        return self.status in WAITING

    @property
    def words(self) -> str:
        """What is changed, in one line."""
        return change_words(self.kind, self.name, self.old_value, self.new_value, self.unit)


@dataclass(frozen=True, kw_only=True)
class NightRow:
    """The last night of learning: how many of its stages are done, and what it was loud about."""

    session: date
    stages: int
    finished_at: datetime
    note: str  # of the stage done last
    alarm: str  # the loop's newest alarm since the night before, or nothing


def read_changes(connection: Connection) -> tuple[ChangeRow, ...]:
    """Those that wait for a human, those on their way, on trial or in force, the latest of the others."""
    return fetch_all(connection, ChangeRow, _CHANGES, [OVER_SHOWN])


def read_night(connection: Connection) -> NightRow | None:
    """How the last night went; None before the first."""
    return fetch_one(connection, NightRow, _NIGHT)


def _percent(old: str, new: str) -> str:
    try:
        before, after = float(old), float(new)
    except ValueError:
        return ""
    return f" ({after / before - 1:+.1%})" if before else ""


_CHANGES = """
    select id, short_id, session, kind, parameter_name as name, unit,
           case kind when 'prompt' then '' else old_value end as old_value,
           case kind when 'prompt' then '' else new_value end as new_value,
           coalesce(evidence ->> 'verdict', '') as evidence, status,
           coalesce(refused_because, '') as refused_because, outcome, digest, expires_at,
           deferred_until, route, coalesce(decided_by, '') as decided_by, effective_at,
           coalesce(rolled_back_by, '') as rolled_back_by
      from strategy_adjustments
     where status in ('proposed', 'promotable', 'approved', 'shadow', 'applied') or id in (
           select id from strategy_adjustments
            where status in ('refused', 'rejected', 'rolled_back', 'expired')
            order by greatest(rolled_back_at, decided_at, created_at) desc, id desc limit %s)
     order by status in ('proposed', 'promotable') desc, status in ('approved', 'shadow', 'applied') desc,
              greatest(rolled_back_at, decided_at, created_at) desc, id desc
"""
_NIGHT = """
    select n.session, (select count(*) from loop_stages s where s.session = n.session)::int as stages,
           n.finished_at, n.note,
           coalesce((select o.text from operations o
                      where o.kind = 'loop' and o.at > coalesce(
                            (select max(b.finished_at) from loop_stages b where b.session < n.session),
                            '-infinity')
                      order by o.at desc limit 1), '') as alarm
      from loop_stages n order by n.session desc, n.finished_at desc limit 1
"""
