"""Setups: from the readings of one symbol to the prices of a trade, or the reason there is none."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from agents.market.indicators import Technicals
from storage.records import TICK, SetupType, to_price


class OversoldBounceParameters(BaseModel):
    """What may be tuned about the oversold bounce; every bound is a hard one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rsi_max: float = Field(38.0, ge=15, le=45, description="Highest RSI(14) that counts as oversold, 0-100")
    entry_band_atr: float = Field(
        0.5, ge=0.1, le=1.0, description="Entry band to either side of the signal's close, ATR(14)"
    )
    stop_atr: float = Field(2.0, ge=1, le=4, description="Stop below the signal's close, ATR(14)")
    target_r: float = Field(
        1.5, ge=1, le=4, description="Target above the signal's close, multiples of close minus stop"
    )
    max_hold: int = Field(10, ge=2, le=30, description="Sessions after the entry session until the time exit")


@dataclass(frozen=True, kw_only=True)
class SetupPlan:
    """The prices of one possible trade: stop < min_entry <= max_entry < target, dollars a share.

    `session` is the one on whose close the plan was made; the entry is at the next open.
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
    parameters: OversoldBounceParameters


@dataclass(frozen=True)
class NoSetup:
    """Why a symbol offers no trade."""

    reason: str


def plan_oversold_bounce(
    symbol: str, technicals: Technicals, parameters: OversoldBounceParameters
) -> SetupPlan | NoSetup:
    """Buy weakness at the next open, out at a bounce: all distances are multiples of ATR(14) from the close.

    The band keeps the fill near the prices the risk was sized on: an open above it has already bounced, one
    below it is falling further. Anything that would leave the prices out of order is no setup.
    """
    close, atr, rsi = technicals.close, technicals.atr14, technicals.rsi14
    if close is None or atr is None or rsi is None:
        return NoSetup("close, RSI(14) or ATR(14) is missing")
    if rsi > parameters.rsi_max:
        return NoSetup(f"RSI(14) {rsi:.1f} is above {parameters.rsi_max:g}")
    if not (close > 0 and atr > 0):
        return NoSetup(f"close {close:g} and ATR(14) {atr:g} must be above zero")
    band = parameters.entry_band_atr * atr
    risk = parameters.stop_atr * atr
    stop = to_price(close - risk)
    plan = SetupPlan(
        symbol=symbol,
        setup_type=SetupType.OVERSOLD_BOUNCE,
        session=technicals.session,
        close=to_price(close),
        min_entry=max(to_price(close - band), stop + TICK),
        max_entry=to_price(close + band),
        stop=stop,
        target=to_price(close + parameters.target_r * risk),
        max_hold=parameters.max_hold,
        atr=to_price(atr),
        parameters=parameters,
    )
    if not 0 < plan.stop < plan.min_entry <= plan.max_entry < plan.target:
        return NoSetup(
            f"the prices are out of order: stop {plan.stop}, entry {plan.min_entry} to {plan.max_entry}, "
            f"target {plan.target}"
        )
    return plan
