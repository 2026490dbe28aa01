"""Daily bars of one symbol, and what of them a decision may see."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from datetime import date
from enum import StrEnum
from math import isfinite, isnan
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

FloatArray = NDArray[np.float64]
DateArray = NDArray[np.datetime64]

# SPY carries volume and is what a fund holds; below this many bars its 200-session average is not there yet.
BENCHMARK_FUND = "SPY"
BENCHMARK_INDEX = "^GSPC"
BENCHMARK_MIN_BARS = 200
VOLATILITY_INDEX = "^VIX"


class AssetType(StrEnum):
    """What an instrument is; only stocks are traded."""

    STOCK = "stock"
    ETF = "etf"
    INDEX = "index"


@dataclass(frozen=True)
class Instrument:
    """One line of the universe."""

    symbol: str
    name: str
    sector: str | None
    industry: str | None
    asset_type: AssetType


@dataclass(frozen=True)
class Bar:
    """One complete session of one symbol: prices in dollars (points for an index), volume in shares."""

    symbol: str
    session: date
    open: float
    high: float
    low: float
    close: float
    volume: int


@dataclass(frozen=True, eq=False)
class Bars:
    """Daily bars of one symbol, oldest first; seven fields, six of them read-only arrays of one length.

    `sessions` is datetime64[D], strictly increasing; prices and volume are float64, where NaN means missing.
    Raises ValueError on arrays that do not fit together.
    """

    symbol: str
    sessions: DateArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    def __post_init__(self) -> None:
        _freeze(self, "sessions", "datetime64[D]")
        for name in ("open", "high", "low", "close", "volume"):
            _freeze(self, name, np.float64)
            if getattr(self, name).shape != self.sessions.shape:
                raise ValueError(f"expected {len(self.sessions)} values of {name} for {self.symbol}")
        if not (self.sessions[1:] > self.sessions[:-1]).all():
            raise ValueError(f"expected the sessions of {self.symbol} to increase")

    @classmethod
    def empty(cls, symbol: str) -> Self:
        """No bars at all."""
        return cls(symbol, np.empty(0, "datetime64[D]"), *(np.empty(0) for _ in range(5)))

    def __len__(self) -> int:
        return len(self.sessions)

    def upto(self, session: date) -> "Bars":
        """The bars of `session` and before, as slices of the same arrays (nothing is copied)."""
        end = int(np.searchsorted(self.sessions, np.datetime64(session, "D"), side="right"))
        if end == len(self):
            return self
        # A part of bars that fit together fits together: checking every cut of every view anew took a
        # replay as long as reading its prices.
        cut = object.__new__(Bars)
        object.__setattr__(cut, "symbol", self.symbol)
        for name in ("sessions", "open", "high", "low", "close", "volume"):
            object.__setattr__(cut, name, getattr(self, name)[:end])
        return cut

    def scaled(self, factor: float) -> "Bars":
        """The bars on another basis: prices times `factor`, volumes divided by it; itself when that is 1."""
        if factor == 1:
            return self
        columns = [price * factor for price in (self.open, self.high, self.low, self.close)]
        columns.append(self.volume / factor)
        for column in columns:
            column.flags.writeable = False  # so that Bars keeps it instead of a copy
        return Bars(self.symbol, self.sessions, *columns)

    @property
    def last(self) -> Bar | None:
        """The newest bar none of whose prices is missing."""
        complete = ~np.isnan(self.open + self.high + self.low + self.close)
        indices = np.flatnonzero(complete)
        return self._bar(int(indices[-1])) if len(indices) else None

    def on(self, session: date) -> Bar | None:
        """The bar of `session`; None when there is none or one of its prices is missing or no price."""
        day = np.datetime64(session, "D")
        index = int(np.searchsorted(self.sessions, day))
        if index == len(self) or self.sessions[index] != day:
            return None
        return self._bar(index)

    def _bar(self, index: int) -> Bar | None:
        prices = [float(column[index]) for column in (self.open, self.high, self.low, self.close)]
        if not all(isfinite(price) and price > 0 for price in prices):
            return None
        opened, high, low, close = prices
        shares = float(self.volume[index])
        return Bar(
            symbol=self.symbol,
            session=self.sessions[index].item(),
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=0 if isnan(shares) else int(shares),
        )


@dataclass(frozen=True, eq=False)
class Basis:
    """What a symbol's bars are multiplied by to show prices as traded, and from which session on.

    `sessions` is datetime64[D], strictly increasing, `factors` is float64, both read-only: each factor stands
    from its session until the next one's.
    """

    sessions: DateArray
    factors: FloatArray

    @classmethod
    def of(cls, starts: Mapping[date, float]) -> Self:
        """The basis whose factors begin on the given days."""
        ordered = sorted(starts.items())
        sessions = np.array([day for day, _ in ordered], "datetime64[D]")
        factors = np.array([factor for _, factor in ordered], np.float64)
        sessions.flags.writeable = factors.flags.writeable = False
        return cls(sessions, factors)

    def at(self, session: date) -> float:
        """The factor on `session`; before the first one 1, for there are no bars yet."""
        index = int(np.searchsorted(self.sessions, np.datetime64(session, "D"), side="right")) - 1
        return 1.0 if index < 0 else float(self.factors[index])


@dataclass(frozen=True, eq=False)
class BarsAsTraded(Mapping[str, Bars]):
    """All bars of all symbols on the basis of one session, scaled when asked for.

    That is what a split-adjusted series looks like on that day: the session's own prices as traded, and those
    before a split divided by its ratio. `scaled` gives the bars of a symbol times a factor; it may keep them.
    """

    session: date
    _bars: Mapping[str, Bars] = field(repr=False)
    _bases: Mapping[str, Basis] = field(repr=False)
    _scaled: Callable[[str, float], Bars] = field(repr=False)

    def __getitem__(self, symbol: str) -> Bars:
        basis = self._bases.get(symbol)
        return self._bars[symbol] if basis is None else self._scaled(symbol, basis.at(self.session))

    def __iter__(self) -> Iterator[str]:
        return iter(self._bars)

    def __len__(self) -> int:
        return len(self._bars)


@dataclass(frozen=True, eq=False)
class MarketView:
    """What a decision at the close of `session` may see: nothing in it is later than that close.

    `history`, which must not change, is only read to cut a symbol's bars at `session` when they are first
    asked for (slices: the rest stays in memory behind numpy's `.base`, which nothing in the desk touches).
    Instruments are reference data as of today (names and sectors are not point-in-time). `volatility_told_by`
    is who told the volatility index, "" where the history itself holds it.
    """

    session: date
    instruments: Mapping[str, Instrument]
    history: InitVar[Mapping[str, Bars]]
    volatility_told_by: str = ""
    _history: Mapping[str, Bars] = field(init=False, repr=False)
    _cut: dict[str, Bars] = field(init=False, repr=False)

    def __post_init__(self, history: Mapping[str, Bars]) -> None:
        object.__setattr__(self, "_history", history)
        object.__setattr__(self, "_cut", {})
        object.__setattr__(self, "instruments", MappingProxyType(dict(self.instruments)))

    def bars(self, symbol: str) -> Bars:
        """The symbol's bars up to the session; empty when there are none."""
        cut = self._cut.get(symbol)
        if cut is None:
            whole = self._history.get(symbol)
            cut = Bars.empty(symbol) if whole is None else whole.upto(self.session)
            self._cut[symbol] = cut
        return cut

    @property
    def symbols(self) -> tuple[str, ...]:
        """The tradable universe, sorted: stocks that have a bar by now (a later listing is not yet known)."""
        return tuple(
            symbol
            for symbol, instrument in sorted(self.instruments.items())
            if instrument.asset_type is AssetType.STOCK and len(self.bars(symbol))
        )

    @property
    def index_symbol(self) -> str | None:
        """The market's yardstick: SPY once it has 200 bars, else ^GSPC, else None."""
        if len(self.bars(BENCHMARK_FUND)) >= BENCHMARK_MIN_BARS:
            return BENCHMARK_FUND
        return BENCHMARK_INDEX if len(self.bars(BENCHMARK_INDEX)) else None

    @property
    def volatility_symbol(self) -> str | None:
        """^VIX when it has bars, else None."""
        return VOLATILITY_INDEX if len(self.bars(VOLATILITY_INDEX)) else None


def _freeze(bars: Bars, name: str, dtype: DTypeLike) -> None:
    """Make the field a read-only array; one that somebody else could still write is copied first."""
    given: ArrayLike = getattr(bars, name)
    array = np.asarray(given, dtype=dtype)
    if array.ndim != 1:
        raise ValueError(f"expected {name} of {bars.symbol} to have one dimension, had {array.ndim}")
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    object.__setattr__(bars, name, array)
