"""The account: open positions, what they are worth, and what their stops still risk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from agents.market.bars import Bar
from storage.records import SetupType, to_cents, to_price


@dataclass(frozen=True, kw_only=True)
class OpenPosition:
    """One long position; prices in dollars a share.

    `low_since` and `high_since` are the extremes of the bars the position has lived through in full,
    starting from its entry price. The stop only ever rises from the initial one, even above the entry.
    """

    id: UUID
    symbol: str
    setup_type: SetupType
    shares: int
    entry_session: date
    entry_price: Decimal
    entry_fee: Decimal  # dollars
    stop: Decimal
    initial_stop: Decimal  # what one R is measured to
    target: Decimal
    max_hold: int  # sessions after the entry session until the time exit
    low_since: Decimal
    high_since: Decimal
    last_close: Decimal  # the entry price until the first bar is through
    last_session: date
    sold_shares: Decimal = Decimal(0)  # sold before the rest, on the basis of today's prices
    sold_fees: Decimal = Decimal(0)  # dollars those sales cost

    def __post_init__(self) -> None:
        if self.shares < 1 or not 0 < self.initial_stop < self.entry_price:
            raise ValueError(
                f"expected shares and a first stop below the entry of {self.symbol}, "
                f"was {self.shares} at {self.entry_price} with stop {self.initial_stop}"
            )
        if self.stop < self.initial_stop:
            raise ValueError(
                f"expected the stop of {self.symbol} not below its first one {self.initial_stop}, "
                f"was {self.stop}"
            )

    @property
    def initial_risk(self) -> Decimal:
        """Dollars a share from the entry to the first stop: the R of this trade."""
        return self.entry_price - self.initial_stop

    @property
    def is_tightened(self) -> bool:
        """Whether the stop has been raised, as a tighter regime does; the desk's row says whose it is."""
        return self.stop > self.initial_stop

    @property
    def heat(self) -> Decimal:
        """Dollars lost from the entry price if the stop is hit; zero once it lies above the entry."""
        return max(self.entry_price - self.stop, Decimal(0)) * self.shares

    @property
    def cost(self) -> Decimal:
        """Dollars paid for the shares that are held, to the cent; fees aside."""
        return to_cents(self.shares * self.entry_price)

    def without(self, shares: int, fee: Decimal) -> "OpenPosition":
        """The same position after a sale of some of its shares; ValueError unless one is left."""
        return replace(
            self,
            shares=self.shares - shares,
            sold_shares=self.sold_shares + shares,
            sold_fees=self.sold_fees + fee,
        )

    def survive(self, bar: Bar) -> "OpenPosition":
        """The position after a bar that did not end it."""
        return replace(
            self,
            low_since=min(self.low_since, to_price(bar.low)),
            high_since=max(self.high_since, to_price(bar.high)),
            last_close=to_price(bar.close),
            last_session=bar.session,
        )


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The account at a close; dollars, heat also as a fraction of equity."""

    cash: Decimal
    positions_value: Decimal
    equity: Decimal
    heat_usd: Decimal
    heat: float


def mark(positions: Iterable[OpenPosition], cash: Decimal, closes: Mapping[str, Decimal]) -> Mark:
    """Value the account at `closes`; a symbol without one keeps the last close its position has seen."""
    value = heat = Decimal(0)
    for position in positions:
        value += position.shares * closes.get(position.symbol, position.last_close)
        heat += position.heat
    value = to_cents(value)
    equity = cash + value
    return Mark(
        cash=cash,
        positions_value=value,
        equity=equity,
        heat_usd=heat,
        heat=float(heat / equity) if equity > 0 else 0.0,
    )
