"""The paper broker's rules: what an approved entry and an open position become on one daily bar.

A daily bar does not say in which order its extremes came, so every doubt is settled against the desk: the
stop is hit before the target, and a stop always slips.
"""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from math import isfinite

from agents.market.bars import Bar
from agents.trading.book import OpenPosition
from agents.trading.costs import Costs
from agents.trading.limits import (
    BookView,
    Candidate,
    Denied,
    HoldAction,
    Limits,
    highest_that_pays,
    recheck_entry,
)
from storage.broker_records import Leg
from storage.records import ExitReason, LimitCheck, OrderSide, TradeTerms, to_cents, to_price


class SkipReason(StrEnum):
    """Why an approved entry did not fill."""

    NO_BAR = "no bar"
    GAP = "gap"
    LIMIT = "limit"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class EntryOrder:
    """A limit order for the opening auction of a session: all of its shares inside the band, or none."""

    symbol: str
    session: date
    shares: int
    limit: Decimal  # the highest price that is paid
    floor: Decimal  # below it the open is another market than the one that was approved


@dataclass(frozen=True, kw_only=True)
class SizedEntry:
    """An order as the limits allow it; what it costs and risks at most, dollars."""

    order: EntryOrder
    cost: Decimal
    risk: Decimal  # from the limit to the stop
    checks: tuple[LimitCheck, ...]


@dataclass(frozen=True, kw_only=True)
class EntryFill:
    """A bought position; `amount` and `fee` are the dollars that leave the account."""

    symbol: str
    session: date
    shares: int
    price: Decimal
    amount: Decimal
    fee: Decimal


@dataclass(frozen=True, kw_only=True)
class EntrySkip:
    """An entry that did not happen; `limit` names the hard limit when one denied it."""

    reason: SkipReason
    note: str
    limit: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExitFill:
    """A sale of a position or of a part of it; `amount` is what comes in, `fee` what leaves, dollars.

    `low` and `high` are the prices the bar is known to have shown while the position was still open.
    """

    symbol: str
    session: date
    reason: ExitReason
    shares: int
    price: Decimal
    reference: Decimal  # the market's price before slippage
    amount: Decimal
    fee: Decimal
    low: Decimal
    high: Decimal


def size_entry_order(
    terms: TradeTerms, candidate: Candidate, book: BookView, limits: Limits, costs: Costs
) -> SizedEntry | EntrySkip:
    """The order an approved entry is sent as before the open, or why none is.

    A broker wants the shares fixed before the price is known, so they are what the limits still allow at the
    highest price that is paid: the upper end of the band, or lower where the target would not pay for the
    risk from there. Never more than approved; `book` must not contain this approval's own reservation.
    """
    price = highest_that_pays(terms, limits)
    sized = recheck_entry(terms, max(price, terms.min_entry), candidate, book, limits, costs)
    if isinstance(sized, Denied):
        return EntrySkip(reason=SkipReason.LIMIT, note=sized.reason, limit=sized.limit)
    order = EntryOrder(
        symbol=terms.symbol,
        session=terms.entry_session,
        shares=sized.shares,
        limit=price,
        floor=terms.min_entry,
    )
    return SizedEntry(order=order, cost=sized.cost, risk=sized.max_risk, checks=sized.checks)


def fill_entry(order: EntryOrder, bar: Bar | None, costs: Costs) -> EntryFill | EntrySkip:
    """Buy at the open of `bar`, slippage included, or say why not.

    The slipped price must lie between floor and limit. ValueError on a bar of another symbol or session.
    """
    if bar is None or not is_usable(bar):
        return EntrySkip(
            reason=SkipReason.NO_BAR, note=f"{order.symbol} has no open on {order.session.isoformat()}"
        )
    if (bar.symbol, bar.session) != (order.symbol, order.session):
        raise ValueError(
            f"expected the bar of {order.symbol} on {order.session}, was {bar.symbol} on {bar.session}"
        )
    price = costs.buy_at_market(bar.open)
    if not order.floor <= price <= order.limit:
        side = "above" if price > order.limit else "below"
        band = f"{order.floor} to {order.limit}"
        return EntrySkip(
            reason=SkipReason.GAP, note=f"{order.symbol} would fill at {price}, {side} the band {band}"
        )
    return EntryFill(
        symbol=order.symbol,
        session=bar.session,
        shares=order.shares,
        price=price,
        amount=to_cents(order.shares * price),
        fee=costs.fees(OrderSide.BUY, order.shares, price, bar.session).total,
    )


@dataclass(frozen=True)
class Hit:
    """Which of the two protective prices a bar reached; `reference` is the market's price before slippage."""

    leg: Leg
    reference: Decimal
    price: Decimal


def protection_hit(
    stop: Decimal, target: Decimal, bar: Bar, *, entered_today: bool, costs: Costs
) -> Hit | None:
    """What a stop and a target make of a bar; None where it lies between them.

    In this order: a gap through the stop fills at the open, the stop at its price, both with stop slippage; a
    gap through the target fills at the open, the target at its price, both without. A position entered at
    this open cannot have been gapped by it.
    """
    opened = to_price(bar.open)
    if not entered_today and opened <= stop:
        return Hit(Leg.STOP, opened, costs.sell_at_stop(bar.open))
    if to_price(bar.low) <= stop:
        return Hit(Leg.STOP, stop, costs.sell_at_stop(stop))
    if not entered_today and opened >= target:
        return Hit(Leg.TARGET, opened, opened)
    if to_price(bar.high) >= target:
        return Hit(Leg.TARGET, target, target)
    return None


def exit_on_bar(
    position: OpenPosition, bar: Bar | None, *, entered_today: bool, sessions_held: int, costs: Costs
) -> ExitFill | None:
    """How the bar ends the position; None when it lives on, also when there is no bar.

    By its stop or its target (`protection_hit`), the stop as `regime_change` where a tighter regime has
    raised it; else the time exit sells at the close once `sessions_held` sessions after the entry session
    reach `max_hold`.
    """
    if bar is None or not is_usable(bar):
        return None
    hit = protection_hit(position.stop, position.target, bar, entered_today=entered_today, costs=costs)
    if hit is not None:
        stopped = ExitReason.REGIME_CHANGE if position.is_tightened else ExitReason.STOP_LOSS
        reason = stopped if hit.leg is Leg.STOP else ExitReason.TAKE_PROFIT
        return _exit(position, bar, reason, hit.reference, hit.price, costs)
    if sessions_held >= position.max_hold:
        return sale_at_close(position, bar, ExitReason.TIME_EXIT, position.shares, costs)
    return None


def sold_before_earnings(shares: int, action: HoldAction) -> int:
    """How many are sold at the close before the company reports; of an odd number half is rounded up."""
    if action is HoldAction.KEEP:
        return 0
    return shares - shares // 2 if action is HoldAction.HALVE else shares


def exit_without_bar(
    position: OpenPosition, session: date, *, sessions_held: int, costs: Costs
) -> ExitFill | None:
    """What becomes of a position whose symbol shows no price: None until its time is up.

    Then it is sold at the last close it has seen with the slippage of a stop, so that a symbol that stopped
    trading neither stays in the equity for ever nor leaves at a price nobody would have paid.
    """
    if sessions_held < position.max_hold:
        return None
    last = position.last_close
    price = costs.sell_at_stop(last)
    return ExitFill(
        symbol=position.symbol,
        session=session,
        reason=ExitReason.TIME_EXIT,
        shares=position.shares,
        price=price,
        reference=last,
        amount=to_cents(position.shares * price),
        fee=costs.fees(OrderSide.SELL, position.shares, price, session).total,
        low=min(last, price),
        high=last,
    )


def paid_out(position: OpenPosition, cash: Decimal, session: date) -> ExitFill:
    """A holding a reverse split left less than one share of: no order, no fee, `cash` for all of it."""
    price = to_price(cash / position.shares)
    return ExitFill(
        symbol=position.symbol,
        session=session,
        reason=ExitReason.CORPORATE_ACTION,
        shares=position.shares,
        price=price,
        reference=price,
        amount=cash,
        fee=Decimal("0.00"),
        low=price,
        high=price,
    )


def sale_at_close(
    position: OpenPosition, bar: Bar, reason: ExitReason, shares: int, costs: Costs
) -> ExitFill:
    """A sale that has lived through the whole bar."""
    part, price = replace(position, shares=shares), costs.sell_at_market(bar.close)
    leaving = _exit(part, bar, reason, to_price(bar.close), price, costs)
    return replace(
        leaving, low=min(leaving.low, to_price(bar.low)), high=max(leaving.high, to_price(bar.high))
    )


def _exit(
    position: OpenPosition, bar: Bar, reason: ExitReason, reference: Decimal, price: Decimal, costs: Costs
) -> ExitFill:
    opened = to_price(bar.open)
    return ExitFill(
        symbol=position.symbol,
        session=bar.session,
        reason=reason,
        shares=position.shares,
        price=price,
        reference=reference,
        amount=to_cents(position.shares * price),
        fee=costs.fees(OrderSide.SELL, position.shares, price, bar.session).total,
        low=min(opened, price),
        high=max(opened, price),
    )


def is_usable(bar: Bar) -> bool:
    """Whether every price of the bar is one."""
    return all(isfinite(price) and price > 0 for price in (bar.open, bar.high, bar.low, bar.close))
