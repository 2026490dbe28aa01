"""What the desk asks of a broker, whichever it is: one small abstract class and the words it speaks in.

What every adapter owes the desk, beyond the signatures:

- The client's id is the key. The same id sent again is the same order, and answered as it stands: a desk that
  died after the broker had taken an order sends it again and finds it there.
- An order has one fill, told once it is over: what the market executes in parts the adapter adds up. A fill's
  id is the broker's own and never changes. Telling a fill twice does no harm.
- An exit and the protection of the same shares never sell more than is held; whichever comes first ends the
  other, or leaves it what is left.
- An order for an auction ends with it, filled or expired.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from storage.broker_records import BrokerOrderState, Leg, OrderKind
from storage.records import OrderSide


class BrokerError(Exception):
    """A broker did not do what it was asked."""


class BrokerUnreachable(BrokerError):
    """No answer: nobody knows whether the order has arrived. Sending it again finds out."""


class BrokerRefused(BrokerError):
    """An answer, and it is no: nothing has changed."""


@dataclass(frozen=True, kw_only=True)
class BrokerOrder:
    """An order for one auction of one session. ValueError without shares, or on a price that is none.

    `limit` is the highest price an entry pays; below `floor` its adapter lets it expire. `write_off` asks a
    simulated broker to sell at the last price it has seen where the session shows none; a real one cannot.
    """

    client_order_id: str
    kind: OrderKind
    symbol: str
    side: OrderSide
    shares: int
    session: date
    limit: Decimal | None = None
    floor: Decimal | None = None
    write_off: bool = False

    def __post_init__(self) -> None:
        prices = [price for price in (self.limit, self.floor) if price is not None]
        if self.shares < 1 or not all(price > 0 for price in prices):
            raise ValueError(f"expected shares and prices above zero for {self.client_order_id}, was {self}")


@dataclass(frozen=True, kw_only=True)
class Protection:
    """A stop and a target for all shares of a position, until cancelled; ValueError unless stop < target."""

    client_order_id: str
    position: str  # whose: a new protection of a position ends its older ones
    symbol: str
    shares: int
    stop: Decimal
    target: Decimal

    def __post_init__(self) -> None:
        if self.shares < 1 or not 0 < self.stop < self.target:
            raise ValueError(f"expected shares and 0 < stop < target for {self.client_order_id}, was {self}")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """An order as it stands at the broker; `note` says why it ended without a fill."""

    client_order_id: str
    kind: OrderKind
    symbol: str
    side: OrderSide
    shares: int
    state: BrokerOrderState
    note: str = ""
    stop: Decimal | None = None  # of a protection
    target: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class BrokerFill:
    """An execution. Whatever the broker says is told as it is, also a price of zero: the desk looks at it."""

    id: str  # the broker's own
    client_order_id: str
    symbol: str
    side: OrderSide
    shares: int
    price: Decimal
    reference: Decimal  # the market's price before slippage; the price itself where nobody knows
    fee: Decimal  # dollars
    leg: Leg
    session: date


@dataclass(frozen=True, kw_only=True)
class ActionLivedThrough:
    """What a corporate action has made of a holding, as the desk reckons it; `shares` 0: nothing is left."""

    key: str  # the same action of the same holding is told once
    symbol: str
    new_symbol: str
    shares: int
    last_close: Decimal
    cash: Decimal  # dollars that came in
    session: date


class Broker(ABC):
    """One account at one broker. Every method raises BrokerUnreachable when it gets no answer."""

    @abstractmethod
    async def place(self, order: BrokerOrder) -> Standing:
        """Send an order, or find it there. Raises BrokerRefused."""

    @abstractmethod
    async def protect(self, protection: Protection) -> Standing:
        """Send a protection, or find it there; older ones of the position end. Raises BrokerRefused.

        Refused, the older one stands.
        """

    @abstractmethod
    async def cancel(self, client_order_id: str) -> Standing:
        """End an order that rests; one that has ended is told as it is. Raises BrokerRefused if unknown."""

    @abstractmethod
    async def orders(self, since: date) -> Sequence[Standing]:
        """Every order that rests, and those for sessions from `since` on that have ended."""

    @abstractmethod
    async def positions(self) -> Mapping[str, int]:
        """Shares held, by symbol."""

    @abstractmethod
    async def cash(self) -> Decimal:
        """Dollars in the account, settled or not."""

    @abstractmethod
    async def fills(self, since: date) -> Sequence[BrokerFill]:
        """The fills of the sessions from `since` on, oldest first."""

    async def lived_through(self, action: ActionLivedThrough) -> None:
        """What the desk has made of a corporate action. A broker that books them itself needs no telling."""
        return
