"""One piece of news, and the same piece told twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

LONGEST_TITLE = 300
LONGEST_TEXT = 2_000

_NO_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True)
class NewsItem:
    """One piece of news, its text plain and clean.

    `source` is who told it: "fmp-articles" or the host of a feed. `published` is what the source says, None
    when it says nothing or names a day still to come. `symbols` are the ones it is plainly about.
    """

    source: str
    title: str
    text: str
    published: datetime | None
    fetched_at: datetime
    symbols: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the words, whatever their case and punctuation: the same piece has the same."""
        words = f"{_plain(self.title)}\n{_plain(self.text)}"
        return hashlib.sha256(words.encode()).hexdigest()


def distinct(items: Iterable[NewsItem]) -> tuple[NewsItem, ...]:
    """The items without those whose title was told before, newest first; what has no time comes last.

    Of one title told twice the earliest stays, since that is when it was known.
    """
    dated = sorted(items, key=lambda item: (item.published is None, item.published or item.fetched_at))
    found: dict[str, NewsItem] = {}
    for item in dated:
        found.setdefault(_plain(item.title), item)
    kept = list(found.values())
    timed = [item for item in kept if item.published is not None]
    return (*reversed(timed), *(item for item in kept if item.published is None))


def _plain(text: str) -> str:
    return _NO_WORDS.sub(" ", text.casefold()).strip()
