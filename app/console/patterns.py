"""What `quorum patterns` tells, as the console keeps it: rates are fractions, results in R."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How many trades, and what they came to: shrunk, with their intervals."""

    n: int
    wins: int
    win_rate: float
    interval: tuple[float, float]
    expected_rate: float
    mean_r: float
    mean_r_interval: tuple[float, float] | None
    expected_r: float

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Figures:
        spread = told["mean_r_interval"]
        return cls(
            n=int(told["n"]),
            wins=int(told["wins"]),
            win_rate=float(told["win_rate"]),
            interval=_pair(told["interval"]),
            expected_rate=float(told["expected_rate"]),
            mean_r=float(told["mean_r"]),
            mean_r_interval=None if spread is None else _pair(spread),
            expected_r=float(told["expected_r"]),
        )


@dataclass(frozen=True, kw_only=True)
class Analogue:
    """A closed trade as an example."""

    symbol: str
    entered: str
    closed: str
    setup: str
    regime: str
    r: float
    exit_reason: str
    distance: float | None


@dataclass(frozen=True, kw_only=True)
class PatternTold:
    """The filter, what was not understood, the figures in each market, the analogues of a candidate."""

    filter: str
    left: tuple[str, ...]
    read_by: str
    note: str
    cost_usd: float
    as_of: str
    chosen_by_outcome: bool
    figures: Figures
    by_regime: tuple[tuple[str, Figures], ...]
    like: str
    analogues: tuple[Analogue, ...]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> PatternTold:
        """Raises KeyError, TypeError or ValueError for what the command of another version tells."""
        like = told["like"]
        return cls(
            filter=str(told["filter_text"]),
            left=tuple(map(str, told["not_understood"])),
            read_by=str(told["read_by"]),
            note=str(told["note"]),
            cost_usd=float(told["cost_usd"]),
            as_of=str(told["as_of"]),
            chosen_by_outcome=bool(told["chosen_by_outcome"]),
            figures=Figures.of(told),
            by_regime=tuple((str(row["regime"]), Figures.of(row)) for row in told["by_regime"]),
            like="" if like is None else f"{like['symbol']} as it was on {like['session']}",
            analogues=tuple(
                Analogue(
                    symbol=str(row["symbol"]),
                    entered=str(row["entry_session"]),
                    closed=str(row["exit_session"]),
                    setup=str(row["setup_type"]).replace("_", " "),
                    regime=str(row["market_regime"]),
                    r=float(row["r_multiple"]),
                    exit_reason=str(row["exit_reason"]).replace("_", " "),
                    distance=None if row["distance"] is None else float(row["distance"]),
                )
                for row in told["analogues"]
            ),
        )


def _pair(values: list[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)
