"""Asking the vendor: counted before it is sent, evenly paced, tried again only where that helps."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self

from pydantic import SecretStr

from agents.market.fmp.answers import Refusal, read_answer
from agents.market.fmp.config import FMPConfig
from agents.market.fmp.errors import FmpError
from agents.market.fmp.queries import Query, RowT
from agents.market.fmp.wire import Wire
from agents.market.web import AnswerTooLong, NoAnswer
from storage.calls import CallEnd, CallFault, CallLedger, Priority, VendorCall

MOST_RETRIES = 2
FIRST_PAUSE_S = 1.0  # doubled at each retry, and half of it again at random

Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What a call is made for. Who says nothing goes last."""

    priority: Priority = Priority.DISCOVERY
    job: str = "unnamed"


UNSAID = Errand()


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[RowT]):
    """A good answer: its rows, and the same as the JSON values the cache keeps."""

    query: Query[RowT]  # as it was answered: its limit may have been lowered
    rows: tuple[RowT, ...]
    body: list[object]


class Caller:
    """Puts questions to the vendor. Close it, or use it as an async context.

    Raises FmpError for what the vendor refuses or garbles, and what the ledger raises when it lets a call
    not be made: QuotaRefused and NotEntitled.
    """

    def __init__(
        self, config: FMPConfig, key: SecretStr, ledger: CallLedger, *, pause: Pause = asyncio.sleep
    ) -> None:
        self._wire = Wire(config, key)
        self._ledger = ledger
        self._pause = pause
        self._in_flight = asyncio.Semaphore(config.concurrent)
        self._turn = asyncio.Lock()
        self._apart_s = 1 / config.per_second
        self._next_start = 0.0
        self._settling: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, once every call that was made is settled."""
        while self._settling:
            await asyncio.wait(self._settling)
        await self._wire.aclose()

    async def ask(
        self, query: Query[RowT], errand: Errand = UNSAID, *, retries: int = MOST_RETRIES
    ) -> Answer[RowT]:
        """One question, asked again only where that helps: when nothing usable came, at most `retries` times,
        and once with a lower limit when the plan gives fewer rows. Each attempt is a call of its own."""
        tried = 0
        while True:
            try:
                return await self._attempt(query, errand)
            except FmpError as refused:
                lower = query.clamped()
                if refused.parameter == "limit" and retries and lower != query:
                    query = lower
                    continue
                if refused.fault is not CallFault.UNAVAILABLE or tried >= retries:
                    raise
            await self._pause(FIRST_PAUSE_S * 2**tried * random.uniform(1, 1.5))
            tried += 1

    async def _attempt(self, query: Query[RowT], errand: Errand) -> Answer[RowT]:
        async with self._in_flight:
            await self._wait_for_turn()
            call = VendorCall(
                endpoint=query.endpoint, symbol=query.symbol, priority=errand.priority, job=errand.job
            )
            ticket = await self._ledger.admit(call)
            trip = _Trip()
            try:
                return await self._exchange(query, trip)
            except FmpError as refused:
                trip.fault, trip.note = refused.fault, refused.note
                raise
            finally:
                # Shielded: a call that was made is written down also when its asker is cancelled meanwhile.
                settling = asyncio.ensure_future(self._ledger.settle(ticket, trip.end()))
                self._settling.add(settling)
                settling.add_done_callback(self._settling.discard)
                await asyncio.shield(settling)

    async def _exchange(self, query: Query[RowT], trip: _Trip) -> Answer[RowT]:
        try:
            received = await self._wire.get(query.endpoint, query.sent)
        except NoAnswer as nothing:
            trip.wire_bytes = nothing.wire_bytes
            fault = CallFault.GARBLED if isinstance(nothing, AnswerTooLong) else CallFault.UNAVAILABLE
            raise FmpError(fault, query.asked, note=str(nothing)) from None
        trip.status, trip.wire_bytes = received.status, received.wire_bytes
        read = read_answer(received.status, received.body, of_symbol=query.symbol is not None)
        if isinstance(read, Refusal):
            raise FmpError(
                read.fault, query.asked, status=received.status, note=read.note, parameter=read.parameter
            )
        rows = query.rows(read)
        trip.fault = None
        return Answer(query=query, rows=rows, body=read)

    async def _wait_for_turn(self) -> None:
        """Calls begin one after the other, evenly apart."""
        async with self._turn:
            now = time.monotonic()
            if self._next_start > now:
                await self._pause(self._next_start - now)
            self._next_start = max(now, self._next_start) + self._apart_s


class _Trip:
    """How one attempt fares. Until its answer is found good it counts as broken off."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.fault: CallFault | None = CallFault.UNAVAILABLE
        self.wire_bytes = 0
        self.note = "broken off by the desk"
        self._began = time.perf_counter()

    def end(self) -> CallEnd:
        return CallEnd(
            status=self.status,
            fault=self.fault,
            received_bytes=self.wire_bytes,
            latency_ms=(time.perf_counter() - self._began) * 1000,
            note="" if self.fault is None else self.note,
        )
