"""Technical readings of one symbol as of its last bar.

Everything is recomputed in full from the bars given: there is no state that could drift or look ahead.
"""

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import talib

from agents.market.bars import Bars, FloatArray

SESSIONS_PER_YEAR = 252
VOLUME_WINDOW = 20
VOLATILITY_WINDOW = 21
PRIOR_WINDOWS = (
    20,
    55,
)  # sessions before the last one: the two windows of Donchian channels (20 and 55 days)

# Less than this, as a share of the price, is rounding noise and no movement.
STILL = 1e-9


@dataclass(frozen=True)
class Technicals:
    """Readings at the close of `session`; None where there is not enough clean data.

    Prices in dollars, RSI 0-100, returns and gap as fractions (0.05 is 5%), volatility in annualised percent,
    dollar volume in dollars a session. `bars` is how many sessions in a row, up to this one, are clean.
    """

    session: date
    bars: int
    close: float | None
    rsi14: float | None
    rsi2: float | None
    sma20: float | None
    sma50: float | None
    sma200: float | None
    atr14: float | None
    volume_ratio: float | None
    dollar_volume20: float | None
    high_52w: float | None
    low_52w: float | None
    return_21d: float | None
    return_126d: float | None
    realised_vol_21d: float | None
    gap: float | None
    # Highest high and lowest low of the sessions before this one, which is left out: what a close can break.
    # With a default, because readings stored before these were known still have to be read.
    prior_high_20: float | None = None
    prior_low_20: float | None = None
    prior_high_55: float | None = None
    prior_low_55: float | None = None


def technicals(bars: Bars) -> Technicals | None:
    """Readings at the last bar; None without bars or when a price of the last bar is missing.

    Only the sessions after the last missing price count: one NaN would make TA-Lib's RSI 0 for ever after,
    which reads as oversold.
    """
    start = _clean_start(bars)
    if start == len(bars):
        return None
    high, low, close, volume = (column[start:] for column in (bars.high, bars.low, bars.close, bars.volume))
    last = float(close[-1])
    return Technicals(
        session=bars.sessions[-1].item(),
        bars=len(close),
        close=last,
        rsi14=_rsi(close, 14),
        rsi2=_rsi(close, 2),
        sma20=_mean_of_last(close, 20),
        sma50=_mean_of_last(close, 50),
        sma200=_mean_of_last(close, 200),
        atr14=_atr(high, low, close, 14),
        volume_ratio=_volume_ratio(volume),
        dollar_volume20=_mean_of_last(close[-VOLUME_WINDOW:] * volume[-VOLUME_WINDOW:], VOLUME_WINDOW),
        high_52w=float(high[-SESSIONS_PER_YEAR:].max()) if len(high) >= SESSIONS_PER_YEAR else None,
        low_52w=float(low[-SESSIONS_PER_YEAR:].min()) if len(low) >= SESSIONS_PER_YEAR else None,
        return_21d=_return(close, 21),
        return_126d=_return(close, 126),
        realised_vol_21d=_realised_volatility(close),
        gap=float(bars.open[-1]) / float(close[-2]) - 1 if len(close) > 1 else None,
        prior_high_20=float(high[-21:-1].max()) if len(high) > 20 else None,
        prior_low_20=float(low[-21:-1].min()) if len(low) > 20 else None,
        prior_high_55=float(high[-56:-1].max()) if len(high) > 55 else None,
        prior_low_55=float(low[-56:-1].min()) if len(low) > 55 else None,
    )


def _clean_start(bars: Bars) -> int:
    """Where the last run of bars with all four prices present (finite and positive) begins."""
    lowest = np.minimum(np.minimum(bars.open, bars.close), np.minimum(bars.low, bars.high))
    clean = (lowest > 0) & np.isfinite(bars.open + bars.high + bars.low + bars.close)
    dirty = np.flatnonzero(~clean)
    return int(dirty[-1]) + 1 if len(dirty) else 0


def _rsi(close: FloatArray, period: int) -> float | None:
    """Wilder's relative strength index (New Concepts in Technical Trading Systems, 1978), by TA-Lib.

    None when the close has not moved for `period` sessions: TA-Lib says 0 for a flat series, which is no
    reading.
    """
    if len(close) <= period:
        return None
    window = close[-period - 1 :]
    if float(window.max() - window.min()) <= STILL * float(window[-1]):
        return None
    return float(talib.RSI(close, period)[-1])


def _atr(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> float | None:
    """Wilder's average true range (same book), by TA-Lib; in dollars."""
    if len(close) <= period:
        return None
    return float(talib.ATR(high, low, close, period)[-1])


def _mean_of_last(values: FloatArray, n: int) -> float | None:
    if len(values) < n:
        return None
    mean = float(values[-n:].mean())
    return None if np.isnan(mean) else mean


def _volume_ratio(volume: FloatArray) -> float | None:
    """The last session's volume over the mean of the 20 before; None when that mean is zero or unknown."""
    usual = _mean_of_last(volume[:-1], VOLUME_WINDOW)
    last = float(volume[-1])
    return None if not usual or np.isnan(last) else last / usual


def _return(close: FloatArray, n: int) -> float | None:
    return float(close[-1]) / float(close[-1 - n]) - 1 if len(close) > n else None


def _realised_volatility(close: FloatArray) -> float | None:
    """Sample standard deviation of the last 21 daily log returns, annualised (252 sessions), percent."""
    if len(close) <= VOLATILITY_WINDOW:
        return None
    log_returns = np.diff(np.log(close[-VOLATILITY_WINDOW - 1 :]))
    return float(log_returns.std(ddof=1)) * math.sqrt(SESSIONS_PER_YEAR) * 100
