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


class DifferenceKind(StrEnum):
    """Where the desk's book and its broker do not agree."""

    CASH = "cash"
    POSITION = "position"
    ORDER = "order"  # one rests at the broker that the desk knows nothing of
    FILL = "fill"  # one that cannot be booked


class DifferenceState(StrEnum):
    """OPEN is unexplained: no entry is sent while one stands."""

    OPEN = "open"
    GONE = "gone"  # it was not there any more when the two were compared again
    ADOPTED = "adopted"  # the book took the broker's
    CORRECTED = "corrected"  # a cash event made the book agree
    IGNORED = "ignored"  # explained by a human, for as long as it stays what it is


class RequestVerb(StrEnum):
    """What a human asks of a position."""

    CLOSE = "close"
    STOP = "stop"
    ADOPT = "adopt"  # the broker holds nothing of it any more: it is taken out of the book


class RequestState(StrEnum):
    """WAITING may be taken back; SENT is with the broker."""

    WAITING = "waiting"
    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    UNDONE = "undone"
