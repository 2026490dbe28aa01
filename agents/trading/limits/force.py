"""The limits as they stand now: what is allowed, what is used of it, and who said so."""

from collections.abc import Mapping

from agents.trading.limits.book import BookView
from agents.trading.limits.checks import KELLY, PROTECTIONS, SETTLED_CASH
from agents.trading.limits.config import FLOORS, SETTLED_CASH_ONLY, Limits, MarginMode
from agents.trading.limits.kelly import KellyCap
from agents.trading.limits.portfolio import UNKNOWN_SECTOR, adjusted_heat, in_sector
from storage.records import LimitInForce, LimitSource, SetupType

ENTRY_SIZE = "entry_size"
RATIOS = frozenset({"correlation", "min_reward_risk", "earnings_unknown_scale"})


def limits_in_force(
    own: Limits, limits: Limits, book: BookView, kelly: Mapping[SetupType, KellyCap]
) -> tuple[LimitInForce, ...]:
    """Every limit for an entry into `book`, in the order of the settings, then what follows from the account.

    `own` are the desk's limits, `limits` the same under tonight's policy of the regime.
    """
    used = _used(book)
    rows = [
        LimitInForce(
            name=name,
            limit=value,
            bound=hard_bound(name),
            used=used.get(name),
            unit=_unit(name),
            floor=name in FLOORS,
            source=_source(name, own, limits),
        )
        for name, value in limits.in_force().items()
        if name != SETTLED_CASH_ONLY
    ]
    rows.append(_settled_cash(own, book))
    rows += [_kelly(setup, cap, limits) for setup, cap in kelly.items()]
    ladder = book.ladder
    probation = f", {ladder.probation_left} trades of probation left" if ladder.probation_left else ""
    rows.append(
        LimitInForce(
            name=ENTRY_SIZE,
            limit=float(ladder.scale(limits)),
            bound=1.0,
            unit="ratio",
            source=LimitSource.LADDER,
            note=f"{ladder.rung(limits)}{probation}",
        )
    )
    rows.append(
        LimitInForce(
            name=PROTECTIONS,
            limit=0.0,
            bound=0.0,
            used=float(len(book.locks)),
            unit="count",
            source=LimitSource.PROTECTION,
            note="; ".join(
                f"{lock.symbol or 'all entries'} until {lock.until.isoformat()}: {lock.reason}"
                for lock in book.locks
            ),
        )
    )
    return tuple(rows)


def hard_bound(name: str) -> float:
    """The widest value a numeric limit can be set to."""
    wanted = "ge" if name in FLOORS else "le"
    (found,) = (
        float(getattr(constraint, wanted))
        for constraint in Limits.model_fields[name].metadata
        if hasattr(constraint, wanted)
    )
    return found


def _used(book: BookView) -> dict[str, float]:
    """What the account uses of the limits that are about all of it."""
    equity, fallen = book.equity, float(book.ladder.drawdown)
    sectors = {exposure.sector or UNKNOWN_SECTOR for exposure in book.exposures}
    heaviest = max((in_sector(book.exposures, sector) for sector in sectors), default=0)
    return {
        "heat": float(book.heat_usd / equity),
        "heat_adjusted": float(adjusted_heat(book.risks, book.correlations) / equity),
        "max_positions": float(len(book.held | book.reserved)),
        "sector": float(heaviest / equity),
        "min_cash": float(book.cash / equity),
        "daily_loss": max(0.0, -book.day_return),
        "weekly_loss": max(0.0, -book.week_return),
        **dict.fromkeys(("ladder_half", "ladder_quarter", "ladder_stop", "ladder_halt"), fallen),
    }


def _source(name: str, own: Limits, limits: Limits) -> LimitSource:
    if getattr(limits, name) != getattr(own, name):
        return LimitSource.POLICY
    is_default = getattr(own, name) == Limits.model_fields[name].default
    return LimitSource.DEFAULT if is_default else LimitSource.SETTING


def _unit(name: str) -> str:
    if name in RATIOS:
        return "ratio"
    return "count" if isinstance(Limits.model_fields[name].default, int) else "fraction"


def _settled_cash(own: Limits, book: BookView) -> LimitInForce:
    settled_only = own.margin_mode is MarginMode.CASH
    return LimitInForce(
        name=SETTLED_CASH,
        limit=0.0,
        bound=0.0,
        used=float(book.settled if settled_only else book.cash),
        unit="usd",
        floor=True,
        source=LimitSource.DEFAULT if settled_only else LimitSource.SETTING,
        note="" if settled_only else "unsettled proceeds may be spent too",
    )


def _kelly(setup: SetupType, cap: KellyCap, limits: Limits) -> LimitInForce:
    return LimitInForce(
        name=f"{KELLY} {setup}",
        limit=max(cap.risk, limits.kelly_floor),
        bound=None,
        unit="fraction",
        source=LimitSource.RECORD,
        note=f"a quarter of Kelly after {cap.trades} trades is {cap.risk:.3%}",
    )
