"""The ledger of model calls in PostgreSQL: nothing is spent that was not counted first.

Whoever reserves locks the one row of `spend_limits`, so the sum a cap is held against cannot change under it,
whichever process asks. A row counts its worst case from the moment it is committed; a process that dies
leaves it so. Raises sqlalchemy.exc.DBAPIError where the database is away: what was counted stays counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, exists, func, or_, select, update
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
BATCH_ABANDONED_AFTER = timedelta(days=28)  # the server keeps a batch's results a day longer
STALE_ANSWER_AFTER = timedelta(hours=24)  # work that is asked for again so late wants a new answer

_OPEN = (CallState.RESERVED.value, CallState.UNCERTAIN.value)


async def put_into_force(database: AsyncSession, limits: SpendLimits) -> None:
    """The limits every process of the desk keeps to from now on, in the caller's transaction."""
    values = {**asdict(limits), "updated_at": func.clock_timestamp()}
    row = insert(SpendLimit).values(id=1, **values)
    await database.execute(row.on_conflict_do_update(index_elements=["id"], set_=values))
    await announce(await database.connection(), Topic.DESK)


class CallNotOpen(Exception):
    """A call was to be settled that was settled or released before, or never reserved."""


class PostgresSpendLedger:
    """`limits` are put into force where the database has none; the leader's are by `put_into_force`."""

    def __init__(self, engine: AsyncEngine, limits: SpendLimits) -> None:
        self._engine = engine
        self._limits = limits

    async def standing(self) -> Standing:
        """The budget as it stands now."""
        async with AsyncSession(self._engine) as database:
            found = (await database.execute(_limits_and_now())).one_or_none()
            if found is None:
                at: datetime = (await database.execute(select(func.clock_timestamp()))).scalar_one()
                limits, equity = self._limits, None
            else:
                row, at, equity = found
                limits = _stored(row)
            spent = LlmInteraction.state.in_([CallState.SETTLED.value, CallState.UNCERTAIN.value])
            month, today = _since(month_start(at), spent), _since(day_start(at), spent)
            sums = (await database.execute(select(today, month))).one()
        return Standing(at=at, caps=limits.caps(equity), today_usd=sums[0], month_usd=sums[1])

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
            row, now, equity = await self._locked(database)
            found = await _looked_at(database, call, now)
            if found.abandoned:
                await _mark_abandoned(database, now)
            if found.parked_until is not None:
                raise Parked(found.parked_because, found.parked_until)
            _check_caps(call, _stored(row).caps(equity), found, now)
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

    async def _locked(self, database: AsyncSession) -> tuple[SpendLimit, datetime, Decimal | None]:
        """The limits in force, locked until the transaction's end, the instant, and the equity."""
        locking = _limits_and_now().with_for_update(of=SpendLimit)
        found = (await database.execute(locking)).one_or_none()
        if found is None:
            first = insert(SpendLimit).values(id=1, updated_at=func.clock_timestamp(), **asdict(self._limits))
            await database.execute(first.on_conflict_do_nothing())
            found = (await database.execute(locking)).one()
        return found[0], found[1], found[2]


@dataclass(frozen=True)
class _Found:
    """What a reservation is held against, dollars of all states."""

    month: Decimal
    today: Decimal
    own: Decimal  # the agent's, today
    abandoned: bool
    parked_until: datetime | None
    parked_because: str


def _limits_and_now() -> Select[SpendLimit, datetime, Decimal | None]:
    """The limits in force, the database's clock, and the equity last marked, else that of the beginning."""
    last = select(Equity.equity).order_by(Equity.session.desc()).limit(1).scalar_subquery()
    start = select(DeskRow.start_equity).scalar_subquery()
    return select(SpendLimit, func.clock_timestamp(), func.coalesce(last, start)).where(SpendLimit.id == 1)


def _since(moment: datetime, *which: ColumnElement[bool]) -> ScalarSelect[Decimal]:
    """What the rows since an instant count for."""
    total = func.coalesce(func.sum(LlmInteraction.cost_usd), Decimal(0))
    return select(total).where(LlmInteraction.created_at >= moment, *which).scalar_subquery()


async def _looked_at(database: AsyncSession, call: PlannedCall, now: datetime) -> _Found:
    parked = (
        select(LlmInteraction.parked_until, LlmInteraction.error_message)
        .where(
            LlmInteraction.parked_until > now,
            LlmInteraction.key_fingerprint == call.key_fingerprint,
            LlmInteraction.provider == call.provider,
            or_(LlmInteraction.park_scope == ParkScope.KEY, LlmInteraction.model == call.model),
        )
        .order_by(LlmInteraction.parked_until.desc())
        .limit(1)
        .subquery()
    )
    found = await database.execute(
        select(
            _since(month_start(now)),
            _since(day_start(now)),
            _since(day_start(now), LlmInteraction.agent_name == call.agent),
            select(exists().where(_abandoned(now))).scalar_subquery(),
            select(parked.c.parked_until).scalar_subquery(),
            func.coalesce(select(parked.c.error_message).scalar_subquery(), ""),
        )
    )
    return _Found(*found.one())


def _abandoned(now: datetime) -> ColumnElement[bool]:
    """Open calls that nobody can come back for any more."""
    return and_(
        LlmInteraction.state == CallState.RESERVED.value,
        or_(
            and_(~LlmInteraction.batched, LlmInteraction.created_at < now - ABANDONED_AFTER),
            LlmInteraction.created_at < now - BATCH_ABANDONED_AFTER,
        ),
    )


async def _mark_abandoned(database: AsyncSession, now: datetime) -> None:
    """Calls whose process has died count on, and say so."""
    await database.execute(
        update(LlmInteraction)
        .where(_abandoned(now))
        .values(
            state=CallState.UNCERTAIN.value,
            success=False,
            error_message="nobody came back to say what it cost",
        )
        .execution_options(synchronize_session=False)
    )


def _check_caps(call: PlannedCall, caps: Caps, found: _Found, now: datetime) -> None:
    for cap, most, counted, until in (
        (Cap.CALL, caps.call_usd, Decimal(0), None),
        (Cap.MONTH, caps.month_usd, found.month, month_end(now)),
        (Cap.DAY, caps.day_usd, found.today, day_end(now)),
        (Cap.AGENT, caps.agent_day_usd, found.own, day_end(now)),
    ):
        if counted + call.worst_usd > most:
            of = f"{call.agent}'s day" if cap is Cap.AGENT else f"the {cap}"
            raise SpendRefused(
                f"may cost ${call.worst_usd:.4f}, {of} has ${max(most - counted, Decimal(0)):.4f} "
                f"left of ${most:.2f}",
                cap=cap,
                until=until,
            )


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
