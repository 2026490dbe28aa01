"""Another broker than the paper one, and one that misbehaves: above the port nothing may notice.

The stand-in commits on a connection of its own, as a broker somewhere else does: what it took stays taken
when the desk dies. It executes by the paper rules, so that what it does can be compared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from agents.brokers.paper import PaperBroker
from agents.brokers.port import (
    ActionLivedThrough,
    Broker,
    BrokerFill,
    BrokerOrder,
    BrokerRefused,
    BrokerUnreachable,
    Protection,
    Standing,
)
from app.runtime.brokers import BrokerOf, Counter
from storage.paper_book import PaperBook

Answer = TypeVar("Answer")


class Killed(BaseException):
    """The desk's process died here: nobody may catch it and go on."""


@dataclass
class Faults:
    """What goes wrong. A call is named with how many of its name came before it; `calls` counts all."""

    unheard: frozenset[tuple[str, int]] = frozenset()  # no answer, and it did not arrive
    unanswered: frozenset[tuple[str, int]] = frozenset()  # no answer, and it did
    dies_before: int = -1
    dies_after: int = -1
    tells_twice: bool = False
    refuses_protection: bool = False
    invented: tuple[BrokerFill, ...] = ()
    calls: int = 0
    log: list[str] = field(default_factory=list)


class Elsewhere(Broker):
    """A broker with a database of its own, reached over a connection of its own."""

    def __init__(self, engine: AsyncEngine, counter: Counter, faults: Faults) -> None:
        self._engine = engine
        self._counter = counter
        self._faults = faults

    async def _call(self, name: str, work: Callable[[PaperBroker], Awaitable[Answer]]) -> Answer:
        faults = self._faults
        number = faults.calls
        faults.calls += 1
        which = (name, faults.log.count(name))
        faults.log.append(name)
        if number == faults.dies_before:
            raise Killed(name)
        if which in faults.unheard:
            raise BrokerUnreachable(f"no route for {name}")
        counter = self._counter
        async with AsyncSession(self._engine, expire_on_commit=False) as database, database.begin():
            answer = await work(PaperBroker(PaperBook(database), counter.tape, counter.costs, counter.now))
        if number == faults.dies_after:
            raise Killed(name)
        if which in faults.unanswered:
            raise BrokerUnreachable(f"no answer to {name}")
        return answer

    async def place(self, order: BrokerOrder) -> Standing:
        return await self._call(f"place {order.kind}", lambda there: there.place(order))

    async def protect(self, protection: Protection) -> Standing:
        if self._faults.refuses_protection:
            raise BrokerRefused("no stops today")
        return await self._call("protect", lambda there: there.protect(protection))

    async def cancel(self, client_order_id: str) -> Standing:
        return await self._call("cancel", lambda there: there.cancel(client_order_id))

    async def orders(self, since: date) -> Sequence[Standing]:
        return await self._call("orders", lambda there: there.orders(since))

    async def positions(self) -> Mapping[str, int]:
        return await self._call("positions", lambda there: there.positions())

    async def cash(self) -> Decimal:
        return await self._call("cash", lambda there: there.cash())

    async def fills(self, since: date) -> Sequence[BrokerFill]:
        told = list(await self._call("fills", lambda there: there.fills(since)))
        return [*told, *(told if self._faults.tells_twice else ()), *self._faults.invented]

    async def lived_through(self, action: ActionLivedThrough) -> None:
        await self._call("lived through", lambda there: there.lived_through(action))


def elsewhere(engine: AsyncEngine, faults: Faults) -> BrokerOf:
    """What app/wiring.py would put in the place of the paper account."""

    def broker(counter: Counter) -> Broker:
        return Elsewhere(engine, counter, faults)

    return broker
