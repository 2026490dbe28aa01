"""What was argued over: deliberations and their votes, how agents answered, which arguments have resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, select

from storage.digest import Day, day_of, day_query
from storage.evening import Evening, evening_of, evening_query
from storage.memory.part import Part
from storage.models import Approval, Deliberation, Position, TradeOutcome, Vote
from storage.records import AgentName, Stance


@dataclass(frozen=True, kw_only=True)
class VoteCast:
    """One vote as it was given; conviction 0-1."""

    agent: AgentName
    stance: Stance
    conviction: float | None


@dataclass(frozen=True, kw_only=True)
class ResolvedArgument:
    """A deliberation whose trade has closed: what was known and said then, and whether the trade won."""

    base_rate: float
    pooled: float | None
    votes: tuple[VoteCast, ...]
    won: bool


class ArgumentMemory(Part):
    async def store_deliberations(
        self, deliberations: Sequence[Deliberation], votes: Sequence[Vote], approvals: Sequence[Approval]
    ) -> None:
        """Keep an evening's arguments, their votes and the approvals they led to."""
        self._session.add_all(deliberations)
        await self._session.flush()
        self._session.add_all([*votes, *approvals])

    async def deliberation(self, approval: Approval) -> Deliberation:
        """The argument behind an approval."""
        return await self._session.get_one(Deliberation, approval.deliberation_id)

    async def evening(self, session: date) -> Evening | None:
        """What became of everything one evening looked at; None before its screen has run."""
        connection = await self._session.connection()
        query, parameters = evening_query(session)
        row = (await connection.exec_driver_sql(query, parameters)).one_or_none()
        return None if row is None else evening_of(row.session, row.figures, row.selected, row.argued)

    async def day(self, session: date) -> Day:
        """What a session came to, as its digest tells it."""
        connection = await self._session.connection()
        row = (await connection.exec_driver_sql(*day_query(session))).one()
        return day_of(session, row.day)

    async def answers(self, upto: date, sessions: int) -> dict[AgentName, list[dict[str, int]]]:
        """How often each agent gave each answer on its last evenings, oldest first."""
        evenings = (
            select(Deliberation.session)
            .where(Deliberation.session <= upto)
            .distinct()
            .order_by(Deliberation.session.desc())
            .limit(sessions)
            .subquery()
        )
        rows = await self._session.execute(
            select(Deliberation.session, Vote.agent_name, Vote.stance, func.count())
            .join(Vote, Vote.deliberation_id == Deliberation.id)
            .where(Deliberation.session.in_(select(evenings.c.session)), Vote.veto_only.is_(False))
            .group_by(Deliberation.session, Vote.agent_name, Vote.stance)
            .order_by(Deliberation.session)
        )
        counted: dict[AgentName, dict[date, dict[str, int]]] = {}
        for session, agent, stance, count in rows:
            counted.setdefault(agent, {}).setdefault(session, {})[stance.value] = count
        return {agent: list(by_session.values()) for agent, by_session in counted.items()}

    async def resolved(self, *, before: datetime, most: int) -> Sequence[ResolvedArgument]:
        """The last arguments whose trades had closed before an instant, in the order they closed.

        Those from before the desk kept a base rate are left out.
        """
        found = await self._session.execute(
            select(Deliberation.id, Deliberation.base_rate, Deliberation.pooled, TradeOutcome.pnl)
            .join(Approval, Approval.deliberation_id == Deliberation.id)
            .join(Position, Position.approval_id == Approval.id)
            .join(TradeOutcome, TradeOutcome.position_id == Position.id)
            .where(TradeOutcome.exit_time < before, Deliberation.base_rate.is_not(None))
            .order_by(TradeOutcome.exit_time.desc(), TradeOutcome.symbol.desc())
            .limit(most)
        )
        arguments = found.all()[::-1]
        votes: dict[UUID, list[VoteCast]] = {row.id: [] for row in arguments}
        cast = await self._session.execute(
            select(Vote.deliberation_id, Vote.agent_name, Vote.stance, Vote.conviction)
            .where(Vote.deliberation_id.in_(list(votes)), Vote.veto_only.is_(False))
            .order_by(Vote.agent_name)
        )
        for deliberation_id, agent, stance, conviction in cast:
            votes[deliberation_id].append(VoteCast(agent=agent, stance=stance, conviction=conviction))
        return [
            ResolvedArgument(
                base_rate=row.base_rate, pooled=row.pooled, votes=tuple(votes[row.id]), won=row.pnl > 0
            )
            for row in arguments
        ]
