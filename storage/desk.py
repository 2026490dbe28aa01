"""One desk as an operator meets it: snapshots, waiting for change, verdicts. psycopg only, no SQLAlchemy.

A screen is never the guard: every verdict is checked here, in one transaction, against the row as it stands.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Self
from uuid import UUID

import psycopg

from storage import (
    control,
    policies,
    positions_control,
    proposals,
    reconciliation,
    vendor_control,
    verdicts,
    watchlist,
)
from storage.absence import come_back, leave
from storage.curve import Curve, read_curve
from storage.digest import StoredDigest, read_digest
from storage.evening import Evening, read_evening
from storage.exchanges import Exchange, read_decision_exchanges, read_exchange, read_exchanges
from storage.halt import halt, lift
from storage.history import Past, read_past
from storage.learning_records import AdjustmentRoute
from storage.loop_health import LoopHealth, read_loop_health
from storage.notes import note_or_tags
from storage.policies import PolicyDraft, PolicyRow
from storage.proposal_standing import ProposalStanding, read_standing
from storage.proposals import ProposalRow
from storage.quota_query import read_entitlements, read_quota_use
from storage.quota_snapshot import EntitlementRow, QuotaUse
from storage.reconciliation import DifferenceRow
from storage.records import (
    AgentName,
    CommandReceipt,
    Operator,
    RejectReason,
    VerdictReceipt,
)
from storage.snapshot import DeskSnapshot
from storage.snapshot_query import Connection, read_snapshot
from storage.standstill import HaltRow
from storage.watchlist import WatchRow, read_watchlist


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
        return verdicts.approve(self._connected(), approval_id, digest, typed_id, operator)

    def reject(
        self,
        approval_id: UUID,
        *,
        digest: str,
        reason: RejectReason,
        words: str = "",
        operator: Operator,
    ) -> VerdictReceipt:
        """Turn the proposal down, for a reason of the list and in words where that is not enough."""
        return verdicts.reject(self._connected(), approval_id, digest, reason, words, operator)

    def undo(self, approval_id: UUID, *, operator: Operator) -> VerdictReceipt:
        """Take a verdict back while it has not taken effect; the approval waits again."""
        return verdicts.undo(self._connected(), approval_id, operator)

    def leave(self, until: datetime, reason: str, *, operator: Operator) -> CommandReceipt:
        """Enter nothing until then."""
        return leave(self._connected(), until, reason, operator)

    def come_back(self, *, operator: Operator) -> CommandReceipt:
        """Let entries be made again before an absence ends by itself."""
        return come_back(self._connected(), operator)

    def policies(self) -> tuple[PolicyRow, ...]:
        """The standing policies, latest first."""
        return policies.read_policies(self._connected())

    def propose_policy(self, wanted: PolicyDraft, *, operator: Operator) -> CommandReceipt:
        return policies.propose(self._connected(), wanted, operator)

    def approve_policy(self, short_id: str, *, typed_id: str, operator: Operator) -> CommandReceipt:
        return policies.approve(self._connected(), short_id, typed_id, operator)

    def revoke_policy(self, short_id: str, *, operator: Operator) -> CommandReceipt:
        return policies.revoke(self._connected(), short_id, operator)

    def change(self, change_id: UUID) -> tuple[ProposalRow, ProposalStanding] | None:
        """A proposed change with all of its evidence, and what became of it; None where there is none."""
        row = proposals.read_change(self._connected(), change_id)
        return None if row is None else (row, read_standing(self._connected(), change_id))

    def approve_change(
        self, change_id: UUID, *, digest: str, route: AdjustmentRoute, typed_id: str, operator: Operator
    ) -> CommandReceipt:
        """Send exactly the change the digest names into the shadow, or at once into force, its id typed."""
        return proposals.approve(self._connected(), change_id, digest, route, typed_id, operator)

    def reject_change(
        self, change_id: UUID, *, digest: str, reason: str, operator: Operator
    ) -> CommandReceipt:
        return proposals.reject(self._connected(), change_id, digest, reason, operator)

    def defer_change(
        self, change_id: UUID, *, digest: str, until: datetime, operator: Operator
    ) -> CommandReceipt:
        return proposals.defer(self._connected(), change_id, digest, until, operator)

    def undo_change(self, change_id: UUID, *, operator: Operator) -> CommandReceipt:
        """Take a verdict on a change back before it takes effect."""
        return proposals.undo(self._connected(), change_id, operator)

    def roll_back_change(self, change_id: UUID, reason: str, *, operator: Operator) -> CommandReceipt:
        """Take a change out of the shadow or out of force."""
        return proposals.take_back(self._connected(), change_id, reason, operator)

    def loop_health(self) -> LoopHealth:
        """How the nights of learning go."""
        return read_loop_health(self._connected())

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

    def close_position(self, symbol: str, reason: str, *, operator: Operator) -> CommandReceipt:
        return positions_control.close_position(self._connected(), symbol, reason, operator)

    def flatten(self, reason: str, *, operator: Operator) -> CommandReceipt:
        return positions_control.flatten(self._connected(), reason, operator)

    def move_stop(self, symbol: str, stop: Decimal, *, typed_id: str, operator: Operator) -> CommandReceipt:
        return positions_control.move_stop(self._connected(), symbol, stop, typed_id, operator)

    def take_back(self, symbol: str, *, operator: Operator) -> CommandReceipt:
        """Take back what was asked of a position and is not with the broker."""
        return positions_control.take_back(self._connected(), symbol, operator)

    def differences(self) -> tuple[DifferenceRow, ...]:
        """Where book and broker do not agree, and what became of it where they did not."""
        return reconciliation.read_differences(self._connected())

    def adopt(self, number: int, reason: str, *, operator: Operator) -> CommandReceipt:
        return reconciliation.adopt(self._connected(), number, reason, operator)

    def ignore(self, number: int, reason: str, *, operator: Operator) -> CommandReceipt:
        return reconciliation.ignore(self._connected(), number, reason, operator)

    def correct(self, number: int, reason: str, *, operator: Operator) -> CommandReceipt:
        return reconciliation.correct(self._connected(), number, reason, operator)

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
