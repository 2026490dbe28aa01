"""What trading costs on paper: slippage by kind of order, and commission."""

from decimal import ROUND_CEILING, Decimal

from pydantic import BaseModel, ConfigDict, Field

from storage.records import CENT, to_price

BASIS_POINT = Decimal("0.0001")


class Costs(BaseModel):
    """Slippage in basis points of the price and commission in dollars an order.

    The defaults are engineering defaults for liquid US stocks, not measurements: half a spread and some
    impact at the auctions, three times that where a stop runs into a falling market. Target orders are
    limits and never slip.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    market_bps: float = Field(5.0, ge=0, le=100, description="Slippage of orders at the open or close, bps")
    stop_bps: float = Field(15.0, ge=0, le=200, description="Slippage of stop orders, bps")
    commission_usd: Decimal = Field(
        Decimal("1.00"), ge=0, le=50, decimal_places=2, description="Commission an order, dollars"
    )

    def buy_at_market(self, price: float) -> Decimal:
        """Dollars a share paid by a market order when the tape shows `price`."""
        return to_price(_exact(price) * (1 + self._market))

    def sell_at_market(self, price: float) -> Decimal:
        """Dollars a share received by a market order when the tape shows `price`."""
        return to_price(_exact(price) * (1 - self._market))

    def sell_at_stop(self, price: float | Decimal) -> Decimal:
        """Dollars a share received by a stop that was triggered at `price`."""
        return to_price(_exact(price) * (1 - self._stop))

    def to_buy(self, shares: int, price: Decimal) -> Decimal:
        """The most dollars that leave the account for `shares` filled at `price`, commission included."""
        return ceil_to_cents(shares * price) + self.commission_usd

    def round_trip(self, shares: int, entry: Decimal, stop: Decimal) -> Decimal:
        """Dollars of slippage and commissions when a trade enters at market and leaves at its stop."""
        slipped = shares * (entry * self._market + stop * self._stop)
        return ceil_to_cents(slipped) + 2 * self.commission_usd

    @property
    def _market(self) -> Decimal:
        return Decimal(str(self.market_bps)) * BASIS_POINT

    @property
    def _stop(self) -> Decimal:
        return Decimal(str(self.stop_bps)) * BASIS_POINT


def ceil_to_cents(amount: Decimal) -> Decimal:
    """Round money up to the cent, where the result must bound what can be paid or lost."""
    return amount.quantize(CENT, rounding=ROUND_CEILING)


def _exact(price: float | Decimal) -> Decimal:
    return Decimal(str(price))
