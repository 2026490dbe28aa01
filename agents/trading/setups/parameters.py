"""What may be tuned about each setup; every bound is a hard one, every default an engineering default."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agents.market.indicators import PRIOR_WINDOWS


def _known_window(sessions: int) -> int:
    if sessions not in PRIOR_WINDOWS:
        raise ValueError(f"expected {' or '.join(map(str, PRIOR_WINDOWS))} sessions, was {sessions}")
    return sessions


Lookback = Annotated[int, Field(ge=PRIOR_WINDOWS[0], le=PRIOR_WINDOWS[-1]), AfterValidator(_known_window)]


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
    min_reward_risk: float = Field(
        1.5,
        ge=1,
        le=4,
        description="Least reward over risk at the highest entry; the target is lifted to give it",
    )
    max_hold: int = Field(10, ge=2, le=30, description="Sessions after the entry session until the time exit")


class MomentumParameters(BaseModel):
    """What may be tuned about the pullback in a leading stock; every bound is a hard one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    return_min: float = Field(0.15, ge=0.05, le=1, description="Lowest 126-session return, fraction")
    high_within: float = Field(
        0.10, ge=0.02, le=0.25, description="Farthest the close may lie below the 52-week high, fraction"
    )
    rsi_min: float = Field(40.0, ge=30, le=50, description="Lowest RSI(14) of a short pullback, 0-100")
    rsi_max: float = Field(60.0, ge=50, le=70, description="Highest RSI(14) of a short pullback, 0-100")
    max_extension_atr: float = Field(
        1.0, ge=0, le=3, description="Farthest the close may lie above SMA20, ATR(14)"
    )
    entry_band_atr: float = Field(
        0.5, ge=0.1, le=1.0, description="Entry band to either side of the signal's close, ATR(14)"
    )
    stop_atr: float = Field(2.5, ge=1, le=4, description="Stop below the signal's close, ATR(14)")
    target_r: float = Field(
        2.5, ge=1, le=6, description="Target above the signal's close, multiples of close minus stop"
    )
    min_reward_risk: float = Field(
        1.5,
        ge=1,
        le=4,
        description="Least reward over risk at the highest entry; the target is lifted to give it",
    )
    max_hold: int = Field(20, ge=2, le=60, description="Sessions after the entry session until the time exit")


class BreakoutParameters(BaseModel):
    """What may be tuned about the breakout from a base; every bound is a hard one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lookback: Lookback = Field(
        55, description="Sessions before the signal's whose highest high is the level, 20 or 55"
    )
    volume_ratio_min: float = Field(
        1.5, ge=1, le=5, description="Lowest volume over the mean of the 20 sessions before"
    )
    max_base_atr: float = Field(
        8.0, ge=2, le=20, description="Widest base: highest high less lowest low of the lookback, ATR(14)"
    )
    max_extension_atr: float = Field(
        1.0, ge=0.1, le=2, description="Farthest the close may lie above the level, ATR(14)"
    )
    entry_band_atr: float = Field(
        0.5, ge=0.1, le=1.0, description="Entry band to either side of the signal's close, ATR(14)"
    )
    level_stop_atr: float = Field(1.0, ge=0.25, le=3, description="Stop below the level, ATR(14)")
    stop_atr: float = Field(
        2.0, ge=1, le=4, description="Farthest the stop may lie below the signal's close, ATR(14)"
    )
    target_r: float = Field(
        2.5, ge=1, le=6, description="Target above the signal's close, multiples of close minus stop"
    )
    min_reward_risk: float = Field(
        1.5,
        ge=1,
        le=4,
        description="Least reward over risk at the highest entry; the target is lifted to give it",
    )
    max_hold: int = Field(20, ge=2, le=60, description="Sessions after the entry session until the time exit")


class Setups(BaseModel):
    """The parameters of every setup the desk knows; one field for each SetupType, by its value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    oversold_bounce: OversoldBounceParameters = OversoldBounceParameters()
    momentum: MomentumParameters = MomentumParameters()
    breakout: BreakoutParameters = BreakoutParameters()
