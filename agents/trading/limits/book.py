"""What the limits need to know: of the account, and of the one symbol that is asked about."""

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from math import isfinite

from agents.trading.limits.earnings import EarningsDate
from agents.trading.limits.kelly import KellyCap
from agents.trading.limits.ladder import LadderState
from agents.trading.limits.portfolio import Correlations, Exposure
from agents.trading.limits.protections import Lock


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """The facts of a symbol that bound the size of a trade in it.

    What is not known is never taken to be harmless: without a volume nothing is bought, an unknown worst gap
    counts as the loss of everything, an unknown volatility as 100% a day, an unknown sector as one with all
    others that are unknown. Raises ValueError on a fact that is below zero or no number.
    """

    symbol: str
    entry_session: date
    sector: str | None
    adv_shares: int | None  # mean volume of 20 sessions, shares
    worst_gap: float | None  # largest fall from a close to the next open in two years, fraction, from 0 on
    daily_volatility: float | None  # standard deviation of the daily returns, fraction
    earnings: EarningsDate
    kelly: KellyCap | None = None  # of the setup it shows; None until there are outcomes

    def __post_init__(self) -> None:
        for name in ("adv_shares", "worst_gap", "daily_volatility"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value >= 0):
                raise ValueError(f"expected {name} of {self.symbol} from zero on, was {value}")


@dataclass(frozen=True, kw_only=True)
class BookView:
    """What the limits need to know of the account; dollars unless said otherwise.

    Raises ValueError when equity is not above zero, because no fraction of it would mean anything, and when a
    return is no number, because that is not known to be no loss.
    """

    equity: Decimal
    cash: Decimal  # settled or not, minus what resting and pending approvals have reserved
    unsettled: Decimal  # proceeds in `cash` that settle only after the session of the entry
    exposures: tuple[Exposure, ...]  # open positions and what approvals have reserved
    day_return: float  # of the session, fraction
    week_return: float  # of the trailing five sessions, this one included, fraction
    ladder: LadderState
    locks: tuple[Lock, ...]
    correlations: Correlations = field(default_factory=Correlations)

    def __post_init__(self) -> None:
        if self.equity <= 0:
            raise ValueError(f"expected equity above zero, was {self.equity}")
        if not (isfinite(self.day_return) and isfinite(self.week_return)):
            raise ValueError(f"expected returns, was {self.day_return} and {self.week_return}")
        if self.unsettled < 0:
            raise ValueError(f"expected unsettled cash from zero on, was {self.unsettled}")

    @property
    def heat_usd(self) -> Decimal:
        """What open and reserved trades lose together at their stops."""
        return sum((exposure.risk for exposure in self.exposures), Decimal(0))

    @property
    def risks(self) -> tuple[tuple[str, Decimal], ...]:
        """Symbol and risk of each, in the order of the exposures."""
        return tuple((exposure.symbol, exposure.risk) for exposure in self.exposures)

    @property
    def held(self) -> frozenset[str]:
        return frozenset(exposure.symbol for exposure in self.exposures if not exposure.reserved)

    @property
    def reserved(self) -> frozenset[str]:
        return frozenset(exposure.symbol for exposure in self.exposures if exposure.reserved)

    @property
    def settled(self) -> Decimal:
        """Cash that an entry may spend without waiting for a sale to settle."""
        return self.cash - self.unsettled

    def reserve(self, symbol: str, cost: Decimal, risk: Decimal, *, sector: str | None) -> "BookView":
        """The book with cash, heat, a place and a sector's room set aside for a trade that may come."""
        exposure = Exposure(symbol=symbol, sector=sector, value=cost, risk=risk, reserved=True)
        return replace(self, cash=self.cash - cost, exposures=(*self.exposures, exposure))

    def bought(
        self, symbol: str, *, amount: Decimal, fee: Decimal, risk: Decimal, sector: str | None
    ) -> "BookView":
        """The book after a fill: `amount` and `fee` have left the account; equity stays as it was marked."""
        exposure = Exposure(symbol=symbol, sector=sector, value=amount, risk=risk)
        return replace(self, cash=self.cash - amount - fee, exposures=(*self.exposures, exposure))
