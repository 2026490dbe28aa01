"""What trading costs on paper: slippage by kind of order, commission, and what regulators take of sales."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from storage.records import CENT, DeskKind, OrderSide, to_price

BASIS_POINT = Decimal("0.0001")
MILLION = Decimal(1_000_000)


class FeeTable(StrEnum):
    """Which regulatory fees a sale pays."""

    NONE = "none"
    US_EQUITIES = "us_equities"


@dataclass(frozen=True, kw_only=True)
class FeeRow:
    """Fees on sales from a date until the next row's; dollars."""

    since: date
    sec_per_million: Decimal  # SEC, Section 31: for a million dollars sold
    taf_per_share: Decimal  # FINRA trading activity fee: for a share sold
    taf_cap: Decimal  # the most of it that one trade pays


@dataclass(frozen=True)
class FeeSchedule:
    """Dated fees, oldest first. ValueError when the dates do not increase."""

    rows: tuple[FeeRow, ...]

    def __post_init__(self) -> None:
        dates = [row.since for row in self.rows]
        if sorted(set(dates)) != dates:
            raise ValueError("expected the dates of a fee schedule to increase")

    def on(self, session: date) -> FeeRow | None:
        """The row in force; None before the first: older fees are not in the table, and none are charged."""
        known = [row for row in self.rows if row.since <= session]
        return known[-1] if known else None


def _row(since: date, sec: str, taf: str, cap: str) -> FeeRow:
    return FeeRow(since=since, sec_per_million=Decimal(sec), taf_per_share=Decimal(taf), taf_cap=Decimal(cap))


# SEC: Section 31 fee rate advisories of the fiscal years 2024, 2025 and 2026; the last holds until 60 days
# after the next appropriation. FINRA: By-Laws, Schedule A, section 1, as set by SR-FINRA-2024-019, paused by
# SR-FINRA-2026-021 for the last quarter of 2026 and held after it by SR-FINRA-2026-020.
US_EQUITIES = FeeSchedule(
    (
        _row(date(2024, 5, 22), "27.80", "0.000166", "8.30"),
        _row(date(2025, 5, 14), "0.00", "0.000166", "8.30"),
        _row(date(2026, 1, 1), "0.00", "0.000195", "9.79"),
        _row(date(2026, 4, 4), "20.60", "0.000195", "9.79"),
        _row(date(2026, 10, 1), "20.60", "0", "0"),
        _row(date(2027, 1, 1), "20.60", "0.000195", "9.79"),
    )
)

_SCHEDULES = {FeeTable.NONE: FeeSchedule(()), FeeTable.US_EQUITIES: US_EQUITIES}


@dataclass(frozen=True, kw_only=True)
class Fees:
    """What one order pays beside its price, dollars; each part rounded up to the cent, as brokers do."""

    commission: Decimal
    sec: Decimal
    taf: Decimal

    @property
    def total(self) -> Decimal:
        return self.commission + self.sec + self.taf


class Costs(BaseModel):
    """Slippage in basis points of the price, commission in dollars an order, and a table of dated fees.

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
    fee_table: FeeTable | None = Field(
        None,
        description="Regulatory fees on sales, none or us_equities; unset: us_equities on a paper desk, "
        "none in a replay",
    )

    def for_desk(self, kind: DeskKind) -> Self:
        """These costs with the fee table settled: as set, else none in a replay and US equities elsewhere."""
        if self.fee_table is not None:
            return self
        table = FeeTable.NONE if kind is DeskKind.HISTORY else FeeTable.US_EQUITIES
        return self.model_copy(update={"fee_table": table})

    def fees(self, side: OrderSide, shares: int, price: Decimal, session: date) -> Fees:
        """What an order of `shares` filled at `price` pays; only sales pay more than the commission.

        While the fee table is unset nothing but the commission is charged. ValueError without shares or on a
        price below zero.
        """
        if shares < 1 or price < 0:
            raise ValueError(f"expected shares and a price, was {shares} at {price}")
        row = None
        if side is OrderSide.SELL:
            row = _SCHEDULES[self.fee_table or FeeTable.NONE].on(session)
        if row is None:
            return Fees(commission=self.commission_usd, sec=Decimal("0.00"), taf=Decimal("0.00"))
        return Fees(
            commission=self.commission_usd,
            sec=ceil_to_cents(shares * price * row.sec_per_million / MILLION),
            taf=ceil_to_cents(min(shares * row.taf_per_share, row.taf_cap)),
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

    def round_trip(self, shares: int, entry: Decimal, stop: Decimal, session: date | None = None) -> Decimal:
        """Dollars of slippage and fees when a trade enters at market and leaves at its stop.

        Commissions always; the regulatory fees of the sale when a `session` says which are in force.
        """
        slipped = shares * (entry * self._market + stop * self._stop)
        cost = ceil_to_cents(slipped) + 2 * self.commission_usd
        if session is None:
            return cost
        sale = self.fees(OrderSide.SELL, shares, stop, session)
        return cost + sale.sec + sale.taf

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
