"""The readings of a whole session in little memory: a history has hundreds of thousands of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date

import numpy as np

from agents.market.bars import FloatArray
from agents.market.indicators import Technicals

_COUNTED = ("session", "bars")
_MEASURED = tuple(field.name for field in fields(Technicals) if field.name not in _COUNTED)


@dataclass(frozen=True, eq=False)
class Readings:
    """Those of every symbol at the close of `session`, one row each; a missing one is NaN.

    A symbol whose last bar is older, or that has none, has no row: it is not fresh, whatever its readings.
    """

    session: date
    universe: tuple[str, ...]
    symbols: tuple[str, ...]
    bars: tuple[int, ...]
    values: FloatArray  # symbols x the measured fields of Technicals

    @classmethod
    def of(cls, session: date, read: Mapping[str, Technicals | None]) -> "Readings":
        fresh = {symbol: one for symbol, one in read.items() if one is not None and one.session == session}
        rows = [[_number(getattr(one, name)) for name in _MEASURED] for one in fresh.values()]
        return cls(
            session=session,
            universe=tuple(read),
            symbols=tuple(fresh),
            bars=tuple(one.bars for one in fresh.values()),
            values=np.array(rows, dtype=np.float64).reshape(len(fresh), len(_MEASURED)),
        )

    def unpacked(self) -> dict[str, Technicals | None]:
        """The readings as they were, of every symbol in its order; None for one that is not fresh."""
        read: dict[str, Technicals | None] = dict.fromkeys(self.universe)
        for symbol, bars, row in zip(self.symbols, self.bars, self.values.tolist(), strict=True):
            measured = {
                name: None if value != value else value  # NaN is the only such value
                for name, value in zip(_MEASURED, row, strict=True)
            }
            read[symbol] = Technicals(session=self.session, bars=bars, **measured)
        return read


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
