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
from agents.trading.limits import BookView, Candidate, Denied, HoldAction, Limits, recheck_at_fill
from storage.records import ExitReason, LimitCheck, OrderSide, TradeTerms, to_cents, to_price


class SkipReason(StrEnum):
    """Why an approved entry did not fill."""

    NO_BAR = "no bar"
    GAP = "gap"
    LIMIT = "limit"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class EntryFill:
    """A bought position; `amount` and `fee` are the dollars that leave the account."""

    symbol: str
    session: date
    shares: int
    price: Decimal
    amount: Decimal
    fee: Decimal
    risk: Decimal  # dollars from the fill to the stop
    checks: tuple[LimitCheck, ...]


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


def fill_entry(
    terms: TradeTerms, bar: Bar | None, candidate: Candidate, book: BookView, limits: Limits, costs: Costs
) -> EntryFill | EntrySkip:
    """Buy at the open of `bar`, slippage included, or say why not.

    The slipped price must lie inside the approved band. Shares are what the limits still allow at that
    price, never more than approved, and none when the target is too near to pay for the risk from there;
    `book` must not contain this approval's own reservation. ValueError on a bar or facts of another symbol or
    session.
    """
    if bar is None or not _usable(bar):
        return EntrySkip(
            reason=SkipReason.NO_BAR, note=f"{terms.symbol} has no open on {terms.entry_session.isoformat()}"
        )
    if (bar.symbol, bar.session) != (terms.symbol, terms.entry_session):
        raise ValueError(
            f"expected the bar of {terms.symbol} on {terms.entry_session}, was {bar.symbol} on {bar.session}"
        )
    price = costs.buy_at_market(bar.open)
    if not terms.min_entry <= price <= terms.max_entry:
        side = "above" if price > terms.max_entry else "below"
        band = f"{terms.min_entry} to {terms.max_entry}"
        return EntrySkip(
            reason=SkipReason.GAP, note=f"{terms.symbol} would fill at {price}, {side} the band {band}"
        )
    sized = recheck_at_fill(terms, price, candidate, book, limits, costs)
    if isinstance(sized, Denied):
        return EntrySkip(reason=SkipReason.LIMIT, note=sized.reason, limit=sized.limit)
    return EntryFill(
        symbol=terms.symbol,
        session=bar.session,
        shares=sized.shares,
        price=price,
        amount=to_cents(sized.shares * price),
        fee=costs.fees(OrderSide.BUY, sized.shares, price, bar.session).total,
        risk=sized.max_risk,
        checks=sized.checks,
    )


def exit_on_bar(
    position: OpenPosition, bar: Bar | None, *, entered_today: bool, sessions_held: int, costs: Costs
) -> ExitFill | None:
    """How the bar ends the position; None when it lives on, also when there is no bar.

    In this order: a gap through the stop fills at the open, the stop at its price, both with stop slippage
    and, where a tighter regime has raised the stop, for that reason;
    a gap through the target fills at the open, the target at its price, both without; the time exit sells at
    the close once `sessions_held` sessions after the entry session reach `max_hold`. A position entered at
    this open cannot have been gapped by it.
    """
    if bar is None or not _usable(bar):
        return None
    opened, stop, target = to_price(bar.open), position.stop, position.target
    stopped = ExitReason.REGIME_CHANGE if position.is_tightened else ExitReason.STOP_LOSS
    if not entered_today and opened <= stop:
        return _exit(position, bar, stopped, opened, costs.sell_at_stop(bar.open), costs)
    if to_price(bar.low) <= stop:
        return _exit(position, bar, stopped, stop, costs.sell_at_stop(stop), costs)
    if not entered_today and opened >= target:
        return _exit(position, bar, ExitReason.TAKE_PROFIT, opened, opened, costs)
    if to_price(bar.high) >= target:
        return _exit(position, bar, ExitReason.TAKE_PROFIT, target, target, costs)
    if sessions_held >= position.max_hold:
        return _at_close(position, bar, ExitReason.TIME_EXIT, position.shares, costs)
    return None


def sale_before_earnings(
    position: OpenPosition, bar: Bar | None, action: HoldAction, costs: Costs
) -> ExitFill | None:
    """What is sold at the close before the company reports: all, half or nothing.

    Half of an odd number is rounded up, so a single share is sold whole. None without a price as well.
    """
    if bar is None or not _usable(bar) or action is HoldAction.KEEP:
        return None
    kept = position.shares // 2 if action is HoldAction.HALVE else 0
    return _at_close(position, bar, ExitReason.EARNINGS, position.shares - kept, costs)


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


def _at_close(position: OpenPosition, bar: Bar, reason: ExitReason, shares: int, costs: Costs) -> ExitFill:
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


def _usable(bar: Bar) -> bool:
    return all(isfinite(price) and price > 0 for price in (bar.open, bar.high, bar.low, bar.close))
