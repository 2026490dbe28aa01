"""The vendor's stand-in, and the desk's side of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from agents.market.fmp.vendor import MarketVendor
from tests.market.fmp.kit import Bench, CountingLedger, HandClock, MemoryStore, Pauses, client_of
from tests.standins.fmp import FmpStandIn
from tests.standins.market import StandInMarket


@pytest.fixture(scope="session")
def prices() -> StandInMarket:
    """The stand-in's market, read once."""
    return StandInMarket()


@pytest.fixture
def vendor(prices: StandInMarket) -> Iterator[FmpStandIn]:
    """A vendor on the free plan, on a clock of its own until a bench gives it one."""
    prices.splits.clear()
    prices.corrections.clear()
    prices.partial_bars = False
    with FmpStandIn(market=prices) as running:
        yield running


@pytest_asyncio.fixture
async def bench(vendor: FmpStandIn) -> AsyncIterator[Bench]:
    """A client and a market on the stand-in's clock, which is moved by hand."""
    clock, ledger, store, pauses = HandClock(), CountingLedger(), MemoryStore(), Pauses()
    vendor.now = clock.now
    async with client_of(vendor.base_url, ledger, pauses) as client:
        market = MarketVendor(client, store, clock)
        yield Bench(vendor, clock, ledger, store, client, market, pauses)
