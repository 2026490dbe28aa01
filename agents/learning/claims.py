"""Claims: what the desk believes about its trades, each an executable filter with the trades it rests on.

No claim is free text. A filter is typed, its statistics are computed here, its rates are shrunk towards what
it is a part of (setup within desk, the filter within its setup), and it is forgotten after 60 days.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise, product
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agents.statistics import SHRINKAGE, Estimate, Tally, base_rate, mean_interval, shrunk, wilson
from storage.records import AgentName, Direction, ExitReason, SetupType, Stance, Volatility

LIFE = timedelta(days=60)
LEAST_TRADES = 10  # below which a filter is not worth a sentence
CELL = 30  # trades below which a mean is only shown shrunk
MOST_CLAIMS = 12

RSI_EDGES = (0.0, 20.0, 30.0, 40.0, 60.0, 100.0)
VIX_EDGES = (0.0, 13.0, 20.0, 30.0, 1000.0)


@dataclass(frozen=True, kw_only=True)
class TradeFact:
    """One closed trade as the desk recorded it; readings are of the signal's close, `r` is net of costs."""

    id: UUID
    symbol: str
    sector: str | None
    setup: SetupType
    regime: Direction
    volatility: Volatility
    rsi: float | None
    vix: float | None
    exit_reason: ExitReason
    entered: date
    closed: date
    r: float
    stances: tuple[tuple[AgentName, Stance], ...] = ()

    @property
    def won(self) -> bool:
        return self.r > 0


class TradeFilter(BaseModel):
    """Which trades are meant; what is unset says nothing. Ranges leave out their second value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    setup: SetupType | None = None
    regime: Direction | None = None
    volatility: Volatility | None = None
    sector: str | None = Field(None, max_length=80)
    rsi: tuple[float, float] | None = None
    vix: tuple[float, float] | None = None
    exit_reason: ExitReason | None = None
    stance: tuple[AgentName, Stance] | None = None
    entered_from: date | None = None
    entered_to: date | None = None

    @model_validator(mode="after")
    def _ranges_rise(self) -> "TradeFilter":
        for name in ("rsi", "vix"):
            if (span := getattr(self, name)) is not None and not span[0] < span[1]:
                raise ValueError(f"expected {name} to rise from its first to its second value")
        if self.entered_from and self.entered_to and self.entered_from > self.entered_to:
            raise ValueError("expected the first day of entry before the last")
        return self

    def matches(self, trade: TradeFact) -> bool:
        """Whether the trade is meant; a missing reading is in no range."""
        same = (
            (self.setup, trade.setup),
            (self.regime, trade.regime),
            (self.volatility, trade.volatility),
            (self.sector, trade.sector),
            (self.exit_reason, trade.exit_reason),
        )
        return (
            all(wanted is None or wanted == found for wanted, found in same)
            and _within(self.rsi, trade.rsi)
            and _within(self.vix, trade.vix)
            and (self.stance is None or self.stance in trade.stances)
            and (self.entered_from is None or trade.entered >= self.entered_from)
            and (self.entered_to is None or trade.entered <= self.entered_to)
        )

    def __str__(self) -> str:
        words = [
            self.setup and self.setup.replace("_", " "),
            self.regime and f"in {self.regime}",
            self.volatility and f"in {self.volatility}",
            self.sector and f"in {self.sector}",
            self.rsi and f"RSI(14) {self.rsi[0]:g} to {self.rsi[1]:g}",
            self.vix and f"VIX {self.vix[0]:g} to {self.vix[1]:g}",
            self.exit_reason and f"out by {self.exit_reason.replace('_', ' ')}",
            self.stance and f"{self.stance[0]} {self.stance[1]}",
            self.entered_from and f"entered from {self.entered_from.isoformat()}",
            self.entered_to and f"entered to {self.entered_to.isoformat()}",
        ]
        return ", ".join(word for word in words if word) or "all trades"


@dataclass(frozen=True, kw_only=True)
class TradeStatistics:
    """What the trades of a filter came to; rates are fractions, results in R.

    `win_rate` and `mean_r` are shrunk: to the filter's setup (`expected_rate`, `expected_r`), and that to the
    desk. `results` is the plain mean with its interval, to be shown from 30 trades on.
    """

    n: int
    wins: int
    win_rate: float
    interval: tuple[float, float]  # Wilson's, of the plain rate
    expected_rate: float
    mean_r: float
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
    if wanted.exit_reason is not None:
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
    known = [trade for trade in trades if trade.closed < as_of]
    inside = [trade for trade in known if wanted.matches(trade)]
    setup = [trade for trade in known if wanted.setup in (None, trade.setup)]
    desk_rate = shrunk(_tally(known), 0.5)
    expected_rate = shrunk(_tally(setup), desk_rate)
    expected_r = shrunk_mean([trade.r for trade in setup], shrunk_mean([trade.r for trade in known], 0.0))
    tally = _tally(inside)
    return TradeStatistics(
        n=tally.trades,
        wins=tally.wins,
        win_rate=base_rate(_tally(known), _tally(setup), tally),
        interval=wilson(tally),
        expected_rate=expected_rate,
        mean_r=shrunk_mean([trade.r for trade in inside], expected_r),
        expected_r=expected_r,
        results=mean_interval([trade.r for trade in inside]),
    )


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


def _within(span: tuple[float, float] | None, value: float | None) -> bool:
    return span is None or (value is not None and span[0] <= value < span[1])


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
