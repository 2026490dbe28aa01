"""Claims: what the desk believes about its trades, each an executable filter with the trades it rests on.

No claim is free text. A filter is typed, its statistics are computed here, its rates are shrunk towards what
it is a part of (setup within desk, the filter within its setup), and it is forgotten after 60 days.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise, product
from statistics import NormalDist, stdev
from uuid import UUID

from agents.learning.filters import BEYOND, TradeFact, TradeFilter
from agents.statistics import CONFIDENCE, SHRINKAGE, Estimate, Tally, mean_interval, shrunk, wilson
from storage.records import AgentName, Direction, ExitReason, SetupType, Stance, Volatility

LIFE = timedelta(days=60)
LEAST_TRADES = 10  # below which a filter is not worth a sentence
CELL = 30  # trades below which a mean is only shown shrunk
MOST_CLAIMS = 12

RSI_EDGES = (0.0, 20.0, 30.0, 40.0, 60.0, 100.0)
VIX_EDGES = (0.0, 13.0, 20.0, 30.0, BEYOND)


@dataclass(frozen=True, kw_only=True)
class TradeStatistics:
    """What the trades of a filter came to; rates are fractions, results in R.

    `win_rate` and `mean_r` are shrunk to what the filter is a part of (`expected_rate`, `expected_r`), and
    that to what it is a part of: its setup in its regime, its setup, all trades, an even chance and 0 R.
    `results` is the plain mean with its interval, to be shown from 30 trades on.
    """

    n: int
    wins: int
    win_rate: float
    interval: tuple[float, float]  # Wilson's, of the plain rate
    expected_rate: float
    mean_r: float
    r_interval: tuple[float, float] | None  # 95% of the shrunk mean; None where no spread is known
    expected_r: float
    results: Estimate

    @property
    def is_thin(self) -> bool:
        """Whether there are too few trades to show their plain mean."""
        return self.n < CELL


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A filter, the trades it rested on when it was made, and what they came to; gone from `expires` on."""

    filter: TradeFilter
    trade_ids: tuple[UUID, ...]
    statistics: TradeStatistics
    made: date
    expires: date
    sentence: str = field(compare=False)

    def holds_on(self, day: date) -> bool:
        return self.made <= day < self.expires


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is known of a candidate before it is traded."""

    setup: SetupType
    regime: Direction
    volatility: Volatility
    sector: str | None
    rsi: float | None
    vix: float | None
    stances: tuple[tuple[AgentName, Stance], ...]
    session: date


def speaks_of(wanted: TradeFilter, candidate: Candidate) -> bool:
    """Whether a filter means this candidate; one that asks how a trade ended speaks of none."""
    if wanted.asks_how_it_ended:
        return False
    return wanted.matches(
        TradeFact(
            id=UUID(int=0),
            symbol="",
            sector=candidate.sector,
            setup=candidate.setup,
            regime=candidate.regime,
            volatility=candidate.volatility,
            rsi=candidate.rsi,
            vix=candidate.vix,
            exit_reason=ExitReason.TIME_EXIT,
            entered=candidate.session,
            closed=candidate.session,
            r=0.0,
            stances=candidate.stances,
        )
    )


def shrunk_mean(values: Sequence[float], parent: float, strength: float = SHRINKAGE) -> float:
    """A mean pulled to its parent's with the weight of `strength` trades."""
    return (sum(values) + strength * parent) / (len(values) + strength)


def statistics_of(wanted: TradeFilter, trades: Iterable[TradeFact], *, as_of: date) -> TradeStatistics:
    """The statistics of the trades that were closed before `as_of`; what came later changes nothing."""
    inside = [trade for trade in trades if trade.closed < as_of]
    rate = expected_rate = 0.5
    mean = expected_r = 0.0
    around = inside
    for level in _levels(wanted):
        around, inside = inside, [trade for trade in inside if level.matches(trade)]
        expected_rate, rate = rate, shrunk(_tally(inside), rate)
        expected_r, mean = mean, shrunk_mean([trade.r for trade in inside], mean)
    tally = _tally(inside)
    return TradeStatistics(
        n=tally.trades,
        wins=tally.wins,
        win_rate=rate,
        interval=wilson(tally),
        expected_rate=expected_rate,
        mean_r=mean,
        r_interval=_around(mean, len(inside), [trade.r for trade in around]),
        expected_r=expected_r,
        results=mean_interval([trade.r for trade in inside]),
    )


def _levels(wanted: TradeFilter) -> Iterable[TradeFilter]:
    """From all trades down to what is asked: each holds the next, and none stands there twice."""
    levels = (
        TradeFilter(),
        TradeFilter(setup=wanted.setup),
        TradeFilter(setup=wanted.setup, regime=wanted.regime if wanted.setup else None),
        wanted,
    )
    return dict.fromkeys(levels)


def _around(mean: float, n: int, results: Sequence[float]) -> tuple[float, float] | None:
    """The 95% interval of a mean shrunk with the weight of 20 trades.

    That is the posterior of a normal mean whose prior has the variance s^2 / 20. The spread s is that of the
    trades around: a few of a kind do not tell their own, two stops in a row would make it nearly nothing.
    """
    if len(results) < 2:
        return None
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * stdev(results) / math.sqrt(n + SHRINKAGE)
    return mean - half, mean + half


def claim(wanted: TradeFilter, trades: Iterable[TradeFact], *, as_of: date) -> Claim:
    """The claim the filter makes on the evening of `as_of`."""
    known = [trade for trade in trades if trade.closed < as_of]
    found = statistics_of(wanted, known, as_of=as_of)
    return Claim(
        filter=wanted,
        trade_ids=tuple(trade.id for trade in known if wanted.matches(trade)),
        statistics=found,
        made=as_of,
        expires=as_of + LIFE,
        sentence=_sentence(wanted, found),
    )


def analyse(trades: Iterable[TradeFact], *, as_of: date) -> tuple[Claim, ...]:
    """The claims that say most: farthest from what their setup would let one expect, ties by their words.

    Looked at are each setup alone and with a regime, a volatility, a sector, a bucket of RSI or VIX, and each
    stance of an agent; of these only what at least ten closed trades speak of.
    """
    known = [trade for trade in trades if trade.closed < as_of]
    claims = [
        claim(wanted, known, as_of=as_of)
        for wanted in _filters(known)
        if sum(map(wanted.matches, known)) >= LEAST_TRADES
    ]
    claims.sort(key=lambda one: (-abs(one.statistics.mean_r - one.statistics.expected_r), str(one.filter)))
    return tuple(claims[:MOST_CLAIMS])


def _filters(trades: Sequence[TradeFact]) -> list[TradeFilter]:
    sectors = sorted({trade.sector for trade in trades if trade.sector is not None})
    stances = sorted({stance for trade in trades for stance in trade.stances})
    found = [TradeFilter(setup=setup) for setup in SetupType]
    found += [TradeFilter(setup=setup, regime=regime) for setup, regime in product(SetupType, Direction)]
    found += [TradeFilter(setup=setup, volatility=state) for setup, state in product(SetupType, Volatility)]
    found += [TradeFilter(setup=setup, sector=sector) for setup, sector in product(SetupType, sectors)]
    found += [TradeFilter(setup=setup, rsi=span) for setup, span in product(SetupType, _spans(RSI_EDGES))]
    found += [TradeFilter(setup=setup, vix=span) for setup, span in product(SetupType, _spans(VIX_EDGES))]
    found += [TradeFilter(stance=stance) for stance in stances]
    return found


def _spans(edges: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(edges))


def _tally(trades: Sequence[TradeFact]) -> Tally:
    return Tally(wins=sum(trade.won for trade in trades), trades=len(trades))


def _sentence(wanted: TradeFilter, found: TradeStatistics) -> str:
    if not found.n:
        return f"{wanted}: no trade has closed yet."
    low, high = found.interval
    said = (
        f"{wanted}: {found.wins} of {found.n} won (95% {low:.0%} to {high:.0%}), shrunk {found.win_rate:.0%} "
        f"where {found.expected_rate:.0%} was to be expected; {found.mean_r:+.2f} R a trade, shrunk"
    )
    return f"{said}, from fewer than {CELL} trades." if found.is_thin else f"{said}."
