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
    starting from its entry price.
    """

    id: UUID
    symbol: str
    setup_type: SetupType
    shares: int
    entry_session: date
    entry_price: Decimal
    entry_fee: Decimal  # dollars
    stop: Decimal
    target: Decimal
    max_hold: int  # sessions after the entry session until the time exit
    low_since: Decimal
    high_since: Decimal
    last_close: Decimal  # the entry price until the first bar is through
    last_session: date

    def __post_init__(self) -> None:
        if self.shares < 1 or not 0 < self.stop < self.entry_price:
            raise ValueError(
                f"expected shares and a stop below the entry of {self.symbol}, "
                f"was {self.shares} at {self.entry_price} with stop {self.stop}"
            )

    @property
    def initial_risk(self) -> Decimal:
        """Dollars a share from the entry to the stop: the R of this trade."""
        return self.entry_price - self.stop

    @property
    def heat(self) -> Decimal:
        """Dollars lost from the entry price if the stop is hit; always above zero."""
        return self.initial_risk * self.shares

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
