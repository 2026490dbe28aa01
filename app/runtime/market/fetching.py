"""Asking the vendor for what was planned: in order, a few at a time, and not again soon where it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from agents.market.clock import Clock
from agents.market.fmp.cache import Aged
from agents.market.fmp.caller import Answer, Errand
from agents.market.fmp.errors import FmpError
from agents.market.fmp.keeping import Asker, Refused
from agents.market.fmp.queries import Query, RowT
from agents.market.planner import Ask, PlannedSlot
from storage.calls import CallFault, Priority, QuotaRefused
from storage.plain import shortened
from storage.quota import QuotaLedger, Reservation

AT_A_TIME = 3
AWAY_AFTER = (
    2  # questions in a row without any answer: then the vendor is away, and the rest is not asked either
)
AGAIN_AFTER = timedelta(minutes=14)  # below the quarter of an hour after which a failed run is tried anew
AGAIN_AT_MOST = timedelta(hours=2)
SPOILED = timedelta(minutes=45)  # before an answer that made no sense is asked for again

Fetch = Callable[[Ask, Errand], Awaitable[Aged[object] | None]]
Failures = dict[tuple[str, str], str]  # endpoint and symbol -> why there is nothing new


class NotingAsker:
    """Puts questions to the vendor, and remembers which had no good answer: a value served stale hides it."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._faults: dict[tuple[str, str], CallFault] = {}

    async def ask(self, query: Query[RowT], errand: Errand) -> Answer[RowT]:
        name = (query.endpoint, query.symbol or "")
        self._faults.pop(name, None)
        try:
            return await self._asker.ask(query, errand)
        except FmpError as refused:
            self._faults[name] = refused.fault
            raise

    def fault(self, name: tuple[str, str]) -> CallFault | None:
        """What was wrong with the last answer, told once."""
        return self._faults.pop(name, None)


class Fetching:
    """The questions of one process."""

    def __init__(self, ledger: QuotaLedger, asker: NotingAsker, fetch: Fetch, clock: Clock) -> None:
        self._ledger = ledger
        self._asker = asker
        self._fetch = fetch
        self._clock = clock
        self._away_for = timedelta()
        self._away_until: datetime | None = None
        self._spoiled: dict[tuple[str, str], datetime] = {}

    async def fetch(self, job: str, slots: Iterable[PlannedSlot]) -> Failures:
        """Ask everything the job's part of a plan calls for, each priority within what it could reserve."""
        failures: Failures = {}
        for slot in slots:
            for put_off in slot.deferred:
                failures[put_off.ask.endpoint, put_off.ask.symbol] = put_off.why
            if slot.calls:
                failures |= await self._fetch_slot(job, slot)
        return failures

    async def _fetch_slot(self, job: str, slot: PlannedSlot) -> Failures:
        try:
            reservation = await self._ledger.reserve(job, slot.priority, len(slot.calls))
        except QuotaRefused as refused:
            return {(ask.endpoint, ask.symbol): str(refused) for ask in slot.calls}
        try:
            return await self._within(reservation, slot.calls, Errand(priority=slot.priority, job=job))
        finally:
            await self._ledger.release(reservation)

    async def _within(self, reservation: Reservation, asks: tuple[Ask, ...], errand: Errand) -> Failures:
        failures: Failures = {}
        # An exit may always try: the ledger has the last word. Others keep to what was reserved for them.
        allowed = asks if errand.priority is Priority.EXITS else asks[: reservation.calls]
        for ask in asks[len(allowed) :]:
            failures[ask.endpoint, ask.symbol] = "no room is left for it"
        unanswered = 0
        queue = iter(allowed)

        async def work() -> None:
            nonlocal unanswered
            for ask in queue:
                name = (ask.endpoint, ask.symbol)
                why = "the vendor gave no answer to others" if unanswered >= AWAY_AFTER else self._wait(name)
                if why:
                    failures[name] = why
                    continue
                try:
                    told = await self._fetch(ask, errand)
                except Refused as refused:
                    failures[name] = shortened(str(refused), 200)
                else:
                    if told is not None and told.stale:
                        failures[name] = shortened(told.note, 200)
                    else:
                        unanswered = 0
                unanswered += self._unanswered(name)

        workers = [asyncio.ensure_future(work()) for _ in range(AT_A_TIME)]
        try:
            await asyncio.gather(*workers)
        finally:  # none asks on when another one broke: what was reserved is given back now
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        if unanswered >= AWAY_AFTER:
            self._away_for = min(max(self._away_for * 2, AGAIN_AFTER), AGAIN_AT_MOST)
            self._away_until = self._clock.now() + self._away_for
        return failures

    def _wait(self, name: tuple[str, str]) -> str:
        """Why a question is not put yet, or nothing."""
        now = self._clock.now()
        if self._away_until is not None and now < self._away_until:
            return f"the vendor gave no answer; it is asked again from {self._away_until:%H:%M}Z"
        until = self._spoiled.get(name)
        if until is not None and now < until:
            return f"its last answer made no sense; it is asked again from {until:%H:%M}Z"
        return ""

    def _unanswered(self, name: tuple[str, str]) -> bool:
        """Whether nothing came at all; what made no sense is not asked for again soon."""
        fault = self._asker.fault(name)
        if fault in (CallFault.GARBLED, CallFault.WRONG_SYMBOL):
            self._spoiled[name] = self._clock.now() + SPOILED
        if fault is None:
            self._away_for, self._away_until = timedelta(), None
        return fault is CallFault.UNAVAILABLE
