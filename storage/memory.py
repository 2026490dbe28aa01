"""AgentMemory: what the agents saw, said and were worth, written once and asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import cast

import psycopg
from sqlalchemy import bindparam, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import (
    AgentMetric,
    Approval,
    Bar,
    Deliberation,
    Instrument,
    Order,
    Position,
    RegimeReading,
    Run,
    ScreenerResult,
    TradeOutcome,
    Vote,
)
from storage.records import (
    AgentName,
    ApprovalState,
    OrderState,
    RunState,
    SetupType,
    Slot,
    Stance,
    ThesisKind,
)


@dataclass(frozen=True, kw_only=True)
class StoredBar:
    """A settled daily bar: prices in dollars (points for an index), None where the source had none."""

    symbol: str
    session: date
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: int | None


@dataclass(frozen=True, kw_only=True)
class StoredThesis:
    """What research said of one symbol; confidence 0-100."""

    symbol: str
    thesis: ThesisKind
    confidence: float
    source: str
    reasoning: str


@dataclass(frozen=True, kw_only=True)
class ArguedRow:
    """One candidate of an evening, and how far it came."""

    symbol: str
    denied_by: str | None
    approval: ApprovalState | None
    order: OrderState | None
    note: str


@dataclass(frozen=True, kw_only=True)
class EveningRows:
    """An evening as its rows tell it; `screened` are the figures of the screen's run."""

    screened: Mapping[str, object]
    selected: tuple[str, ...]
    argued: tuple[ArguedRow, ...]


class AgentMemory:
    """Reads and writes within the transaction of the session it is handed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def store_instruments(self, instruments: Sequence[Instrument]) -> None:
        """Keep the universe; a symbol already known is left as it is."""
        if instruments:
            rows = [
                {
                    "symbol": row.symbol,
                    "name": row.name,
                    "sector": row.sector,
                    "industry": row.industry,
                    "asset_type": row.asset_type,
                }
                for row in instruments
            ]
            await self._session.execute(insert(Instrument).values(rows).on_conflict_do_nothing())

    async def store_bars(self, bars: Sequence[StoredBar]) -> None:
        """COPY settled bars in; psycopg.errors.UniqueViolation when one is there already."""
        pooled = await (await self._session.connection()).get_raw_connection()
        connection = cast("psycopg.AsyncConnection[object]", pooled.driver_connection)
        async with (
            connection.cursor() as cursor,
            cursor.copy("copy bars (symbol, session, open, high, low, close, volume) from stdin") as copy,
        ):
            for bar in bars:
                await copy.write_row(
                    (bar.symbol, bar.session, bar.open, bar.high, bar.low, bar.close, bar.volume)
                )

    async def symbols_with_bar(self, session: date) -> frozenset[str]:
        """The symbols whose bar of a session is stored."""
        return frozenset(await self._session.scalars(select(Bar.symbol).where(Bar.session == session)))

    async def store_regime(self, reading: RegimeReading) -> None:
        self._session.add(reading)

    async def regime(self, session: date) -> RegimeReading | None:
        """The regime as last read at or before a session."""
        rows = await self._session.scalars(
            select(RegimeReading)
            .where(RegimeReading.session <= session)
            .order_by(RegimeReading.session.desc())
            .limit(1)
        )
        return rows.one_or_none()

    def store_screen(self, rows: Sequence[ScreenerResult]) -> None:
        self._session.add_all(rows)

    async def store_deliberations(
        self, deliberations: Sequence[Deliberation], votes: Sequence[Vote], approvals: Sequence[Approval]
    ) -> None:
        """Keep an evening's arguments, their votes and the approvals they led to."""
        self._session.add_all(deliberations)
        await self._session.flush()
        self._session.add_all([*votes, *approvals])

    def store_trade(self, outcome: TradeOutcome) -> None:
        self._session.add(outcome)

    async def deliberation(self, approval: Approval) -> Deliberation:
        """The argument behind an approval."""
        return await self._session.get_one(Deliberation, approval.deliberation_id)

    async def setup_record(self, setup: SetupType, *, before: datetime) -> tuple[int, int]:
        """Trades closed before an instant on a setup: how many, and how many of them won."""
        row = (
            await self._session.execute(
                select(
                    func.count(), func.coalesce(func.sum(case((TradeOutcome.pnl > 0, 1), else_=0)), 0)
                ).where(TradeOutcome.setup_type == setup, TradeOutcome.exit_time < before)
            )
        ).one()
        return int(row[0]), int(row[1])

    async def setup_results(self, *, before: datetime) -> dict[SetupType, list[float]]:
        """The results in R of the trades closed before an instant, by setup, in the order of their exits."""
        rows = await self._session.execute(
            select(TradeOutcome.setup_type, TradeOutcome.r_multiple)
            .where(TradeOutcome.exit_time < before)
            .order_by(TradeOutcome.exit_time, TradeOutcome.symbol)
        )
        results: dict[SetupType, list[float]] = {}
        for setup, r in rows:
            results.setdefault(setup, []).append(r)
        return results

    async def trades_closed_since(self, first: date) -> Sequence[tuple[Position, TradeOutcome]]:
        """Every trade closed from the session `first` on, with its position."""
        rows = await self._session.execute(
            select(Position, TradeOutcome)
            .join(TradeOutcome, TradeOutcome.position_id == Position.id)
            .where(Position.closed_session >= first)
        )
        return [(row[0], row[1]) for row in rows]

    async def store_metrics(self, session: date, *, now: datetime) -> None:
        """Sum up what each agent did this session from its votes and readings.

        An agent's impact on P&L is what the trades closed this session made that it had voted for, also on a
        session on which it had nothing else to do.
        """
        pnl = await self._pnl_by_voter(session)
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
        idle = pnl.keys() - {task[0] for task in tasks}
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
                    cost_usd=Decimal(0),
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

    async def store_theses(self, session: date, theses: Sequence[StoredThesis]) -> None:
        """Add what research said to the symbols' rows of the evening's screen."""
        if theses:
            statement = update(ScreenerResult).where(
                ScreenerResult.session == session, ScreenerResult.symbol == bindparam("of_symbol")
            )
            await (await self._session.connection()).execute(
                statement,
                [
                    {
                        "of_symbol": said.symbol,
                        "thesis": said.thesis,
                        "confidence": Decimal(str(said.confidence)),
                        "source": said.source,
                        "reasoning": said.reasoning,
                    }
                    for said in theses
                ],
            )

    async def evening(self, session: date) -> EveningRows | None:
        """What became of everything one evening looked at; None before its screen has run."""
        screened = (
            await self._session.execute(
                select(Run.result).where(
                    Run.session == session, Run.slot == Slot.SCREEN, Run.state == RunState.DONE
                )
            )
        ).scalar_one_or_none()
        if screened is None:
            return None
        selected = await self._session.scalars(
            select(ScreenerResult.symbol)
            .where(ScreenerResult.session == session, ScreenerResult.selected_for_watchlist)
            .order_by(ScreenerResult.symbol)
        )
        argued = await self._session.execute(
            select(Deliberation.symbol, Deliberation.denied_by, Approval.state, Order.state, Order.note)
            .outerjoin(Approval, Approval.deliberation_id == Deliberation.id)
            .outerjoin(Order, Order.approval_id == Approval.id)
            .where(Deliberation.session == session)
            .order_by(Deliberation.symbol)
        )
        return EveningRows(
            screened=screened,
            selected=tuple(selected),
            argued=tuple(
                ArguedRow(symbol=symbol, denied_by=denied, approval=approval, order=order, note=note or "")
                for symbol, denied, approval, order, note in argued
            ),
        )

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
