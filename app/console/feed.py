"""The thread that reads the desk: it waits for a change, takes one snapshot, and posts it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from textual.message import Message

from app.console.messages import DeskLost, SnapshotArrived

if TYPE_CHECKING:
    from datetime import date, datetime
    from decimal import Decimal
    from uuid import UUID

    from storage.curve import Curve
    from storage.digest import StoredDigest
    from storage.exchanges import Exchange
    from storage.history import Past
    from storage.learning_records import AdjustmentRoute
    from storage.loop_health import LoopHealth
    from storage.proposal_standing import ProposalStanding
    from storage.proposals import ProposalRow
    from storage.records import AgentName, CommandReceipt, Operator, RejectReason, VerdictReceipt
    from storage.snapshot import DeskSnapshot
    from storage.standstill import HaltRow

PACE_S = 0.5  # at most two snapshots a second, however fast the desk changes
SLOW_S = 5.0  # a snapshot without a notice: notices may be lost, ages must not
BACKOFF_S = (0.2, 5.0)


class DeskPort(Protocol):
    """All the console asks of a desk; `storage.desk.Desk` is the real one."""

    def snapshot(self) -> DeskSnapshot | None: ...

    def wait(self, timeout_s: float) -> bool: ...

    def approve(
        self, approval_id: UUID, *, digest: str, typed_id: str, operator: Operator
    ) -> VerdictReceipt: ...

    def reject(
        self,
        approval_id: UUID,
        *,
        digest: str,
        reason: RejectReason,
        words: str = "",
        operator: Operator,
    ) -> VerdictReceipt: ...

    def undo(self, approval_id: UUID, *, operator: Operator) -> VerdictReceipt: ...

    def pause_agent(self, agent: AgentName, *, operator: Operator) -> CommandReceipt: ...

    def resume_agent(self, agent: AgentName, *, operator: Operator) -> CommandReceipt: ...

    def run_agent_now(self, agent: AgentName, *, operator: Operator) -> CommandReceipt: ...

    def exchanges(self, approval_id: UUID) -> tuple[Exchange, ...]: ...

    def past(self, session: date | None = None, needle: str = "") -> Past: ...

    def words(self, deliberation_id: UUID) -> tuple[Exchange, ...]: ...

    def curve(self) -> Curve: ...

    def digest(self, session: date | None = None) -> StoredDigest | None: ...

    def note(self, position_id: UUID, text: str, *, operator: Operator) -> CommandReceipt: ...

    def change(self, change_id: UUID) -> tuple[ProposalRow, ProposalStanding] | None: ...

    def approve_change(
        self, change_id: UUID, *, digest: str, route: AdjustmentRoute, typed_id: str, operator: Operator
    ) -> CommandReceipt: ...

    def reject_change(
        self, change_id: UUID, *, digest: str, reason: str, operator: Operator
    ) -> CommandReceipt: ...

    def defer_change(
        self, change_id: UUID, *, digest: str, until: datetime, operator: Operator
    ) -> CommandReceipt: ...

    def undo_change(self, change_id: UUID, *, operator: Operator) -> CommandReceipt: ...

    def roll_back_change(self, change_id: UUID, reason: str, *, operator: Operator) -> CommandReceipt: ...

    def loop_health(self) -> LoopHealth: ...

    def halt(self, asked: HaltRow) -> CommandReceipt: ...

    def close_position(self, symbol: str, reason: str, *, operator: Operator) -> CommandReceipt: ...

    def move_stop(
        self, symbol: str, stop: Decimal, *, typed_id: str, operator: Operator
    ) -> CommandReceipt: ...

    def flatten(self, reason: str, *, operator: Operator) -> CommandReceipt: ...

    def take_back(self, symbol: str, *, operator: Operator) -> CommandReceipt: ...

    def stop_runtimes(self, *, operator: Operator) -> CommandReceipt: ...

    def close(self) -> None: ...


OpenDesk = Callable[[str], DeskPort]


def open_storage_desk(conninfo: str) -> DeskPort:
    """The real desk; imported here because it brings psycopg, which must not delay the first paint."""
    from storage.desk import Desk

    return Desk(conninfo)


def first_line(error: BaseException) -> str:
    """An error as one line: what it is and what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


class Feed:
    """Reads one desk in its own thread until stopped."""

    def __init__(self, open_desk: OpenDesk, conninfo: str, post: Callable[[Message], bool]) -> None:
        self.conninfo = conninfo
        self._open = open_desk
        self._post = post
        self._asked = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk-feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def refresh(self) -> None:
        """Take a snapshot as soon as the pace allows, change or not."""
        self._asked.set()

    def stop(self) -> None:
        """Ask the thread to end; it is a daemon, so a desk that hangs holds nobody up."""
        self._stopped.set()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _run(self) -> None:
        delay = BACKOFF_S[0]
        while not self._stopped.is_set():
            began = monotonic()
            try:
                self._read()
            except Exception as error:  # noqa: BLE001 - the operator sees it, the feed retries
                if monotonic() - began > BACKOFF_S[1]:
                    delay = BACKOFF_S[0]
                self._post(DeskLost(first_line(error), delay))
                self._stopped.wait(delay)
                delay = min(delay * 2, BACKOFF_S[1])

    def _read(self) -> None:
        desk = self._open(self.conninfo)
        try:
            while not self._stopped.is_set():
                self._asked.clear()
                taken = monotonic()
                self._post(SnapshotArrived(desk.snapshot()))
                while not self._stopped.is_set():
                    changed = desk.wait(PACE_S)
                    if changed or self._asked.is_set() or monotonic() - taken >= SLOW_S:
                        break
                self._stopped.wait(max(taken + PACE_S - monotonic(), 0))
        finally:
            desk.close()
