"""What the record of a setup says one trade should risk: a quarter of Kelly, shrunk for how little is known.

Kelly (1956); the quarter keeps 2c - c^2 = 44% of the growth for a sixteenth of the variance. The shrinkage is
SR^2 T / (SR^2 T + 1) over T trades with a Sharpe ratio of SR a trade.

A record without an edge allows nothing by itself. Whether the setup is then given up or traded at a floor, so
that it can still prove itself, is the limit `kelly_floor`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import fmean, stdev

SHARE = 0.25  # of Kelly
TRADES = 30  # outcomes below which the record says nothing


@dataclass(frozen=True, kw_only=True)
class TrackRecord:
    """Closed trades of one kind: how often they won, mean win over mean loss, mean R over its deviation."""

    trades: int
    win_rate: float  # fraction
    payoff: float
    sharpe: float  # a trade


@dataclass(frozen=True, kw_only=True)
class KellyCap:
    """What a record allows one trade to risk: `risk` is a fraction of equity, 0 without an edge."""

    risk: float
    trades: int  # outcomes it stands on

    def __post_init__(self) -> None:
        if not (isfinite(self.risk) and self.risk >= 0):
            raise ValueError(f"expected a risk from zero on, was {self.risk}")


def record_of(results: Sequence[float]) -> TrackRecord | None:
    """The record of results in R; None below two trades or where all are the same."""
    if len(results) < 2:
        return None
    deviation = stdev(results)
    if deviation == 0:
        return None
    wins = [result for result in results if result > 0]
    losses = [-result for result in results if result < 0]
    payoff = (fmean(wins) / fmean(losses) if losses else inf) if wins else 0.0
    return TrackRecord(
        trades=len(results),
        win_rate=len(wins) / len(results),
        payoff=payoff,
        sharpe=fmean(results) / deviation,
    )


def kelly(win_rate: float, payoff: float) -> float:
    """The fraction of the account that makes it grow fastest; below zero where there is no edge.

    ValueError unless the win rate lies in 0-1 and the payoff is above zero.
    """
    if not (0 <= win_rate <= 1 and payoff > 0):
        raise ValueError(f"expected a win rate from 0 to 1 and a payoff above zero, was {win_rate}, {payoff}")
    return win_rate - (1 - win_rate) / payoff


def growth_share(share: float) -> float:
    """The part of the fastest growth that is left when only `share` of Kelly is risked."""
    return 2 * share - share * share


def shrinkage(sharpe: float, trades: int) -> float:
    """How far a Sharpe ratio a trade is to be believed after so many trades, from 0 to 1."""
    evidence = sharpe * sharpe * trades
    return evidence / (evidence + 1)


def kelly_cap(record: TrackRecord | None) -> KellyCap | None:
    """The most that one trade should risk by its record; None below 30 outcomes."""
    if record is None or record.trades < TRADES:
        return None
    if record.payoff <= 0 or record.sharpe <= 0:
        return KellyCap(risk=0.0, trades=record.trades)
    edge = max(kelly(record.win_rate, record.payoff), 0.0)
    return KellyCap(
        risk=SHARE * shrinkage(record.sharpe, record.trades) * edge,
        trades=record.trades,
    )
