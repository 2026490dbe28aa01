"""The facts of a symbol that bound a trade in it, from daily bars."""

from collections.abc import Mapping
from datetime import date
from itertools import combinations

import numpy as np

from agents.market.bars import Bars, FloatArray
from agents.trading.limits.book import Candidate
from agents.trading.limits.earnings import EarningsDate
from agents.trading.limits.portfolio import Correlations

ADV_WINDOW = 20  # sessions
GAP_WINDOW = 504  # two years of sessions
GAP_LEAST = 120  # sessions below which a worst gap says nothing
RETURN_WINDOW = 60  # daily returns
RETURN_LEAST = 40


def candidate(bars: Bars, *, entry_session: date, sector: str | None, earnings: EarningsDate) -> Candidate:
    """What the last of these bars knows of their symbol."""
    return Candidate(
        symbol=bars.symbol,
        entry_session=entry_session,
        sector=sector,
        adv_shares=adv_shares(bars),
        worst_gap=worst_gap(bars),
        daily_volatility=daily_volatility(bars),
        earnings=earnings,
    )


def adv_shares(bars: Bars) -> int | None:
    """Mean volume of the last 20 sessions, in whole shares; None when one of them is missing."""
    volume = bars.volume[-ADV_WINDOW:]
    if len(volume) < ADV_WINDOW or not np.isfinite(volume).all():
        return None
    return int(volume.mean())


def worst_gap(bars: Bars) -> float | None:
    """The largest fall from a close to the next open in the last 504 sessions, a fraction from 0 on.

    None with fewer than 120 of them. Prices are split-adjusted, so a split is no gap.
    """
    opened, closed = bars.open[-GAP_WINDOW:], bars.close[-GAP_WINDOW - 1 : -1]
    opened = opened[len(opened) - len(closed) :]
    usable = np.isfinite(opened) & np.isfinite(closed) & (closed > 0)
    if int(usable.sum()) < GAP_LEAST:
        return None
    return max(0.0, -float((opened[usable] / closed[usable] - 1).min()))


def daily_volatility(bars: Bars) -> float | None:
    """Sample standard deviation of the last 60 daily log returns; None with fewer than 40."""
    closes = _closes(bars)
    moves = np.diff(np.log(closes[-RETURN_WINDOW - 1 :]))
    return float(moves.std(ddof=1)) if len(moves) >= RETURN_LEAST else None


def correlations(bars: Mapping[str, Bars]) -> Correlations:
    """Of every pair, over the last 60 daily log returns between sessions on which both have a close.

    A pair with fewer than 40 of them, or one that did not move, is left out and so counts as 1.
    """
    pairs = {}
    for one, other in combinations(sorted(bars), 2):
        rho = _correlation(bars[one], bars[other])
        if rho is not None:
            pairs[one, other] = rho
    return Correlations(pairs)


def _correlation(one: Bars, other: Bars) -> float | None:
    if np.array_equal(one.sessions, other.sessions):  # as nearly always; matching them takes far longer
        closes = np.vstack((one.close, other.close))
    else:
        _, ours, theirs = np.intersect1d(
            one.sessions, other.sessions, assume_unique=True, return_indices=True
        )
        closes = np.vstack((one.close[ours], other.close[theirs]))
    closes = closes[:, (closes > 0).all(axis=0)][:, -RETURN_WINDOW - 1 :]
    moves = np.diff(np.log(closes), axis=1)
    if moves.shape[1] < RETURN_LEAST or not (moves.std(axis=1) > 0).all():
        return None
    return float(np.corrcoef(moves)[0, 1])


def _closes(bars: Bars) -> FloatArray:
    closes: FloatArray = bars.close[bars.close > 0]
    return closes
