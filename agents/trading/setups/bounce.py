"""The oversold bounce: buy weakness, out at a bounce."""

from agents.market.indicators import Technicals
from agents.trading.setups.parameters import OversoldBounceParameters
from agents.trading.setups.plan import NoSetup, Seen, SetupPlan, conviction_of, not_above_zero, priced, sound
from storage.records import SetupType


def plan_oversold_bounce(
    symbol: str, technicals: Technicals, parameters: OversoldBounceParameters
) -> SetupPlan | NoSetup:
    """Buy weakness at the next open, out at a bounce: all distances are multiples of ATR(14) from the close.

    The band keeps the fill near the prices the risk was sized on: an open above it has already bounced, one
    below it is falling further. Anything that would leave the prices out of order is no setup.

    Conviction: 0.5 at the highest RSI allowed, up to 1 at an RSI of zero.
    """
    found = sound({"close": technicals.close, "RSI(14)": technicals.rsi14, "ATR(14)": technicals.atr14})
    if isinstance(found, NoSetup):
        return found
    close, rsi, atr = found
    if not 0 <= rsi <= 100:
        return NoSetup(f"RSI(14) {rsi:g} is outside 0 to 100")
    if rsi > parameters.rsi_max:
        return NoSetup(f"RSI(14) {rsi:.1f} is above {parameters.rsi_max:g}")
    if wrong := not_above_zero({"close": close, "ATR(14)": atr}):
        return wrong
    return priced(
        Seen(
            symbol=symbol,
            setup_type=SetupType.OVERSOLD_BOUNCE,
            session=technicals.session,
            close=close,
            atr=atr,
            risk=parameters.stop_atr * atr,
            conviction=conviction_of((parameters.rsi_max - rsi) / parameters.rsi_max),
            signal=f"oversold at RSI(14) {rsi:.1f}",
            parameters=parameters,
        )
    )
