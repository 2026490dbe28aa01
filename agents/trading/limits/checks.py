"""Every limit as it is shown to people, and the reasons of those that no size can meet."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext

from agents.trading.costs import Costs, ceil_to_cents
from agents.trading.limits.book import BookView, Candidate
from agents.trading.limits.config import Limits, MarginMode, exact
from agents.trading.limits.earnings import EarningsStatus, sessions_to_wait
from agents.trading.limits.portfolio import UNKNOWN_SECTOR, adjusted_heat, adjusted_room, in_sector, nearest
from storage.records import DeskKind, LimitCheck, Rung

# What sizes a trade, in the order in which equals are named.
RISK_PER_TRADE = "risk_per_trade"
KELLY = "kelly"
VOLATILITY = "volatility_target"
WORST_GAP = "worst_gap"
ADV = "adv"
HEAT = "heat"
HEAT_ADJUSTED = "heat_adjusted"
SECTOR = "sector"
CASH = "cash"
SETTLED_CASH = "settled_cash"
# What stops one of any size, in the order in which they are named.
HALT = "halt"
DRAWDOWN = "drawdown"
DAILY_LOSS = "daily_loss"
WEEKLY_LOSS = "weekly_loss"
PROTECTIONS = "protections"
EARNINGS = "earnings"
MAX_POSITIONS = "max_positions"
CORRELATION = "correlation"
REWARD_RISK = "reward_risk"

# A proposal past one of these asks the human to type its id.
RISKY_RISK = 0.005  # of equity
RISKY_HEAT = 0.04  # of equity, after the trade
RISKY_HEADROOM = 0.10  # of a limit of the whole account, after the trade
RISKY_EARNINGS = 5  # sessions from the entry
ACCOUNT_WIDE = frozenset({HEAT, HEAT_ADJUSTED, SECTOR, CASH, DRAWDOWN, DAILY_LOSS, WEEKLY_LOSS})

_UP = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An entry as the limits see it; prices in dollars a share. ValueError on prices out of order."""

    candidate: Candidate
    price: Decimal
    stop: Decimal
    reward_risk: Decimal
    book: BookView
    limits: Limits
    costs: Costs

    def __post_init__(self) -> None:
        if not 0 < self.stop < self.price:
            raise ValueError(f"expected an entry above a stop above zero, was {self.price} and {self.stop}")

    @property
    def risk_per_share(self) -> Decimal:
        return self.price - self.stop

    @property
    def move_per_share(self) -> Decimal:
        """Dollars of one standard deviation of a day."""
        return self.price * _rounded_up(self.candidate.daily_volatility)

    @property
    def gap_per_share(self) -> Decimal:
        """Dollars that the worst gap would take."""
        return self.price * _rounded_up(self.candidate.worst_gap)

    @property
    def kelly_limit(self) -> float | None:
        """The fraction of equity that the record of its setup lets this trade risk; None without a record."""
        kelly = self.candidate.kelly
        return None if kelly is None else max(kelly.risk, self.limits.kelly_floor)

    @property
    def waits_for_cash(self) -> bool:
        """Whether some of the cash may not be spent yet."""
        return self.limits.margin_mode is MarginMode.CASH and self.book.unsettled > 0

    @property
    def cash_floor(self) -> Decimal:
        return ceil_to_cents(self.book.equity * exact(self.limits.min_cash))


@dataclass(frozen=True)
class Room:
    """What one limit leaves, and what one share takes of it, both in `unit`; takes nothing: no bound."""

    left: Decimal
    share: Decimal
    unit: str = "dollars"

    def needs(self) -> str:
        return f"{self.share:.2f}" if self.unit == "dollars" else f"{self.share:g}"


def rooms(asked: Asked) -> dict[str, Room]:
    """What every limit that sizes a trade leaves for it, in the order in which equals are named."""
    book, limits, candidate = asked.book, asked.limits, asked.candidate
    equity, per_share = book.equity, asked.risk_per_share
    adjusted = adjusted_room(
        candidate.symbol, book.risks, book.correlations, equity * exact(limits.heat_adjusted)
    )
    sector = in_sector(book.exposures, candidate.sector)
    left = {
        RISK_PER_TRADE: Room(equity * exact(limits.risk_per_trade), per_share),
        VOLATILITY: Room(equity * exact(limits.volatility_target), asked.move_per_share),
        WORST_GAP: Room(equity * exact(limits.worst_gap), asked.gap_per_share),
        ADV: Room((candidate.adv_shares or 0) * exact(limits.adv_share), Decimal(1), "shares"),
        HEAT: Room(equity * exact(limits.heat) - book.heat_usd, per_share),
        HEAT_ADJUSTED: Room(adjusted, per_share),
        SECTOR: Room(equity * exact(limits.sector) - sector, asked.price),
        CASH: Room(book.cash - asked.cash_floor - asked.costs.commission_usd, asked.price),
    }
    if asked.kelly_limit is not None:
        left[KELLY] = Room(equity * exact(asked.kelly_limit), per_share)
    if asked.waits_for_cash:
        left[SETTLED_CASH] = Room(book.settled - asked.costs.commission_usd, asked.price)
    return {name: room for name, room in left.items() if room.share > 0}


def checks(asked: Asked, shares: int) -> tuple[LimitCheck, ...]:
    """Every limit before and after `shares`; an entry itself loses nothing that day."""
    return (*_sizing_checks(asked, shares), *(check for check, _ in gates(asked)))


def gates(asked: Asked) -> list[tuple[LimitCheck, Callable[[], str]]]:
    """The limits that no size can meet once they are passed, each with its reason in words."""
    book, limits, candidate = asked.book, asked.limits, asked.candidate
    ladder, locks = (
        book.ladder,
        [lock for lock in book.locks if lock.holds(candidate.symbol, candidate.entry_session)],
    )
    daily, weekly = max(0.0, -book.day_return), max(0.0, -book.week_return)
    others = book.held | book.reserved
    name, rho = nearest(candidate.symbol, others, book.correlations)
    wait = sessions_to_wait(candidate.earnings, candidate.entry_session, limits)
    fallen = f"the account is {float(ladder.drawdown):.2%} below its high"

    def halted() -> str:
        since = f" since {ladder.halted_since.isoformat()}" if ladder.halted_since else ""
        return f"halted{since}, {fallen}: a human must re-arm the desk"

    def locked() -> str:
        return "; ".join(f"{lock.protection} until {lock.until.isoformat()}: {lock.reason}" for lock in locks)

    def too_close() -> str:
        if name is not None and not book.correlations.known(candidate.symbol, name):
            return f"the correlation with {name} is unknown and counts as 1"
        return f"the correlation with {name} is {rho:.2f}, the limit is {limits.correlation:.2f}"

    return [
        (_count(HALT, 0, int(ladder.rung(limits) is Rung.HALT)), halted),
        (
            _same(DRAWDOWN, limits.ladder_stop, float(ladder.drawdown), strict=True),
            lambda: f"{fallen}, nothing is entered from {limits.ladder_stop:.0%} on",
        ),
        (
            _same(DAILY_LOSS, limits.daily_loss, daily),
            lambda: f"{daily:.2%} of equity is lost this session, the limit is {limits.daily_loss:.2%}",
        ),
        (
            _same(WEEKLY_LOSS, limits.weekly_loss, weekly),
            lambda: f"{weekly:.2%} of equity is lost in five sessions, the limit is {limits.weekly_loss:.2%}",
        ),
        (_count(PROTECTIONS, 0, len(locks)), locked),
        (
            _count(EARNINGS, 0, wait),
            lambda: (
                f"earnings on {candidate.earnings.session} ({candidate.earnings.status}): "
                f"no entry for another {wait} sessions"
            ),
        ),
        (
            _count(MAX_POSITIONS, limits.max_positions, len(others | {candidate.symbol}), len(others)),
            lambda: f"{len(others)} positions are held or reserved, the limit is {limits.max_positions}",
        ),
        (_same(CORRELATION, limits.correlation, rho, unit="ratio"), too_close),
        (
            _same(REWARD_RISK, limits.min_reward_risk, float(asked.reward_risk), unit="ratio", floor=True),
            lambda: f"the target is {asked.reward_risk:.2f} times the risk, least {limits.min_reward_risk:g}",
        ),
    ]


def scale_and_notes(asked: Asked) -> tuple[Decimal, tuple[str, ...]]:
    """What the shares are multiplied with after all limits, from 0 to 1, and what a human should know."""
    ladder, limits, candidate = asked.book.ladder, asked.limits, asked.candidate
    scale, notes = ladder.scale(limits), []
    if 0 < scale < 1:
        why = f"the account is {float(ladder.drawdown):.1%} below its high"
        if ladder.probation_left:
            why = f"{ladder.probation_left} trades of probation are left"
        notes.append(f"size times {scale:g}: {why}")
    if candidate.earnings.status is EarningsStatus.UNKNOWN:
        scale *= exact(limits.earnings_unknown_scale)
        notes.append(f"size times {limits.earnings_unknown_scale:g}: the next earnings date is unknown")
    if candidate.earnings.status is EarningsStatus.NOT_SIMULATED:
        notes.append("earnings are not simulated")
    if candidate.kelly is not None and candidate.kelly.risk < limits.kelly_floor:
        edge = "little" if candidate.kelly.risk else "no"
        notes.append(
            f"{edge} edge in {candidate.kelly.trades} trades of the setup: the record allows "
            f"{candidate.kelly.risk:.3%} of equity, the floor is {limits.kelly_floor:.2%}"
        )
    if candidate.worst_gap is None:
        notes.append("the worst gap is unknown and counts as a total loss")
    if candidate.daily_volatility is None:
        notes.append("the volatility is unknown and counts as 100% a day")
    if candidate.sector is None:
        notes.append(f"the sector is unknown and counts as {UNKNOWN_SECTOR!r}")
    return scale, tuple(notes)


def risky_reasons(
    checks: tuple[LimitCheck, ...], *, earnings_in: int | None, kind: DeskKind
) -> tuple[str, ...]:
    """Why a proposal needs the typed acknowledgement; empty when it does not.

    `earnings_in` are the sessions from the entry to the announcement, None where no date is known.

    Only limits of the whole account count by what they leave: sizing fills those of a single trade by design,
    so next to none would be left on an ordinary one.
    """
    reasons = []
    for check in checks:
        if check.name == RISK_PER_TRADE and check.after > RISKY_RISK:
            reasons.append(f"risks {check.after:.2%} of equity, more than {RISKY_RISK:.1%}")
        if check.name == HEAT and check.after > RISKY_HEAT:
            reasons.append(f"heat would be {check.after:.1%} of equity, more than {RISKY_HEAT:.0%}")
        if check.name in ACCOUNT_WIDE and check.headroom < RISKY_HEADROOM:
            reasons.append(f"leaves {max(check.headroom, 0.0):.0%} of the {check.name} limit")
    if earnings_in is not None and 0 <= earnings_in <= RISKY_EARNINGS:
        reasons.append(f"earnings {earnings_in} sessions after the entry")
    if kind is DeskKind.LIVE:
        reasons.append("real money")
    return tuple(reasons)


def _sizing_checks(asked: Asked, shares: int) -> list[LimitCheck]:
    book, limits, candidate = asked.book, asked.limits, asked.candidate
    risk = ceil_to_cents(shares * asked.risk_per_share)
    sector = in_sector(book.exposures, candidate.sector)
    value = ceil_to_cents(shares * asked.price)
    cost = asked.costs.to_buy(shares, asked.price)
    volume = candidate.adv_shares or 0

    def of_equity(name: str, limit: float, before: Decimal, after: Decimal) -> LimitCheck:
        return LimitCheck(
            name=name, limit=limit, before=float(before / book.equity), after=float(after / book.equity)
        )

    def dollars(name: str, limit: Decimal, before: Decimal) -> LimitCheck:
        return LimitCheck(
            name=name,
            limit=float(limit),
            before=float(before),
            after=float(before - cost),
            unit="usd",
            floor=True,
        )

    none = Decimal(0)
    with_it = (*book.risks, (candidate.symbol, risk))
    with localcontext() as context:
        context.prec = 80  # as the root itself, which must not come out above a limit by its rounding
        adjusted = of_equity(
            HEAT_ADJUSTED,
            limits.heat_adjusted,
            adjusted_heat(book.risks, book.correlations),
            adjusted_heat(with_it, book.correlations),
        )
    result = [
        of_equity(RISK_PER_TRADE, limits.risk_per_trade, none, risk),
        of_equity(VOLATILITY, limits.volatility_target, none, ceil_to_cents(shares * asked.move_per_share)),
        of_equity(WORST_GAP, limits.worst_gap, none, ceil_to_cents(shares * asked.gap_per_share)),
        LimitCheck(
            name=ADV,
            limit=limits.adv_share,
            before=0.0,
            after=float(Decimal(shares) / volume) if volume else 1.0,
        ),
        of_equity(HEAT, limits.heat, book.heat_usd, book.heat_usd + risk),
        adjusted,
        of_equity(SECTOR, limits.sector, sector, sector + value),
        dollars(CASH, asked.cash_floor, book.cash),
    ]
    if asked.kelly_limit is not None:
        result.insert(1, of_equity(KELLY, asked.kelly_limit, none, risk))
    if asked.waits_for_cash:
        result.append(dollars(SETTLED_CASH, none, book.settled))
    return result


def _same(
    name: str,
    limit: float,
    value: float,
    *,
    unit: str = "fraction",
    floor: bool = False,
    strict: bool = False,
) -> LimitCheck:
    """A limit that the trade itself does not move."""
    return LimitCheck(
        name=name, limit=limit, before=value, after=value, unit=unit, floor=floor, strict=strict
    )


def _count(name: str, limit: int, after: int, before: int | None = None) -> LimitCheck:
    first = after if before is None else before
    return LimitCheck(name=name, limit=float(limit), before=float(first), after=float(after), unit="count")


def _rounded_up(fraction: float | None) -> Decimal:
    """To a millionth, so that shares times price times it stays exact; the whole where it is unknown."""
    if fraction is None:
        return Decimal(1)
    return exact(fraction).quantize(_UP, rounding=ROUND_CEILING)
