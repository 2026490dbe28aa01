"""What a closed trade was worth, and the market state it was taken in."""

from dataclasses import dataclass
from decimal import Decimal
from math import log

from agents.market.indicators import Technicals
from agents.trading.book import OpenPosition
from agents.trading.broker import ExitFill
from storage.records import to_cents

STATE_SIZE = 8
NOTHING = Decimal("0.00")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A closed trade: `pnl` and `fees` in dollars, `return_pct` a fraction of the money paid, the rest in R.

    One R is the initial risk, (entry - first stop) x all shares that were bought. `mae_r` is the worst
    excursion (zero or below), `mfe_r` the best (zero or above), both before fees.
    """

    pnl: Decimal
    fees: Decimal
    return_pct: float
    r_multiple: float
    mae_r: float
    mfe_r: float


def outcome(position: OpenPosition, exit_fill: ExitFill, *, realised: Decimal = NOTHING) -> Outcome:
    """Measure a position at its last exit, net of all commissions; slippage is in the prices already.

    `realised` are the dollars earned on the way by splits, spin-offs and the sale of a part, fees aside.
    """
    fees = position.entry_fee + position.sold_fees + exit_fill.fee
    pnl = exit_fill.amount - position.cost - fees + realised
    bought = position.shares + position.sold_shares
    low = min(position.low_since, exit_fill.low)
    high = max(position.high_since, exit_fill.high)
    return Outcome(
        pnl=pnl,
        fees=fees,
        return_pct=float(pnl / to_cents(bought * position.entry_price)),
        r_multiple=float(pnl / (position.initial_risk * bought)),
        mae_r=float((low - position.entry_price) / position.initial_risk),
        mfe_r=float((high - position.entry_price) / position.initial_risk),
    )


def realised_by(position: OpenPosition, part: ExitFill) -> Decimal:
    """Dollars that the sale of a part of a position earned, fees aside: what it brought less what it cost."""
    return part.amount - (position.cost - position.without(part.shares, part.fee).cost)


def state_vector(technicals: Technicals) -> tuple[float, ...]:
    """The market state as eight numbers from -1 to 1, for finding trades taken in a like state.

    Each is a reading over the span that counts as extreme, cut off there; a missing reading is 0. In order:
    RSI(14) around 50 over 50; close against SMA50 over 15% and against SMA200 over 30%; return of 21
    sessions over 20% and of 126 over 40%; fall from the 52-week high over 50%; realised volatility around
    30% a year over 30 points; log of the volume ratio over log 4. The spans are engineering defaults, not
    fitted.
    """
    close = technicals.close
    return (
        _scaled(_minus(technicals.rsi14, 50.0), 50.0),
        _scaled(_distance(close, technicals.sma50), 0.15),
        _scaled(_distance(close, technicals.sma200), 0.30),
        _scaled(technicals.return_21d, 0.20),
        _scaled(technicals.return_126d, 0.40),
        _scaled(_distance(close, technicals.high_52w), 0.50),
        _scaled(_minus(technicals.realised_vol_21d, 30.0), 30.0),
        _scaled(log(technicals.volume_ratio) if technicals.volume_ratio else None, log(4.0)),
    )


def _scaled(value: float | None, span: float) -> float:
    return 0.0 if value is None else max(-1.0, min(1.0, value / span))


def _minus(value: float | None, centre: float) -> float | None:
    return None if value is None else value - centre


def _distance(close: float | None, reference: float | None) -> float | None:
    return None if close is None or not reference else close / reference - 1
