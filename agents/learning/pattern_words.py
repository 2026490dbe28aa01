"""Words about past trades as a typed filter: a small grammar, which says what it did not understand.

One value of each kind at a time: of two setups the first is taken and the second is among what was not
understood, and so is whatever is negated. Nothing is guessed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from pydantic import ValidationError

from agents.learning.filters import BEYOND, TradeFact, TradeFilter
from agents.learning.pattern_days import days_of
from agents.learning.pattern_phrases import ASKS_HOW, FILLERS, PHRASES, SAID_OF_RESULTS
from storage.plain import clean

LONGEST = 300  # characters of a question
EXAMPLES = (
    "oversold bounces in bear markets",
    "breakouts in Energy since 2008",
    "AAPL losers",
    "momentum, RSI above 60, research against",
)

_TAKEN, _DENIED = "\x00", "\x01"  # clean text has neither
_NOT = re.compile(
    r"(?:\b(?:not|no|non|neither|never|without|except|excluding|exclude|unless|outside|other than|\w+n't)\b"
    r"(?:[\s-]+(?:in|a|an|the|of|for|during|by|any|from|with|when))*|\x01+\s*(?:or|nor|,))[\s-]*$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\s,;:?!()\"\x00\x01]+")
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_MORE = r"(?:over|above|more than|greater than|at least|beyond|better than|>=?)"
_LESS = r"(?:under|below|less than|at most|worse than|<=?)"
_RANGES = tuple(
    (
        name,
        re.compile(
            rf"\b{word}(?:\s+(?:is|was|were|of|at))?\s*(?:({_MORE})\s*{_NUMBER}|({_LESS})\s*{_NUMBER}|"
            rf"(?:between\s+)?{_NUMBER}\s*(?:to|and|-)\s*{_NUMBER})(?:\s*%)?",
            re.IGNORECASE,
        ),
    )
    for name, word in (
        ("rsi", r"rsi(?:\s*\(?14\)?)?"),
        ("vix", "vix"),
        ("conviction", "conviction"),
    )
)
_R = re.compile(
    rf"(?:({_MORE})\s*{_NUMBER}|({_LESS})\s*{_NUMBER}|"
    rf"(?:between\s+)?{_NUMBER}\s*r?\s*(?:to|and|-)\s*{_NUMBER})\s*r\b",
    re.IGNORECASE,
)
_LOST_R = re.compile(rf"\b(?:lost|lose|losing|down)\s+(?:{_R.pattern})", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the desk's trades are called: of trades known at the moment asked about, or words would know more.

    `today` is the day of that moment.
    """

    sectors: frozenset[str]
    symbols: frozenset[str]
    today: date

    @classmethod
    def of(cls, trades: list[TradeFact], today: date) -> "Known":
        return cls(
            sectors=frozenset(trade.sector for trade in trades if trade.sector),
            symbols=frozenset(trade.symbol for trade in trades),
            today=today,
        )

    def sector(self, name: str | None) -> str | None:
        """The sector as the trades spell it; as it is given where none has it."""
        return next((known for known in self.sectors if known.lower() == (name or "").lower()), name)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What words came to. `left` are those that were not understood, in their order.

    Not `understood` is a reading of which no word said anything: its filter would mean all trades.
    """

    filter: TradeFilter
    left: tuple[str, ...]
    understood: bool


def read(words: str, known: Known) -> Reading:
    """The filter that the words mean. Raises ValueError for more than 300 characters."""
    text = clean(words)
    if len(text) > LONGEST:
        raise ValueError(f"expected at most {LONGEST} characters, was {len(text)}")
    parser = _Parser(text, known)
    parser.read()
    return Reading(
        filter=TradeFilter.model_validate(parser.found),
        left=tuple(said for _, said in sorted(parser.left)),
        understood=parser.understood,
    )


@dataclass
class _Parser:
    """Takes what it understands out of the text, rule by rule, the most particular first."""

    text: str
    known: Known
    found: dict[str, object] = field(default_factory=dict)
    left: list[tuple[int, str]] = field(default_factory=list)
    understood: bool = False

    def read(self) -> None:
        shouted = not any(letter.islower() for letter in self.text)
        for name, pattern in _RANGES:
            self._each(pattern, partial(_ranged, name))
        for lost in _LOST_R.finditer(self.text):  # more of a loss is less of a result: not guessed at
            self._deny(*lost.span())
        self._each(_R, partial(_ranged, "r"))
        if not shouted:  # BIG is a symbol, big is a word
            self._each(_WORD, lambda match: self._symbol(match[0]) if match[0].isupper() else None)
        for days in days_of(self.text, self.known.today):
            self._take(days.start, days.end, days.values)
        for phrase in PHRASES:
            self._each(phrase.pattern, phrase.values)
        for sector in sorted(self.known.sectors, key=lambda name: (-len(name), name)):
            self._each(re.compile(rf"(?<!\w){re.escape(sector)}(?!\w)", re.IGNORECASE), _constant(sector))
        asks_how = ASKS_HOW.search(self.text) is not None
        self._each(_WORD, lambda match: self._single(match[0]))
        self._leave(asks_how)

    def _each(
        self, pattern: re.Pattern[str], values: Callable[[re.Match[str]], dict[str, object] | None]
    ) -> None:
        for match in list(pattern.finditer(self.text)):
            meant = values(match)
            if meant is not None and self.text[match.start() : match.end()] == match[0]:
                self._take(match.start(), match.end(), meant)

    def _take(self, start: int, end: int, meant: dict[str, object]) -> None:
        """Keep what a piece of the text means, unless it is denied, said twice or makes no sense."""
        denied = _NOT.search(self.text[:start])
        if denied is not None:
            begin = denied.start() + len(denied[0]) - len(denied[0].lstrip("\x01 ,"))
            self._deny(begin, end)
            return
        both = {**self.found, **meant}
        twice = any(self.found.get(name, value) != value for name, value in meant.items())
        if twice or not _makes_sense(both):
            self._deny(start, end)
            return
        self.found, self.understood = both, True
        self._blank(start, end, _TAKEN)

    def _deny(self, start: int, end: int) -> None:
        self.left.append((start, self.text[start:end].replace(_TAKEN, "").replace(_DENIED, "").strip()))
        self._blank(start, end, _DENIED)

    def _blank(self, start: int, end: int, sign: str) -> None:
        self.text = self.text[:start] + sign * (end - start) + self.text[end:]

    def _symbol(self, word: str) -> dict[str, object] | None:
        name = word.removeprefix("$").rstrip(".").upper()
        return {"symbol": name} if name in self.known.symbols else None

    def _single(self, word: str) -> dict[str, object] | None:
        """A word that stands for a symbol, or for the one sector with a word that begins so."""
        plain = word.strip("'.$").lower()
        if plain in FILLERS:
            return None
        return self._symbol(word) or self._sector(plain)

    def _sector(self, word: str) -> dict[str, object] | None:
        stem = word.removesuffix("s")
        if len(stem) < 4:
            return None
        fitting = [
            sector
            for sector in self.known.sectors
            if any(part.startswith(stem) for part in sector.lower().split())
        ]
        return {"sector": fitting[0]} if len(fitting) == 1 else None

    def _leave(self, asks_how: bool) -> None:
        """What no rule took is not understood, save for words that only join others."""
        run: list[re.Match[str]] = []
        for match in (*_WORD.finditer(self.text), None):
            plain = match[0].strip("'.").lower() if match else ""
            joins = plain in FILLERS or (asks_how and plain in SAID_OF_RESULTS) or not re.search(r"\w", plain)
            follows = match and run and not self.text[run[-1].end() : match.start()].strip()
            if run and not (follows and not joins):
                self.left.append((run[0].start(), " ".join(word[0] for word in run)))
                run = []
            if match and not joins:
                run.append(match)


def _constant(sector: str) -> Callable[[re.Match[str]], dict[str, object]]:
    return lambda _: {"sector": sector}


def _ranged(name: str, match: re.Match[str]) -> dict[str, object]:
    return {name: _span(match, name)}


def _span(match: re.Match[str], name: str) -> tuple[float, float]:
    """From the first number, below the second; a percentage is of conviction alone."""
    _, more, _, less, low, high = match.groups()
    scale = 100.0 if name == "conviction" and any(_above_one((more, less, low, high))) else 1.0
    lowest = -BEYOND if name == "r" else 0.0
    if more is not None:
        return float(more) / scale, BEYOND
    if less is not None:
        return lowest, float(less) / scale
    return float(low) / scale, float(high) / scale


def _above_one(numbers: tuple[str | None, ...]) -> Iterator[bool]:
    return (float(number) > 1 for number in numbers if number is not None)


def _makes_sense(values: dict[str, object]) -> bool:
    try:
        TradeFilter.model_validate(values)
    except ValidationError:
        return False
    return True
