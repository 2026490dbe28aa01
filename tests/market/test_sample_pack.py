"""The bundled sample pack: whole, split-adjusted, small."""

import gzip
from datetime import date

import numpy as np
import pytest

from agents.market.calendar import sessions
from agents.market.history import SAMPLE_FOLDER, HistoryPack, load_pack

SPLIT_RATIOS = [ratio for base in (2, 3, 3 / 2, 7, 4) for ratio in (base, 1 / base)]

REAL_MOVES = {
    ("NVDA", date(2002, 7, 31)): "warned of lower sales the evening before; closed 32% down",
    (
        "NVDA",
        date(2004, 8, 6),
    ): "reported a quarter far below expectations the evening before; closed 35% down",
}
SPLITS = [
    ("AAPL", date(2000, 6, 21)),
    ("AAPL", date(2005, 2, 28)),
    ("MSFT", date(2003, 2, 18)),
    ("NVDA", date(2000, 6, 27)),
    ("NVDA", date(2001, 9, 12)),
    ("NVDA", date(2006, 4, 7)),
    ("NVDA", date(2007, 9, 11)),
]


@pytest.fixture(scope="module")
def pack() -> HistoryPack:
    return load_pack(SAMPLE_FOLDER)


def test_it_is_what_it_says(pack: HistoryPack) -> None:
    assert list(pack.instruments) == ["AAPL", "AMZN", "GOOG", "IBM", "MSFT", "NVDA", "^GSPC"]
    assert (pack.name, pack.survivors) == ("sample", True)
    assert (pack.first, pack.last) == (date(2000, 3, 1), date(2013, 3, 1))


def test_no_session_is_missing_or_extra(pack: HistoryPack) -> None:
    for symbol in pack.instruments:
        first = date(2004, 8, 19) if symbol == "GOOG" else pack.first
        assert pack.bars(symbol).sessions.tolist() == sessions(first, pack.last)


def test_every_value_is_there_and_in_range(pack: HistoryPack) -> None:
    for symbol in pack.instruments:
        bars = pack.bars(symbol)
        assert np.isfinite([bars.open, bars.high, bars.low, bars.close, bars.volume]).all()
        assert (bars.volume > 0).all()
        assert (bars.high >= np.maximum(bars.open, bars.close)).all()
        assert (bars.low <= np.minimum(bars.open, bars.close)).all()


def test_no_split_is_left(pack: HistoryPack) -> None:
    suspects = set()
    for symbol in pack.instruments:
        bars = pack.bars(symbol)
        for prices in (bars.open, bars.close):
            jumps = prices[1:] / bars.close[:-1]
            for ratio in SPLIT_RATIOS:
                days = bars.sessions[1:][np.abs(jumps / ratio - 1) <= 0.03]
                suspects |= {(symbol, day) for day in days.tolist()}
    assert suspects == set(REAL_MOVES)


@pytest.mark.parametrize(("symbol", "day"), SPLITS)
def test_returns_and_volumes_around_known_splits_are_ordinary(
    pack: HistoryPack, symbol: str, day: date
) -> None:
    bars = pack.bars(symbol)
    index = int(np.searchsorted(bars.sessions, np.datetime64(day)))
    jumps = bars.close[index - 1 : index + 2] / bars.close[index - 2 : index + 1]
    assert np.abs(jumps - 1).max() < 0.2
    # An adjustment of prices but not of volumes would show as a step of the split's size.
    before, after = bars.volume[index - 20 : index].mean(), bars.volume[index : index + 20].mean()
    assert 0.55 < after / before < 1.8


def test_apple_really_halved_in_september_2000(pack: HistoryPack) -> None:
    bars = pack.bars("AAPL").upto(date(2000, 9, 29))
    assert bars.close[-1] / bars.close[-2] == pytest.approx(0.481, abs=0.001)


@pytest.mark.parametrize(
    ("symbol", "close", "volume"),
    [
        ("AAPL", 430.47, 19_730_300),
        ("AMZN", 265.74, 2_957_000),
        ("GOOG", 806.19, 4_346_400),
        ("IBM", 202.91, 3_308_300),
        ("MSFT", 27.95, 34_849_700),
        ("NVDA", 12.71, 9_734_900),
        ("^GSPC", 1518.2, 3_695_610_000),
    ],
)
def test_every_symbol_is_on_the_basis_of_the_last_day(
    pack: HistoryPack, symbol: str, close: float, volume: int
) -> None:
    bar = pack.bars(symbol).on(date(2013, 3, 1))
    assert bar is not None
    assert bar.close == pytest.approx(close, abs=0.005)
    assert bar.volume == volume


def test_it_is_small_and_stamped_with_no_time() -> None:
    assert sum(path.stat().st_size for path in SAMPLE_FOLDER.iterdir() if path.is_file()) < 500_000
    packed = (SAMPLE_FOLDER / "bars.csv.gz").read_bytes()
    assert packed[4:8] == b"\0\0\0\0"
    assert gzip.decompress(packed).startswith(
        b"date,symbol,open,high,low,close,volume\n2000-03-01,AAPL,29.64,"
    )
