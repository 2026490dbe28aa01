"""The regime policy: which setups may be traded in which market, and how much they may risk.

A row is a ceiling. The desk's own limits still bind below it, an operator may only lower it, and where the
direction and the volatility both have a row the tighter value of each field wins. Every number is an
engineering default, not fitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from math import isfinite

from pydantic import BaseModel, ConfigDict, Field

from agents.trading.setups.plan import MOST_READING
from storage.records import TICK, Direction, SetupType, Volatility

FULL_RISK = 0.005  # of equity a trade: the default of the limit itself
FULL_HEAT = 0.06  # of equity: the hard bound of the limit itself
STOP_ATR = 1.5  # below the close, where a tighter regime pulls the stops to
LEAST_DISTANCE = Decimal("0.005")  # of the close, between it and a stop that is pulled up


class PolicyRow(BaseModel):
    """What one state of the market allows; a setup that a row has no field for cannot be switched on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    oversold_bounce: bool = Field(True, description="Whether the oversold bounce may be traded")
    risk_scale: float = Field(1.0, gt=0, le=1, description="Share of the desk's own risk per trade")
    risk_per_trade: float = Field(
        0.0075, gt=0, le=0.0075, description="Most that one trade may risk, fraction of equity"
    )
    heat: float = Field(0.06, gt=0, le=0.06, description="Most that all trades may risk, fraction of equity")

    @property
    def setups(self) -> frozenset[SetupType]:
        return frozenset(kind for kind in SetupType if getattr(self, kind.value, False))


class BullRow(PolicyRow):
    """BULL: every setup at full risk."""

    momentum: bool = Field(True, description="Whether momentum may be traded")
    breakout: bool = Field(True, description="Whether the breakout may be traded")


class SidewaysRow(PolicyRow):
    """SIDEWAYS: what trends there is nothing to follow, so weakness alone is bought."""

    heat: float = Field(0.04, gt=0, le=0.04, description="Most that all trades may risk, fraction of equity")


class BearRow(PolicyRow):
    """BEAR: weakness alone, and little of it."""

    risk_per_trade: float = Field(
        0.0025, gt=0, le=0.0025, description="Most that one trade may risk, fraction of equity"
    )
    heat: float = Field(
        0.015, gt=0, le=0.015, description="Most that all trades may risk, fraction of equity"
    )


class HighVolatilityRow(BullRow):
    """HIGH_VOL, over whatever the direction allows: half the risk."""

    risk_scale: float = Field(0.5, gt=0, le=0.5, description="Share of the desk's own risk per trade")
    heat: float = Field(0.03, gt=0, le=0.03, description="Most that all trades may risk, fraction of equity")


class RegimePolicy(BaseModel):
    """The whole table, as settings: each value can be set tighter than its default, never wider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bull: BullRow = BullRow()
    sideways: SidewaysRow = SidewaysRow()
    bear: BearRow = BearRow()
    high_vol: HighVolatilityRow = HighVolatilityRow()
    stop_atr: float = Field(
        STOP_ATR,
        ge=0.5,
        le=STOP_ATR,
        description="Where a tighter regime pulls the stops of open positions to, ATR(14) below the close",
    )

    def rows(self, direction: Direction, volatility: Volatility) -> dict[str, PolicyRow]:
        """The rows that apply, by the name of the state each stands for: the direction's first."""
        found = {direction.value: self._of(direction)}
        if volatility is Volatility.HIGH_VOL:
            found[volatility.value] = self.high_vol
        return found

    def _of(self, direction: Direction) -> PolicyRow:
        match direction:
            case Direction.BULL:
                return self.bull
            case Direction.SIDEWAYS:
                return self.sideways
            case Direction.BEAR:
                return self.bear


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What tonight's market allows; `risk_per_trade` and `heat` are ceilings, fractions of equity.

    `reasons` says of each field that is tighter than in a calm BULL market which state made it so.
    """

    setups: frozenset[SetupType]
    risk_per_trade: float
    heat: float
    reasons: tuple[str, ...]


def policy_for(
    direction: Direction,
    volatility: Volatility,
    table: RegimePolicy | None = None,
    *,
    full_risk: float = FULL_RISK,
) -> Policy:
    """The tightest of every row that applies, field by field; risk a trade never above `full_risk`.

    `full_risk` is the desk's own limit of risk a trade, which `risk_scale` is a share of; ValueError unless
    it is above zero. Two rows do not multiply: BEAR in HIGH_VOL is the tighter of the two, not half of BEAR.
    """
    if not (isfinite(full_risk) and full_risk > 0):
        raise ValueError(f"expected a full risk above zero, was {full_risk}")
    rows = (table or RegimePolicy()).rows(direction, volatility)
    setups = frozenset(SetupType).intersection(*(row.setups for row in rows.values()))
    risks = {name: min(row.risk_per_trade, row.risk_scale * full_risk) for name, row in rows.items()}
    heats = {name: row.heat for name, row in rows.items()}
    risk, heat = min(full_risk, *risks.values()), min(heats.values())
    reasons = []
    if setups != frozenset(SetupType):
        barring = [name for name, row in rows.items() if row.setups != frozenset(SetupType)]
        reasons.append(f"{' and '.join(barring)}: {_names(setups)}")
    if risk < full_risk:
        reasons.append(f"{_tightest(risks)}: at most {risk:.2%} of equity at risk a trade")
    if heat < FULL_HEAT:
        reasons.append(f"{_tightest(heats)}: at most {heat:.1%} of equity in heat")
    return Policy(setups=setups, risk_per_trade=risk, heat=heat, reasons=tuple(reasons))


def is_tighter(now: Policy, before: Policy) -> bool:
    """Whether something that was allowed before is not any more: the change that pulls stops up."""
    return (
        not now.setups >= before.setups
        or now.risk_per_trade < before.risk_per_trade
        or now.heat < before.heat
    )


def tightened_stop(
    stop: Decimal, close: Decimal | float | None, atr: Decimal | float | None, *, stop_atr: float = STOP_ATR
) -> Decimal:
    """Where the stop of an open position belongs once the regime has become tighter, dollars a share.

    The higher of the stop it has and `stop_atr` ATR(14) below the close, the latter never nearer to the close
    than half a percent. So it is never loosened and never sells at once: one crossing of an average, which is
    often noise, must not turn the whole book over. A stop at or above the close stays, for the next bar to
    settle; so does every stop without a sound close and ATR. Applied again at the same close nothing changes.
    ValueError when the stop itself or `stop_atr` is not above zero.
    """
    if not (stop.is_finite() and stop > 0 and isfinite(stop_atr) and stop_atr > 0):
        raise ValueError(f"expected a stop and a distance above zero, was {stop} and {stop_atr} ATR")
    price, reach = _exact(close), _exact(atr)
    if price is None or reach is None:
        return stop
    distance = max(reach * Decimal(str(stop_atr)), price * LEAST_DISTANCE)
    return max(stop, (price - distance).quantize(TICK, rounding=ROUND_FLOOR))


def _exact(reading: Decimal | float | None) -> Decimal | None:
    """The reading, or None when it is no number of dollars that a share could cost."""
    if reading is None or not (isfinite(reading) and 0 < reading <= MOST_READING):
        return None
    return Decimal(str(reading))


def _names(setups: frozenset[SetupType]) -> str:
    """The setups that are left, in words."""
    left = [kind.replace("_", " ") for kind in SetupType if kind in setups]
    return f"only the {' and the '.join(left)}" if left else "no setup"


def _tightest(ceilings: Mapping[str, float]) -> str:
    """Which state sets the lowest ceiling, the first of equals."""
    return min(ceilings, key=lambda name: ceilings[name])
