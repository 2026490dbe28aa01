"""What the tests of the vendor's client share: a ledger that counts, a store in memory, clocks that stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from agents.market.clock import Clock
from agents.market.fmp.client import FMPClient
from agents.market.fmp.config import FMPConfig
from agents.market.fmp.vendor import MarketVendor
from storage.calls import CachedAnswer, CallEnd, CallFault, QuotaRefused, VendorCall
from tests.standins.fmp import FmpStandIn

FIXTURES = Path(__file__).resolve().parents[4] / "shared/fixtures"
KEY = "standin-key"
IN_SESSION = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)  # a Tuesday, 11:00 New York
EVENING = datetime(2026, 3, 10, 22, 0, tzinfo=UTC)


def fixture(name: str) -> bytes:
    """A recorded answer beside the project; the test is skipped where it is not there."""
    path = FIXTURES / name
    if not path.is_file():
        pytest.skip(f"the recorded answer {name} is not beside the project")
    return path.read_bytes()


@dataclass
class CountingLedger:
    """Counts every call before it is made and lets `most` of them pass."""

    most: int = 10_000
    admitted: dict[UUID, VendorCall] = field(default_factory=dict)
    ends: dict[UUID, CallEnd] = field(default_factory=dict)

    async def admit(self, call: VendorCall) -> UUID:
        if len(self.admitted) >= self.most:
            raise QuotaRefused("the calls are used up", IN_SESSION + timedelta(days=1))
        ticket = uuid4()
        self.admitted[ticket] = call
        return ticket

    async def settle(self, ticket: UUID, end: CallEnd) -> None:
        assert ticket in self.admitted and ticket not in self.ends
        self.ends[ticket] = end

    @property
    def faults(self) -> list[CallFault | None]:
        return [end.fault for end in self.ends.values()]


@dataclass
class MemoryStore:
    """Answers kept in memory."""

    kept: dict[tuple[str, str, str], CachedAnswer] = field(default_factory=dict)

    async def get(self, endpoint: str, symbol: str, params: str) -> CachedAnswer | None:
        return self.kept.get((endpoint, symbol, params))

    async def put(self, answer: CachedAnswer) -> None:
        self.kept[answer.endpoint, answer.symbol, answer.params] = answer


@dataclass
class HandClock(Clock):
    """A clock that is moved by hand."""

    shown: datetime = IN_SESSION

    def now(self) -> datetime:
        return self.shown

    def real(self, shown: datetime) -> datetime:
        return shown

    def pass_by(self, **span: float) -> None:
        self.shown += timedelta(**span)


@dataclass
class Pauses:
    """How long the client would have waited; it does not."""

    asked: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)


@dataclass
class Bench:
    """A stand-in, a client that asks it, and a vendor above that, on one clock."""

    vendor: FmpStandIn
    clock: HandClock
    ledger: CountingLedger
    store: MemoryStore
    client: FMPClient
    market: MarketVendor
    pauses: Pauses

    @property
    def calls(self) -> int:
        return len(self.vendor.served)


def client_of(
    base_url: str, ledger: CountingLedger, pauses: Pauses, *, key: str = KEY, timeout_s: float = 10.0
) -> FMPClient:
    config = FMPConfig(base_url=base_url, per_second=1000, timeout_s=timeout_s)
    return FMPClient(config, SecretStr(key), ledger, pause=pauses)
