"""Technical readings: against plain formulas, and never fooled by missing data or by the future."""

from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.market.bars import Bars
from agents.market.indicators import Technicals, technicals
from tests.market.series import bars_of

CLOSES = st.lists(st.integers(100, 20_000).map(lambda cents: cents / 100), min_size=1, max_size=280)


def random_walk(count: int, seed: int = 1) -> NDArray[np.float64]:
    steps = np.random.default_rng(seed).normal(0, 0.02, count)
    walk: NDArray[np.float64] = 50 * np.exp(np.cumsum(steps))
    return walk


def read(bars: Bars) -> Technicals:
    found = technicals(bars)
    assert found is not None
    return found


def wilder_rsi(closes: NDArray[np.float64], period: int) -> float:
    changes = np.diff(closes)
    gain = float(np.clip(changes[:period], 0, None).mean())
    loss = float(np.clip(-changes[:period], 0, None).mean())
    for change in changes[period:]:
        gain += (max(change, 0.0) - gain) / period
        loss += (max(-change, 0.0) - loss) / period
    return 100 * gain / (gain + loss)


def wilder_atr(bars: Bars, period: int) -> float:
    before = bars.close[:-1]
    ranges = np.maximum(bars.high[1:], before) - np.minimum(bars.low[1:], before)
    average = float(ranges[:period].mean())
    for true_range in ranges[period:]:
        average += (float(true_range) - average) / period
    return average


def test_readings_equal_plain_formulas() -> None:
    closes = random_walk(300)
    bars = bars_of(closes, volume=np.linspace(1e6, 2e6, 300))
    found = read(bars)
    assert found.session == bars.sessions[-1].item()
    assert (found.bars, found.close) == (300, closes[-1])
    assert found.rsi14 == pytest.approx(wilder_rsi(closes, 14), abs=1e-9)
    assert found.rsi2 == pytest.approx(wilder_rsi(closes, 2), abs=1e-9)
    assert found.atr14 == pytest.approx(wilder_atr(bars, 14), rel=1e-12)
    assert found.sma20 == pytest.approx(sum(closes[-20:]) / 20)
    assert found.sma50 == pytest.approx(sum(closes[-50:]) / 50)
    assert found.sma200 == pytest.approx(sum(closes[-200:]) / 200)
    assert found.volume_ratio == pytest.approx(bars.volume[-1] / (sum(bars.volume[-21:-1]) / 20))
    assert found.dollar_volume20 == pytest.approx(sum(bars.close[-20:] * bars.volume[-20:]) / 20)
    assert found.high_52w == max(bars.high[-252:])
    assert found.low_52w == min(bars.low[-252:])
    assert (found.prior_high_20, found.prior_low_20) == (max(bars.high[-21:-1]), min(bars.low[-21:-1]))
    assert (found.prior_high_55, found.prior_low_55) == (max(bars.high[-56:-1]), min(bars.low[-56:-1]))
    assert found.return_21d == pytest.approx(closes[-1] / closes[-22] - 1)
    assert found.return_126d == pytest.approx(closes[-1] / closes[-127] - 1)
    logs = np.log(closes[-21:] / closes[-22:-1])
    assert found.realised_vol_21d == pytest.approx(
        (sum((logs - logs.mean()) ** 2) / 20 * 252) ** 0.5 * 100, rel=1e-12
    )
    assert found.gap == pytest.approx(bars.open[-1] / closes[-2] - 1)


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("gap", 2),
        ("prior_high_20", 21),
        ("prior_low_20", 21),
        ("prior_high_55", 56),
        ("prior_low_55", 56),
        ("rsi2", 3),
        ("rsi14", 15),
        ("atr14", 15),
        ("sma20", 20),
        ("dollar_volume20", 20),
        ("volume_ratio", 21),
        ("return_21d", 22),
        ("realised_vol_21d", 22),
        ("sma50", 50),
        ("return_126d", 127),
        ("sma200", 200),
        ("high_52w", 252),
        ("low_52w", 252),
    ],
)
def test_a_reading_appears_when_it_has_enough_bars(name: str, needed: int) -> None:
    closes = random_walk(needed)
    assert getattr(read(bars_of(closes[1:])), name) is None
    assert getattr(read(bars_of(closes)), name) is not None


def test_no_bars_or_a_missing_last_price_give_no_readings() -> None:
    assert technicals(Bars.empty("AAA")) is None
    assert technicals(bars_of([*random_walk(50), np.nan])) is None


@pytest.mark.parametrize("level", [0.0001, 1.0, 450.0])
def test_a_flat_series_never_looks_oversold(level: float) -> None:
    found = read(bars_of([level] * 300))
    assert found.rsi14 is None
    assert found.rsi2 is None
    assert found.realised_vol_21d == 0


def test_a_halted_stock_has_no_rsi() -> None:
    found = read(bars_of([*np.linspace(20, 10, 50), *[10.0] * 14]))
    assert found.rsi14 is None
    assert read(bars_of([*np.linspace(20, 10, 50), *[10.0] * 13])).rsi14 == pytest.approx(0)


def test_volume_ratio_is_never_infinite() -> None:
    quiet = [0.0] * 40
    assert read(bars_of(random_walk(40), volume=quiet)).volume_ratio is None
    assert read(bars_of(random_walk(40), volume=[*quiet[1:], 5e6])).volume_ratio is None
    assert read(bars_of(random_walk(40), volume=[*quiet[1:], np.nan])).volume_ratio is None
    assert read(bars_of(random_walk(40), volume=[*[1e6] * 39, 0.0])).volume_ratio == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_readings_start_after_the_last_bad_price(column: str, bad: float) -> None:
    whole = bars_of(random_walk(120))
    values = getattr(whole, column).copy()
    values[79] = bad
    found = read(replace(whole, **{column: values}))
    after = Bars(whole.symbol, *(getattr(whole, field.name)[80:] for field in fields(whole)[1:]))
    assert found == read(after)
    assert found.bars == 40
    assert found.sma50 is None


@given(CLOSES, st.data())
def test_a_missing_price_never_reads_as_oversold(closes: list[float], data: st.DataObject) -> None:
    gap = data.draw(st.integers(0, len(closes) - 1))
    rising = np.cumsum(closes)
    rising[gap] = np.nan
    found = technicals(bars_of(rising))
    for rsi in (found.rsi14, found.rsi2) if found else ():
        assert rsi is None or rsi > 99


def test_the_last_bar_is_no_part_of_what_it_may_break() -> None:
    closes = random_walk(100)
    calm, broken = read(bars_of(closes)), read(bars_of([*closes[:-1], 10 * closes.max()]))
    for name in ("prior_high_20", "prior_low_20", "prior_high_55", "prior_low_55"):
        assert getattr(calm, name) == getattr(broken, name)
    assert broken.close is not None
    assert broken.prior_high_55 is not None
    assert broken.close > broken.prior_high_55


def test_readings_stored_before_there_were_prior_highs_are_still_read() -> None:
    stored = asdict(read(bars_of(random_walk(100))))
    known = {name: value for name, value in stored.items() if not name.startswith("prior_")}
    assert Technicals(**known).prior_high_55 is None


@given(CLOSES, CLOSES)
def test_readings_never_depend_on_later_bars(past: list[float], future: list[float]) -> None:
    alone = bars_of(past)
    together = bars_of(past + future)
    assert technicals(together.upto(alone.sessions[-1].item())) == technicals(alone)


@given(CLOSES, st.sampled_from([0.01, 0.1, 7.0, 1000.0]))
def test_rsi_does_not_depend_on_the_price_scale(closes: list[float], factor: float) -> None:
    plain, scaled = read(bars_of(closes)), read(bars_of(np.array(closes) * factor))
    assert scaled.rsi14 == (None if plain.rsi14 is None else pytest.approx(plain.rsi14, abs=1e-6))
    assert scaled.rsi2 == (None if plain.rsi2 is None else pytest.approx(plain.rsi2, abs=1e-6))


@given(CLOSES)
@settings(max_examples=50)
def test_every_reading_is_a_finite_float_or_none(closes: list[float]) -> None:
    found = read(bars_of(closes))
    for field in fields(found)[2:]:
        value = getattr(found, field.name)
        assert value is None or (type(value) is float and np.isfinite(value))
    assert found.rsi14 is None or 0 <= found.rsi14 <= 100
