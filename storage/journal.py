"""The desk's own record of itself: who it is, what has run, which parameters are in force."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.events import Topic, notify
from storage.learning_records import AdjustmentKind, AdjustmentStatus, ExperimentState, VersionSource
from storage.models import DeskRow, Experiment, ParameterVersion, Run, StrategyAdjustment
from storage.models.base import Json
from storage.records import DeskState, RunState, Slot
from storage.versions import LOCK


class Journal:
    """Reads and writes within the transaction of the session it is handed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def desk(self) -> DeskRow | None:
        return await self._session.get(DeskRow, 1)

    def found_desk(self, desk: DeskRow) -> None:
        self._session.add(desk)

    async def done_slots(self) -> frozenset[tuple[date, Slot]]:
        """Every step that ever finished."""
        rows = await self._session.execute(select(Run.session, Run.slot).where(Run.state == RunState.DONE))
        return frozenset((row.session, row.slot) for row in rows)

    async def record_run(self, run: Run, *, seen_at: datetime) -> None:
        """Write a finished step, move the desk's clock to it and announce it, once this transaction commits.

        The unique key refuses a second one.
        """
        self._session.add(run)
        await self._session.flush()
        # In one statement, on the connection itself: a replay does this eight times a session.
        await (await self._session.connection()).execute(
            update(DeskRow)
            .values(desk_time=run.desk_time, host_seen_at=seen_at, state=DeskState.RUNNING)
            .returning(notify(Topic.RUN))
        )

    async def states(self, session: date) -> Mapping[Slot, RunState]:
        """How the slots of a session stand."""
        rows = await self._session.execute(select(Run.slot, Run.state).where(Run.session == session))
        return {row.slot: row.state for row in rows}

    async def tell_time(self, desk_time: datetime, *, seen_at: datetime) -> None:
        """Move the desk's clock."""
        await self._session.execute(update(DeskRow).values(desk_time=desk_time, host_seen_at=seen_at))

    async def beat(self, seen_at: datetime) -> None:
        """Leave a sign of life."""
        await self._session.execute(update(DeskRow).values(host_seen_at=seen_at))

    async def finish(self) -> None:
        await self._session.execute(update(DeskRow).values(state=DeskState.FINISHED))

    async def parameters_in_force(
        self, *, parameters: Json, limits: Json, costs: Json, screen: Json, reason: str, now: datetime
    ) -> int:
        """The version in force once the settings hold these values.

        What the loop put in force wins over settings that are as they were; settings that changed win whole,
        and changes in force until then are rolled back.
        """
        await self._session.execute(select(func.pg_advisory_xact_lock(LOCK)))
        newest = await self._newest(ParameterVersion.version > 0)
        told = await self._newest(ParameterVersion.source == VersionSource.SETTINGS)
        wanted: Mapping[str, Json] = {
            "parameters": parameters,
            "limits": limits,
            "costs": costs,
            "screen": screen,
        }
        if newest and told and all(getattr(told, name) == value for name, value in wanted.items()):
            return newest.version
        version = newest.version + 1 if newest else 1
        self._session.add(
            ParameterVersion(
                version=version, reason=reason, source=VersionSource.SETTINGS, created_at=now, **wanted
            )
        )
        await self._session.flush()
        applied = select(StrategyAdjustment.id).where(
            StrategyAdjustment.status == AdjustmentStatus.APPLIED,
            StrategyAdjustment.kind == AdjustmentKind.PARAMETER,
        )
        await self._session.execute(
            update(Experiment)
            .where(Experiment.adjustment_id.in_(applied), Experiment.state == ExperimentState.RUNNING)
            .values(state=ExperimentState.ROLLED_BACK)
        )
        await self._session.execute(
            update(StrategyAdjustment)
            .where(
                StrategyAdjustment.status == AdjustmentStatus.APPLIED,
                StrategyAdjustment.kind == AdjustmentKind.PARAMETER,
            )
            .values(
                status=AdjustmentStatus.ROLLED_BACK,
                rolled_back_at=func.clock_timestamp(),
                rolled_back_by="the settings",
                rolled_back_because=f"the settings changed: version {version}",
            )
        )
        return version

    async def _newest(self, which: ColumnElement[bool]) -> ParameterVersion | None:
        rows = await self._session.scalars(
            select(ParameterVersion).where(which).order_by(ParameterVersion.version.desc()).limit(1)
        )
        return rows.one_or_none()

    async def newest_parameters(self) -> ParameterVersion:
        """The version in force."""
        return (
            await self._session.scalars(
                select(ParameterVersion).order_by(ParameterVersion.version.desc()).limit(1)
            )
        ).one()

    async def parameters(self, version: int) -> ParameterVersion:
        """The parameters, limits and costs of a version."""
        return await self._session.get_one(ParameterVersion, version)
