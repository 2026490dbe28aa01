"""One call, paid for: its worst case is counted, it is made, and what it came to is counted instead.

However it ends, also by cancellation, the row says what it may have cost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from agents.llm.claude import Claude
from agents.llm.outcome import Fault, Reply
from agents.llm.pricing import Prices
from agents.llm.questions import Request
from agents.llm.retries import Again, GiveUp, RetryPolicy
from storage.records import AgentName, uuid7
from storage.spending import CallEnd, Parked, PlannedCall, SpendLedger, SpendRefused

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """Who a call is for, and what for."""

    agent: AgentName
    prompt_id: UUID | None
    idempotency_key: str | None


@dataclass(frozen=True, kw_only=True)
class Paid:
    """A message that came, and its cost."""

    interaction_id: UUID
    reply: Reply
    cost: Decimal


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A call that brought none. `cost` is what it counts for; `next` is what follows."""

    interaction_id: UUID
    fault: Fault
    cost: Decimal
    next: Again | GiveUp
    resumes_at: datetime | None


class Till:
    """`clock` is the wall's; `timer` gives monotonic seconds and measures latency."""

    def __init__(
        self,
        claude: Claude,
        ledger: SpendLedger,
        prices: Prices,
        retries: RetryPolicy,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._claude = claude
        self._ledger = ledger
        self._prices = prices
        self._retries = retries
        self._clock = clock
        self._timer = timer

    def plan(self, purpose: Purpose, request: Request, *, attempt: int, batched: bool = False) -> PlannedCall:
        """The call with its worst case. Raises UnknownPrice."""
        source = self._prices.source(request.model)
        return PlannedCall(
            agent=purpose.agent,
            prompt_id=purpose.prompt_id,
            provider=self._claude.provider.value,
            key_fingerprint=self._claude.key_fingerprint,
            model=request.model,
            attempt=attempt,
            question=request.question,
            idempotency_key=purpose.idempotency_key,
            batched=batched,
            input_context=request.context,
            worst_usd=self._prices.worst(
                request.model,
                input_bytes=request.most_input_tokens,
                max_tokens=request.max_tokens,
                batched=batched,
            ),
            price_source=source.name,
            price_date=source.as_of,
        )

    async def reserve(self, planned: PlannedCall) -> UUID | SpendRefused | Parked:
        """Count the worst case: the call's id, or why it must not be made."""
        interaction_id = uuid7()
        reserving = asyncio.ensure_future(self._ledger.reserve(planned, interaction_id))
        try:
            await asyncio.shield(reserving)
        except (SpendRefused, Parked) as refused:
            return refused
        except asyncio.CancelledError:
            await asyncio.wait({reserving})
            if reserving.exception() is None:
                never_made = CallEnd(error="cancelled before it was made")
                await to_the_end(self._ledger.release(interaction_id, never_made))
            raise
        return interaction_id

    async def reject(self, interaction_id: UUID, why: str) -> None:
        """Write down that an answer which was paid for cannot be used."""
        await to_the_end(self._ledger.reject(interaction_id, why))

    async def call(
        self, purpose: Purpose, request: Request, *, attempt: int, tried: int, left_s: float
    ) -> Paid | Failed | SpendRefused | Parked:
        """Reserve, call, settle. `tried` counts this attempt among those the server failed at.

        Raises UnknownPrice before anything is done.
        """
        planned = self.plan(purpose, request, attempt=attempt)
        reserved = await self.reserve(planned)
        if not isinstance(reserved, UUID):
            return reserved
        began = self._timer()
        try:
            result = await self._claude.send(request.body, timeout_s=left_s)
        except asyncio.CancelledError:
            end = CallEnd(error="cancelled while it was under way", latency_ms=self._since(began))
            await to_the_end(self._ledger.keep(reserved, end))
            raise
        latency_ms = self._since(began)
        if isinstance(result, Fault):
            left_s -= latency_ms / 1000
            return await to_the_end(self._fail(reserved, planned, result, latency_ms, tried, left_s))
        return await to_the_end(self.settle(reserved, planned, result, latency_ms))

    async def settle(
        self, interaction_id: UUID, planned: PlannedCall, reply: Reply, latency_ms: int | None
    ) -> Paid:
        """Count what a message cost."""
        cost = self._prices.cost(planned.model, reply.tokens, batched=planned.batched, us_only=reply.us_only)
        if reply.stop_reason == "refusal" and reply.empty:
            cost = Decimal(0)  # documented: refused before any output is not charged
        end = CallEnd(
            error=None if reply.whole else f"stopped by {reply.stop_reason}",
            latency_ms=latency_ms,
            output_result={"text": reply.text},
            stop_reason=reply.stop_reason,
            request_id=reply.request_id,
        )
        await self._ledger.settle(interaction_id, end, cost=cost, tokens=reply.tokens)
        return Paid(interaction_id=interaction_id, reply=reply, cost=cost)

    async def _fail(
        self,
        interaction_id: UUID,
        planned: PlannedCall,
        fault: Fault,
        latency_ms: int,
        tried: int,
        left_s: float,
    ) -> Failed:
        following = self._retries.after(fault, tried=tried, left_s=left_s)
        resumes_at = None
        if isinstance(following, GiveUp) and following.park_s is not None:
            resumes_at = self._clock() + timedelta(seconds=following.park_s)
        end = CallEnd(
            error=f"{fault.why}: {fault.reason}",
            latency_ms=latency_ms,
            request_id=fault.request_id,
            parked_until=resumes_at,
            park_scope=following.scope if isinstance(following, GiveUp) else None,
        )
        await (self._ledger.keep if fault.billed else self._ledger.release)(interaction_id, end)
        return Failed(
            interaction_id=interaction_id,
            fault=fault,
            cost=planned.worst_usd if fault.billed else Decimal(0),
            next=following,
            resumes_at=resumes_at,
        )

    def _since(self, began: float) -> int:
        return round((self._timer() - began) * 1000)


async def to_the_end(work: Coroutine[None, None, T]) -> T:
    """Await the work; a cancellation is passed on when it is done, not before."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
