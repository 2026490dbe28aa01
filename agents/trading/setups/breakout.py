"""The breakout: buy a close above a base on volume, before it has run away."""

from agents.market.indicators import Technicals
from agents.trading.setups.parameters import BreakoutParameters
from agents.trading.setups.plan import NoSetup, Seen, SetupPlan, conviction_of, not_above_zero, priced, sound
from storage.records import SetupType


def base_of(technicals: Technicals, lookback: int) -> tuple[float | None, float | None]:
    """Highest high and lowest low of the `lookback` sessions before the readings' own, dollars."""
    if lookback == 20:
        return technicals.prior_high_20, technicals.prior_low_20
    return technicals.prior_high_55, technicals.prior_low_55


def plan_breakout(symbol: str, technicals: Technicals, parameters: BreakoutParameters) -> SetupPlan | NoSetup:
    """Buy a close above the highest high of the sessions before (the level), on volume, out of a base that is
    no wider than a number of ATR(14), and not already far above the level.

    The stop lies under the level, where the breakout has failed, but never farther from the close than
    `stop_atr`. The target is a multiple of the distance from close to stop.

    Conviction: 0.5 where every condition is only just met; up to 1 for, in equal parts, twice the volume
    needed, a base of no width, and a close right at the level.
    """
    level, floor = base_of(technicals, parameters.lookback)
    found = sound(
        {
            "close": technicals.close,
            "ATR(14)": technicals.atr14,
            f"{parameters.lookback}-session high": level,
            f"{parameters.lookback}-session low": floor,
            "volume ratio": technicals.volume_ratio,
        }
    )
    if isinstance(found, NoSetup):
        return found
    close, atr, level, floor, volume = found
    if wrong := not_above_zero({"close": close, "ATR(14)": atr, "high": level, "low": floor}):
        return wrong
    width, extension = (level - floor) / atr, (close - level) / atr
    if reason := _why_not(close, level, volume, width, extension, parameters):
        return NoSetup(reason)
    return priced(
        Seen(
            symbol=symbol,
            setup_type=SetupType.BREAKOUT,
            session=technicals.session,
            close=close,
            atr=atr,
            risk=min(close - level + parameters.level_stop_atr * atr, parameters.stop_atr * atr),
            conviction=conviction_of(
                volume / parameters.volume_ratio_min - 1,
                1 - width / parameters.max_base_atr,
                1 - extension / parameters.max_extension_atr,
            ),
            signal=(
                f"above its {parameters.lookback}-session high of {level:.2f} "
                f"on {volume:.1f} times its usual volume"
            ),
            parameters=parameters,
        )
    )


def _why_not(
    close: float,
    level: float,
    volume: float,
    width: float,
    extension: float,
    parameters: BreakoutParameters,
) -> str | None:
    """The first condition that is not met; None when all are."""
    if close <= level:
        return f"close {close:.2f} is not above the {parameters.lookback}-session high {level:.2f}"
    if volume < parameters.volume_ratio_min:
        return f"volume ratio {volume:.2f} is below {parameters.volume_ratio_min:g}"
    if not 0 <= width <= parameters.max_base_atr:
        return f"a base of {width:.1f} ATR is not within {parameters.max_base_atr:g}"
    if extension > parameters.max_extension_atr:
        return f"{extension:.2f} ATR above the level is more than {parameters.max_extension_atr:g}"
    return None
