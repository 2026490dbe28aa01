"""What each agent did, session by session: the daily sums, and any figure that is logged for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Date, case, cast, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from storage.memory.part import Part
from storage.models import (
    AgentMeasurement,
    AgentMetric,
    Approval,
    Deliberation,
    LlmInteraction,
    Position,
    RegimeReading,
    TradeOutcome,
    Vote,
)
from storage.records import AgentName, Stance, uuid7


@dataclass(frozen=True, kw_only=True)
class AgentDay:
    """An agent's session: times in milliseconds, rates as fractions, confidence 0-100, dollars."""

    session: date
    tasks: int
    abstained: int
    latency_ms: float | None
    success_rate: float | None
    confidence: float | None
    pnl: Decimal  # of the trades closed this session that it had voted for
    model_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A figure logged for an agent."""

    session: date
    name: str
    value: float


class MetricMemory(Part):
    async def log_metric(
        self, agent: AgentName, name: str, value: float, *, session: date, now: datetime
    ) -> None:
        """Keep a figure of an agent's session; logged again it is replaced."""
        await self.log_metrics({(agent, name): value}, session=session, now=now)

    async def log_metrics(
        self, figures: Mapping[tuple[AgentName, str], float], *, session: date, now: datetime
    ) -> None:
        """Keep figures of agents' sessions, each by agent and name."""
        row = insert(AgentMeasurement)
        statement = row.on_conflict_do_update(
            index_elements=["agent_name", "session", "name"],
            set_={"value": row.excluded.value, "created_at": row.excluded.created_at},
        )
        rows = [
            {
                "id": uuid7(),
                "agent_name": agent,
                "session": session,
                "name": name,
                "value": value,
                "created_at": now,
            }
            for (agent, name), value in figures.items()
        ]
        if rows:
            await (await self._session.connection()).execute(statement, rows)

    async def measurements(self, agent: AgentName, *, most: int) -> Sequence[Measurement]:
        """The figures logged for an agent, latest session first, by name."""
        rows = await self._session.execute(
            select(AgentMeasurement.session, AgentMeasurement.name, AgentMeasurement.value)
            .where(AgentMeasurement.agent_name == agent)
            .order_by(AgentMeasurement.session.desc(), AgentMeasurement.name)
            .limit(most)
        )
        return [Measurement(session=row.session, name=row.name, value=row.value) for row in rows]

    async def agent_days(self, agent: AgentName, *, most: int) -> Sequence[AgentDay]:
        """The daily sums of an agent, latest first."""
        rows = await self._session.scalars(
            select(AgentMetric)
            .where(AgentMetric.agent_name == agent)
            .order_by(AgentMetric.date.desc())
            .limit(most)
        )
        return [
            AgentDay(
                session=row.date,
                tasks=row.tasks_completed,
                abstained=row.abstained,
                latency_ms=row.avg_latency_ms,
                success_rate=row.success_rate,
                confidence=None if row.avg_confidence is None else float(row.avg_confidence),
                pnl=row.impact_on_pnl,
                model_usd=row.cost_usd,
            )
            for row in rows
        ]

    async def store_metrics(self, session: date, *, now: datetime) -> None:
        """Sum up what each agent did this session from its votes and readings.

        An agent's impact on P&L is what the trades closed this session made that it had voted for, also on a
        session on which it had nothing else to do. Its cost is that of its model calls about this session, or
        of this day in New York where a call does not name its session.
        """
        pnl, spent = await self._pnl_by_voter(session), await self._spent(session)
        await self._session.execute(delete(AgentMetric).where(AgentMetric.date == session))
        votes = await self._session.execute(
            select(
                Vote.agent_name,
                func.count(),
                func.count().filter(Vote.stance == Stance.ABSTAIN),
                func.avg(Vote.latency_ms),
                func.avg(Vote.conviction) * 100,
            )
            .join(Deliberation, Deliberation.id == Vote.deliberation_id)
            .where(Deliberation.session == session)
            .group_by(Vote.agent_name)
        )
        readings = await self._session.execute(
            select(
                func.count(),
                func.avg(RegimeReading.latency_ms),
                func.avg(func.abs(RegimeReading.bear_probability - 0.5)) * 200,
            ).where(RegimeReading.session == session)
        )
        tasks = [tuple(row) for row in votes]
        count, latency, confidence = readings.one()
        if count:
            tasks.append((AgentName.REGIME, count, 0, latency, confidence))
        idle = (pnl.keys() | spent.keys()) - {task[0] for task in tasks}
        tasks.extend((agent, 0, 0, None, None) for agent in sorted(idle))
        for agent, total, abstained, latency, confidence in tasks:
            self._session.add(
                AgentMetric(
                    agent_name=agent,
                    date=session,
                    tasks_completed=total - abstained,
                    abstained=abstained,
                    avg_latency_ms=latency,
                    success_rate=(total - abstained) / total if total else None,
                    avg_confidence=None if confidence is None else Decimal(str(confidence)),
                    impact_on_pnl=pnl.get(agent, Decimal(0)),
                    cost_usd=spent.get(agent, Decimal(0)),
                    created_at=now,
                )
            )

    async def _pnl_by_voter(self, closed: date) -> dict[AgentName, Decimal]:
        rows = await self._session.execute(
            select(Vote.agent_name, func.sum(TradeOutcome.pnl))
            .join(Position, Position.id == TradeOutcome.position_id)
            .join(Approval, Approval.id == Position.approval_id)
            .join(Vote, Vote.deliberation_id == Approval.deliberation_id)
            .where(Position.closed_session == closed, Vote.stance == Stance.FOR)
            .group_by(Vote.agent_name)
        )
        return {agent: Decimal(total) for agent, total in rows}

    async def _spent(self, session: date) -> dict[AgentName, Decimal]:
        named = LlmInteraction.input_context["session"].astext
        day = cast(func.timezone("America/New_York", LlmInteraction.created_at), Date)
        rows = await self._session.execute(
            select(LlmInteraction.agent_name, func.sum(LlmInteraction.cost_usd))
            .where(case((named.is_(None), day == session), else_=named == session.isoformat()))
            .group_by(LlmInteraction.agent_name)
        )
        return {agent: Decimal(total) for agent, total in rows}
