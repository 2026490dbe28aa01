"""What past trades of a kind came to: shrunk, with intervals, and market by market."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from agents.learning.claims import TradeStatistics, statistics_of
from agents.learning.filters import TradeFact, TradeFilter
from storage.records import Direction


@dataclass(frozen=True, kw_only=True)
class InRegime:
    """The same kind of trade in one direction of the market, whatever direction was asked about."""

    direction: Direction
    statistics: TradeStatistics


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A kind of trade and what it came to."""

    filter: TradeFilter
    statistics: TradeStatistics
    by_regime: tuple[InRegime, ...]


def pattern_of(wanted: TradeFilter, trades: Sequence[TradeFact], *, as_of: date) -> Pattern:
    """By the trades closed before `as_of`."""
    return Pattern(
        filter=wanted,
        statistics=statistics_of(wanted, trades, as_of=as_of),
        by_regime=tuple(
            InRegime(
                direction=direction,
                statistics=statistics_of(
                    wanted.model_copy(update={"regime": direction}), trades, as_of=as_of
                ),
            )
            for direction in Direction
        ),
    )
