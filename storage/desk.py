"""One desk as an operator meets it: snapshots, waiting for change, verdicts. psycopg only, no SQLAlchemy.

A screen is never the guard: every verdict is checked here, in one transaction, against the row as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Self
from uuid import UUID

import psycopg

from storage import control, vendor_control, watchlist
from storage.curve import Curve, read_curve
from storage.digest import StoredDigest, read_digest
from storage.evening import Evening, read_evening
from storage.exchanges import Exchange, read_decision_exchanges, read_exchange, read_exchanges
from storage.halt import halt, held_back, lift
from storage.history import Past, read_past
from storage.notes import note_or_tags
from storage.quota_query import read_entitlements, read_quota_use
from storage.quota_snapshot import EntitlementRow, QuotaUse
from storage.records import (
    AgentName,
    ApprovalState,
    CommandReceipt,
    DeskState,
    HaltRow,
    Operator,
    VerdictReceipt,
    VerdictVerb,
    uuid7,
)
from storage.rows import fetch_one
from storage.snapshot import ApprovalRow, DeskSnapshot
from storage.snapshot_approvals import read_approval
from storage.snapshot_query import Connection, read_snapshot
from storage.watchlist import WatchRow, read_watchlist

_RULES = "select now() as now, undo_s, undo_risky_s, state from desk"
_DECIDE = """
    update approvals
       set state = %(state)s, typed_id = %(typed_id)s, decided_digest = digest,
           decided_by = %(by)s, decided_from = %(origin)s,
           decided_at = now(), decision_reason = %(reason)s, effective_at = %(effective_at)s
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
           decision_reason = null, effective_at = null
     where id = %(id)s
"""


@dataclass(frozen=True)
class _Rules:
    """What the desk says about verdicts right now."""

    now: datetime
    undo_s: int
    undo_risky_s: int
    state: DeskState


class Desk:
    """A connection to one desk, opened when first needed and again after it broke.

    Every method raises psycopg.OperationalError while the server is away. Not for use by two threads at once.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: Connection | None = None

    def snapshot(self) -> DeskSnapshot | None:
        """The whole desk as of one instant; None before its first session."""
        connection = self._connected()
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            return read_snapshot(connection)

    def evening(self, session: date | None = None) -> Evening | None:
        """What became of everything an evening looked at, of the last one without a session."""
        return read_evening(self._connected(), session)

    def exchange(self, interaction_id: UUID) -> Exchange | None:
        """One call to a model, word for word; None where there is none of that id."""
        return read_exchange(self._connected(), interaction_id)

    def exchanges(self, approval_id: UUID) -> tuple[Exchange, ...]:
        """The calls to models behind an approval, word for word."""
        return read_exchanges(self._connected(), approval_id)

    def past(self, session: date | None = None, needle: str = "") -> Past:
        """An evening's decisions, of the last without a session, and the evenings beside it."""
        return read_past(self._connected(), session, needle)

    def curve(self) -> Curve:
        """The account close by close."""
        return read_curve(self._connected())

    def digest(self, session: date | None = None) -> StoredDigest | None:
        """The digest of a session, of the last one without."""
        return read_digest(self._connected(), session)

    def note(self, position_id: UUID, text: str, *, operator: Operator) -> CommandReceipt:
        """Keep a note on a trade; words that all begin with + or - are tags."""
        return note_or_tags(self._connected(), position_id, text, operator)

    def words(self, deliberation_id: UUID) -> tuple[Exchange, ...]:
        """The calls to models behind a decision, word for word."""
        return read_decision_exchanges(self._connected(), deliberation_id)

    def wait(self, timeout_s: float) -> bool:
        """Until something changes: True then, False after `timeout_s` seconds."""
        connection = self._connected()
        return any(True for _ in connection.notifies(timeout=timeout_s, stop_after=1))

    def approve(self, approval_id: UUID, *, digest: str, typed_id: str, operator: Operator) -> VerdictReceipt:
        """Approve exactly the terms the digest names; a risky proposal needs its short id typed."""
        return self._decide(
            approval_id,
            ApprovalState.APPROVED,
            digest=digest,
            typed_id=typed_id,
            reason="",
            operator=operator,
        )

    def reject(self, approval_id: UUID, *, digest: str, reason: str, operator: Operator) -> VerdictReceipt:
        return self._decide(
            approval_id, ApprovalState.REJECTED, digest=digest, typed_id="", reason=reason, operator=operator
        )

    def undo(self, approval_id: UUID, *, operator: Operator) -> VerdictReceipt:
        """Take a verdict back while it has not taken effect; the approval waits again."""
        connection = self._connected()
        with connection.transaction():
            row = _locked_approval(connection, approval_id)
            rules = fetch_one(connection, _Rules, _RULES)
            if (
                row is None
                or rules is None
                or row.state not in (ApprovalState.APPROVED, ApprovalState.REJECTED)
            ):
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

    def pause_agent(self, agent: AgentName, *, operator: Operator) -> CommandReceipt:
        return control.pause_agent(self._connected(), agent, operator)

    def resume_agent(self, agent: AgentName, *, operator: Operator) -> CommandReceipt:
        return control.resume_agent(self._connected(), agent, operator)

    def run_agent_now(self, agent: AgentName, *, operator: Operator) -> CommandReceipt:
        return control.run_agent_now(self._connected(), agent, operator)

    def rearm(self, reason: str, *, operator: Operator) -> CommandReceipt:
        return control.rearm(self._connected(), reason, operator)

    def halt(self, asked: HaltRow) -> CommandReceipt:
        """Stop all entries; the leader puts the file beside it."""
        return halt(self._connected(), asked)

    def lift(self, reason: str, *, operator: Operator) -> CommandReceipt:
        """Let entries be made again."""
        return lift(self._connected(), reason, operator)

    def forget_refusal(self, what: str, *, operator: Operator) -> CommandReceipt:
        return vendor_control.forget_refusal(self._connected(), what, operator)

    def unblock_vendor(self, *, operator: Operator) -> CommandReceipt:
        return vendor_control.unblock(self._connected(), operator)

    def quota_use(self) -> QuotaUse:
        """Who made the vendor calls of the last 24 hours."""
        return read_quota_use(self._connected())

    def entitlements(self) -> tuple[EntitlementRow, ...]:
        """What the vendor's key in use may ask."""
        return read_entitlements(self._connected())

    def watchlist(self) -> tuple[WatchRow, ...]:
        """The symbols the desk follows."""
        return read_watchlist(self._connected())

    def watch(self, symbol: str, *, operator: Operator) -> CommandReceipt:
        return watchlist.watch(self._connected(), symbol, operator)

    def unwatch(self, symbol: str, *, operator: Operator) -> CommandReceipt:
        return watchlist.unwatch(self._connected(), symbol, operator)

    def stop_runtimes(self, *, operator: Operator) -> CommandReceipt:
        return control.stop_runtimes(self._connected(), operator)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decide(
        self,
        approval_id: UUID,
        verdict: ApprovalState,
        *,
        digest: str,
        typed_id: str,
        reason: str,
        operator: Operator,
    ) -> VerdictReceipt:
        connection = self._connected()
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
                return _refused(row, f"it expired at {row.expires_at:%H:%M:%S}Z")
            if not digest == row.digest == row.terms.digest:
                return _refused(row, "the proposal changed after it was shown; look at it again")
            if verdict is ApprovalState.APPROVED and row.risky and typed_id != row.short_id:
                return _refused(row, f"risky: type {row.short_id} to approve")
            if verdict is ApprovalState.APPROVED and (stands := held_back(connection)) is not None:
                return _refused(row, f"{stands.words}; it can be rejected, or lift the halt first")
            undo_s = rules.undo_risky_s if row.risky else rules.undo_s
            effective_at = rules.now + timedelta(seconds=undo_s)
            if row.expires_at is not None:
                # A verdict given just before the cutoff is acted on at the cutoff: no undo beyond it.
                effective_at = min(effective_at, row.expires_at)
            left_s = (effective_at - rules.now).total_seconds()
            connection.execute(
                _DECIDE,
                {
                    "id": approval_id,
                    "state": verdict,
                    "typed_id": typed_id if row.risky and verdict is ApprovalState.APPROVED else None,
                    "by": operator.name,
                    "origin": operator.origin,
                    "reason": reason,
                    "effective_at": effective_at,
                },
            )
            _record(connection, row, VerdictVerb(verdict), operator, reason)
            _announce(connection)
        return VerdictReceipt(
            accepted=True,
            state=verdict,
            message=f"{row.terms.symbol} {verdict}, takes effect in {left_s:.0f} s",
            effective_at=effective_at,
        )

    def _connected(self) -> Connection:
        if self._connection is not None and self._connection.closed:
            self._connection = None
        if self._connection is None:
            self._connection = psycopg.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=5,
                application_name="quorum console",
                options="-c TimeZone=UTC",
            )
            self._connection.execute(f"listen {control.CHANNEL}")
        return self._connection


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
