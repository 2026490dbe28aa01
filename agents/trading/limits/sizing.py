"""Sizing: the most whole shares that every limit allows, when proposed and again before the order is sent."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from agents.trading.costs import Costs, ceil_to_cents
from agents.trading.limits.book import BookView, Candidate
from agents.trading.limits.checks import (
    ADV,
    KELLY,
    RISK_PER_TRADE,
    Asked,
    Room,
    checks,
    gates,
    rooms,
    scale_and_notes,
)
from agents.trading.limits.config import Limits
from agents.trading.setups import SetupPlan
from storage.records import TICK, LimitCheck, TradeTerms


@dataclass(frozen=True, kw_only=True)
class Sized:
    """A trade that fits every limit."""

    shares: int
    max_risk: Decimal  # dollars lost from the entry price to the stop, rounded up; costs aside
    cost: Decimal  # dollars that leave the account at most, commission included
    checks: tuple[LimitCheck, ...]
    bound_by: str  # the limit that would not have let more through
    scale: float  # what the shares were multiplied with after all limits, from above 0 to 1
    notes: tuple[str, ...]  # what made it smaller or was taken at its worst, for people


@dataclass(frozen=True, kw_only=True)
class Denied:
    """A trade that one limit leaves no room for; the checks show what one share would do."""

    limit: str
    reason: str
    checks: tuple[LimitCheck, ...]


def size_entry(
    plan: SetupPlan,
    candidate: Candidate,
    book: BookView,
    limits: Limits,
    costs: Costs,
    *,
    risk_scale: float = 1.0,
) -> Sized | Denied:
    """The most whole shares every limit allows if the entry fills at `max_entry` and the stop holds.

    `risk_scale` multiplies the shares after all limits, together with the drawdown ladder's scale and that of
    unknown earnings, so half is half whichever limit bound. Reward and risk are measured here from the
    highest entry, before the order is sent from its limit. ValueError unless the scale lies in (0, 1] and the
    candidate is the plan's symbol.
    """
    if not 0 < risk_scale <= 1:
        raise ValueError(f"expected a risk scale above 0 and at most 1, was {risk_scale}")
    if candidate.symbol != plan.symbol:
        raise ValueError(f"expected the facts of {plan.symbol}, was {candidate.symbol}")
    asked = Asked(
        candidate=candidate,
        price=plan.max_entry,
        stop=plan.stop,
        reward_risk=_reward_risk(plan.target, plan.max_entry, plan.stop),
        book=book,
        limits=limits,
        costs=costs,
    )
    return _size(asked, risk_scale=Decimal(str(risk_scale)))


def recheck_entry(
    terms: TradeTerms, price: Decimal, candidate: Candidate, book: BookView, limits: Limits, costs: Costs
) -> Sized | Denied:
    """Size an approved entry again before it is sent, at `price`; never larger than what was approved.

    `book` must not contain this approval's own reservation. The limits that count are the tighter of those in
    force now and those the approval bound. ValueError when the price lies outside the approved band or the
    candidate is not the approved symbol on the approved session.
    """
    if not terms.min_entry <= price <= terms.max_entry:
        raise ValueError(f"expected a price from {terms.min_entry} to {terms.max_entry}, was {price}")
    if (candidate.symbol, candidate.entry_session) != (terms.symbol, terms.entry_session):
        raise ValueError(
            f"expected the facts of {terms.symbol} on {terms.entry_session}, "
            f"was {candidate.symbol} on {candidate.entry_session}"
        )
    asked = Asked(
        candidate=candidate,
        price=price,
        stop=terms.stop,
        reward_risk=_reward_risk(terms.target, price, terms.stop),
        book=book,
        limits=limits.tightened(terms.limits),
        costs=costs,
    )
    return _size(asked, most_shares=terms.max_shares, most_risk=terms.max_risk)


def highest_that_pays(terms: TradeTerms, limits: Limits) -> Decimal:
    """The highest price of the band from which the target still pays for the risk; below the band if none.

    Reward over risk is at least what `limits` and the approval ask for at every price up to it.
    """
    asked = Decimal(str(limits.tightened(terms.limits).min_reward_risk))
    pays = (terms.target + asked * terms.stop) / (1 + asked)
    return min(terms.max_entry, pays.quantize(TICK, rounding=ROUND_FLOOR))


def _size(
    asked: Asked,
    *,
    risk_scale: Decimal = Decimal(1),
    most_shares: int | None = None,
    most_risk: Decimal | None = None,
) -> Sized | Denied:
    one_share = checks(asked, 1)
    for check, reason in gates(asked):
        if not check.passed:
            return Denied(limit=check.name, reason=reason(), checks=one_share)
    if not asked.candidate.adv_shares:
        return Denied(limit=ADV, reason="no volume is known, so no share of it is", checks=one_share)
    left = rooms(asked)
    fits = {name: _whole(room.left, room.share) for name, room in left.items()}
    binding = min(fits, key=lambda name: fits[name])  # the first of equals
    scale, notes = scale_and_notes(asked)
    scale *= risk_scale
    shares = int((fits[binding] * scale).to_integral_value(ROUND_FLOOR))
    if shares < 1:
        return Denied(limit=binding, reason=_no_room(asked, binding, left[binding], scale), checks=one_share)
    if most_shares is not None:
        shares = min(shares, most_shares)
    if most_risk is not None:
        shares = min(shares, _whole(most_risk, asked.risk_per_share))
    if shares < 1:
        said = f"one share would risk {asked.risk_per_share:.2f} dollars, approved are {most_risk:.2f} in all"
        return Denied(limit=RISK_PER_TRADE, reason=said, checks=one_share)
    return Sized(
        shares=shares,
        max_risk=ceil_to_cents(shares * asked.risk_per_share),
        cost=asked.costs.to_buy(shares, asked.price),
        checks=checks(asked, shares),
        bound_by=binding,
        scale=float(scale),
        notes=notes,
    )


def _no_room(asked: Asked, binding: str, room: Room, scale: Decimal) -> str:
    left = f"{binding} leaves {max(room.left, Decimal(0)):.2f} {room.unit}"
    kelly = asked.candidate.kelly
    if binding == KELLY and kelly is not None:
        if not asked.kelly_limit:
            return f"no edge in {kelly.trades} trades of the setup"
        left += f" ({kelly.trades} trades of the setup allow {kelly.risk:.3%} of equity)"
    if _whole(room.left, room.share) < 1:
        return f"{left}, one share needs {room.needs()}"
    return f"{left}, {scale:.0%} of what they carry is less than one share"


def _whole(room: Decimal, unit: Decimal) -> int:
    """The most shares whose amount still fits after it has been rounded up to the cent."""
    cents = room.quantize(Decimal("0.01"), rounding=ROUND_FLOOR)
    return max(int(cents // unit), 0)


def _reward_risk(target: Decimal, price: Decimal, stop: Decimal) -> Decimal:
    """Target minus price over price minus stop; ValueError on a stop that is not below the price."""
    if price <= stop:
        raise ValueError(f"expected an entry above a stop above zero, was {price} and {stop}")
    return (target - price) / (price - stop)
