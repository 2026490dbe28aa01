"""A feed of a stranger, read without trusting it.

No entity is ever declared or fetched, what is no well-formed XML is refused before feedparser sees it, and of
what feedparser finds only title, summary and time are taken, as plain text.
"""

from __future__ import annotations

import calendar
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from time import struct_time
from xml.parsers import expat

import feedparser

from agents.market.news.items import LONGEST_TEXT, LONGEST_TITLE
from agents.market.plain_text import plain_text

MOST_ENTRIES = 100
# feedparser takes time with the square of these; feeds have a few hundred elements, few of them nested.
MOST_ELEMENTS = 5_000
MOST_ATTRIBUTES = 50
DEEPEST = 50

_DECLARATION = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")


class FeedRefused(Exception):
    """The feed is not used, and why."""


@dataclass(frozen=True, kw_only=True)
class FeedEntry:
    """One entry; `published` is None where the feed tells no time that can be read."""

    title: str
    text: str
    published: datetime | None


def read_feed(body: bytes) -> tuple[FeedEntry, ...]:
    """The entries of an RSS or Atom feed that have a title, in its order. Raises FeedRefused."""
    text = _DECLARATION.sub("", _decoded(body)).strip()
    clean = text.encode("utf-8", errors="replace")
    _require_harmless(clean)
    # A stream: bytes or text by themselves would be taken for an address or a file's name.
    parsed = feedparser.parse(
        io.BytesIO(clean),
        response_headers={"content-type": "application/xml; charset=utf-8"},
        resolve_relative_uris=False,
        sanitize_html=False,
    )
    if not parsed.version:
        raise FeedRefused("it is no feed")
    entries = []
    for entry in parsed.entries[:MOST_ENTRIES]:
        title = plain_text(_string(entry.get("title")), LONGEST_TITLE)
        if title:
            summary = plain_text(_string(entry.get("summary")), LONGEST_TEXT)
            entries.append(FeedEntry(title=title, text=summary, published=_instant(entry)))
    return tuple(entries)


def _decoded(body: bytes) -> str:
    """As UTF-16 where it says so in its first bytes, else UTF-8, else Windows-1252."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")


def _require_harmless(document: bytes) -> None:
    """Raises FeedRefused for a document type, an entity, too many elements, or what is no well-formed XML."""
    depth = elements = 0

    def refuse(*_: object) -> None:
        raise FeedRefused("it declares a document type or entities")

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > DEEPEST or elements > MOST_ELEMENTS or len(attributes) > MOST_ATTRIBUTES:
            raise FeedRefused("it has more elements than a feed")

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate("utf-8", " ")  # with namespaces, as feedparser reads it
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise FeedRefused(f"it is no well-formed XML ({error})") from None


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _instant(entry: feedparser.FeedParserDict) -> datetime | None:
    # As a plain dict: feedparser's own lookup makes one time out of the other, and warns that it will not.
    told = dict.get(entry, "published_parsed") or dict.get(entry, "updated_parsed")
    if not isinstance(told, struct_time):
        return None
    try:
        return datetime.fromtimestamp(calendar.timegm(told), UTC)
    except (ValueError, OverflowError, OSError):
        return None
