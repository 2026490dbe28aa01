"""Which symbols a text is plainly about: better to miss one than to name the wrong company."""

from __future__ import annotations

import re
from collections.abc import Mapping

_EXCHANGES = r"(?:NASDAQ|Nasdaq|NYSE|NYSE American|NYSEAMERICAN|AMEX|NYSEARCA|Cboe|BATS)"
_TICKER = r"[A-Z]{1,5}(?:[.-][A-Z])?"
# "(NYSE: KO)", "NASDAQ:AAPL", "$AAPL", "(AAPL)": nobody writes a word so by chance but initials in brackets,
# which have to be a symbol of the desk to count.
_NAMED = re.compile(
    rf"{_EXCHANGES}\s?:\s?({_TICKER})(?![A-Za-z])|(?<![\w$])\$({_TICKER})(?![\w])|\(({_TICKER})\)"
)
_LEGAL = re.compile(
    r"[,\s]+(?:inc|incorporated|corp|corporation|company|co|ltd|limited|plc|holdings?|group|n\.?v|s\.?a|ag|se"
    r"|class [abc]|common stock|the)\.?$",
    re.IGNORECASE,
)
_SHORTEST_NAME = 5


def symbols_in(text: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """The symbols of `names` (company names by symbol) that the text names, sorted.

    A symbol counts when it is written as one, a company when its name has two words or more without its legal
    form and stands there as it is written, or when a name of one word carries its legal form.
    """
    found = {_dashed(next(filter(None, match.groups()))) for match in _NAMED.finditer(text)} & set(names)
    found |= {symbol for symbol, name in names.items() if symbol not in found and _names(text, name)}
    return tuple(sorted(found))


def tickers_of(told: str) -> tuple[str, ...]:
    """Symbols a vendor lists as "NYSE:MRK, NASDAQ:AAPL"; what is no ticker is left out."""
    named = (part.rpartition(":")[2].strip() for part in told.split(","))
    return tuple(dict.fromkeys(_dashed(ticker) for ticker in named if re.fullmatch(_TICKER, ticker)))


def _names(text: str, name: str) -> bool:
    bare = name.strip()
    while (shorter := _LEGAL.sub("", bare)) != bare:
        bare = shorter
    wanted = bare if " " in bare else name.strip().rstrip(".")
    if len(wanted) < _SHORTEST_NAME or (wanted == bare and " " not in bare):
        return False
    return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", text) is not None


def _dashed(ticker: str) -> str:
    """Class shares are written with a dash here: BRK-B."""
    return ticker.replace(".", "-")
