"""The regime rule: where the index stands against its 200-session average, and how nervous the market is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np

from agents.market.bars import FloatArray, MarketView
from agents.market.indicators import SESSIONS_PER_YEAR, VOLATILITY_WINDOW
from storage.records import Direction, Volatility

AVERAGE = 200  # sessions
BAND = 0.03  # a crossing counts only this far beyond the average
FLAT = 30  # closes in a row inside the band that make a market SIDEWAYS
PROBABILITY_SCALE = 0.02  # width of the logistic around the level where the direction would flip
HIGH_VOL = 20.0  # annualised percent: VIX 10-session mean, or 21-session realised volatility
LOW_VOL = 13.0
VIX_MEAN = 10  # sessions


@dataclass(frozen=True)
class Regime:
    """The regime at the close of `session`.

    `distance` is close / average - 1. `bear_probability` is a monotonic score of the distance to the level
    that would flip the direction (0.5 exactly there), not a calibrated frequency.
    `volatility_value` is in annualised percent.
    """

    session: date
    direction: Direction
    since: date  # first session of the direction, as far back as the closes reach
    standing: int  # sessions the direction has stood, this one included
    volatility: Volatility
    bear_probability: float
    index_symbol: str
    index_close: float
    average: float
    distance: float
    volatility_source: str
    volatility_value: float


def read_regime(view: MarketView) -> Regime | None:
    """The regime from data up to the view's session; None while the index has fewer than 200 closes.

    An index bar that is missing for the session leaves the reading on the last close there is.
    """
    symbol = view.index_symbol
    if symbol is None:
        return None
    index = view.bars(symbol)
    known = ~np.isnan(index.close)
    closes = index.close[known]
    if len(closes) < AVERAGE:
        return None
    distances = closes[AVERAGE - 1 :] / _rolling_mean(closes) - 1
    direction, standing = direction_of(distances)
    distance = float(distances[-1])
    source, value = _volatility(view, closes)
    return Regime(
        session=view.session,
        direction=direction,
        since=index.sessions[known][-standing].item(),
        standing=standing,
        volatility=_volatility_label(value),
        bear_probability=_bear_probability(direction, distance),
        index_symbol=symbol,
        index_close=float(closes[-1]),
        average=float(closes[-1]) / (1 + distance),
        distance=distance,
        volatility_source=source,
        volatility_value=value,
    )


def direction_of(distances: FloatArray) -> tuple[Direction, int]:
    """The direction after a series of distances from the average, oldest first, and how long it has stood.

    Beyond the band the side is plain. Inside it the last side holds, because a single crossing is noise
    (7.8 switches a year without the band, under one with it), until FLAT closes in a row stayed inside.
    """
    direction = Direction.SIDEWAYS
    standing = inside = 0
    for distance in distances.tolist():
        inside = inside + 1 if abs(distance) <= BAND else 0
        before = direction
        if distance > BAND:
            direction = Direction.BULL
        elif distance < -BAND:
            direction = Direction.BEAR
        elif inside >= FLAT:
            direction = Direction.SIDEWAYS
        standing = standing + 1 if direction is before else 1
    return direction, standing


def _bear_probability(direction: Direction, distance: float) -> float:
    """A logistic around the flip level: +band while BEAR, -band otherwise."""
    flip = BAND if direction is Direction.BEAR else -BAND
    return 1 / (1 + math.exp((distance - flip) / PROBABILITY_SCALE))


def _volatility(view: MarketView, index_closes: FloatArray) -> tuple[str, float]:
    """Name and value of the best volatility reading there is: the VIX, else what the index realised."""
    if view.volatility_symbol is not None:
        closes = view.bars(view.volatility_symbol).close
        closes = closes[~np.isnan(closes)]
        if len(closes) >= VIX_MEAN:
            told_by = f" ({view.volatility_told_by})" if view.volatility_told_by else ""
            return f"VIX 10-day mean{told_by}", float(closes[-VIX_MEAN:].mean())
    moves = np.diff(np.log(index_closes[-VOLATILITY_WINDOW - 1 :]))
    realised = float(moves.std(ddof=1)) * math.sqrt(SESSIONS_PER_YEAR) * 100
    return "21-day realised volatility (no VIX)", realised


def _volatility_label(value: float) -> Volatility:
    if value > HIGH_VOL:
        return Volatility.HIGH_VOL
    return Volatility.LOW_VOL if value < LOW_VOL else Volatility.NORMAL_VOL


def _rolling_mean(closes: FloatArray) -> FloatArray:
    totals = np.cumsum(np.concatenate(([0.0], closes)))
    means: FloatArray = (totals[AVERAGE:] - totals[:-AVERAGE]) / AVERAGE
    return means
