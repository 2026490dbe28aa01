"""Momentum: buy a leading stock on a short pullback, not on an extended day."""

from agents.market.indicators import Technicals
from agents.trading.setups.parameters import MomentumParameters
from agents.trading.setups.plan import NoSetup, Seen, SetupPlan, conviction_of, not_above_zero, priced, sound
from storage.records import SetupType


def plan_momentum(symbol: str, technicals: Technicals, parameters: MomentumParameters) -> SetupPlan | NoSetup:
    """Buy a stock in a sound uptrend (close > SMA50 > SMA200), up over half a year and near its 52-week high,
    while it rests: RSI(14) in the middle of its range and the close not far above SMA20.

    Stop and band are multiples of ATR(14) from the close, the target is a multiple of the distance to the
    stop.

    Conviction: 0.5 where every condition is only just met; up to 1 for, in equal parts, twice the return
    needed, a close at the 52-week high, and an RSI at the lower bound.
    """
    found = sound(
        {
            "close": technicals.close,
            "SMA20": technicals.sma20,
            "SMA50": technicals.sma50,
            "SMA200": technicals.sma200,
            "ATR(14)": technicals.atr14,
            "52-week high": technicals.high_52w,
            "RSI(14)": technicals.rsi14,
            "126-session return": technicals.return_126d,
        }
    )
    if isinstance(found, NoSetup):
        return found
    close, sma20, sma50, sma200, atr, high, rsi, gain = found
    prices = {"close": close, "SMA20": sma20, "SMA50": sma50, "SMA200": sma200, "ATR(14)": atr}
    if wrong := not_above_zero({**prices, "52-week high": high}):
        return wrong
    fall, extension = 1 - close / high, (close - sma20) / atr
    if reason := _why_not(close, sma50, sma200, gain, fall, rsi, extension, parameters):
        return NoSetup(reason)
    rest = parameters.rsi_max - parameters.rsi_min
    return priced(
        Seen(
            symbol=symbol,
            setup_type=SetupType.MOMENTUM,
            session=technicals.session,
            close=close,
            atr=atr,
            risk=parameters.stop_atr * atr,
            conviction=conviction_of(
                gain / parameters.return_min - 1,
                1 - fall / parameters.high_within,
                (parameters.rsi_max - rsi) / rest if rest else 0.0,
            ),
            signal=f"in an uptrend {fall:.1%} under its 52-week high, resting at RSI(14) {rsi:.1f}",
            parameters=parameters,
        )
    )


def _why_not(
    close: float,
    sma50: float,
    sma200: float,
    gain: float,
    fall: float,
    rsi: float,
    extension: float,
    parameters: MomentumParameters,
) -> str | None:
    """The first condition that is not met; None when all are."""
    if not close > sma50 > sma200:
        return f"no uptrend: close {close:.2f}, SMA50 {sma50:.2f}, SMA200 {sma200:.2f}"
    if gain < parameters.return_min:
        return f"126-session return {gain:.1%} is below {parameters.return_min:.1%}"
    if fall > parameters.high_within:
        return f"{fall:.1%} under the 52-week high is more than {parameters.high_within:.1%}"
    if not parameters.rsi_min <= rsi <= parameters.rsi_max:
        return f"RSI(14) {rsi:.1f} is outside {parameters.rsi_min:g} to {parameters.rsi_max:g}"
    if extension > parameters.max_extension_atr:
        return f"{extension:.2f} ATR above SMA20 is more than {parameters.max_extension_atr:g}"
    return None
