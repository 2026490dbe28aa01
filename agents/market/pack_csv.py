"""The tables of a history pack: bytes in, checked bars and instruments out.

Every defect is an OperatorError that names the file, the row (the header is row 1) and what is wrong with it.
"""

import csv
import gzip
import io
import re
import unicodedata
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import islice
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from agents.market.actions import ActionKey, ActionKind, CorporateAction
from agents.market.bars import AssetType, Bars, FloatArray, Instrument
from agents.market.calendar import is_session
from storage.errors import OperatorError

BAR_COLUMNS = ("date", "symbol", "open", "high", "low", "close", "volume")
FACTOR_COLUMN = "raw_factor"  # optional: price as traded = price x factor, shares as traded = volume / factor
UNIVERSE_COLUMNS = ("symbol", "name", "sector", "industry", "asset_type")
ACTION_COLUMNS = ("symbol", "date", "type", "value")
ACTION_TYPES = (ActionKind.SPLIT, ActionKind.DIVIDEND)

# How far an open or close may lie outside the day's range, or a low above the high: vendors round each price
# of a bar on its own after adjusting it. Beyond this it is a bad print. (The packs at hand need none.)
RANGE_TOLERANCE_SHARE = 0.005
RANGE_TOLERANCE_DOLLARS = 0.01

# Outside these a number is a defect, and arithmetic with it would overflow.
SMALLEST_PRICE = 1e-6
LARGEST_VALUE = 1e15
LARGEST_FACTOR = 1e6  # and its inverse the smallest

MAX_TEXT_BYTES = 1 << 30  # a few hundred years of the S&P 500; a gzip bomb stops here
CHUNK_ROWS = 1_000  # measured: the text of so few rows stays in the cache, 50,000 take twice as long

_NO_DEFAULTS: Mapping[str, str] = MappingProxyType({})
_SYMBOL = re.compile(r"[A-Z0-9.^-]{1,12}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class PackError(OperatorError):
    """A file of a pack that cannot be used."""

    def __init__(self, file: str, what: str) -> None:
        super().__init__(f"{file}: {what}", "correct the file and load the pack again")


def clean_text(text: str) -> str:
    """Outside text as one line without control, format or surrogate characters: it ends up on a terminal."""
    spaced = " ".join(text.split())
    return "".join(char for char in spaced if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))


def parse_universe(data: bytes, file: str) -> dict[str, Instrument]:
    """Instruments by symbol, sorted; an empty sector or industry is None, an empty name the symbol."""
    instruments: dict[str, Instrument] = {}
    for first_row, rows in _chunks(data, file, UNIVERSE_COLUMNS):
        for number, (symbol, name, sector, industry, asset_type) in enumerate(rows, first_row):
            if not _SYMBOL.fullmatch(symbol):
                raise PackError(
                    file, f"row {number}: {_shown(symbol)} is no symbol (A-Z 0-9 . ^ -, at most 12)"
                )
            if symbol in instruments:
                raise PackError(file, f"row {number}: {symbol} is listed twice")
            if asset_type not in list(AssetType):
                raise PackError(
                    file, f"row {number}: asset_type {_shown(asset_type)} is not stock, etf or index"
                )
            instruments[symbol] = Instrument(
                symbol=symbol,
                name=clean_text(name) or symbol,
                sector=clean_text(sector) or None,
                industry=clean_text(industry) or None,
                asset_type=AssetType(asset_type),
            )
    return dict(sorted(instruments.items()))


def parse_bars(
    data: bytes, file: str, instruments: Mapping[str, Instrument]
) -> tuple[dict[str, Bars], dict[str, FloatArray]]:
    """Bars by symbol, sorted by session whatever the order of the rows; symbols without rows are left out.

    Beside them the raw factor of each bar by symbol, read-only; all 1 in a table without that column.
    """
    codes = {symbol: code for code, symbol in enumerate(instruments)}
    day_numbers: dict[str, int] = {}
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], list[FloatArray]]] = []
    for first_row, rows in _chunks(data, file, BAR_COLUMNS, {FACTOR_COLUMN: "1"}):
        dates, symbols, *numbers = zip(*rows, strict=True)
        _learn_dates(dates, day_numbers, file, first_row)
        _require_listed(symbols, codes, file, first_row)
        parts.append(
            (
                np.array([day_numbers[text] for text in dates], dtype=np.int64),
                np.array([codes[text] for text in symbols], dtype=np.int64),
                [
                    _numbers(texts, column, file, first_row)
                    for column, texts in zip((*BAR_COLUMNS[2:], FACTOR_COLUMN), numbers, strict=True)
                ],
            )
        )
    if not parts:
        raise PackError(file, "has no rows")
    days = np.concatenate([part[0] for part in parts])
    owners = np.concatenate([part[1] for part in parts])
    *values, factors = [np.concatenate([part[2][column] for part in parts]) for column in range(6)]
    is_index = np.array([item.asset_type is AssetType.INDEX for item in instruments.values()])[owners]
    _require_sane(file, is_index, *values)
    _require_factors(file, factors)
    return _split_by_symbol(file, list(instruments), days, owners, values, factors)


def parse_actions(
    data: bytes, file: str, instruments: Mapping[str, Instrument]
) -> tuple[CorporateAction, ...]:
    """Splits and dividends in the order of the file; a row that repeats an earlier one is dropped."""
    found: dict[ActionKey, CorporateAction] = {}
    for first_row, rows in _chunks(data, file, ACTION_COLUMNS):
        symbols, dates, _, texts = zip(*rows, strict=True)
        _require_listed(symbols, instruments, file, first_row)
        _learn_dates(dates, {}, file, first_row)
        values = _numbers(texts, "value", file, first_row).tolist()
        for number, (row, value) in enumerate(zip(rows, values, strict=True), first_row):
            symbol, day, kind, text = row
            if kind not in ACTION_TYPES:
                raise PackError(file, f"row {number}: type {_shown(kind)} is not split or dividend")
            if not SMALLEST_PRICE <= value <= LARGEST_VALUE:  # also when it is missing
                raise PackError(
                    file, f"row {number}: value {_shown(text)} is missing, not above zero or absurd"
                )
            action = CorporateAction(
                symbol=symbol,
                ex_date=date.fromisoformat(day),
                kind=ActionKind(kind),
                value=Decimal(text),
                source=file,
            )
            if found.setdefault(action.key, action) != action:
                what = f"{symbol} has another {kind} on {day} with another value"
                raise PackError(file, f"row {number}: {what}")
    return tuple(found.values())


def _split_by_symbol(
    file: str,
    symbols: Sequence[str],
    days: NDArray[np.int64],
    owners: NDArray[np.int64],
    values: Iterable[FloatArray],
    factors: FloatArray,
) -> tuple[dict[str, Bars], dict[str, FloatArray]]:
    order = np.lexsort((days, owners))
    days, owners = days[order], owners[order]
    repeated = np.flatnonzero((days[1:] == days[:-1]) & (owners[1:] == owners[:-1])) + 1
    if len(repeated):
        first = int(repeated[np.argmin(order[repeated])])
        twice = f"{symbols[owners[first]]} has a second bar on {days.view('datetime64[D]')[first]}"
        raise PackError(file, f"row {order[first] + 2}: {twice}{_further(len(repeated))}")
    columns = [days.view("datetime64[D]"), *(column[order] for column in values)]
    factors = factors[order]
    for column in (*columns, factors):
        column.flags.writeable = False  # so that Bars keeps slices of it instead of copies
    present, starts = np.unique(owners, return_index=True)
    ends = [*starts[1:], len(owners)]
    places = {
        symbols[owner]: slice(start, end) for owner, start, end in zip(present, starts, ends, strict=True)
    }
    return (
        {symbol: Bars(symbol, *(column[place] for column in columns)) for symbol, place in places.items()},
        {symbol: factors[place] for symbol, place in places.items()},
    )


def _require_factors(file: str, factors: FloatArray) -> None:
    """Refuse factors that are missing, not above zero or absurd: without one, prices would change basis."""
    wrong = ~((factors >= 1 / LARGEST_FACTOR) & (factors <= LARGEST_FACTOR))  # also true of a missing one
    if not wrong.any():
        return
    first = int(np.argmax(wrong))
    state = "is missing" if np.isnan(factors[first]) else f"{factors[first]:.10g} is not above zero or absurd"
    raise PackError(file, f"row {first + 2}: {FACTOR_COLUMN} {state}{_further(int(wrong.sum()))}")


def _require_sane(
    file: str,
    is_index: NDArray[np.bool_],
    opens: FloatArray,
    highs: FloatArray,
    lows: FloatArray,
    closes: FloatArray,
    volumes: FloatArray,
) -> None:
    """Refuse impossible bars; a comparison with a missing value (NaN) is never a defect."""
    with np.errstate(invalid="ignore", over="ignore"):  # infinite values are found below
        slack = RANGE_TOLERANCE_SHARE * highs + RANGE_TOLERANCE_DOLLARS
        top, bottom = highs + slack, lows - slack
    # Index values are computed, not traded: published opens and closes do leave the published range.
    traded = ~is_index
    prices = (opens, highs, lows, closes)
    checks = {
        "a value is infinite or absurd": _any(column > LARGEST_VALUE for column in (*prices, volumes)),
        "a price is not above zero": _any(column < SMALLEST_PRICE for column in prices),
        "the volume is negative": volumes < 0,
        "the high is below the low": highs < bottom,
        "the open is outside low..high": traded & ((opens > top) | (opens < bottom)),
        "the close is outside low..high": traded & ((closes > top) | (closes < bottom)),
    }
    wrong = _any(checks.values())
    if not wrong.any():
        return
    first = int(np.argmax(wrong))
    what = next(what for what, mask in checks.items() if mask[first])
    bar = ", ".join(f"{column[first]:.10g}" for column in (*prices, volumes))
    raise PackError(
        file, f"row {first + 2}: {what} (open, high, low, close, volume: {bar}){_further(int(wrong.sum()))}"
    )


def _any(masks: Iterable[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.any(list(masks), axis=0)  # type: ignore[no-any-return]


def _learn_dates(texts: Sequence[str], known: dict[str, int], file: str, first_row: int) -> None:
    """Add the day numbers (since 1970-01-01) of new dates: a file has far fewer dates than rows."""
    for text in sorted(set(texts).difference(known), key=texts.index):
        try:
            day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
            trades = day is not None and is_session(day)
        except (ValueError, OperatorError):
            day, trades = None, False
        if day is None or not trades:
            what = f"{_shown(text)} is no session of the NYSE (1990-2040, as 2024-01-31)"
            raise PackError(file, f"row {first_row + texts.index(text)}: {what}")
        known[text] = day.toordinal() - _EPOCH


def _require_listed(texts: Sequence[str], listed: Collection[str], file: str, first_row: int) -> None:
    for text in sorted(set(texts).difference(listed), key=texts.index):
        reason = "is not in the universe" if _SYMBOL.fullmatch(text) else "is no symbol"
        raise PackError(file, f"row {first_row + texts.index(text)}: {_shown(text)} {reason}")


def _numbers(texts: Sequence[str], column: str, file: str, first_row: int) -> FloatArray:
    """The column as float64; an empty field is NaN, and nothing else is."""
    try:
        values = np.array([float(text) if text else np.nan for text in texts])
    except ValueError as error:
        raise _no_number(texts, column, file, first_row) from error
    joined = "".join(texts)
    foreign = not joined.isascii() or "_" in joined  # float() also takes other alphabets' digits, and 1_000
    if foreign or any(texts[index] for index in np.flatnonzero(np.isnan(values)).tolist()):
        raise _no_number(texts, column, file, first_row)
    return values


def _no_number(texts: Sequence[str], column: str, file: str, first_row: int) -> PackError:
    index = next(n for n, text in enumerate(texts) if text and not _is_number(text))
    return PackError(file, f"row {first_row + index}: {column} {_shown(texts[index])} is no number")


def _is_number(text: str) -> bool:
    try:
        return text.isascii() and "_" not in text and not np.isnan(float(text))
    except ValueError:
        return False


def _chunks(
    data: bytes, file: str, wanted: Sequence[str], defaults: Mapping[str, str] = _NO_DEFAULTS
) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
    """The wanted columns of the table, some rows at a time, each with the number of its first row.

    After them those of `defaults`: columns that may be absent, with the text that every row then has.
    """
    reader = csv.reader(io.StringIO(_text(data, file), newline=""), strict=True)
    row = 1
    try:
        header = next(reader, [])
        if not header:
            raise PackError(file, "is empty")
        missing = [column for column in wanted if header.count(column) != 1]
        if missing:
            raise PackError(file, f"row 1: the header must name the column {missing[0]} once")
        twice = [column for column in defaults if header.count(column) > 1]
        if twice:
            raise PackError(file, f"row 1: the header names the column {twice[0]} more than once")
        positions = [header.index(column) for column in wanted]
        while rows := list(islice(reader, CHUNK_ROWS)):
            if set(map(len, rows)) != {len(header)}:
                index = next(index for index, fields in enumerate(rows) if len(fields) != len(header))
                counts = f"{len(rows[index])} fields instead of {len(header)}"
                raise PackError(file, f"row {row + 1 + index}: has {counts}")
            columns = list(zip(*rows, strict=True))
            chosen = [columns[position] for position in positions]
            for column, text in defaults.items():
                chosen.append(columns[header.index(column)] if column in header else (text,) * len(rows))
            yield row + 1, list(zip(*chosen, strict=True))
            row += len(rows)
    except csv.Error as error:
        raise PackError(file, f"line {reader.line_num}: {error}") from error


def _text(data: bytes, file: str) -> str:
    if file.endswith(".gz"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
                data = stream.read(MAX_TEXT_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise PackError(file, f"is truncated or no gzip file ({error})") from error
    if len(data) > MAX_TEXT_BYTES:
        raise PackError(file, f"holds more than {MAX_TEXT_BYTES >> 20} MB of text")
    nul = data.find(b"\0")
    if nul >= 0:
        line = data.count(b"\n", 0, nul) + 1
        raise PackError(file, f"line {line}: contains a NUL byte")
    try:
        # Spreadsheets put a byte order mark first; blank lines at the end are nobody's mistake.
        return data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PackError(file, f"line {line}: is not UTF-8") from error


def _shown(text: str) -> str:
    """Outside text quoted for a message: escaped, and short."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def _further(count: int) -> str:
    return f"; {count - 1} more such rows" if count > 1 else ""


_EPOCH = date(1970, 1, 1).toordinal()
