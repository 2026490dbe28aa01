"""The nights of the learning loop: stages that are done, variants that were tried, alarms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import func, select

from storage.learning_records import AdjustmentKind, AdjustmentStatus, LoopStage
from storage.memory.part import Part
from storage.models import (
    Deliberation,
    LlmInteraction,
    LoopStageRow,
    Operation,
    Position,
    StrategyAdjustment,
    TradeOutcome,
    TrialRow,
)
from storage.models.base import Json
from storage.records import (
    OperationKind,
    PositionState,
    uuid7,
)

THE_LOOP = "the learning loop"
NEW_EVIDENCE = 30  # trades closed since, before what was turned down may be proposed again
ON_ITS_WAY = (
    AdjustmentStatus.PROPOSED,
    AdjustmentStatus.APPROVED,
    AdjustmentStatus.SHADOW,
    AdjustmentStatus.PROMOTABLE,
)
TURNED_DOWN = (AdjustmentStatus.REJECTED, AdjustmentStatus.ROLLED_BACK, AdjustmentStatus.EXPIRED)


@dataclass(frozen=True, kw_only=True)
class TurnedDown:
    """A change that was not wanted: of a parameter by its name, or of the words of an agent."""

    name: str
    old_value: str
    new_value: str


@dataclass(frozen=True, kw_only=True)
class StageDone:
    """What a stage made of what it read; `result` is for the stages after it."""

    rows_in: int
    rows_out: int
    note: str
    result: Json


@dataclass(frozen=True, kw_only=True)
class TriedVariant:
    """One variant that was run; `proposed_by` is "search" or "model"."""

    parameter: str
    family: str
    old_value: str
    new_value: str
    proposed_by: str


@dataclass(frozen=True, kw_only=True)
class OutcomeCounts:
    """Outcomes of trades: known, still to come, and to come of what has no bar any more."""

    resolved: int
    pending: int
    blocked: int


class NightMemory(Part):
    async def stage_done(self, session: date, stage: LoopStage) -> StageDone | None:
        """What the stage of a night came to; None when it has not been done."""
        rows = await self._session.scalars(
            select(LoopStageRow).where(LoopStageRow.session == session, LoopStageRow.stage == stage)
        )
        row = rows.one_or_none()
        if row is None:
            return None
        return StageDone(rows_in=row.rows_in, rows_out=row.rows_out, note=row.note, result=row.result)

    async def rows_in_before(self, session: date, stage: LoopStage) -> int | None:
        """What the stage had read on the last night before; None on the first."""
        return await self._session.scalar(
            select(LoopStageRow.rows_in)
            .where(LoopStageRow.session < session, LoopStageRow.stage == stage)
            .order_by(LoopStageRow.session.desc())
            .limit(1)
        )

    async def record_stage(
        self, session: date, stage: LoopStage, done: StageDone, *, started: datetime, finished: datetime
    ) -> None:
        """Write a stage down in the transaction that did it. IntegrityError where it was done already."""
        self._session.add(
            LoopStageRow(
                session=session,
                stage=stage,
                rows_in=done.rows_in,
                rows_out=done.rows_out,
                note=done.note,
                result=done.result,
                started_at=started,
                finished_at=finished,
            )
        )
        await self._session.flush()

    async def trials_ever(self) -> int:
        """N: every variant that was ever run, reruns counted."""
        return await self._session.scalar(select(func.count()).select_from(TrialRow)) or 0

    async def register_trials(
        self, session: date, variants: Iterable[TriedVariant], *, now: datetime
    ) -> None:
        """Count variants; a row can never be taken back."""
        self._session.add_all(
            TrialRow(
                session=session,
                parameter_name=one.parameter,
                family=one.family,
                old_value=one.old_value,
                new_value=one.new_value,
                proposed_by=one.proposed_by,
                created_at=now,
            )
            for one in variants
        )

    async def families_in_flight(self) -> frozenset[str]:
        """Families with a change that waits for a verdict or is on trial."""
        rows = await self._session.scalars(
            select(StrategyAdjustment.family).where(StrategyAdjustment.status.in_(ON_ITS_WAY))
        )
        return frozenset(rows)

    async def turned_down(self, kind: AdjustmentKind) -> Sequence[TurnedDown]:
        """What a human or the shadow turned down, with too few trades closed since."""
        since = (
            select(func.count())
            .select_from(TradeOutcome)
            .join(Position, Position.id == TradeOutcome.position_id)
            .where(Position.closed_session > StrategyAdjustment.turned_down_session)
            .scalar_subquery()
        )
        rows = await self._session.execute(
            select(
                StrategyAdjustment.parameter_name, StrategyAdjustment.old_value, StrategyAdjustment.new_value
            ).where(
                StrategyAdjustment.kind == kind,
                StrategyAdjustment.status.in_(TURNED_DOWN),
                StrategyAdjustment.turned_down_session.is_not(None),
                since < NEW_EVIDENCE,
            )
        )
        return [TurnedDown(name=row[0], old_value=row[1], new_value=row[2]) for row in rows]

    async def outcome_counts(self, session: date) -> OutcomeCounts:
        """How many trades have come to their end, and of how many it is still to come."""
        resolved = await self._session.scalar(select(func.count()).select_from(TradeOutcome))
        rows = await self._session.execute(
            select(func.count(), func.count().filter(Position.last_session < session)).where(
                Position.state == PositionState.OPEN
            )
        )
        pending, blocked = rows.one()
        return OutcomeCounts(resolved=resolved or 0, pending=pending, blocked=blocked)

    async def proposals_and_cost(self) -> tuple[int, Decimal]:
        """How many arguments there were, and what the models asked for them cost in dollars."""
        count = await self._session.scalar(select(func.count()).select_from(Deliberation))
        cost = await self._session.scalar(select(func.sum(LlmInteraction.cost_usd)))
        return count or 0, cost or Decimal(0)

    async def alarm(self, text: str, *, at: datetime) -> None:
        """Tell the operator; `at` is the wall's clock."""
        self._session.add(Operation(id=uuid7(), at=at, kind=OperationKind.LOOP, who=THE_LOOP, text=text))
