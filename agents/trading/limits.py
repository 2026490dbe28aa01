"""Hard limits and sizing. No agent and no model can widen anything here: they may only make a trade smaller.

Four limits bind every entry, by the names used in denials: `risk_per_trade`, `heat`, `cash` and `daily_loss`.
Money is Decimal throughout; fractions appear only in the checks shown to people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from agents.trading.costs import Costs, ceil_to_cents
from agents.trading.setups import SetupPlan
from storage.records import LimitCheck, TradeTerms

RISK_PER_TRADE = "risk_per_trade"
HEAT = "heat"
CASH = "cash"
DAILY_LOSS = "daily_loss"

# A proposal past one of these asks the human to type its id.
RISKY_RISK = 0.005  # of equity
RISKY_HEAT = 0.04  # of equity, after the trade
RISKY_HEADROOM = 0.10  # of a limit, after the trade


class Limits(BaseModel):
    """The limits in force. They can be set tighter than the code's hard bound, never wider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    risk_per_trade: float = Field(
        0.005, gt=0, le=0.0075, description="Most that one trade may lose at its stop, fraction of equity"
    )
    heat: float = Field(
        0.06, gt=0, le=0.06, description="Most that all open and reserved trades may lose, fraction of equity"
    )
    min_cash: float = Field(
        0.0, ge=0, le=1, description="Cash that must remain after an entry, fraction of equity"
    )
    daily_loss: float = Field(
        0.02,
        gt=0,
        le=0.05,
        description="Loss of the session beyond which nothing is entered, fraction of equity",
    )

    def in_force(self) -> dict[str, float]:
        """The limits as an approval binds them."""
        return self.model_dump()

    def tightened(self, bound: Mapping[str, float]) -> Self:
        """The tighter of these limits and those an approval bound; ValidationError on an unknown key."""
        other = type(self).model_validate(dict(bound))
        return type(self)(
            risk_per_trade=min(self.risk_per_trade, other.risk_per_trade),
            heat=min(self.heat, other.heat),
            min_cash=max(self.min_cash, other.min_cash),
            daily_loss=min(self.daily_loss, other.daily_loss),
        )


@dataclass(frozen=True, kw_only=True)
class BookView:
    """What the limits need to know of the account; dollars unless said otherwise.

    Raises ValueError when equity is not above zero: no fraction of it would mean anything.
    """

    equity: Decimal
    cash: Decimal  # settled, minus what resting and pending approvals have reserved
    heat_usd: Decimal  # (entry - stop) x shares of open positions, never below zero each, plus reserved risk
    day_return: float  # of the session, fraction
    held: frozenset[str] = frozenset()
    reserved: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.equity <= 0:
            raise ValueError(f"expected equity above zero, was {self.equity}")

    def reserve(self, symbol: str, cost: Decimal, risk: Decimal) -> "BookView":
        """The book with cash and heat set aside for a trade that may come."""
        return replace(
            self,
            cash=self.cash - cost,
            heat_usd=self.heat_usd + risk,
            reserved=self.reserved | {symbol},
        )


@dataclass(frozen=True, kw_only=True)
class Sized:
    """A trade that fits every limit."""

    shares: int
    max_risk: Decimal  # dollars lost from the entry price to the stop, rounded up; costs aside
    cost: Decimal  # dollars that leave the account at most, commission included
    checks: tuple[LimitCheck, ...]


@dataclass(frozen=True, kw_only=True)
class Denied:
    """A trade that one limit leaves no room for; the checks show what one share would do."""

    limit: str
    reason: str
    checks: tuple[LimitCheck, ...]


def size_entry(
    plan: SetupPlan, book: BookView, limits: Limits, costs: Costs, *, risk_scale: float = 1.0
) -> Sized | Denied:
    """The most whole shares every limit allows if the entry fills at `max_entry` and the stop holds.

    `risk_scale` multiplies the shares after all limits, so half is half whichever limit bound; ValueError
    unless it lies in (0, 1].
    """
    if not 0 < risk_scale <= 1:
        raise ValueError(f"expected a risk scale above 0 and at most 1, was {risk_scale}")
    return _size(plan.max_entry, plan.stop, book, limits, costs, risk_scale=Decimal(str(risk_scale)))


def recheck_at_fill(
    terms: TradeTerms, price: Decimal, book: BookView, limits: Limits, costs: Costs
) -> Sized | Denied:
    """Size an approved entry again at the price it fills at; never larger than what was approved.

    `book` must not contain this approval's own reservation. The limits that count are the tighter of those in
    force now and those the approval bound. ValueError when the price lies outside the approved band.
    """
    if not terms.min_entry <= price <= terms.max_entry:
        raise ValueError(f"expected a price from {terms.min_entry} to {terms.max_entry}, was {price}")
    return _size(
        price,
        terms.stop,
        book,
        limits.tightened(terms.limits),
        costs,
        most_shares=terms.max_shares,
        most_risk=terms.max_risk,
    )


def risky_reasons(checks: tuple[LimitCheck, ...]) -> tuple[str, ...]:
    """Why a proposal needs the typed acknowledgement; empty when it does not.

    `risk_per_trade` is left out of the headroom rule: sizing fills that limit by design, so next to none
    would be left on an ordinary trade.
    """
    reasons = []
    for check in checks:
        if check.name == RISK_PER_TRADE and check.after > RISKY_RISK:
            reasons.append(f"risks {check.after:.2%} of equity, more than {RISKY_RISK:.1%}")
        if check.name == HEAT and check.after > RISKY_HEAT:
            reasons.append(f"heat would be {check.after:.1%} of equity, more than {RISKY_HEAT:.0%}")
        if check.name != RISK_PER_TRADE and check.headroom < RISKY_HEADROOM:
            reasons.append(f"leaves {max(check.headroom, 0.0):.0%} of the {check.name} limit")
    return tuple(reasons)


def _size(
    price: Decimal,
    stop: Decimal,
    book: BookView,
    limits: Limits,
    costs: Costs,
    *,
    risk_scale: Decimal = Decimal(1),
    most_shares: int | None = None,
    most_risk: Decimal | None = None,
) -> Sized | Denied:
    per_share = price - stop
    if per_share <= 0 or stop <= 0:
        raise ValueError(f"expected an entry above a stop above zero, was {price} and {stop}")
    one_share = _checks(1, price, stop, book, limits, costs)
    if not one_share[-1].passed:
        lost = f"{-book.day_return:.2%} of equity is lost this session, the limit is {limits.daily_loss:.2%}"
        return Denied(limit=DAILY_LOSS, reason=lost, checks=one_share)
    budget = book.equity * _exact(limits.risk_per_trade)
    room = {
        RISK_PER_TRADE: budget if most_risk is None else min(budget, most_risk),
        HEAT: book.equity * _exact(limits.heat) - book.heat_usd,
        CASH: book.cash - _cash_floor(book, limits) - costs.commission_usd,
    }
    unit = {RISK_PER_TRADE: per_share, HEAT: per_share, CASH: price}
    fits = {name: _whole(room[name], unit[name]) for name in room}
    binding = min(fits, key=lambda name: fits[name])  # the first of equals, in the order above
    allowed = fits[binding] if most_shares is None else min(fits[binding], most_shares)
    shares = int((allowed * risk_scale).to_integral_value(ROUND_FLOOR))
    if shares < 1:
        left = f"{binding} leaves {max(room[binding], Decimal(0)):.2f} dollars"
        need = f"{risk_scale:.0%} of what they carry is less than one share"
        if allowed < 1:
            need = f"one share needs {unit[binding]:.2f}"
        return Denied(limit=binding, reason=f"{left}, {need}", checks=one_share)
    return Sized(
        shares=shares,
        max_risk=ceil_to_cents(shares * per_share),
        cost=costs.to_buy(shares, price),
        checks=_checks(shares, price, stop, book, limits, costs),
    )


def _whole(room: Decimal, unit: Decimal) -> int:
    """The most shares whose amount still fits after it has been rounded up to the cent."""
    cents = room.quantize(Decimal("0.01"), rounding=ROUND_FLOOR)
    return max(int((cents / unit).to_integral_value(ROUND_FLOOR)), 0)


def _checks(
    shares: int, price: Decimal, stop: Decimal, book: BookView, limits: Limits, costs: Costs
) -> tuple[LimitCheck, ...]:
    """Every limit before and after, `daily_loss` last; an entry itself loses nothing that day."""
    risk = ceil_to_cents(shares * (price - stop))
    loss = max(0.0, -book.day_return)
    return (
        LimitCheck(
            name=RISK_PER_TRADE, limit=limits.risk_per_trade, before=0.0, after=float(risk / book.equity)
        ),
        LimitCheck(
            name=HEAT,
            limit=limits.heat,
            before=float(book.heat_usd / book.equity),
            after=float((book.heat_usd + risk) / book.equity),
        ),
        LimitCheck(
            name=CASH,
            limit=float(_cash_floor(book, limits)),
            before=float(book.cash),
            after=float(book.cash - costs.to_buy(shares, price)),
        ),
        LimitCheck(name=DAILY_LOSS, limit=limits.daily_loss, before=loss, after=loss),
    )


def _cash_floor(book: BookView, limits: Limits) -> Decimal:
    return ceil_to_cents(book.equity * _exact(limits.min_cash))


def _exact(fraction: float) -> Decimal:
    return Decimal(str(fraction))
