"""What the positions are together: correlation, heat adjusted for it, and the weight of a sector."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal, localcontext
from math import isfinite
from types import MappingProxyType
from typing import Self

from storage.records import CENT

UNKNOWN_SECTOR = "unknown"
UNKNOWN_CORRELATION = 1.0

# Enough digits that r'Cr of risks in cents is exact before its root is taken.
_DIGITS = 80


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """One position, or what a proposal or a resting order has reserved for one; dollars."""

    symbol: str
    sector: str | None
    value: Decimal  # of the shares now; of a reservation the most it can cost
    risk: Decimal  # (entry - stop) x shares, never below zero
    reserved: bool = False

    def __post_init__(self) -> None:
        if self.value < 0 or self.risk < 0:
            raise ValueError(
                f"expected value and risk of {self.symbol} from zero on, was {self.value} and {self.risk}"
            )


@dataclass(frozen=True)
class Correlations:
    """Correlations of daily returns by pair of symbols, in either order.

    A pair that is missing or no number counts as 1, a negative one as 0: neither a gap in the data nor a
    hedge that held for 60 sessions may make room for more risk.
    """

    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ordered: dict[tuple[str, str], float] = {}
        for (one, other), rho in self.pairs.items():
            key = (min(one, other), max(one, other))
            counted = min(1.0, max(0.0, rho)) if isfinite(rho) else UNKNOWN_CORRELATION
            ordered[key] = max(counted, ordered.get(key, 0.0))
        object.__setattr__(self, "pairs", MappingProxyType(ordered))

    @classmethod
    def of_matrix(cls, symbols: Sequence[str], matrix: Sequence[Sequence[float]]) -> Self:
        """From a square matrix whose rows and columns are `symbols`; ValueError when it is not square."""
        if len(matrix) != len(symbols) or any(len(row) != len(symbols) for row in matrix):
            raise ValueError(f"expected {len(symbols)} rows and columns of correlations")
        return cls(
            {
                (one, symbols[column]): float(matrix[row][column])
                for row, one in enumerate(symbols)
                for column in range(row)
            }
        )

    def between(self, one: str, other: str) -> float:
        """From 0 to 1; a symbol with itself is 1."""
        if one == other:
            return 1.0
        return self.pairs.get((min(one, other), max(one, other)), UNKNOWN_CORRELATION)

    def known(self, one: str, other: str) -> bool:
        """Whether it was measured."""
        return one == other or (min(one, other), max(one, other)) in self.pairs


def adjusted_heat(risks: Sequence[tuple[str, Decimal]], correlations: Correlations) -> Decimal:
    """The root of r'Cr over risks in dollars: what the trades lose together if their stops go together."""
    with localcontext() as context:
        context.prec = _DIGITS
        return _square(risks, correlations).sqrt()


def adjusted_room(
    symbol: str, risks: Sequence[tuple[str, Decimal]], correlations: Correlations, most: Decimal
) -> Decimal:
    """The most risk, in dollars and whole cents, that `symbol` may add so that the root stays within `most`.

    Zero when the risks there are exceed it already.
    """
    with localcontext() as context:
        context.prec = _DIGITS
        square = _square(risks, correlations)
        shared = sum(
            (_rho(correlations, symbol, other) * risk for other, risk in risks), Decimal(0)
        )  # half the slope of the square in the new risk
        if square >= most * most:
            return Decimal(0)
        room = (shared * shared + most * most - square).sqrt() - shared
        cents = max(room, Decimal(0)).quantize(CENT, rounding=ROUND_FLOOR)
        while cents > 0 and square + 2 * shared * cents + cents * cents > most * most:
            cents -= CENT
        return cents


def nearest(symbol: str, others: Iterable[str], correlations: Correlations) -> tuple[str | None, float]:
    """The name that moves most like `symbol`, and how much; None and 0 when there is nobody."""
    ranked = sorted(others, key=lambda other: (-correlations.between(symbol, other), other))
    return (ranked[0], correlations.between(symbol, ranked[0])) if ranked else (None, 0.0)


def in_sector(exposures: Iterable[Exposure], sector: str | None) -> Decimal:
    """Dollars in one sector; those without a sector are together in one of their own."""
    wanted = sector or UNKNOWN_SECTOR
    return sum(
        (exposure.value for exposure in exposures if (exposure.sector or UNKNOWN_SECTOR) == wanted),
        Decimal(0),
    )


def _square(risks: Sequence[tuple[str, Decimal]], correlations: Correlations) -> Decimal:
    total = Decimal(0)
    for index, (one, risk) in enumerate(risks):
        total += risk * risk
        for other, its in risks[:index]:
            total += 2 * _rho(correlations, one, other) * risk * its
    return total


def _rho(correlations: Correlations, one: str, other: str) -> Decimal:
    return Decimal(str(correlations.between(one, other)))
