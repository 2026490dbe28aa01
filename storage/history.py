"""Every decision of the desk as its rows tell it, evening by evening: votes, verdicts, fill, outcome.

Read with psycopg alone. What cannot be told any more is None or empty, never made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from storage.evening import ConsensusRow, consensus_of
from storage.notes import NoteRow, read_notes, tags_of
from storage.records import (
    AgentName,
    ApprovalState,
    Direction,
    ExitReason,
    LimitCheck,
    OrderState,
    SetupType,
    Stance,
    VerdictVerb,
    Volatility,
)
from storage.rows import fetch_all

Connection = psycopg.Connection[tuple[object, ...]]

EVENINGS_SHOWN = 400
MOST_FILTERED = 2_000  # decisions a filter looks at


@dataclass(frozen=True, kw_only=True)
class PastEvening:
    """An evening something was argued over, and how much came of it."""

    session: date
    argued: int
    proposed: int
    approved: int
    filled: int
    r: float | None  # of the trades that have closed; None where none has


@dataclass(frozen=True, kw_only=True)
class PastVote:
    agent: AgentName
    stance: Stance
    conviction: float | None  # 0-1
    source: str
    reason: str
    veto_only: bool
    flags: tuple[str, ...]
    interaction_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class PastVerdict:
    """Something a human said about a proposal, or the clock; what was taken back stays."""

    verb: VerdictVerb
    given_by: str
    given_from: str
    reason: str
    given_at: datetime


@dataclass(frozen=True, kw_only=True)
class PastProposal:
    """What went to the human; prices in dollars a share."""

    id: UUID
    short_id: str
    state: ApprovalState
    entry_session: date
    min_entry: Decimal
    max_entry: Decimal
    stop: Decimal
    target: Decimal
    max_shares: int
    max_risk: Decimal
    max_hold: int
    risky_reasons: tuple[str, ...]
    parameters_version: int


@dataclass(frozen=True, kw_only=True)
class PastFill:
    """The entry as it was filled."""

    session: date
    shares: int
    price: Decimal
    fee: Decimal


@dataclass(frozen=True, kw_only=True)
class PastOutcome:
    exit_session: date
    exit_reason: ExitReason
    pnl: Decimal  # net of fees
    r_multiple: float


@dataclass(frozen=True, kw_only=True)
class PastDecision:
    """One candidate of one evening, from the argument to what it came to."""

    id: UUID
    session: date
    symbol: str
    rank: int
    setup_type: SetupType
    denied_by: str | None
    reasoning: str
    direction: Direction | None
    volatility: Volatility | None
    consensus: ConsensusRow | None  # None: argued before it was kept
    contradictions: tuple[str, ...]
    checks: tuple[LimitCheck, ...]
    votes: tuple[PastVote, ...]
    technicals: Mapping[str, object]  # the readings it was decided on
    proposal: PastProposal | None
    verdicts: tuple[PastVerdict, ...]  # oldest first
    order: OrderState | None
    order_note: str
    fill: PastFill | None
    outcome: PastOutcome | None
    position_id: UUID | None
    notes: tuple[NoteRow, ...]
    decided_at: datetime  # by the desk's clock

    @property
    def tags(self) -> tuple[str, ...]:
        return tags_of(self.notes)

    @property
    def fate(self) -> str:
        """How far it came, in a word or two: what a filter looks for."""
        if self.outcome is not None:
            return "won" if self.outcome.pnl > 0 else "lost"
        if self.fill is not None:
            return "held"
        if self.order is not None:
            return f"{self.order}"
        if self.proposal is not None:
            return f"{self.proposal.state}"
        return f"denied: {self.denied_by}" if self.denied_by else "argued"

    def matches(self, needle: str) -> bool:
        """Whether a filter keeps it: by symbol, by how far it came, by tag, setup or exit."""
        words = [self.symbol, self.fate, self.setup_type.value.replace("_", " "), *self.tags]
        if self.outcome is not None:
            words.append(self.outcome.exit_reason.value.replace("_", " "))
        return any(needle.casefold() in word.casefold() for word in words)


@dataclass(frozen=True, kw_only=True)
class Past:
    """One evening's decisions, and the evenings there are; `needle` has kept only what matches it."""

    evenings: tuple[PastEvening, ...]  # oldest first
    session: date | None  # None: nothing was ever argued over, or nothing matches
    decisions: tuple[PastDecision, ...]
    needle: str = ""


@dataclass(frozen=True)
class _Row:
    id: UUID
    session: date
    symbol: str
    rank: int
    setup_type: SetupType
    denied_by: str | None
    reasoning: str
    direction: Direction | None
    volatility: Volatility | None
    argument: Mapping[str, object]
    checks: tuple[Mapping[str, Any], ...]
    technicals: Mapping[str, object]
    decided_at: datetime
    approval_id: UUID | None
    position_id: UUID | None
    order_state: OrderState | None
    order_note: str | None


@dataclass(frozen=True)
class _Vote(PastVote):
    deliberation_id: UUID


@dataclass(frozen=True)
class _Verdict(PastVerdict):
    approval_id: UUID


@dataclass(frozen=True)
class _Fill(PastFill):
    position_id: UUID


@dataclass(frozen=True)
class _Outcome(PastOutcome):
    position_id: UUID


def read_past(connection: Connection, session: date | None = None, needle: str = "") -> Past:
    """An evening, of the last without a session; with a needle only what matches it, of any evening."""
    evenings = read_evenings(connection)
    if needle:
        found = [
            decision
            for decision in read_decisions(connection, most=MOST_FILTERED)
            if decision.matches(needle)
        ]
        sessions = {decision.session for decision in found}
        evenings = tuple(evening for evening in evenings if evening.session in sessions)
    there = {evening.session for evening in evenings}
    shown = session if session in there else evenings[-1].session if evenings else None
    if shown is None:
        return Past(evenings=(), session=None, decisions=(), needle=needle)
    decisions = (
        tuple(decision for decision in found if decision.session == shown)
        if needle
        else read_decisions(connection, session=shown)
    )
    return Past(evenings=evenings, session=shown, decisions=decisions, needle=needle)


def read_evenings(connection: Connection, symbol: str | None = None) -> tuple[PastEvening, ...]:
    """The last evenings something was argued over, of one symbol or all; oldest first."""
    return fetch_all(connection, PastEvening, _EVENINGS, {"symbol": symbol, "most": EVENINGS_SHOWN})[::-1]


def read_decisions(
    connection: Connection, *, session: date | None = None, symbol: str | None = None, most: int = 200
) -> tuple[PastDecision, ...]:
    """What was decided, latest evening first and there best rank first."""
    rows = fetch_all(connection, _Row, _DECISIONS, {"session": session, "symbol": symbol, "most": most})
    approvals = [row.approval_id for row in rows if row.approval_id is not None]
    positions = [row.position_id for row in rows if row.position_id is not None]
    votes = fetch_all(connection, _Vote, _VOTES, [[row.id for row in rows]])
    proposals = {found.id: found for found in fetch_all(connection, PastProposal, _PROPOSALS, [approvals])}
    verdicts = fetch_all(connection, _Verdict, _VERDICTS, [approvals])
    fills = {row.position_id: row for row in fetch_all(connection, _Fill, _FILLS, [positions])}
    outcomes = {row.position_id: row for row in fetch_all(connection, _Outcome, _OUTCOMES, [positions])}
    notes = read_notes(connection, positions)
    return tuple(
        PastDecision(
            id=row.id,
            session=row.session,
            symbol=row.symbol,
            rank=row.rank,
            setup_type=row.setup_type,
            denied_by=row.denied_by,
            reasoning=row.reasoning,
            direction=row.direction,
            volatility=row.volatility,
            consensus=consensus_of(row.argument),
            contradictions=_texts(row.argument.get("contradictions")),
            checks=tuple(LimitCheck(**check) for check in row.checks),
            votes=tuple(vote for vote in votes if vote.deliberation_id == row.id),
            technicals=row.technicals,
            proposal=proposals.get(row.approval_id) if row.approval_id else None,
            verdicts=tuple(said for said in verdicts if said.approval_id == row.approval_id),
            order=row.order_state,
            order_note=row.order_note or "",
            fill=fills.get(row.position_id) if row.position_id else None,
            outcome=outcomes.get(row.position_id) if row.position_id else None,
            position_id=row.position_id,
            notes=tuple(note for note in notes if note.position_id == row.position_id),
            decided_at=row.decided_at,
        )
        for row in rows
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else ()


_EVENINGS = """
    select d.session, count(*)::int as argued, count(a.id)::int as proposed,
           count(*) filter (where a.state = 'approved')::int as approved,
           count(p.id)::int as filled, sum(t.r_multiple) as r
      from deliberations d
      left join approvals a on a.deliberation_id = d.id
      left join positions p on p.approval_id = a.id
      left join trade_outcomes t on t.position_id = p.id
     where %(symbol)s::text is null or d.symbol = %(symbol)s
     group by d.session order by d.session desc limit %(most)s
"""
_DECISIONS = """
    select d.id, d.session, d.symbol, d.rank, d.setup_type, d.denied_by, d.reasoning,
           r.direction, r.volatility, to_jsonb(d) - 'checks' - 'technical_snapshot' as argument, d.checks,
           d.technical_snapshot as technicals, d.created_at as decided_at,
           a.id as approval_id, p.id as position_id, o.state as order_state, o.note as order_note
      from deliberations d
      left join regime_readings r on r.session = d.session
      left join approvals a on a.deliberation_id = d.id
      left join orders o on o.approval_id = a.id
      left join positions p on p.approval_id = a.id
     where (%(session)s::date is null or d.session = %(session)s)
       and (%(symbol)s::text is null or d.symbol = %(symbol)s)
     order by d.session desc, d.rank, d.symbol limit %(most)s
"""
_VOTES = """
    select deliberation_id, agent_name as agent, stance, conviction, source, reason, veto_only, flags,
           interaction_id
      from votes where deliberation_id = any(%s)
     order by veto_only, array_position(array['research', 'news', 'strategy', 'risk'], agent_name::text)
"""
_PROPOSALS = """
    select id, short_id, state, entry_session, min_entry, max_entry, stop, target, max_shares, max_risk,
           max_hold, risky_reasons, parameters_version
      from approvals where id = any(%s)
"""
_VERDICTS = """
    select approval_id, verb, given_by, given_from, reason, given_at
      from verdicts where approval_id = any(%s) order by given_at, id
"""
_FILLS = """
    select position_id, session, shares, price, fee from fills where side = 'buy' and position_id = any(%s)
"""
_OUTCOMES = """
    select t.position_id, p.closed_session as exit_session, t.exit_reason, t.pnl, t.r_multiple
      from trade_outcomes t join positions p on p.id = t.position_id where t.position_id = any(%s)
"""
