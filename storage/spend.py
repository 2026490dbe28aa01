"""The ledger of model calls in PostgreSQL: nothing is spent that was not counted first.

Whoever reserves locks the one row of `spend_limits`, so the sum a cap is held against cannot change under it,
whichever process asks. A row counts its worst case from the moment it is committed; a process that dies
leaves it so. Raises sqlalchemy.exc.DBAPIError where the database is away: what was counted stays counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage.events import Topic, announce
from storage.models import DeskRow, Equity, LlmInteraction, SpendLimit
from storage.records import AgentName
from storage.spending import (
    CallEnd,
    CallState,
    Cap,
    Caps,
    Parked,
    ParkScope,
    PlannedCall,
    RecordedAnswer,
    SpendLimits,
    SpendRefused,
    Standing,
    TokenCount,
    day_end,
    day_start,
    month_end,
    month_start,
)

ABANDONED_AFTER = timedelta(hours=1)  # longer than any call may take
BATCH_ABANDONED_AFTER = timedelta(hours=36)  # a batch expires after 24
STALE_ANSWER_AFTER = timedelta(hours=24)  # work that is asked for again so late wants a new answer

_OPEN = (CallState.RESERVED.value, CallState.UNCERTAIN.value)


class CallNotOpen(Exception):
    """A call was to be settled that was settled or released before, or never reserved."""


class PostgresSpendLedger:
    """`limits` are put into force where the database has none; `adopt` replaces those it has."""

    def __init__(self, engine: AsyncEngine, limits: SpendLimits) -> None:
        self._engine = engine
        self._limits = limits

    async def adopt(self) -> None:
        """Put these limits into force for every process of the desk; the leader's to call."""
        values = {**asdict(self._limits), "updated_at": func.clock_timestamp()}
        async with AsyncSession(self._engine) as database, database.begin():
            await database.execute(
                insert(SpendLimit)
                .values(id=1, **values)
                .on_conflict_do_update(index_elements=["id"], set_=values)
            )
            await announce(await database.connection(), Topic.DESK)

    async def standing(self) -> Standing:
        """The budget as it stands now."""
        async with AsyncSession(self._engine) as database:
            row = await database.get(SpendLimit, 1)
            caps = (_stored(row) if row else self._limits).caps(await _equity(database))
            at = await _now(database)
            spent = LlmInteraction.state.in_([CallState.SETTLED.value, CallState.UNCERTAIN.value])
            today, month = await _sums(database, at, spent)
        return Standing(at=at, caps=caps, today_usd=today, month_usd=month)

    async def recorded(self, agent: AgentName, idempotency_key: str, question: str) -> RecordedAnswer | None:
        """The latest usable answer of the last day to this question for this work."""
        async with AsyncSession(self._engine) as database:
            rows = await database.scalars(
                select(LlmInteraction)
                .where(
                    LlmInteraction.idempotency_key == idempotency_key,
                    LlmInteraction.question == question,
                    LlmInteraction.agent_name == agent,
                    LlmInteraction.success.is_(True),
                    LlmInteraction.output_result.is_not(None),
                    LlmInteraction.created_at > func.clock_timestamp() - STALE_ANSWER_AFTER,
                )
                .order_by(LlmInteraction.created_at.desc())
                .limit(1)
            )
            row = rows.one_or_none()
        if row is None or row.output_result is None:
            return None
        return RecordedAnswer(interaction_id=row.id, model=row.model, output_result=row.output_result)

    async def reserve(self, call: PlannedCall, interaction_id: UUID) -> None:
        """Count the worst case of a call, committed before this returns. Raises SpendRefused, Parked."""
        async with AsyncSession(self._engine) as database, database.begin():
            limits = await self._locked_limits(database)
            now = await _now(database)
            await _mark_abandoned(database, now)
            await _check_parked(database, call, now)
            caps = limits.caps(await _equity(database))
            await _check_caps(database, call, caps, now)
            database.add(_row(call, interaction_id, now))

    async def settle(self, interaction_id: UUID, end: CallEnd, *, cost: Decimal, tokens: TokenCount) -> None:
        """Count what a call cost. Raises CallNotOpen."""
        await self._end(
            interaction_id,
            end,
            state=CallState.SETTLED.value,
            cost_usd=cost,
            over_reported=LlmInteraction.reserved_usd < cost,
            tokens_used=tokens.total,
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cache_write_tokens=tokens.cache_write_5m + tokens.cache_write_1h,
            cache_read_tokens=tokens.cache_read,
            thinking_tokens=tokens.thinking,
        )

    async def reject(self, interaction_id: UUID, why: str) -> None:
        """Say that a settled call brought no usable answer; its cost stays."""
        async with AsyncSession(self._engine) as database, database.begin():
            await database.execute(
                update(LlmInteraction)
                .where(LlmInteraction.id == interaction_id)
                .values(success=False, error_message=why)
            )

    async def release(self, interaction_id: UUID, end: CallEnd) -> None:
        """Count nothing for a call that was surely not billed. Raises CallNotOpen."""
        await self._end(interaction_id, end, state=CallState.RELEASED.value, cost_usd=Decimal(0))

    async def keep(self, interaction_id: UUID, end: CallEnd) -> None:
        """Count the worst case for good: nobody said what the call cost. Raises CallNotOpen."""
        await self._end(interaction_id, end, state=CallState.UNCERTAIN.value)

    async def name_batch(self, interaction_ids: Sequence[UUID], batch_id: str) -> None:
        """Write down which batch of the server holds these calls."""
        async with AsyncSession(self._engine) as database, database.begin():
            await database.execute(
                update(LlmInteraction).where(LlmInteraction.id.in_(interaction_ids)).values(batch_id=batch_id)
            )

    async def open_batches(self) -> tuple[frozenset[str], frozenset[UUID]]:
        """The batches with calls that have not ended, and such calls whose batch is not known."""
        async with AsyncSession(self._engine) as database:
            rows = await database.execute(
                select(LlmInteraction.id, LlmInteraction.batch_id).where(
                    LlmInteraction.batched, LlmInteraction.state == CallState.RESERVED.value
                )
            )
            found = [(row[0], row[1]) for row in rows]
        named = frozenset(batch for _, batch in found if batch is not None)
        return named, frozenset(interaction for interaction, batch in found if batch is None)

    async def calls_of_batch(self, batch_id: str) -> dict[UUID, PlannedCall]:
        """The calls of a batch that have not ended."""
        async with AsyncSession(self._engine) as database:
            rows = await database.scalars(
                select(LlmInteraction).where(
                    LlmInteraction.batch_id == batch_id, LlmInteraction.state == CallState.RESERVED.value
                )
            )
            return {row.id: _planned(row) for row in rows}

    async def _end(self, interaction_id: UUID, end: CallEnd, **values: object) -> None:
        async with AsyncSession(self._engine) as database, database.begin():
            ended = await database.execute(
                update(LlmInteraction)
                .where(LlmInteraction.id == interaction_id, LlmInteraction.state.in_(_OPEN))
                .values(
                    success=end.error is None,
                    error_message=end.error,
                    latency_ms=end.latency_ms,
                    output_result=None if end.output_result is None else dict(end.output_result),
                    stop_reason=end.stop_reason,
                    request_id=end.request_id,
                    parked_until=end.parked_until,
                    park_scope=end.park_scope,
                    **values,
                )
                .returning(LlmInteraction.id)
                .execution_options(synchronize_session=False)
            )
            if ended.one_or_none() is None:
                raise CallNotOpen(f"call {interaction_id} is not open")
            await announce(await database.connection(), Topic.DESK)

    async def _locked_limits(self, database: AsyncSession) -> SpendLimits:
        await database.execute(
            insert(SpendLimit)
            .values(id=1, updated_at=func.clock_timestamp(), **asdict(self._limits))
            .on_conflict_do_nothing()
        )
        row = await database.get_one(SpendLimit, 1, with_for_update=True)
        return _stored(row)


def _stored(row: SpendLimit) -> SpendLimits:
    return SpendLimits(
        call_usd=row.call_usd,
        agent_day_usd=row.agent_day_usd,
        day_usd=row.day_usd,
        month_usd=row.month_usd,
        equity_share_year=row.equity_share_year,
    )


def _row(call: PlannedCall, interaction_id: UUID, now: datetime) -> LlmInteraction:
    return LlmInteraction(
        id=interaction_id,
        agent_name=call.agent,
        prompt_id=call.prompt_id,
        input_context=dict(call.input_context),
        model=call.model,
        tokens_used=0,
        input_tokens=0,
        output_tokens=0,
        cache_write_tokens=0,
        cache_read_tokens=0,
        thinking_tokens=0,
        cost_usd=call.worst_usd,
        reserved_usd=call.worst_usd,
        state=CallState.RESERVED.value,
        price_source=call.price_source,
        price_date=call.price_date,
        provider=call.provider,
        key_fingerprint=call.key_fingerprint,
        attempt=call.attempt,
        question=call.question,
        idempotency_key=call.idempotency_key,
        batched=call.batched,
        created_at=now,
    )


def _planned(row: LlmInteraction) -> PlannedCall:
    return PlannedCall(
        agent=row.agent_name,
        prompt_id=row.prompt_id,
        provider=row.provider,
        key_fingerprint=row.key_fingerprint,
        model=row.model,
        attempt=row.attempt,
        question=row.question,
        idempotency_key=row.idempotency_key,
        batched=row.batched,
        input_context=row.input_context,
        worst_usd=row.reserved_usd,
        price_source=row.price_source,
        price_date=row.price_date,
    )


async def _now(database: AsyncSession) -> datetime:
    now: datetime = (await database.execute(select(func.clock_timestamp()))).scalar_one()
    return now


async def _equity(database: AsyncSession) -> Decimal | None:
    """The equity last marked, else what the desk began with."""
    last = select(Equity.equity).order_by(Equity.session.desc()).limit(1).scalar_subquery()
    start = select(DeskRow.start_equity).scalar_subquery()
    return (await database.execute(select(func.coalesce(last, start)))).scalar_one()


async def _sums(
    database: AsyncSession, now: datetime, *which: ColumnElement[bool]
) -> tuple[Decimal, Decimal]:
    """What the rows of today and of this month count for."""
    cost = func.sum(LlmInteraction.cost_usd)
    row = (
        await database.execute(
            select(
                func.coalesce(cost.filter(LlmInteraction.created_at >= day_start(now)), 0),
                func.coalesce(cost, 0),
            ).where(LlmInteraction.created_at >= month_start(now), *which)
        )
    ).one()
    return Decimal(row[0]), Decimal(row[1])


async def _check_caps(database: AsyncSession, call: PlannedCall, caps: Caps, now: datetime) -> None:
    today, month = await _sums(database, now)
    own, _ = await _sums(database, now, LlmInteraction.agent_name == call.agent)
    for cap, most, counted, until in (
        (Cap.CALL, caps.call_usd, Decimal(0), None),
        (Cap.MONTH, caps.month_usd, month, month_end(now)),
        (Cap.DAY, caps.day_usd, today, day_end(now)),
        (Cap.AGENT, caps.agent_day_usd, own, day_end(now)),
    ):
        if counted + call.worst_usd > most:
            of = f"{call.agent}'s day" if cap is Cap.AGENT else f"the {cap}"
            raise SpendRefused(
                f"may cost ${call.worst_usd:.4f}, {of} has ${max(most - counted, Decimal(0)):.4f} "
                f"left of ${most:.2f}",
                cap=cap,
                until=until,
            )


async def _check_parked(database: AsyncSession, call: PlannedCall, now: datetime) -> None:
    found = await database.execute(
        select(LlmInteraction.parked_until, LlmInteraction.error_message)
        .where(
            LlmInteraction.parked_until > now,
            LlmInteraction.key_fingerprint == call.key_fingerprint,
            LlmInteraction.provider == call.provider,
            or_(LlmInteraction.park_scope == ParkScope.KEY, LlmInteraction.model == call.model),
        )
        .order_by(LlmInteraction.parked_until.desc())
        .limit(1)
    )
    row = found.one_or_none()
    if row is not None and row[0] is not None:
        raise Parked(str(row[1]), row[0])


async def _mark_abandoned(database: AsyncSession, now: datetime) -> None:
    """Calls whose process has died count on, and say so."""
    await database.execute(
        update(LlmInteraction)
        .where(
            LlmInteraction.state == CallState.RESERVED.value,
            or_(
                and_(~LlmInteraction.batched, LlmInteraction.created_at < now - ABANDONED_AFTER),
                LlmInteraction.created_at < now - BATCH_ABANDONED_AFTER,
            ),
        )
        .values(
            state=CallState.UNCERTAIN.value,
            success=False,
            error_message="nobody came back to say what it cost",
        )
        .execution_options(synchronize_session=False)
    )
