"""What every setup ends in: the prices of a trade in their order, or the reason there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal
from math import isfinite

from agents.trading.setups.parameters import (
    BreakoutParameters,
    MomentumParameters,
    OversoldBounceParameters,
)
from storage.records import TICK, SetupType, to_price

# Far above any price a share has had: what lies beyond is a broken reading, and no Decimal of ours holds it.
MOST_READING = 1e9

Parameters = OversoldBounceParameters | MomentumParameters | BreakoutParameters


@dataclass(frozen=True, kw_only=True)
class SetupPlan:
    """The prices of one possible trade: stop < min_entry <= max_entry < target, dollars a share.

    `session` is the one on whose close the plan was made; the entry is at the next open. `conviction` 0-1
    says how plainly the setup shows, 0.5 where it only just does. `signal` is what was seen: "AAA is ...".
    """

    symbol: str
    setup_type: SetupType
    session: date
    close: Decimal
    min_entry: Decimal
    max_entry: Decimal
    stop: Decimal
    target: Decimal
    max_hold: int  # sessions after the entry session
    atr: Decimal
    conviction: float
    signal: str
    parameters: Parameters

    @property
    def reward_risk(self) -> Decimal:
        """What is won at the target over what is lost at the stop, filled at `max_entry`; costs aside."""
        return (self.target - self.max_entry) / (self.max_entry - self.stop)


@dataclass(frozen=True)
class NoSetup:
    """Why a symbol offers no trade."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A setup that shows, before its prices are known; dollars a share.

    `risk` is the distance of the stop below the close.
    """

    symbol: str
    setup_type: SetupType
    session: date
    close: float
    atr: float
    risk: float
    conviction: float
    signal: str
    parameters: Parameters


def priced(seen: Seen) -> SetupPlan | NoSetup:
    """The plan of a setup that shows; what would leave the prices out of order is no setup.

    The band keeps the fill near the prices the risk was sized on, and above the stop whatever the parameters.
    The target is lifted where it would give less than `min_reward_risk` at the highest entry.
    """
    parameters = seen.parameters
    band = parameters.entry_band_atr * seen.atr
    stop, max_entry = to_price(seen.close - seen.risk), to_price(seen.close + band)
    least = max_entry + Decimal(str(parameters.min_reward_risk)) * (max_entry - stop)
    target = max(
        to_price(seen.close + parameters.target_r * seen.risk),
        least.quantize(TICK, rounding=ROUND_CEILING),
    )
    plan = SetupPlan(
        symbol=seen.symbol,
        setup_type=seen.setup_type,
        session=seen.session,
        close=to_price(seen.close),
        min_entry=max(to_price(seen.close - band), stop + TICK),
        max_entry=max_entry,
        stop=stop,
        target=target,
        max_hold=parameters.max_hold,
        atr=to_price(seen.atr),
        conviction=seen.conviction,
        signal=seen.signal,
        parameters=parameters,
    )
    if not 0 < plan.stop < plan.min_entry <= plan.max_entry < plan.target:
        return NoSetup(
            f"the prices are out of order: stop {plan.stop}, entry {plan.min_entry} to {plan.max_entry}, "
            f"target {plan.target}"
        )
    return plan


def sound(readings: Mapping[str, float | None]) -> tuple[float, ...] | NoSetup:
    """The readings in the order given, or which are missing or no numbers one could reckon with."""
    missing = [name for name, value in readings.items() if value is None]
    if missing:
        return NoSetup(f"{', '.join(missing)} missing")
    values = {name: value for name, value in readings.items() if value is not None}
    for name, value in values.items():
        if not isfinite(value) or abs(value) > MOST_READING:
            return NoSetup(f"{name} {value:g} is no usable number")
    return tuple(values.values())


def not_above_zero(prices: Mapping[str, float]) -> NoSetup | None:
    """The first price that is zero or below; None when there is none."""
    for name, price in prices.items():
        if not price > 0:
            return NoSetup(f"{name} {price:g} must be above zero")
    return None


def conviction_of(*parts: float) -> float:
    """0.5 where every part is zero, 1 where every part is full; parts are cut off to 0..1 and weigh alike."""
    return round(0.5 + 0.5 * sum(max(0.0, min(1.0, part)) for part in parts) / len(parts), 3)
