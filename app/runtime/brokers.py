"""Which broker a desk trades with, and what an adapter may use of the step it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from agents.brokers.paper import PaperBroker, Tape
from agents.brokers.port import Broker
from agents.trading.costs import Costs
from storage.paper_book import PaperBook


@dataclass(frozen=True)
class Counter:
    """Where the desk meets its broker. Only a simulated one needs any of it."""

    database: AsyncSession
    tape: Tape
    costs: Costs
    now: datetime  # the desk's clock


BrokerOf = Callable[[Counter], Broker]


def paper_broker(counter: Counter) -> Broker:
    """The paper account in the desk's own database: what it does is committed with the step or not at all."""
    return PaperBroker(PaperBook(counter.database), counter.tape, counter.costs, counter.now)
