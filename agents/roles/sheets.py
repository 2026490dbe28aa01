"""The data that roles are given: blocks of named figures, each the source of what may be stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from agents.grounding import Fact, Figure, Unit
from agents.llm.questions import DataBlock
from agents.market.company import Dossier
from agents.market.indicators import Technicals
from storage.records import Direction, Volatility

DIGITS = 6  # significant ones: more only cost tokens

_UNITS = {
    **dict.fromkeys(
        ("close", "sma20", "sma50", "sma200", "atr14", "dollar_volume20", "high_52w", "low_52w"), Unit.USD
    ),
    **dict.fromkeys(("prior_high_20", "prior_low_20", "prior_high_55", "prior_low_55"), Unit.USD),
    **dict.fromkeys(("rsi14", "rsi2", "volume_ratio"), Unit.RATIO),
    **dict.fromkeys(("return_21d", "return_126d", "gap"), Unit.FRACTION),
}
FUNDAMENTALS = {
    **dict.fromkeys(
        (
            "net_profit_margin",
            "operating_profit_margin",
            "return_on_equity",
            "return_on_invested_capital",
            "free_cash_flow_yield",
            "dividend_yield",
        ),
        Unit.FRACTION,
    ),
    **dict.fromkeys(
        (
            "price_to_earnings_ratio",
            "price_to_sales_ratio",
            "price_to_free_cash_flow_ratio",
            "ev_to_ebitda",
            "net_debt_to_ebitda",
            "debt_to_equity_ratio",
            "current_ratio",
            "income_quality",
        ),
        Unit.RATIO,
    ),
    "market_cap": Unit.USD,
}


@dataclass(frozen=True)
class Sheet:
    """A block of data and the figures in it."""

    block: DataBlock
    facts: tuple[Fact, ...]


def sheet(
    name: str,
    source: str,
    as_of: date,
    figures: Mapping[str, tuple[float | None, Unit]],
    words: Mapping[str, object] | None = None,
) -> Sheet:
    """A block of the figures that are known, and of `words` beside them."""
    known = {
        key: (float(f"{value:.{DIGITS}g}"), unit)
        for key, (value, unit) in figures.items()
        if value is not None
    }
    content = {**(words or {}), **{key: value for key, (value, _) in known.items()}}
    named = f"{name} {as_of.isoformat()}"
    return Sheet(
        DataBlock(name=name, source=source, as_of=as_of, content=content),
        tuple(Fact(name=key, value=value, unit=unit, source=named) for key, (value, unit) in known.items()),
    )


def technicals_sheet(symbol: str, readings: Technicals) -> Sheet:
    """A symbol's readings, and those distances that are worth arguing with."""
    figures: dict[str, tuple[float | None, Unit]] = {
        name: (getattr(readings, name), unit) for name, unit in _UNITS.items()
    }
    figures["realised_vol_21d_percent"] = (readings.realised_vol_21d, Unit.PERCENT)
    figures["close_to_sma200"] = (_less_one(readings.close, readings.sma200), Unit.FRACTION)
    figures["sma50_to_sma200"] = (_less_one(readings.sma50, readings.sma200), Unit.FRACTION)
    fall = _less_one(readings.close, readings.high_52w)
    figures["fall_from_52w_high"] = (None if fall is None else -fall, Unit.FRACTION)
    return sheet("technicals", "the desk's settled bars", readings.session, figures, {"symbol": symbol})


def fundamentals_sheet(dossier: Dossier, as_of: date) -> Sheet | None:
    """A company's fundamentals of the trailing twelve months; None where nothing is known."""
    figures: dict[str, tuple[float | None, Unit]] = {}
    for name, unit in FUNDAMENTALS.items():
        values = (getattr(source, name, None) for source in (dossier.ratios, dossier.metrics))
        figures[name] = (next((value for value in values if value is not None), None), unit)
    if all(value is None for value, _ in figures.values()):
        return None
    return sheet("fundamentals", "the vendor's trailing twelve months", as_of, figures)


def market_block(direction: Direction, as_of: date, volatility: Volatility | None = None) -> DataBlock:
    """What the rules say of the market as a whole."""
    content = {"direction": direction.value} | ({"volatility": volatility.value} if volatility else {})
    return DataBlock(name="market", source="the desk's regime rule", as_of=as_of, content=content)


def by_rules(metrics: tuple[tuple[str, float], ...], as_of: date) -> tuple[Figure, ...]:
    """The numbers of a decision by rules: worked out from the bars, so grounded in them."""
    return tuple(
        Figure(name=name, value=value, grounded=True, source=f"technicals {as_of.isoformat()}")
        for name, value in metrics
    )


def _less_one(over: float | None, under: float | None) -> float | None:
    return over / under - 1 if over is not None and under else None
