"""Asking only for what is not kept or kept too long; the last good answer is never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from weakref import WeakValueDictionary

from agents.market.clock import Clock
from agents.market.fmp import lifetimes
from agents.market.fmp.cache import Aged, CacheStore
from agents.market.fmp.caller import Answer, Errand
from agents.market.fmp.errors import OURS, FmpError
from agents.market.fmp.models import SOURCE
from agents.market.fmp.queries import Query, RowT
from storage.calls import CachedAnswer, CallFault, NotEntitled, QuotaRefused

Refused = (QuotaRefused, NotEntitled, FmpError)


class Asker(Protocol):
    """What puts a question to the vendor."""

    async def ask(self, query: Query[RowT], errand: Errand) -> Answer[RowT]:
        """The answer. Raises FmpError, QuotaRefused, NotEntitled."""


class Keeper:
    """Answers from the cache while they are good, else from the vendor; stale ones where it gives none."""

    def __init__(self, asker: Asker, cache: CacheStore, clock: Clock) -> None:
        self._asker = asker
        self._cache = cache
        self._clock = clock
        self._locks: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = WeakValueDictionary()

    async def kept(
        self,
        query: Query[RowT],
        errand: Errand,
        until: Callable[[tuple[RowT, ...], datetime], datetime],
        *,
        as_of: Callable[[tuple[RowT, ...], datetime], datetime] = lambda _, fetched: fetched,
        doubt: Callable[[tuple[RowT, ...], tuple[RowT, ...]], str | None] | None = None,
        until_empty: Callable[[datetime], datetime] = lambda now: now + lifetimes.EMPTY,
    ) -> Aged[tuple[RowT, ...]]:
        """The rows, with their age; an answer without rows is good until `until_empty`.

        `doubt` compares an answer with the rows held so far and says why it is not to be believed. When the
        vendor refuses, garbles or may not be asked, the rows held are given as stale, with the reason; raises
        that reason when there are none, and always when the fault is ours (OURS).
        """
        name = (query.endpoint, query.symbol or "", query.key)
        async with self._locks.setdefault(name, asyncio.Lock()):
            held = await self._cache.get(*name)
            now = self._clock.now()
            if held is not None and held.body is None and now < held.expires_at:
                raise NotEntitled(
                    f"FMP refused {query.asked} with {query.key or 'no parameters'} before",
                    CallFault.PARAMETER_NOT_IN_PLAN,
                    held.expires_at,
                )
            old = _rows(query, held)
            if held is not None and old is not None and now < held.expires_at:
                return _aged(old, as_of(old, held.fetched_at), held.fetched_at, from_cache=True)
            try:
                answer = await self._asker.ask(_doubting(query, old or (), doubt), errand)
            except Refused as refused:
                if held is None or not old or (isinstance(refused, FmpError) and refused.fault in OURS):
                    await self._note_refusal(name, old, refused)
                    raise
                return _stale(old, as_of(old, held.fetched_at), held.fetched_at, str(refused))
            now = self._clock.now()
            if held is not None and old and not answer.rows:
                why = f"FMP has no rows for {query.asked} any more"
                return _stale(old, as_of(old, held.fetched_at), held.fetched_at, why)
            expires = until(answer.rows, now) if answer.rows else until_empty(now)
            await self._cache.put(CachedAnswer(*name, body=answer.body, fetched_at=now, expires_at=expires))
            return _aged(answer.rows, as_of(answer.rows, now), now, from_cache=False)

    async def held(self, query: Query[RowT]) -> tuple[RowT, ...]:
        """The rows kept, however old; asks nobody."""
        return _rows(query, await self._cache.get(query.endpoint, query.symbol or "", query.key)) or ()

    async def _note_refusal(
        self, name: tuple[str, str, str], old: tuple[RowT, ...] | None, refused: Exception
    ) -> None:
        """What the ledger cannot know: which parameters the plan forbids."""
        if old is None and isinstance(refused, FmpError) and refused.fault is CallFault.PARAMETER_NOT_IN_PLAN:
            now = self._clock.now()
            forbidden = CachedAnswer(
                *name, body=None, fetched_at=now, expires_at=now + lifetimes.REFUSED_PARAMETER
            )
            await self._cache.put(forbidden)


def _doubting(
    query: Query[RowT],
    old: tuple[RowT, ...],
    doubt: Callable[[tuple[RowT, ...], tuple[RowT, ...]], str | None] | None,
) -> Query[RowT]:
    return query if doubt is None else replace(query, check=lambda rows: doubt(rows, old))


def _rows(query: Query[RowT], held: CachedAnswer | None) -> tuple[RowT, ...] | None:
    """What is kept, typed; None when nothing is, or when it was written by a version whose rows differ."""
    if held is None or held.body is None:
        return None
    try:
        return query.rows(held.body)
    except FmpError:
        return None


def _aged(
    rows: tuple[RowT, ...], as_of: datetime, fetched: datetime, *, from_cache: bool
) -> Aged[tuple[RowT, ...]]:
    return Aged(
        value=rows, as_of=as_of, fetched_at=fetched, stale=False, from_cache=from_cache, source=SOURCE
    )


def _stale(rows: tuple[RowT, ...], as_of: datetime, fetched: datetime, why: str) -> Aged[tuple[RowT, ...]]:
    return Aged(
        value=rows,
        as_of=as_of,
        fetched_at=fetched,
        stale=True,
        from_cache=True,
        source=SOURCE,
        note=why,
    )
