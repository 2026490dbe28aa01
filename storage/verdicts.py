"""Verdicts on approvals: each one transaction against the row as it stands. psycopg only.

A screen is never the guard: state, cutoff, digest, typed id, and whether the desk's limits still leave room
are looked at here, whoever asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from storage import control
from storage.absence import standing_absence
from storage.halt import held_back
from storage.plain import span
from storage.records import (
    ApprovalState,
    DeskState,
    Operator,
    RejectReason,
    VerdictReceipt,
    VerdictVerb,
    uuid7,
)
from storage.rows import fetch_one
from storage.snapshot import ApprovalRow
from storage.snapshot_approvals import read_approval
from storage.snapshot_book import read_ladder, read_limits

Connection = psycopg.Connection[tuple[object, ...]]

# The clock, not the transaction's start: a verdict that waited for the row is as late as it is now.
_RULES = """
    select clock_timestamp() as now, undo_s, undo_risky_s, state,
           kind <> 'history' or sessions_total is null as waits_for_open
      from desk
"""
_DECIDE = """
    update approvals
       set state = %(state)s, typed_id = %(typed_id)s, decided_digest = digest,
           decided_by = %(by)s, decided_from = %(origin)s,
           decided_at = %(now)s, reject_reason = %(reject_reason)s,
           decision_reason = %(reason)s, effective_at = %(effective_at)s
     where id = %(id)s
"""
_RECORD = """
    insert into verdicts (id, approval_id, verb, digest, given_by, given_from, reason, given_at)
    values (%s, %s, %s, %s, %s, %s, %s, clock_timestamp())
"""
_REOPEN = """
    update approvals
       set state = 'pending', typed_id = null, decided_digest = null,
           decided_by = null, decided_from = null, decided_at = null,
           decision_reason = null, reject_reason = null, policy_id = null, effective_at = null
     where id = %(id)s
"""


@dataclass(frozen=True)
class _Rules:
    """What the desk says about verdicts right now."""

    now: datetime
    undo_s: int
    undo_risky_s: int
    state: DeskState
    waits_for_open: bool  # what is approved waits for an open of the present, not for a replay's next step


def approve(
    connection: Connection, approval_id: UUID, digest: str, typed_id: str, operator: Operator
) -> VerdictReceipt:
    """Approve exactly the terms the digest names; a risky proposal needs its short id typed."""
    return _decide(
        connection,
        approval_id,
        ApprovalState.APPROVED,
        digest=digest,
        typed_id=typed_id,
        reason=None,
        words="",
        operator=operator,
    )


def reject(
    connection: Connection,
    approval_id: UUID,
    digest: str,
    reason: RejectReason,
    words: str,
    operator: Operator,
) -> VerdictReceipt:
    """Turn the proposal down."""
    return _decide(
        connection,
        approval_id,
        ApprovalState.REJECTED,
        digest=digest,
        typed_id="",
        reason=reason,
        words=words,
        operator=operator,
    )


def undo(connection: Connection, approval_id: UUID, operator: Operator) -> VerdictReceipt:
    """Take a verdict back while it has not taken effect; the approval waits again."""
    with connection.transaction():
        row = _locked_approval(connection, approval_id)
        rules = fetch_one(connection, _Rules, _RULES)
        if row is None or rules is None or row.state not in (ApprovalState.APPROVED, ApprovalState.REJECTED):
            return _refused(row, "there is no verdict to take back")
        if row.order_state is not None or row.effective_at is None:
            return _refused(row, "the verdict has already been acted on")
        if row.effective_at <= rules.now:
            return _refused(row, f"the verdict took effect at {row.effective_at:%H:%M:%S}Z")
        try:
            with connection.transaction():
                connection.execute(_REOPEN, {"id": approval_id})
        except psycopg.errors.UniqueViolation:
            return _refused(row, f"another proposal goes by {row.short_id} now")
        _record(connection, row, VerdictVerb.UNDONE, operator, "")
        _announce(connection)
    return VerdictReceipt(
        accepted=True, state=ApprovalState.PENDING, message=f"{row.terms.symbol} waits again"
    )


def _decide(
    connection: Connection,
    approval_id: UUID,
    verdict: ApprovalState,
    *,
    digest: str,
    typed_id: str,
    reason: RejectReason | None,
    words: str,
    operator: Operator,
) -> VerdictReceipt:
    with connection.transaction():
        row = _locked_approval(connection, approval_id)
        rules = fetch_one(connection, _Rules, _RULES)
        if row is None or rules is None:
            return _refused(None, "there is no such approval on this desk")
        if row.state is not ApprovalState.PENDING:
            return _refused(row, f"already {row.state} by {row.decided_by or 'the clock'}")
        if rules.state is DeskState.FINISHED:
            return _refused(row, "this desk's history has ended")
        if row.expires_at is not None and row.expires_at <= rules.now:
            late = (rules.now - row.expires_at).total_seconds()
            return _refused(row, f"it expired at {row.expires_at:%H:%M:%S}Z, {late:.0f} s ago")
        if not digest == row.digest == row.terms.digest:
            return _refused(row, "the proposal changed after it was shown; look at it again")
        if verdict is ApprovalState.APPROVED and row.risky and typed_id != row.short_id:
            return _refused(row, f"risky: type {row.short_id} to approve")
        if verdict is ApprovalState.APPROVED and (why_not := _no_entry(connection, row)):
            return _refused(row, why_not)
        effective_at = _effective_at(row, rules)
        said = "; ".join(filter(None, (reason.words if reason else "", words)))
        connection.execute(
            _DECIDE,
            {
                "id": approval_id,
                "state": verdict,
                "typed_id": typed_id if row.risky and verdict is ApprovalState.APPROVED else None,
                "by": operator.name,
                "origin": operator.origin,
                "reason": said,
                "reject_reason": reason,
                "now": rules.now,
                "effective_at": effective_at,
            },
        )
        _record(connection, row, VerdictVerb(verdict), operator, said)
        _announce(connection)
    return VerdictReceipt(
        accepted=True,
        state=verdict,
        message=f"{row.terms.symbol} {verdict}, takes effect in {_span(effective_at - rules.now)}",
        effective_at=effective_at,
    )


def _effective_at(row: ApprovalRow, rules: _Rules) -> datetime:
    """Until when the verdict may be taken back.

    What waits for an open takes effect at the cutoff before it. Else after the desk's time to undo, and at
    the cutoff at the latest: a verdict given just before it is acted on at it.
    """
    if row.expires_at is not None and rules.waits_for_open:
        return row.expires_at
    undone = rules.now + timedelta(seconds=rules.undo_risky_s if row.risky else rules.undo_s)
    return undone if row.expires_at is None else min(undone, row.expires_at)


def _no_entry(connection: Connection, row: ApprovalRow) -> str:
    """Why nothing may be entered on this proposal as the desk stands now, or nothing."""
    if (halt := held_back(connection)) is not None:
        return f"{halt.words}; it can be rejected, or lift the halt first"
    if (absence := standing_absence(connection)) is not None:
        return f"{absence.words}; `quorum back` comes first"
    ladder = read_ladder(connection)
    if ladder is not None and ladder.stopped:
        return f"{ladder.words}: no entries"
    limits = read_limits(connection)
    in_force = {limit.name: limit for limit in limits.limits} if limits else {}
    for check in row.checks:
        now = in_force.get(check.name)
        if now is None or now.unit != check.unit:
            continue
        if check.after < now.limit if check.floor else check.after > now.limit:
            return f"the limit {check.name} is {now.limit:g} now, and this asks for {check.after:g}"
    return ""


def _span(left: timedelta) -> str:
    seconds = left.total_seconds()
    return f"{seconds:.0f} s" if seconds < 600 else span(seconds)


def _locked_approval(connection: Connection, approval_id: UUID) -> ApprovalRow | None:
    connection.execute("select 1 from approvals where id = %s for update", [approval_id])
    return read_approval(connection, approval_id)


def _record(
    connection: Connection, row: ApprovalRow, verb: VerdictVerb, operator: Operator, reason: str
) -> None:
    """Add to the list of everything ever said, which an undo does not shorten."""
    connection.execute(_RECORD, [uuid7(), row.id, verb, row.digest, operator.name, operator.origin, reason])


def _announce(connection: Connection) -> None:
    connection.execute("select pg_notify(%s, 'approval')", [control.CHANNEL])


def _refused(row: ApprovalRow | None, message: str) -> VerdictReceipt:
    return VerdictReceipt(accepted=False, state=row.state if row else None, message=message)
