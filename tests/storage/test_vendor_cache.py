"""The cache of the vendor's answers: the newest is kept whole, and nothing an answer holds can break it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.calls import CachedAnswer
from storage.engine import open_engine
from storage.vendor_cache import VendorCache
from tests.storage.desk_builder import scalar

FETCHED = datetime(2026, 3, 2, 21, 30, tzinfo=UTC)
ANSWER = CachedAnswer(
    endpoint="historical-price-eod/full",
    symbol="BRK-B",
    params="from=2026-02-23&to=2026-03-02",
    body=[{"symbol": "BRK-B", "close": 491.5, "volume": 3_512_004, "vwap": None}],
    fetched_at=FETCHED,
    expires_at=FETCHED + timedelta(hours=24),
)
NAME = (ANSWER.endpoint, ANSWER.symbol, ANSWER.params)


@pytest.fixture
async def cache(database: str) -> AsyncIterator[VendorCache]:
    engine = open_engine(database)
    yield VendorCache(engine)
    await engine.dispose()


async def test_an_answer_comes_back_as_it_was_also_when_it_has_expired(cache: VendorCache) -> None:
    await cache.put(ANSWER)
    assert await cache.get(*NAME) == ANSWER
    assert await cache.get("quote", ANSWER.symbol, ANSWER.params) is None


async def test_that_nothing_is_to_be_had_is_no_empty_list(database: str, cache: VendorCache) -> None:
    await cache.put(replace(ANSWER, body=None))
    assert await cache.get(*NAME) == replace(ANSWER, body=None)
    assert scalar(database, "select body is null from vendor_cache")
    later = replace(ANSWER, body=[], fetched_at=FETCHED + timedelta(minutes=1))
    await cache.put(later)
    assert await cache.get(*NAME) == later


async def test_an_answer_that_was_overtaken_changes_nothing(cache: VendorCache) -> None:
    newer = replace(ANSWER, body=[{"close": 500.0}], fetched_at=FETCHED + timedelta(seconds=1))
    await cache.put(newer)
    await cache.put(ANSWER)
    assert await cache.get(*NAME) == newer


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(anything, max_size=4), text=st.text(st.characters(), max_size=20))
async def test_whatever_the_vendor_sends_is_kept(database: str, rows: list[object], text: str) -> None:
    engine = open_engine(database)
    try:
        cache = VendorCache(engine)
        await cache.put(replace(ANSWER, body=[*rows, {"note": text + "\0\ud800"}], params="hostile"))
        kept = await cache.get(ANSWER.endpoint, ANSWER.symbol, "hostile")
    finally:
        await engine.dispose()
    assert kept is not None
    assert kept.body is not None
    assert len(kept.body) == len(rows) + 1
