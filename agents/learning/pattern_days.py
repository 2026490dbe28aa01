"""Days, months and years in words: in 2008, since March 2009, between 2008-01 and 2010, last year."""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_YEAR = r"(?:19|20)\d\d"
_SPAN = rf"(\b(?:{_YEAR}-\d\d-\d\d|{_YEAR}-\d\d|{_MONTH}\s+{_YEAR}|{_YEAR}|this year|last year)\b)"
_SAID = re.compile(
    rf"(?:between\s+{_SPAN}\s+and\s+{_SPAN}"
    rf"|(?:from\s+)?{_SPAN}\s*(?:to|until|till|through|-)\s*{_SPAN}"
    rf"|\b(since|from|after|before|until|till|up to|through)\s+{_SPAN}"
    rf"|{_SPAN})",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Days:
    """A piece of text from `start` to `end` that names days of entry, and the fields of a filter it sets."""

    start: int
    end: int
    values: dict[str, object]


def days_of(text: str, today: date) -> Iterator[Days]:
    """Every piece that names days; one that names none that there are, such as 2008-13, is none."""
    for match in _SAID.finditer(text):
        first_of, last_of, from_first, from_last, word, bound, alone = match.groups()
        begins, ends = first_of or from_first or bound or alone, last_of or from_last or bound or alone
        first, last = _span(begins, today), _span(ends, today)
        if first is not None and last is not None:
            yield Days(start=match.start(), end=match.end(), values=_values(word, first, last))


def _values(word: str | None, first: tuple[date, date], last: tuple[date, date]) -> dict[str, object]:
    one = timedelta(days=1)
    match (word or "").lower():
        case "since" | "from":
            return {"entered_from": first[0]}
        case "after":
            return {"entered_from": first[1] + one}
        case "before":
            return {"entered_to": first[0] - one}
        case "until" | "till" | "up to" | "through":
            return {"entered_to": last[1]}
    return {"entered_from": first[0], "entered_to": last[1]}


def _span(text: str, today: date) -> tuple[date, date] | None:
    """The first and the last day a piece names."""
    said = text.lower()
    if said in ("this year", "last year"):
        year = today.year - (said == "last year")
        return date(year, 1, 1), date(year, 12, 31)
    try:
        if said[0].isalpha():
            month, year = _MONTHS.index(said[:3]) + 1, int(said[-4:])
        elif len(said) == len("2008-01-02"):
            return date.fromisoformat(said), date.fromisoformat(said)
        elif len(said) == len("2008-01"):
            year, month = int(said[:4]), int(said[5:])
        else:
            return date(int(said), 1, 1), date(int(said), 12, 31)
        return date(year, month, 1), date(year, month, monthrange(year, month)[1])
    except ValueError:
        return None
