"""Changes on trial in the shadow and changes in force: their pairs, their weeks, what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import cast
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from storage.learning_records import AdjustmentKind, AdjustmentStatus, ExperimentState
from storage.memory.part import Part
from storage.models import Experiment, ParameterVersion, ShadowPair, StrategyAdjustment
from storage.models.base import Json, JsonRows
from storage.records import Direction, Operator, uuid7
from storage.versions import AsyncConnection, roll_back_async

WATCHED = (AdjustmentStatus.SHADOW, AdjustmentStatus.PROMOTABLE)


@dataclass(frozen=True, kw_only=True)
class ChangeOnTrial:
    """A change of a parameter in the shadow, with its experiment once that has begun."""

    id: UUID
    short_id: str
    parameter: str
    old_value: str
    new_value: str
    status: AdjustmentStatus
    experiment: UUID | None
    champion_version: int | None
    started: date | None
    scale: float | None
    block_weeks: int | None


@dataclass(frozen=True, kw_only=True)
class PairOnTrial:
    """One opportunity: R of both, 0 for who skipped it, None while its trade is open."""

    session: date
    symbol: str
    direction: Direction
    champion_r: float | None
    challenger_r: float | None
    resolved: date | None


@dataclass(frozen=True, kw_only=True)
class TrialReading:
    """Where a trial stands after its last week; `mean` in R an opportunity, `weeks` as they are kept."""

    weeks: JsonRows
    e_up: float
    e_down: float
    opportunities: int
    mean: float | None
    state: ExperimentState
    note: str


@dataclass(frozen=True, kw_only=True)
class AppliedChange:
    """A change in force since a session; `measure` is what it had come to when it was last looked at."""

    id: UUID
    short_id: str
    parameter: str
    applied: date
    version: int | None
    measure: Json | None


class ExperimentMemory(Part):
    async def on_trial(self) -> Sequence[ChangeOnTrial]:
        """Every change of a parameter in the shadow, or promotable and still watched."""
        rows = await self._session.execute(
            select(StrategyAdjustment, Experiment)
            .outerjoin(Experiment, Experiment.adjustment_id == StrategyAdjustment.id)
            .where(
                StrategyAdjustment.status.in_(WATCHED), StrategyAdjustment.kind == AdjustmentKind.PARAMETER
            )
            .order_by(StrategyAdjustment.created_at, StrategyAdjustment.id)
        )
        return [
            ChangeOnTrial(
                id=change.id,
                short_id=change.short_id,
                parameter=change.parameter_name,
                old_value=change.old_value,
                new_value=change.new_value,
                status=change.status,
                experiment=trial.id if trial else None,
                champion_version=trial.champion_version if trial else None,
                started=trial.started if trial else None,
                scale=trial.scale if trial else None,
                block_weeks=trial.block_weeks if trial else None,
            )
            for change, trial in rows
        ]

    async def begin_trial(
        self, adjustment_id: UUID, *, version: int, started: date, scale: float, block_weeks: int
    ) -> UUID:
        """Freeze what a trial is measured by, before its first week; the experiment's id."""
        own_id = uuid7()
        self._session.add(
            Experiment(
                id=own_id,
                adjustment_id=adjustment_id,
                champion_version=version,
                started=started,
                scale=scale,
                block_weeks=block_weeks,
                weeks=[],
                state=ExperimentState.RUNNING,
                updated=started,
            )
        )
        await self._session.execute(
            update(StrategyAdjustment)
            .where(StrategyAdjustment.id == adjustment_id)
            .values(experiment=str(own_id))
        )
        await self._session.flush()
        return own_id

    async def store_pairs(self, experiment: UUID, pairs: Iterable[PairOnTrial]) -> None:
        """Keep pairs; an open one is filled in, a resolved one is never written again."""
        row = insert(ShadowPair)
        statement = row.on_conflict_do_update(
            index_elements=["experiment_id", "session", "symbol"],
            set_={
                "champion_r": row.excluded.champion_r,
                "challenger_r": row.excluded.challenger_r,
                "resolved": row.excluded.resolved,
            },
            where=ShadowPair.resolved.is_(None),
        )
        values = [{"id": uuid7(), "experiment_id": experiment, **asdict(pair)} for pair in pairs]
        if values:
            await self._session.execute(statement, values)

    async def pairs_of(self, experiment: UUID) -> Sequence[PairOnTrial]:
        rows = await self._session.scalars(
            select(ShadowPair)
            .where(ShadowPair.experiment_id == experiment)
            .order_by(ShadowPair.session, ShadowPair.symbol)
        )
        return [
            PairOnTrial(
                session=row.session,
                symbol=row.symbol,
                direction=row.direction,
                champion_r=row.champion_r,
                challenger_r=row.challenger_r,
                resolved=row.resolved,
            )
            for row in rows
        ]

    async def store_reading(self, experiment: UUID, reading: TrialReading, *, session: date) -> None:
        """Write down where a trial stands."""
        await self._session.execute(
            update(Experiment).where(Experiment.id == experiment).values(**asdict(reading), updated=session)
        )

    async def make_promotable(self, adjustment_id: UUID, *, expires_at: datetime | None) -> None:
        """The shadow was won: a human is asked again."""
        await self._session.execute(
            update(StrategyAdjustment)
            .where(
                StrategyAdjustment.id == adjustment_id, StrategyAdjustment.status == AdjustmentStatus.SHADOW
            )
            .values(status=AdjustmentStatus.PROMOTABLE, route=None, effective_at=None, expires_at=expires_at)
        )

    async def expire(self, adjustment_id: UUID) -> None:
        """The time of a trial is up without a verdict: the champion stays."""
        await self._session.execute(
            update(StrategyAdjustment)
            .where(StrategyAdjustment.id == adjustment_id, StrategyAdjustment.status.in_(WATCHED))
            .values(status=AdjustmentStatus.EXPIRED)
        )

    async def expire_unanswered(self, wall_now: datetime) -> int:
        """Proposals that nobody answered in time; how many."""
        done = await self._session.execute(
            update(StrategyAdjustment)
            .where(
                StrategyAdjustment.status.in_((AdjustmentStatus.PROPOSED, AdjustmentStatus.PROMOTABLE)),
                StrategyAdjustment.expires_at <= wall_now,
            )
            .values(status=AdjustmentStatus.EXPIRED)
            .returning(StrategyAdjustment.id)
        )
        return len(done.all())

    async def roll_back(self, adjustment_id: UUID, *, by: str, reason: str) -> bool:
        """Take a change back in this transaction; False where it is neither in the shadow nor in force."""
        pooled = await (await self._session.connection()).get_raw_connection()
        connection = cast("AsyncConnection", pooled.driver_connection)
        receipt = await roll_back_async(connection, adjustment_id, operator=Operator(name=by), reason=reason)
        return receipt.accepted

    async def in_force(self) -> Sequence[AppliedChange]:
        """The changes that are applied, oldest first."""
        rows = await self._session.scalars(
            select(StrategyAdjustment)
            .where(
                StrategyAdjustment.status == AdjustmentStatus.APPLIED,
                StrategyAdjustment.applied_session.is_not(None),
            )
            .order_by(StrategyAdjustment.applied_session, StrategyAdjustment.id)
        )
        return [
            AppliedChange(
                id=row.id,
                short_id=row.short_id,
                parameter=row.parameter_name,
                applied=row.applied_session,
                version=row.applied_version,
                measure=row.measure,
            )
            for row in rows
            if row.applied_session is not None
        ]

    async def store_detector(self, adjustment_id: UUID, level: float) -> None:
        """Where the watch for getting worse stands, after the change's own measure is final."""
        row = await self._session.get_one(StrategyAdjustment, adjustment_id)
        row.measure = {**(row.measure or {}), "detector": level}

    async def version(self, number: int) -> ParameterVersion:
        """A version of the parameters; NoResultFound for one there is not."""
        return await self._session.get_one(ParameterVersion, number)
