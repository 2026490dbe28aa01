"""The evening screen: which tradable symbols are near a setup, and why the others are not."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from math import isnan, log

from pydantic import BaseModel, ConfigDict, Field

from agents.market.bars import MarketView
from agents.market.indicators import Technicals, technicals
from agents.trading.setups import Lookback, base_of
from storage.records import SetupType

MOST_ROWS = 25
ALL_SETUPS = tuple(SetupType)
ALMOST_ATR = 0.5  # below SMA50 and still near an uptrend

LIQUIDITY_POINTS = 15.0  # of every score

DEPTH_POINTS = 40.0
TREND_POINTS = 30.0
VOLUME_POINTS = 15.0

GAIN_POINTS = 30.0
HIGH_POINTS = 25.0
REST_POINTS = 30.0

SURGE_POINTS = 45.0
LEVEL_POINTS = 25.0
BASE_POINTS = 15.0


class ScreenRules(BaseModel):
    """What a symbol must show to be looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_bars: int = Field(200, ge=200, le=1000, description="Clean sessions in a row, for SMA200")
    min_dollar_volume: float = Field(
        5e6, ge=1e5, le=1e10, description="20-session mean of dollars traded a session"
    )
    rsi_max: float = Field(40.0, ge=15, le=50, description="Highest RSI(14) that counts as oversold, 0-100")
    momentum_return: float = Field(
        0.13, ge=0, le=1, description="Lowest 126-session return near momentum, fraction"
    )
    momentum_fall: float = Field(
        0.12, ge=0.02, le=0.3, description="Farthest below the 52-week high near momentum, fraction"
    )
    momentum_rsi_max: float = Field(
        62.0, ge=50, le=80, description="Highest RSI(14) near momentum's pullback, 0-100"
    )
    breakout_lookback: Lookback = Field(
        55, description="Sessions whose highest high is the level of the breakout, 20 or 55"
    )
    breakout_below_atr: float = Field(
        0.25, ge=0, le=3, description="Farthest below that level near a breakout, ATR(14)"
    )
    breakout_above_atr: float = Field(
        1.0, ge=0.1, le=3, description="Farthest above that level near a breakout, ATR(14)"
    )
    breakout_volume: float = Field(
        1.2, ge=0, le=5, description="Lowest volume near a breakout, over the mean of the 20 sessions before"
    )
    min_atr: float = Field(0.005, ge=0, le=0.02, description="Lowest ATR(14) over close, fraction")
    max_atr: float = Field(0.10, ge=0.02, le=0.5, description="Highest ATR(14) over close, fraction")
    max_selected: int = Field(10, ge=1, le=MOST_ROWS, description="Most symbols handed to the agents")


@dataclass(frozen=True)
class FilterResult:
    """One filter on one symbol; `value` is None when there is no reading, which never passes."""

    name: str
    value: float | None
    threshold: float
    passed: bool


@dataclass(frozen=True, kw_only=True)
class Screened:
    """A symbol with current, long enough and liquid data.

    `score` 0-100 says how near it is to the setup it is nearest to.
    """

    symbol: str
    technicals: Technicals
    filters: tuple[FilterResult, ...]
    score: float
    selected: bool
    nearest: SetupType = SetupType.OVERSOLD_BOUNCE

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.filters)


@dataclass(frozen=True, kw_only=True)
class ScreenResult:
    """One evening's screen. `rows` holds at most 25: those that pass every filter first, then by score."""

    session: date
    universe: int
    with_data: int  # symbols that are fresh and have the history
    passed: int  # symbols that pass every filter
    rows: tuple[Screened, ...]
    failures: tuple[
        tuple[str, int], ...
    ]  # filter and how many symbols failed it, in the order of the filters

    @property
    def selected(self) -> tuple[Screened, ...]:
        return tuple(row for row in self.rows if row.selected)


def screen(
    view: MarketView, rules: ScreenRules, *, allowed: Collection[SetupType] = ALL_SETUPS
) -> ScreenResult:
    """Screen every tradable symbol at the close of the view's session for the setups that are `allowed`.

    Filters in order: fresh (the last bar is the session's own), history, liquidity, setup (near one of them),
    volatility. A symbol that fails one of the first three has nothing to say tonight and gets no row; it
    counts under the first it fails. Ties in the score go by symbol.
    """
    read = {symbol: technicals(view.bars(symbol)) for symbol in view.symbols}
    return screen_readings(view.session, read, rules, allowed=allowed)


def screen_readings(
    session: date,
    read: Mapping[str, Technicals | None],
    rules: ScreenRules,
    *,
    allowed: Collection[SetupType] = ALL_SETUPS,
) -> ScreenResult:
    """The screen of a session whose readings are known: those of every tradable symbol, None without any."""
    failures = dict.fromkeys(("fresh", "history", "liquidity", "setup", "volatility"), 0)
    with_data = 0
    found: list[Screened] = []
    for symbol, readings in read.items():
        if readings is None or readings.session != session:
            failures["fresh"] += 1
            continue
        history = _at_least("history", float(readings.bars), rules.min_bars)
        if not history.passed:
            failures["history"] += 1
            continue
        with_data += 1
        liquidity = _at_least("liquidity", readings.dollar_volume20, rules.min_dollar_volume)
        if not liquidity.passed:
            failures["liquidity"] += 1
            continue
        near = near_setups(readings, rules, allowed)
        nearest, score = _best(readings, rules, near or allowed)
        filters = (history, liquidity, _setup(near), _volatility(readings, rules))
        for result in filters:
            failures[result.name] += not result.passed
        found.append(
            Screened(
                symbol=symbol,
                technicals=readings,
                filters=filters,
                score=score,
                selected=False,
                nearest=nearest,
            )
        )
    found.sort(key=lambda row: (not row.passed, -row.score, row.symbol))
    return ScreenResult(
        session=session,
        universe=len(read),
        with_data=with_data,
        passed=sum(row.passed for row in found),
        rows=tuple(
            replace(row, selected=row.passed and rank < rules.max_selected)
            for rank, row in enumerate(found[:MOST_ROWS])
        ),
        failures=tuple(failures.items()),
    )


def near_setups(
    readings: Technicals, rules: ScreenRules, allowed: Collection[SetupType] = ALL_SETUPS
) -> tuple[SetupType, ...]:
    """The allowed setups the symbol shows or may show within days; a missing reading is never near.

    oversold bounce  RSI(14) at most `rsi_max`
    momentum         SMA50 above SMA200, close above SMA50 or at most half an ATR(14) below it; return,
                     fall from the 52-week high and RSI(14) within the rules
    breakout         close from `breakout_below_atr` ATR(14) below the level to `breakout_above_atr` above it,
                     volume at least `breakout_volume`
    """
    near = {
        SetupType.OVERSOLD_BOUNCE: readings.rsi14 is not None and readings.rsi14 <= rules.rsi_max,
        SetupType.MOMENTUM: _near_momentum(readings, rules),
        SetupType.BREAKOUT: _near_breakout(readings, rules),
    }
    return tuple(kind for kind in SetupType if kind in allowed and near[kind])


def composite_score(
    readings: Technicals, rules: ScreenRules, allowed: Collection[SetupType] = ALL_SETUPS
) -> float:
    """How near to a setup, 0-100, one decimal: the best score among the setups the symbol is near, or among
    all that are allowed where it is near none. So no symbol ranks high by a setup it cannot show."""
    return _best(readings, rules, near_setups(readings, rules, allowed) or allowed)[1]


def setup_score(kind: SetupType, readings: Technicals, rules: ScreenRules) -> float:
    """How near to this setup, 0-100, one decimal."""
    match kind:
        case SetupType.OVERSOLD_BOUNCE:
            return bounce_score(readings, rules)
        case SetupType.MOMENTUM:
            return momentum_score(readings, rules)
        case SetupType.BREAKOUT:
            return breakout_score(readings, rules)


def bounce_score(readings: Technicals, rules: ScreenRules) -> float:
    """How near to an oversold bounce in a sound stock, 0-100, one decimal; a missing reading adds nothing.

    40 x depth      (50 - RSI14) / 30: nothing at 50, full at 20
    30 x trend      (close / SMA200 - 0.9) / 0.2: nothing at 10% below, full at 10% above
    15 x volume     volume ratio - 1: nothing at the usual volume, full at twice that (capitulation)
    15 x liquidity  log(dollar volume / least) / log(100): full at a hundred times the least
    Every factor is cut off to 0..1. The weights are engineering defaults, not fitted.
    """
    points = DEPTH_POINTS * _clipped(None if readings.rsi14 is None else (50 - readings.rsi14) / 30)
    if readings.close is not None and readings.sma200:
        points += TREND_POINTS * _clipped((readings.close / readings.sma200 - 0.9) / 0.2)
    points += VOLUME_POINTS * _clipped(None if readings.volume_ratio is None else readings.volume_ratio - 1)
    return round(points + _liquidity(readings, rules), 1)


def momentum_score(readings: Technicals, rules: ScreenRules) -> float:
    """How near to a pullback in a leading stock, 0-100, one decimal; a missing reading adds nothing.

    30 x gain       126-session return / 0.60: nothing at zero, full at 60%
    25 x high       1 - fall / 0.10: full at the 52-week high, nothing 10% below
    30 x rest       (65 - RSI14) / 25 or (RSI14 - 30) / 10: full at 40, nothing at 30 and at 65
    15 x liquidity  as of the bounce
    Every factor is cut off to 0..1. The weights are engineering defaults, not fitted.
    """
    points = GAIN_POINTS * _clipped(None if readings.return_126d is None else readings.return_126d / 0.60)
    if readings.close is not None and readings.high_52w:
        points += HIGH_POINTS * _clipped(1 - (1 - readings.close / readings.high_52w) / 0.10)
    if readings.rsi14 is not None:
        points += REST_POINTS * _clipped(min((65 - readings.rsi14) / 25, (readings.rsi14 - 30) / 10))
    return round(points + _liquidity(readings, rules), 1)


def breakout_score(readings: Technicals, rules: ScreenRules) -> float:
    """How near to a breakout from a base, 0-100, one decimal; a missing reading adds nothing.

    45 x surge      volume ratio - 1: nothing at the usual volume, full at twice that
    25 x level      1 - 2 x ATR(14) outside the reach from the level to one ATR above: nothing half an ATR out
    15 x base       (12 - range of the lookback in ATR) / 8: full at 4, nothing at 12
    15 x liquidity  as of the bounce
    Every factor is cut off to 0..1. The weights are engineering defaults, not fitted.
    """
    level, floor = base_of(readings, rules.breakout_lookback)
    points = SURGE_POINTS * _clipped(None if readings.volume_ratio is None else readings.volume_ratio - 1)
    if readings.close is not None and readings.atr14 and level is not None and floor is not None:
        above = (readings.close - level) / readings.atr14
        points += LEVEL_POINTS * _clipped(1 - 2 * max(-above, above - 1))
        points += BASE_POINTS * _clipped((12 - (level - floor) / readings.atr14) / 8)
    return round(points + _liquidity(readings, rules), 1)


def _best(readings: Technicals, rules: ScreenRules, among: Collection[SetupType]) -> tuple[SetupType, float]:
    """The setup of the highest score, ties by the order of SetupType; the bounce at zero among none."""
    scores = {kind: setup_score(kind, readings, rules) for kind in SetupType if kind in among}
    if not scores:
        return SetupType.OVERSOLD_BOUNCE, 0.0
    best = max(scores, key=lambda kind: scores[kind])
    return best, scores[best]


def _near_momentum(readings: Technicals, rules: ScreenRules) -> bool:
    close, rsi, gain, atr = readings.close, readings.rsi14, readings.return_126d, readings.atr14
    sma50, sma200, high = readings.sma50, readings.sma200, readings.high_52w
    if close is None or rsi is None or gain is None or atr is None:
        return False
    if sma50 is None or sma200 is None or not high:
        return False
    return (
        sma50 > sma200
        and close >= sma50 - ALMOST_ATR * atr
        and gain >= rules.momentum_return
        and 1 - close / high <= rules.momentum_fall
        and rsi <= rules.momentum_rsi_max
    )


def _near_breakout(readings: Technicals, rules: ScreenRules) -> bool:
    level, _ = base_of(readings, rules.breakout_lookback)
    close, atr, volume = readings.close, readings.atr14, readings.volume_ratio
    if level is None or close is None or atr is None or volume is None:
        return False
    return (
        -rules.breakout_below_atr * atr <= close - level <= rules.breakout_above_atr * atr
        and volume >= rules.breakout_volume
    )


def _liquidity(readings: Technicals, rules: ScreenRules) -> float:
    if not readings.dollar_volume20 or readings.dollar_volume20 < 0:
        return 0.0
    return LIQUIDITY_POINTS * _clipped(log(readings.dollar_volume20 / rules.min_dollar_volume) / log(100))


def _at_least(name: str, value: float | None, threshold: float) -> FilterResult:
    return FilterResult(name, value, threshold, value is not None and value >= threshold)


def _setup(near: tuple[SetupType, ...]) -> FilterResult:
    """How many setups the symbol is near, of which it needs one."""
    return _at_least("setup", float(len(near)), 1)


def _volatility(readings: Technicals, rules: ScreenRules) -> FilterResult:
    """Too quiet is a pinned stock, too wild one whose stop means nothing; shows the bound that decides."""
    if readings.atr14 is None or not readings.close:
        return FilterResult("volatility", None, rules.max_atr, False)
    value = readings.atr14 / readings.close
    threshold = rules.min_atr if value < rules.min_atr else rules.max_atr
    return FilterResult("volatility", value, threshold, rules.min_atr <= value <= rules.max_atr)


def _clipped(value: float | None) -> float:
    return 0.0 if value is None or isnan(value) else max(0.0, min(1.0, value))
