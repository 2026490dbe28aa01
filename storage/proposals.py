"""The human's side of proposed changes: read them, and decide, each in one transaction. psycopg only.

What is decided is what was shown: the digest named, the one stored and the one reckoned anew must be one.
What is approved takes effect after its time to undo, carried out by the night (storage/versions.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from difflib import unified_diff
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from storage.changes import WAITING, change_words
from storage.control import refused, taken
from storage.learning_records import (
    AdjustmentKind,
    AdjustmentOutcome,
    AdjustmentRoute,
    AdjustmentStatus,
    ChangeVerb,
)
from storage.proposal_evidence import ProposalEvidence, evidence_from_json, proposal_digest
from storage.records import CommandReceipt, OperationKind, Operator, uuid7
from storage.rows import fetch_all, fetch_one
from storage.versions import roll_back, value_in_force, words_in_force

Connection = psycopg.Connection[tuple[object, ...]]

NEW_YORK = ZoneInfo("America/New_York")

_READ = """
    select id, short_id, session, kind, parameter_name as name, family, unit, bounds, old_value, new_value,
           reasoning, expected_impact, confidence_score as confidence, status, refused_because, outcome,
           sharpe_before, sharpe_after, win_rate_before, win_rate_after, evidence, digest, expires_at,
           deferred_until, route, decided_by, decided_at, decision_reason, effective_at, applied_version,
           rolled_back_at, coalesce(rolled_back_by, '') as rolled_back_by, experiment, created_at
      from strategy_adjustments
"""
_RULES = "select clock_timestamp() as now, undo_s, undo_risky_s from desk"
_APPROVE = """
    update strategy_adjustments
       set status = 'approved', route = %(route)s, typed_id = %(typed_id)s, decided_digest = digest,
           decided_by = %(by)s, decided_from = %(origin)s, decided_at = %(now)s, decision_reason = '',
           effective_at = %(effective_at)s
     where id = %(id)s
"""
_REJECT = """
    update strategy_adjustments
       set status = 'rejected', decided_digest = digest, decided_by = %(by)s, decided_from = %(origin)s,
           decided_at = %(now)s, decision_reason = %(reason)s, effective_at = %(effective_at)s,
           turned_down_session = (select (desk_time at time zone 'America/New_York')::date from desk)
     where id = %(id)s
"""
_REOPEN = """
    update strategy_adjustments
       set status = case when experiment is null then 'proposed' else 'promotable' end, route = null,
           typed_id = null, decided_digest = null, decided_by = null, decided_from = null, decided_at = null,
           decision_reason = null, effective_at = null, turned_down_session = null
     where id = %s
"""


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """What a row says of itself."""

    id: UUID
    short_id: str
    session: date
    kind: AdjustmentKind
    name: str
    family: str
    unit: str
    bounds: str
    old_value: str
    new_value: str
    reasoning: str
    expected_impact: str
    confidence: float
    status: AdjustmentStatus
    refused_because: str | None
    outcome: AdjustmentOutcome
    sharpe_before: float | None
    sharpe_after: float | None
    win_rate_before: float | None
    win_rate_after: float | None
    digest: str
    expires_at: datetime | None
    deferred_until: datetime | None
    route: AdjustmentRoute | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    effective_at: datetime | None
    applied_version: int | None
    rolled_back_at: datetime | None
    rolled_back_by: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class _Stored(_Columns):
    evidence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ProposalRow(_Columns):
    """A proposed change as it stands. `evidence` is None where what is stored cannot be read."""

    evidence: ProposalEvidence | None
    sound: bool  # the digest is that of what is stored

    @property
    def waits(self) -> bool:
        """Whether a human may decide it now."""
        return self.status in WAITING

    @property
    def no_shadow(self) -> str:
        """Why it cannot go into the shadow, or nothing."""
        if self.status is AdjustmentStatus.PROMOTABLE:
            return f"{self.short_id} has been through the shadow: at once, or not at all"
        return ""

    @property
    def words(self) -> str:
        """Old and new in one line, with the change in percent where both are numbers."""
        return change_words(self.kind, self.name, self.old_value, self.new_value, self.unit)

    @property
    def diff(self) -> tuple[str, ...]:
        """The lines of a prompt that go and come, as a unified diff; empty for a parameter."""
        if self.kind is not AdjustmentKind.PROMPT:
            return ()
        old, new = self.old_value.splitlines(), self.new_value.splitlines()
        return tuple(unified_diff(old, new, "in force", "proposed", lineterm=""))


@dataclass(frozen=True)
class _Rules:
    now: datetime
    undo_s: int
    undo_risky_s: int


def read_proposals(connection: Connection, *, most: int) -> tuple[ProposalRow, ...]:
    """Those that wait, then the latest of the others."""
    order = " order by status in ('proposed', 'promotable') desc, created_at desc, id desc limit %s"
    return tuple(map(_row, fetch_all(connection, _Stored, _READ + order, [most])))


def read_proposal(connection: Connection, short_id: str) -> ProposalRow | None:
    """The latest of that id; None where there is none."""
    found = fetch_one(
        connection, _Stored, _READ + " where lower(short_id) = lower(%s) order by created_at desc", [short_id]
    )
    return None if found is None else _row(found)


def read_change(connection: Connection, proposal_id: UUID) -> ProposalRow | None:
    """That one; None where there is none."""
    found = fetch_one(connection, _Stored, _READ + " where id = %s", [proposal_id])
    return None if found is None else _row(found)


def approve(
    connection: Connection,
    proposal_id: UUID,
    digest: str,
    route: AdjustmentRoute,
    typed_id: str,
    operator: Operator,
) -> CommandReceipt:
    """Send a change into the shadow, or at once into force, which needs its id typed."""
    with connection.transaction():
        row, rules, why_not = _decidable(connection, proposal_id, digest)
        if row is None or rules is None or why_not:
            return refused(why_not)
        at_once = route is AdjustmentRoute.AT_ONCE
        if row.no_shadow and not at_once:
            return refused(row.no_shadow)
        if why_not := _overtaken(connection, row):
            return refused(why_not)
        if at_once and typed_id != row.short_id:
            return refused(f"risky: type {row.short_id} to put it into force")
        effective_at = rules.now + timedelta(seconds=rules.undo_risky_s if at_once else rules.undo_s)
        try:
            with connection.transaction():
                connection.execute(
                    _APPROVE,
                    {
                        "id": row.id,
                        "route": route,
                        "typed_id": typed_id if at_once else None,
                        "by": operator.name,
                        "origin": operator.origin,
                        "now": rules.now,
                        "effective_at": effective_at,
                    },
                )
        except psycopg.errors.UniqueViolation:
            return refused(f"a change of {row.family} is on its way: one at a time")
        verb = ChangeVerb.AT_ONCE if at_once else ChangeVerb.SHADOW
        where = "comes into force" if at_once else "goes into the shadow"
        left = (effective_at - rules.now).total_seconds()
        return _said(
            connection, row, verb, operator, "", f"{row.short_id} {where} in {left:.0f} s: {row.words}"
        )


def reject(
    connection: Connection, proposal_id: UUID, digest: str, reason: str, operator: Operator
) -> CommandReceipt:
    """Turn a change down; it is not proposed again without new evidence."""
    if not reason.strip():
        return refused("say why: the desk learns from it")
    with connection.transaction():
        row, rules, why_not = _decidable(connection, proposal_id, digest)
        if row is None or rules is None or why_not:
            return refused(why_not)
        connection.execute(
            _REJECT,
            {
                "id": row.id,
                "by": operator.name,
                "origin": operator.origin,
                "now": rules.now,
                "reason": reason,
                "effective_at": rules.now + timedelta(seconds=rules.undo_s),
            },
        )
        return _said(
            connection, row, ChangeVerb.REJECTED, operator, reason, f"{row.short_id} rejected: {reason}"
        )


def beginning_of(session: date) -> datetime:
    """When a session's day begins in New York, in UTC: a deferral until that session ends then."""
    return datetime.combine(session, time(0), NEW_YORK).astimezone(UTC)


def defer(
    connection: Connection, proposal_id: UUID, digest: str, until: datetime, operator: Operator
) -> CommandReceipt:
    """Decide later; it goes on waiting, and expires when it would have. For a day see `beginning_of`."""
    with connection.transaction():
        row, rules, why_not = _decidable(connection, proposal_id, digest)
        if row is None or rules is None or why_not:
            return refused(why_not)
        if until <= rules.now:
            return refused(f"{until.astimezone(NEW_YORK):%Y-%m-%d} has begun in New York: name a later day")
        if row.expires_at is not None and until >= row.expires_at:
            return refused(f"it expires on {row.expires_at.astimezone(NEW_YORK):%Y-%m-%d}, before that")
        connection.execute(
            "update strategy_adjustments set deferred_until = %s where id = %s", [until, row.id]
        )
        said = f"{row.short_id} deferred until {until.astimezone(NEW_YORK):%Y-%m-%d}"
        return _said(connection, row, ChangeVerb.DEFERRED, operator, "", said)


def undo(connection: Connection, proposal_id: UUID, operator: Operator) -> CommandReceipt:
    """Take a verdict back before it takes effect; the change waits again."""
    with connection.transaction():
        row, rules = _locked(connection, proposal_id)
        if row is None or rules is None:
            return refused("there is no such change on this desk")
        if row.status not in (AdjustmentStatus.APPROVED, AdjustmentStatus.REJECTED):
            return refused(f"{row.short_id} is {row.status}: there is no verdict to take back")
        if row.effective_at is None or row.effective_at <= rules.now:
            back = "; it can be rolled back" if row.status is AdjustmentStatus.APPROVED else ""
            return refused(f"the verdict on {row.short_id} has taken effect{back}")
        try:
            with connection.transaction():
                connection.execute(_REOPEN, [row.id])
        except psycopg.errors.UniqueViolation:
            return refused(f"another change of {row.family} is on its way by now: the verdict stands")
        return _said(connection, row, ChangeVerb.UNDONE, operator, "", f"{row.short_id} waits again")


def take_back(connection: Connection, proposal_id: UUID, reason: str, operator: Operator) -> CommandReceipt:
    """Roll a change back, out of the shadow or out of force."""
    with connection.transaction():
        # Not held before: whoever puts changes into force takes the desk's lock first, and so does this.
        found = fetch_one(connection, _Stored, _READ + " where id = %s", [proposal_id])
        if found is None:
            return refused("there is no such change on this desk")
        row = _row(found)
        receipt = roll_back(connection, row.id, operator=operator, reason=reason or "by hand")
        if receipt.accepted:
            _record(connection, row, ChangeVerb.ROLLED_BACK, operator, reason)
        return receipt


def _decidable(
    connection: Connection, proposal_id: UUID, digest: str
) -> tuple[ProposalRow | None, _Rules | None, str]:
    """The row, held, and why it cannot be decided on this digest, or nothing."""
    row, rules = _locked(connection, proposal_id)
    if row is None or rules is None:
        return None, None, "there is no such change on this desk"
    if not row.waits:
        by = f" by {row.decided_by}" if row.decided_by else ""
        return row, rules, f"{row.short_id} is {row.status}{by} already"
    if row.expires_at is not None and row.expires_at <= rules.now:
        return row, rules, f"{row.short_id} expired on {row.expires_at:%Y-%m-%d %H:%M}Z"
    if row.evidence is None:
        return row, rules, f"the evidence of {row.short_id} cannot be read: it cannot be decided"
    if digest != row.digest or not row.sound:
        return row, rules, f"{row.short_id} changed after it was shown; look at it again"
    return row, rules, ""


def _overtaken(connection: Connection, row: ProposalRow) -> str:
    """Why the change starts from a value that is not in force any more, or nothing."""
    if row.kind is AdjustmentKind.PROMPT:
        same = words_in_force(connection, row.name) == row.old_value
        return "" if same else f"the words of {row.name} that it starts from are not in force any more"
    now = value_in_force(connection, row.name)
    if now is None or now == Decimal(row.old_value):
        return ""
    return f"{row.name} stands at {now} by now, not at {row.old_value}"


def _locked(connection: Connection, proposal_id: UUID) -> tuple[ProposalRow | None, _Rules | None]:
    connection.execute("select 1 from strategy_adjustments where id = %s for update", [proposal_id])
    found = fetch_one(connection, _Stored, _READ + " where id = %s", [proposal_id])
    return (None if found is None else _row(found)), fetch_one(connection, _Rules, _RULES)


def _said(
    connection: Connection, row: ProposalRow, verb: ChangeVerb, operator: Operator, reason: str, text: str
) -> CommandReceipt:
    _record(connection, row, verb, operator, reason)
    return taken(connection, OperationKind.PROPOSAL, operator, text)


def _record(
    connection: Connection, row: ProposalRow, verb: ChangeVerb, operator: Operator, reason: str
) -> None:
    connection.execute(
        """insert into change_verdicts
                  (id, adjustment_id, verb, digest, given_by, given_from, reason, given_at)
           values (%s, %s, %s, %s, %s, %s, %s, clock_timestamp())""",
        [uuid7(), row.id, verb, row.digest, operator.name, operator.origin, reason],
    )


def _row(stored: _Stored) -> ProposalRow:
    values = dict(vars(stored))
    try:
        values["evidence"] = evidence_from_json(stored.evidence)
    except (KeyError, TypeError, ValueError):
        values["evidence"] = None
    reckoned = proposal_digest(stored.kind, stored.name, stored.old_value, stored.new_value, stored.evidence)
    return ProposalRow(**values, sound=reckoned == stored.digest)
