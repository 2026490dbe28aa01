"""The limits in force: each has a hard bound, may be set tighter, and never wider."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SETTLED_CASH_ONLY = "settled_cash_only"


class MarginMode(StrEnum):
    """Which cash an entry may spend; neither mode lends any.

    The pattern-day-trader rule is not modelled: its end was approved on 14 April 2026 (SEC Rel. 34-105226).
    """

    CASH = "cash"  # settled cash only, so that no good-faith violation can come about
    MARGIN = "margin"  # unsettled proceeds too


class EarningsHold(StrEnum):
    """What becomes of a position that would be held into its company's earnings, tightest first."""

    EXIT_BEFORE = "exit_before"
    HALVE = "halve"
    HOLD = "hold"


class Limits(BaseModel):
    """The limits in force. They can be set tighter than the code's hard bound, never wider.

    A limit that is left unset follows one that it may not exceed (heat 0.03 makes heat_adjusted 0.03 too);
    both set against each other are refused. All defaults are engineering defaults without evidence claimed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    risk_per_trade: float = Field(
        0.005, gt=0, le=0.0075, description="Most that one trade may lose at its stop, fraction of equity"
    )
    kelly_floor: float = Field(
        0.0005,
        ge=0,
        le=0.001,
        description="What a trade may risk where a quarter of Kelly over its setup's record of 30 outcomes "
        "or more says less, so that the setup can still prove itself; 0 gives it up, fraction of equity",
    )
    heat: float = Field(
        0.06, gt=0, le=0.06, description="Most that all open and reserved trades may lose, fraction of equity"
    )
    heat_adjusted: float = Field(
        0.04,
        gt=0,
        le=0.04,
        description="Most heat after correlation, the root of r'Cr over the risks, fraction of equity",
    )
    volatility_target: float = Field(
        0.004,
        gt=0,
        le=0.0075,
        description="Most that one standard deviation of a day may move a position, fraction of equity",
    )
    worst_gap: float = Field(
        0.015,
        gt=0,
        le=0.02,
        description="Most that a position may lose in its worst gap of two years, fraction of equity",
    )
    adv_share: float = Field(
        0.01, gt=0, le=0.01, description="Most shares of a trade, fraction of the 20-session average volume"
    )
    max_positions: int = Field(10, ge=1, le=20, description="Most positions, open and reserved")
    correlation: float = Field(
        0.85,
        gt=0,
        le=0.95,
        description="Highest correlation of a new name with one held or reserved, 60 daily returns",
    )
    sector: float = Field(0.25, gt=0, le=0.25, description="Most value in one sector, fraction of equity")
    min_cash: float = Field(
        0.0, ge=0, le=1, description="Cash that must remain after an entry, fraction of equity"
    )
    margin_mode: MarginMode = Field(
        MarginMode.CASH, description="Which cash an entry may spend: cash (settled only) or margin (all)"
    )
    daily_loss: float = Field(
        0.02,
        gt=0,
        le=0.05,
        description="Loss of the session beyond which nothing is entered, fraction of equity",
    )
    weekly_loss: float = Field(
        0.04,
        gt=0,
        le=0.08,
        description="Loss of five sessions beyond which nothing is entered, fraction of equity",
    )
    ladder_half: float = Field(
        0.05, gt=0, le=0.05, description="Drawdown from which entries are half size, fraction"
    )
    ladder_quarter: float = Field(
        0.08, gt=0, le=0.08, description="Drawdown from which entries are a quarter of their size, fraction"
    )
    ladder_stop: float = Field(
        0.12, gt=0, le=0.12, description="Drawdown from which nothing is entered, fraction"
    )
    ladder_halt: float = Field(
        0.15, gt=0, le=0.15, description="Drawdown that halts the desk until a human re-arms it, fraction"
    )
    probation_trades: int = Field(
        20, ge=20, le=200, description="Trades closed at quarter size after the desk is re-armed"
    )
    min_reward_risk: float = Field(
        1.5,
        ge=1,
        le=4,
        description="Least target minus price over price minus stop, at the highest price an entry may pay",
    )
    earnings_sessions: int = Field(
        3, ge=3, le=20, description="Sessions before known earnings, and their own, without an entry"
    )
    earnings_margin: int = Field(
        2, ge=2, le=10, description="Sessions by which an estimated date widens that window, each side"
    )
    earnings_unknown_scale: float = Field(
        0.5, gt=0, le=0.5, description="Scale of a trade whose earnings date is unknown"
    )
    earnings_hold: EarningsHold = Field(
        EarningsHold.EXIT_BEFORE,
        description="What becomes of a position before earnings: exit_before, halve or hold",
    )

    @model_validator(mode="before")
    @classmethod
    def _follow(cls, data: Any) -> Any:
        """An unset limit comes down with the one it may not exceed, before anything is compared."""
        if not isinstance(data, Mapping):
            return data
        values = dict(data)
        for low, high, _ in _WITHIN:
            bound = _number(values.get(high))
            if low not in values and bound is not None and bound < cls.model_fields[low].default:
                values[low] = bound
        return values

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for low, high, why in _WITHIN:
            inner, outer = getattr(self, low), getattr(self, high)
            if inner > outer:
                raise ValueError(f"{low} {inner:g} is above {high} {outer:g}: {why}")
        return self

    def in_force(self) -> dict[str, float]:
        """The limits as an approval binds them and people see them: numbers only, 1 or 0 for yes or no.

        Left out is what says nothing about an entry: what to do with a held position before earnings.
        """
        values = {name: getattr(self, name) for name in (*CEILINGS, *FLOORS)}
        ordered = {name: float(values[name]) for name in type(self).model_fields if name in values}
        return ordered | {SETTLED_CASH_ONLY: float(self.margin_mode is MarginMode.CASH)}

    def tightened(self, bound: Mapping[str, float]) -> Self:
        """The tighter of these limits and those an approval bound; ValidationError on an unknown key.

        What the approval did not bind, because it is older than the limit, stays as it is here.
        """
        named = dict(bound)
        settled_only = named.pop(SETTLED_CASH_ONLY, 0.0) != 0.0 or self.margin_mode is MarginMode.CASH
        other = type(self).model_validate(named)
        values = self.model_dump()
        for name in other.model_fields_set:
            values[name] = _tighter(name, values[name], getattr(other, name))
        values["margin_mode"] = MarginMode.CASH if settled_only else MarginMode.MARGIN
        return type(self)(**_within(values))


FLOORS = frozenset(
    {"min_cash", "min_reward_risk", "earnings_sessions", "earnings_margin", "probation_trades"}
)
MODES: Mapping[str, tuple[StrEnum, ...]] = {  # tightest first
    "margin_mode": tuple(MarginMode),
    "earnings_hold": tuple(EarningsHold),
}
CEILINGS = frozenset(Limits.model_fields) - FLOORS - set(MODES)

# What may not be above what, in the order in which one follows the other, and why it would make no sense.
_WITHIN = (
    ("heat_adjusted", "heat", "correlation only lowers heat, so it would never bind"),
    ("risk_per_trade", "heat", "one trade would carry more than all together may"),
    ("daily_loss", "weekly_loss", "a single day is part of its five sessions, so it would never bind"),
    ("ladder_stop", "ladder_halt", "the ladder goes down in the order half, quarter, stop, halt"),
    ("ladder_quarter", "ladder_stop", "the ladder goes down in the order half, quarter, stop, halt"),
    ("ladder_half", "ladder_quarter", "the ladder goes down in the order half, quarter, stop, halt"),
)


def risk_policy(limits: Limits, risk_per_trade: float, heat: float) -> Limits:
    """The limits under a policy of the regime: the smaller of each; a wider policy changes nothing.

    ValueError unless both are above zero. A regime in which nothing is entered is no matter of size.
    """
    for name, value in (("risk_per_trade", risk_per_trade), ("heat", heat)):
        if not (isfinite(value) and value > 0):
            raise ValueError(f"expected a policy with a {name} above zero, was {value}")
    values = limits.model_dump()
    values["risk_per_trade"] = min(limits.risk_per_trade, risk_per_trade)
    values["heat"] = min(limits.heat, heat)
    return Limits(**_within(values))


def exact(fraction: float) -> Decimal:
    """A configured fraction as the decimal it is written as."""
    return Decimal(str(fraction))


def _tighter(name: str, one: Any, other: Any) -> Any:
    if name in MODES:
        return min(one, other, key=MODES[name].index)
    return max(one, other) if name in FLOORS else min(one, other)


def _within(values: dict[str, Any]) -> dict[str, Any]:
    for low, high, _ in _WITHIN:
        values[low] = min(values[low], values[high])
    return values


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
