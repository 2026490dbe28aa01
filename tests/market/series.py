"""Bars made for tests."""

from datetime import date

import numpy as np
from numpy.typing import ArrayLike

from agents.market.bars import Bars
from agents.market.calendar import add_sessions, sessions

FIRST = date(2010, 1, 4)


def bars_of(
    close: ArrayLike, volume: ArrayLike | None = None, symbol: str = "AAA", first: date = FIRST
) -> Bars:
    """Bars on consecutive sessions from `first`: open at the close before, range 1% around both."""
    closes = np.asarray(close, dtype=float)
    opens = np.concatenate([closes[:1], closes[:-1]])
    days = sessions(first, add_sessions(first, len(closes) - 1)) if len(closes) else []
    return Bars(
        symbol=symbol,
        sessions=np.array(days, dtype="datetime64[D]"),
        open=opens,
        high=np.maximum(opens, closes) * 1.01,
        low=np.minimum(opens, closes) * 0.99,
        close=closes,
        volume=np.full(len(closes), 1e6) if volume is None else np.asarray(volume, dtype=float),
    )
