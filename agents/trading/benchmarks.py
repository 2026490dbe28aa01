"""What the same money would have become without the desk; every figure carries what it assumes.

All benchmarks start with the desk's equity at the close of the first session and end at the close of the
last. A session without a close keeps the last one before it. None of them pays costs or taxes.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from agents.market.bars import Bars
from storage.records import to_cents

EQUAL_WEIGHT = "equal_weight_universe"
IDLE_CASH = "idle cash"
DAYS_A_YEAR = 365  # bill rates accrue by calendar days, simple within a night

Closes = Mapping[date, float]


@dataclass(frozen=True, kw_only=True)
class BenchmarkInputs:
    """What the benchmarks are reckoned from; closes in dollars a share, adjusted for splits only.

    `sessions` are those of the desk, oldest first. `exposure` is the fraction of equity in positions at each
    close; a session without one keeps the last before it, none before the first. `dividends` are dollars a
    share of the index fund by ex-date on the splits basis of its closes, None where they are not known: an
    empty mapping says that there were none. `bill_rates` are yearly yields as fractions (0.05 is 5%) by the
    day they were published, None where not known. `survivors` says that the universe lacks delisted names.
    """

    sessions: tuple[date, ...]
    start: Decimal
    index_symbol: str
    index_closes: Closes
    exposure: Mapping[date, float]
    universe: Mapping[str, Closes]
    dividends: Mapping[date, float] | None = None
    bill_rates: Mapping[date, float] | None = None
    survivors: bool = True

    def __post_init__(self) -> None:
        if not self.sessions or list(self.sessions) != sorted(set(self.sessions)):
            raise ValueError("expected at least one session, in order and each once")
        if self.start <= 0:
            raise ValueError(f"expected equity above zero to start with, was {self.start}")
        fractions = (*self.exposure.values(), *(self.bill_rates or {}).values())
        if not all(map(math.isfinite, fractions)):
            raise ValueError("expected exposures and bill rates to be numbers")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Where a benchmark ended: dollars, the return as a fraction, and in words what it assumes."""

    name: str
    label: str
    final_equity: Decimal
    total_return: float


def benchmarks(inputs: BenchmarkInputs) -> tuple[Benchmark, ...]:
    """Every benchmark the data allow, in this order: equal weight, price only, total return, matched, cash.

    Without a close of the index on the first session its three are left out, total return also without
    dividends, and equal weight when no stock has a close then.
    """
    found = (
        equal_weight(inputs),
        index_price_only(inputs),
        index_total_return(inputs),
        exposure_matched(inputs),
        idle_cash(inputs),
    )
    return tuple(benchmark for benchmark in found if benchmark is not None)


def equal_weight(inputs: BenchmarkInputs) -> Benchmark | None:
    """Every stock in equal parts, bought at the first close and held: nothing is rebalanced."""
    paths = (_path(closes, inputs.sessions) for closes in inputs.universe.values())
    growths = [path[-1] / path[0] for path in paths if path]
    if not growths:
        return None
    label = f"{len(growths)} stocks in equal parts, bought and held, prices only"
    if inputs.survivors:
        label += "; names delisted since are missing, which flatters it"
    return _benchmark(EQUAL_WEIGHT, label, inputs, math.fsum(growths) / len(growths))


def index_price_only(inputs: BenchmarkInputs) -> Benchmark | None:
    """The index fund, bought and held, its dividends left out."""
    path = _path(inputs.index_closes, inputs.sessions)
    if not path:
        return None
    label = f"{inputs.index_symbol} bought and held, prices only"
    return _benchmark(f"{inputs.index_symbol} price only", label, inputs, path[-1] / path[0])


def index_total_return(inputs: BenchmarkInputs) -> Benchmark | None:
    """The index fund, bought and held, each dividend put back at the close of its ex-date.

    One that goes ex on a day without a session is put back at the next. The purchase at the first close
    comes too late for that day's dividend.
    """
    path = _path(inputs.index_closes, inputs.sessions)
    if not path or inputs.dividends is None:
        return None
    shares, count = 1.0, 0
    for ex_date, dividend in sorted(inputs.dividends.items()):
        if not math.isfinite(dividend) or dividend < 0:
            raise ValueError(f"expected a dividend of zero or more on {ex_date}, was {dividend}")
        if inputs.sessions[0] < ex_date <= inputs.sessions[-1]:
            shares *= 1 + dividend / path[bisect_left(inputs.sessions, ex_date)]
            count += 1
    label = (
        f"{inputs.index_symbol} bought and held, {count} dividends reinvested at the ex-date's close, no tax"
    )
    return _benchmark(f"{inputs.index_symbol} total return", label, inputs, shares * path[-1] / path[0])


def exposure_matched(inputs: BenchmarkInputs) -> Benchmark | None:
    """The index fund held night by night in the fraction the desk was invested at the close before.

    The rest lies in cash. It separates what the desk chose from how much it was in the market at all.
    Fractions beyond 0..1 count as the nearer end: neither borrowed money nor short positions.
    """
    path = _path(inputs.index_closes, inputs.sessions)
    if not path:
        return None
    growth = 1.0
    for index in range(1, len(path)):
        held = _at_or_before(inputs.exposure, inputs.sessions[index - 1])
        share = max(0.0, min(1.0, held or 0.0))
        market = path[index] / path[index - 1]
        growth *= share * market + (1 - share) * _cash_growth(inputs, index)
    label = (
        f"{inputs.index_symbol} price only, as much of it as the desk held at the close before; "
        f"the rest in {_cash_words(inputs)}"
    )
    return _benchmark(f"{inputs.index_symbol} at the desk's exposure", label, inputs, growth)


def idle_cash(inputs: BenchmarkInputs) -> Benchmark:
    """No trade at all."""
    growth = math.prod(_cash_growth(inputs, index) for index in range(1, len(inputs.sessions)))
    return _benchmark(IDLE_CASH, f"Never invested: {_cash_words(inputs)}", inputs, growth)


def closes_of(bars: Bars) -> dict[date, float]:
    """The closes of a symbol's bars by session; missing ones are left out."""
    pairs = zip(bars.sessions.tolist(), bars.close.tolist(), strict=True)
    return {session: close for session, close in pairs if not math.isnan(close)}


def _path(closes: Closes, sessions: tuple[date, ...]) -> list[float]:
    """A close for every session; empty when the first has none. ValueError on one that is no price."""
    if sessions[0] not in closes:
        return []
    path: list[float] = []
    for session in sessions:
        close = closes.get(session, path[-1] if path else math.nan)
        if not (math.isfinite(close) and close > 0):
            raise ValueError(f"expected a close above zero on {session}, was {close}")
        path.append(close)
    return path


def _cash_growth(inputs: BenchmarkInputs, index: int) -> float:
    """What a dollar of cash becomes from the session before to this one, at the rate known by then."""
    before, now = inputs.sessions[index - 1], inputs.sessions[index]
    rate = _at_or_before(inputs.bill_rates or {}, before) or 0.0
    return 1 + rate * (now - before).days / DAYS_A_YEAR


def _cash_words(inputs: BenchmarkInputs) -> str:
    if not inputs.bill_rates:
        return "cash that earns nothing (no bill rate known)"
    first = min(inputs.bill_rates)
    late = f", nothing before {first.isoformat()}" if first > inputs.sessions[0] else ""
    return f"cash at the bill rate{late}"


def _at_or_before(values: Mapping[date, float], day: date) -> float | None:
    if day in values:
        return values[day]
    known = sorted(values)
    at = bisect_right(known, day)
    return values[known[at - 1]] if at else None


def _benchmark(name: str, label: str, inputs: BenchmarkInputs, growth: float) -> Benchmark:
    return Benchmark(
        name=name,
        label=label,
        final_equity=to_cents(inputs.start * Decimal(str(growth))),
        total_return=growth - 1,
    )
