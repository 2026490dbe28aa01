"""What threads and screens tell the app: neither touches the other's things, they post these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from uuid import UUID

    from app.console.commands import AgentCommand, Ask
    from app.console.patterns import PatternTold
    from app.console.state import LastVerdict
    from storage.curve import Curve
    from storage.digest import StoredDigest
    from storage.exchanges import Exchange
    from storage.history import Past
    from storage.loop_health import LoopHealth
    from storage.proposal_standing import ProposalStanding
    from storage.proposals import ProposalRow
    from storage.records import AgentName, CommandReceipt
    from storage.snapshot import DeskSnapshot, PositionRow


class SnapshotArrived(Message):
    """The feed read the desk; None while it has no first session yet."""

    def __init__(self, snapshot: DeskSnapshot | None) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SnapshotArrived)


class DeskLost(Message):
    """The feed cannot read the desk; it tries again by itself."""

    def __init__(self, reason: str, retry_s: float) -> None:
        super().__init__()
        self.reason = reason
        self.retry_s = retry_s


class HostProgressed(Message):
    """The host says what it is doing before its desk can be read."""

    def __init__(self, note: str) -> None:
        super().__init__()
        self.note = note


class HostReady(Message):
    """The host says where its desk is."""

    def __init__(self, desk: str, conninfo: str) -> None:
        super().__init__()
        self.desk = desk
        self.conninfo = conninfo


class HostDied(Message):
    """The host is gone and will be started again."""

    def __init__(self, reason: str, retry_s: float) -> None:
        super().__init__()
        self.reason = reason
        self.retry_s = retry_s


class HostRefused(Message):
    """The host cannot work until the operator puts something right."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem


class VerdictTaken(Message):
    """A verdict was given to the desk, and this is its receipt."""

    def __init__(self, verdict: LastVerdict) -> None:
        super().__init__()
        self.verdict = verdict


class AgentTold(Message):
    """The operator pauses, resumes or hurries an agent."""

    def __init__(self, command: AgentCommand, agent: AgentName) -> None:
        super().__init__()
        self.command = command
        self.agent = agent


class CommandTaken(Message):
    """A command was given to the desk, and this is its receipt."""

    def __init__(self, what: str, receipt: CommandReceipt) -> None:
        super().__init__()
        self.what = what
        self.receipt = receipt


class HaltAsked(Message):
    """The operator wants all entries stopped."""


class PositionAsked(Message):
    """The operator wants a position sold, everything sold, or a stop moved; `row` None for everything."""

    def __init__(self, ask: Ask, row: PositionRow | None) -> None:
        super().__init__()
        self.ask = ask
        self.row = row


class TakeBackAsked(Message):
    """The operator takes back what was asked of a position."""

    def __init__(self, symbol: str) -> None:
        super().__init__()
        self.symbol = symbol


class StopAsked(Message):
    """The operator wants the desk's runtimes stopped before leaving."""


class StopTaken(Message):
    """The desk was asked to stop, and this is its receipt."""

    def __init__(self, receipt: CommandReceipt) -> None:
        super().__init__()
        self.receipt = receipt


class ReviewAsked(Message):
    """The operator opens a waiting approval."""

    def __init__(self, approval_id: UUID) -> None:
        super().__init__()
        self.approval_id = approval_id


class WhyAsked(Message):
    """The operator wants to know why there was no trade."""


class ExchangesAsked(Message):
    """The operator wants to read what models were sent and said about an approval."""

    def __init__(self, approval_id: UUID) -> None:
        super().__init__()
        self.approval_id = approval_id


class ExchangesRead(Message):
    """What models were sent and said about an approval, or why it could not be read."""

    def __init__(self, symbol: str, exchanges: tuple[Exchange, ...], problem: str = "") -> None:
        super().__init__()
        self.symbol = symbol
        self.exchanges = exchanges
        self.problem = problem


class UndoAsked(Message):
    """The operator takes the last verdict back."""


class RefreshAsked(Message):
    """The operator wants the desk read again now."""


class HistoryAsked(Message):
    """The operator wants to go through the decisions."""


class EquityAsked(Message):
    """The operator wants to see what a dollar became."""


class DigestAsked(Message):
    """The operator wants to read the last digest."""


class PatternsAsked(Message):
    """The operator wants to ask about past trades."""


class NoteAsked(Message):
    """The operator wants to write about a trade."""

    def __init__(self, position_id: UUID, symbol: str) -> None:
        super().__init__()
        self.position_id = position_id
        self.symbol = symbol


class PastRead(Message):
    """An evening's decisions, or why they could not be read."""

    def __init__(self, past: Past | None, needle: str, problem: str = "") -> None:
        super().__init__()
        self.past = past
        self.needle = needle
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class FindingRow:
    """One step of a decision, then and now."""

    part: str
    then: str
    now: str
    sameness: str
    note: str


class ReplayRead(Message):
    """A decision was decided again, or could not be."""

    def __init__(
        self, decision_id: UUID, sentence: str, findings: tuple[FindingRow, ...], problem: str = ""
    ) -> None:
        super().__init__()
        self.decision_id = decision_id
        self.sentence = sentence
        self.findings = findings
        self.problem = problem


class CurveRead(Message):
    """The account close by close, or why it could not be read."""

    def __init__(self, curve: Curve | None, problem: str = "") -> None:
        super().__init__()
        self.curve = curve
        self.problem = problem


class BenchmarksRead(Message):
    """What the same money could have bought: name, return as a fraction, what it assumes."""

    def __init__(
        self, rows: tuple[tuple[str, float, str], ...], unknown: tuple[str, ...], problem: str = ""
    ) -> None:
        super().__init__()
        self.rows = rows
        self.unknown = unknown
        self.problem = problem


class PatternsRead(Message):
    """What past trades of a kind came to, or why it could not be told; `words` are what was asked."""

    def __init__(self, words: str, told: PatternTold | None, problem: str = "") -> None:
        super().__init__()
        self.words = words
        self.told = told
        self.problem = problem


class DigestRead(Message):
    """The last digest, or why it could not be read."""

    def __init__(self, digest: StoredDigest | None, problem: str = "") -> None:
        super().__init__()
        self.digest = digest
        self.problem = problem


class ChangeAsked(Message):
    """The operator opens a proposed change."""

    def __init__(self, change_id: UUID) -> None:
        super().__init__()
        self.change_id = change_id


class ChangeRead(Message):
    """A proposed change with its evidence and what became of it, or why it could not be read."""

    def __init__(self, found: tuple[ProposalRow, ProposalStanding] | None, problem: str) -> None:
        super().__init__()
        self.found = found
        self.problem = problem


class ChangeUndoAsked(Message):
    """The operator takes the verdict on a change back."""

    def __init__(self, change_id: UUID) -> None:
        super().__init__()
        self.change_id = change_id


class LoopAsked(Message):
    """The operator wants to know how the nights of learning go."""


class LoopRead(Message):
    """How the nights of learning go, or why it could not be read."""

    def __init__(self, health: LoopHealth | None, problem: str = "") -> None:
        super().__init__()
        self.health = health
        self.problem = problem
