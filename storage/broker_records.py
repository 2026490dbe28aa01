"""Words of the desk's dealings with its broker, shared by the port, the tables and the screens."""

from __future__ import annotations

from enum import StrEnum


class OrderKind(StrEnum):
    """What a broker is asked to do."""

    LIMIT_ON_OPEN = "limit_on_open"  # an entry
    MARKET_ON_OPEN = "market_on_open"
    MARKET_ON_CLOSE = "market_on_close"
    PROTECTION = "protection"  # a stop and a target, of which one cancels the other


class BrokerOrderState(StrEnum):
    """What has become of an order at the broker; only RESTING may still change."""

    RESTING = "resting"
    FILLED = "filled"
    EXPIRED = "expired"  # its auction is over, or nothing is left to sell
    CANCELLED = "cancelled"


class Leg(StrEnum):
    """What a fill came from."""

    OPEN = "open"
    CLOSE = "close"
    STOP = "stop"
    TARGET = "target"
