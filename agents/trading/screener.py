"""The evening screen: which tradable symbols are near a setup, and why the others are not."""

from dataclasses import dataclass, replace
from datetime import date
from math import log

from pydantic import BaseModel, ConfigDict, Field

from agents.market.bars import MarketView
from agents.market.indicators import Technicals, technicals

MOST_ROWS = 25

DEPTH_POINTS = 40.0
TREND_POINTS = 30.0
VOLUME_POINTS = 15.0
LIQUIDITY_POINTS = 15.0


class ScreenRules(BaseModel):
    """What a symbol must show to be looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_bars: int = Field(200, ge=200, le=1000, description="Clean sessions in a row, for SMA200")
    min_dollar_volume: float = Field(
        5e6, ge=1e5, le=1e10, description="20-session mean of dollars traded a session"
    )
    rsi_max: float = Field(40.0, ge=15, le=50, description="Highest RSI(14) that counts as oversold, 0-100")
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
    """A symbol with current, long enough and liquid data; `score` 0-100 says how near to the setup it is."""

    symbol: str
    technicals: Technicals
    filters: tuple[FilterResult, ...]
    score: float
    selected: bool

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


def screen(view: MarketView, rules: ScreenRules) -> ScreenResult:
    """Screen every tradable symbol at the close of the view's session.

    Filters in order: fresh (the last bar is the session's own), history, liquidity, oversold, volatility. A
    symbol that fails one of the first three has nothing to say tonight and gets no row; it counts under the
    first it fails. Ties in the score go by symbol.
    """
    failures = dict.fromkeys(("fresh", "history", "liquidity", "oversold", "volatility"), 0)
    with_data = 0
    found: list[Screened] = []
    universe = view.symbols
    for symbol in universe:
        readings = technicals(view.bars(symbol))
        if readings is None or readings.session != view.session:
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
        filters = (history, liquidity, _oversold(readings, rules), _volatility(readings, rules))
        for result in filters:
            failures[result.name] += not result.passed
        found.append(
            Screened(
                symbol=symbol,
                technicals=readings,
                filters=filters,
                score=composite_score(readings, rules),
                selected=False,
            )
        )
    found.sort(key=lambda row: (not row.passed, -row.score, row.symbol))
    return ScreenResult(
        session=view.session,
        universe=len(universe),
        with_data=with_data,
        passed=sum(row.passed for row in found),
        rows=tuple(
            replace(row, selected=row.passed and rank < rules.max_selected)
            for rank, row in enumerate(found[:MOST_ROWS])
        ),
        failures=tuple(failures.items()),
    )


def composite_score(readings: Technicals, rules: ScreenRules) -> float:
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
    if readings.dollar_volume20:
        points += LIQUIDITY_POINTS * _clipped(
            log(readings.dollar_volume20 / rules.min_dollar_volume) / log(100)
        )
    return round(points, 1)


def _at_least(name: str, value: float | None, threshold: float) -> FilterResult:
    return FilterResult(name, value, threshold, value is not None and value >= threshold)


def _oversold(readings: Technicals, rules: ScreenRules) -> FilterResult:
    rsi = readings.rsi14
    return FilterResult("oversold", rsi, rules.rsi_max, rsi is not None and rsi <= rules.rsi_max)


def _volatility(readings: Technicals, rules: ScreenRules) -> FilterResult:
    """Too quiet is a pinned stock, too wild one whose stop means nothing; shows the bound that decides."""
    if readings.atr14 is None or not readings.close:
        return FilterResult("volatility", None, rules.max_atr, False)
    value = readings.atr14 / readings.close
    threshold = rules.min_atr if value < rules.min_atr else rules.max_atr
    return FilterResult("volatility", value, threshold, rules.min_atr <= value <= rules.max_atr)


def _clipped(value: float | None) -> float:
    return 0.0 if value is None else max(0.0, min(1.0, value))
