"""Changes on trial in the shadow and changes in force: their pairs, their weeks, what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import cast
from uuid import UUID

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from storage.learning_records import AdjustmentKind, AdjustmentStatus, ExperimentState
from storage.memory.part import Part
from storage.models import Experiment, ParameterVersion, ShadowDecision, ShadowPair, StrategyAdjustment
from storage.models.base import Json, JsonRows
from storage.records import Direction, Operator, uuid7
from storage.versions import AsyncConnection, hold_changes, roll_back_async

WATCHED = (AdjustmentStatus.SHADOW, AdjustmentStatus.PROMOTABLE)


@dataclass(frozen=True, kw_only=True)
class ChangeOnTrial:
    """A change in the shadow, or put into force without one, with its experiment once that has begun.

    `parameter` is the agent's name where the change is one of a prompt.
    """

    id: UUID
    short_id: str
    kind: AdjustmentKind
    parameter: str
    old_value: str
    new_value: str
    status: AdjustmentStatus
    experiment: UUID | None
    champion_version: int | None
    started: date | None
    scale: float | None
    block_weeks: int | None
    applied_version: int | None = None

    @property
    def in_shadow(self) -> bool:
        """Whether its trial decides if a human is asked about it."""
        return self.status is AdjustmentStatus.SHADOW


@dataclass(frozen=True, kw_only=True)
class DecisionPair:
    """What a role decided about a symbol, and what it would have by a prompt on trial; dollars for that."""

    session: date
    symbol: str
    champion: str
    challenger: str
    champion_interaction: UUID
    challenger_interaction: UUID
    cost_usd: Decimal
    decided_at: datetime


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
    async def on_trial(self, kind: AdjustmentKind) -> Sequence[ChangeOnTrial]:
        """Every change of a kind that is watched beside a champion.

        Those are what is in the shadow or has won there, and a parameter that was put into force without it,
        until its trial is over.
        """
        at_once = and_(
            StrategyAdjustment.status == AdjustmentStatus.APPLIED,
            StrategyAdjustment.applied_version.is_not(None),
            or_(Experiment.id.is_(None), Experiment.state == ExperimentState.RUNNING),
        )
        rows = await self._session.execute(
            select(StrategyAdjustment, Experiment)
            .outerjoin(Experiment, Experiment.adjustment_id == StrategyAdjustment.id)
            .where(
                or_(StrategyAdjustment.status.in_(WATCHED), at_once),
                StrategyAdjustment.kind == kind,
            )
            .order_by(StrategyAdjustment.created_at, StrategyAdjustment.id)
            .execution_options(populate_existing=True)
        )
        return [
            ChangeOnTrial(
                id=change.id,
                short_id=change.short_id,
                kind=change.kind,
                parameter=change.parameter_name,
                old_value=change.old_value,
                new_value=change.new_value,
                status=change.status,
                experiment=trial.id if trial else None,
                champion_version=trial.champion_version if trial else None,
                started=trial.started if trial else None,
                scale=trial.scale if trial else None,
                block_weeks=trial.block_weeks if trial else None,
                applied_version=change.applied_version,
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

    async def store_decisions(self, experiment: UUID, pairs: Iterable[DecisionPair]) -> None:
        """Keep what a prompt on trial decided; a question that was asked before is not kept twice."""
        values = [
            {
                "id": uuid7(),
                "experiment_id": experiment,
                "champion_interaction_id": pair.champion_interaction,
                "challenger_interaction_id": pair.challenger_interaction,
                "session": pair.session,
                "symbol": pair.symbol,
                "champion": pair.champion,
                "challenger": pair.challenger,
                "cost_usd": pair.cost_usd,
                "decided_at": pair.decided_at,
            }
            for pair in pairs
        ]
        if values:
            await self._session.execute(insert(ShadowDecision).on_conflict_do_nothing(), values)

    async def decisions_of(self, experiment: UUID) -> Sequence[DecisionPair]:
        """What a prompt on trial has decided so far, oldest first."""
        rows = await self._session.scalars(
            select(ShadowDecision)
            .where(ShadowDecision.experiment_id == experiment)
            .order_by(ShadowDecision.session, ShadowDecision.symbol)
        )
        return [
            DecisionPair(
                session=row.session,
                symbol=row.symbol,
                champion=row.champion,
                challenger=row.challenger,
                champion_interaction=row.champion_interaction_id,
                challenger_interaction=row.challenger_interaction_id,
                cost_usd=row.cost_usd,
                decided_at=row.decided_at,
            )
            for row in rows
        ]

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

    async def expire(self, adjustment_id: UUID, *, session: date) -> None:
        """The time of a trial is up without a verdict: the champion stays."""
        await self._session.execute(
            update(StrategyAdjustment)
            .where(StrategyAdjustment.id == adjustment_id, StrategyAdjustment.status.in_(WATCHED))
            .values(status=AdjustmentStatus.EXPIRED, turned_down_session=session)
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

    async def hold_changes(self) -> None:
        """Until this transaction ends no change comes into force and none is taken back but by it."""
        await hold_changes(await self._connection())

    async def roll_back(self, adjustment_id: UUID, *, by: str, reason: str) -> bool:
        """Take a change back in this transaction; False where it is neither in the shadow nor in force."""
        connection = await self._connection()
        receipt = await roll_back_async(connection, adjustment_id, operator=Operator(name=by), reason=reason)
        return receipt.accepted

    async def _connection(self) -> AsyncConnection:
        pooled = await (await self._session.connection()).get_raw_connection()
        return cast("AsyncConnection", pooled.driver_connection)

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
