"""News of the day from every source there is, and why a source told nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from agents.market import web
from agents.market.calendar import NEW_YORK
from agents.market.clock import Clock
from agents.market.fmp.cache import Aged, CacheStore
from agents.market.fmp.caller import Errand
from agents.market.fmp.keeping import Refused
from agents.market.fmp.models import FmpArticle
from agents.market.news.config import NewsConfig
from agents.market.news.feeds import FeedEntry, FeedRefused, read_feed
from agents.market.news.items import NewsItem, distinct
from agents.market.news.matching import symbols_in, tickers_of
from storage.calls import CachedAnswer
from storage.plain import shortened

ARTICLES = "fmp-articles"
CLOCKS_APART = timedelta(minutes=10)  # beyond it a time still to come is not believed


@dataclass(frozen=True, kw_only=True)
class SourceFailed:
    """A source that told nothing new, and why."""

    source: str
    why: str


@dataclass(frozen=True, kw_only=True)
class News:
    """What was told, newest first and each piece once, and which sources told nothing."""

    items: tuple[NewsItem, ...]
    failed: tuple[SourceFailed, ...]

    def about(self, symbol: str) -> tuple[NewsItem, ...]:
        """The pieces that are plainly about the symbol."""
        return tuple(item for item in self.items if symbol in item.symbols)


class Articles(Protocol):
    """What tells the vendor's articles; `MarketVendor` does."""

    async def get_articles(self, limit: int, errand: Errand) -> Aged[tuple[FmpArticle, ...]]:
        """The newest ones."""


class NewsSources:
    """Reads the news; close it when done. One source that fails never keeps the others from being read."""

    def __init__(self, config: NewsConfig, vendor: Articles, cache: CacheStore, clock: Clock) -> None:
        self._config = config
        self._vendor = vendor
        self._cache = cache
        self._clock = clock
        self._http = web.plain_client()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def read(self, names: Mapping[str, str], errand: Errand) -> News:
        """The news; `names` are the company names of the symbols it is matched to."""
        items: list[NewsItem] = []
        failed: list[SourceFailed] = []
        try:
            items += await self._articles(names, errand)
        except Refused as refused:
            failed.append(SourceFailed(source=ARTICLES, why=shortened(str(refused), 200)))
        for url in self._config.feeds:
            source = urlsplit(url).hostname or url
            entries, fetched, why = await self._feed(url)
            items += [
                self._item(source, entry.title, entry.text, entry.published, fetched, names, ())
                for entry in entries
            ]
            if why:
                failed.append(SourceFailed(source=source, why=shortened(why, 200)))
        return News(items=distinct(items), failed=tuple(failed))

    async def _articles(self, names: Mapping[str, str], errand: Errand) -> Iterable[NewsItem]:
        if not self._config.articles:
            return ()
        told = await self._vendor.get_articles(self._config.articles, errand)
        return [
            self._item(
                ARTICLES,
                article.title,
                article.content,
                _new_york(article.date),
                told.fetched_at,
                names,
                tickers_of(article.tickers or ""),
            )
            for article in told.value
        ]

    async def _feed(self, url: str) -> tuple[list[FeedEntry], datetime, str]:
        """The feed's entries, when they were fetched, and why they are no newer: "" when they are good.

        They come from the cache while it was asked a short while ago, and when it tells nothing to use.
        """
        # Some feeds have a secret in their address: the cache knows them by a digest.
        name = ("feed", "", hashlib.sha256(url.encode()).hexdigest()[:32])
        held = await self._cache.get(*name)
        now = self._clock.now()
        kept = [] if held is None else _entries(held.body or [])
        if held is not None and now < held.expires_at:
            return kept, held.fetched_at, ""
        try:
            entries = await self._fetch(url)
        except (web.NoAnswer, FeedRefused) as refused:
            return kept, now if held is None else held.fetched_at, str(refused)
        body: list[object] = [
            _KeptEntry.model_validate(asdict(one)).model_dump(mode="json") for one in entries
        ]
        expires = now + timedelta(minutes=self._config.every_minutes)
        await self._cache.put(CachedAnswer(*name, body=body, fetched_at=now, expires_at=expires))
        return list(entries), now, ""

    async def _fetch(self, url: str) -> tuple[FeedEntry, ...]:
        received = await web.get(
            self._http, url, timeout_s=self._config.timeout_s, max_bytes=self._config.max_bytes
        )
        if received.status != 200:
            raise web.NoAnswer(f"it answered {received.status}")
        return await asyncio.to_thread(read_feed, received.body)

    def _item(
        self,
        source: str,
        title: str,
        text: str,
        published: datetime | None,
        fetched: datetime,
        names: Mapping[str, str],
        told: tuple[str, ...],
    ) -> NewsItem:
        if published is not None and published > fetched + CLOCKS_APART:
            published = None
        named = {symbol for symbol in told if symbol in names}
        return NewsItem(
            source=source,
            title=title,
            text=text,
            published=published,
            fetched_at=fetched,
            symbols=tuple(sorted(named.union(symbols_in(f"{title}\n{text}", names)))),
        )


def _new_york(told: str) -> datetime | None:
    """The vendor's "YYYY-MM-DD HH:MM:SS", which it writes in New York's time without saying so."""
    try:
        return datetime.fromisoformat(told).replace(tzinfo=NEW_YORK).astimezone(UTC)
    except (ValueError, OverflowError):  # the last day of the year 9999 is none in UTC
        return None


class _KeptEntry(BaseModel):
    """A feed's entry as the cache keeps it."""

    title: str
    text: str
    published: datetime | None


def _entries(body: list[object]) -> list[FeedEntry]:
    """What is kept of a feed; nothing when another version wrote it."""
    try:
        rows = [_KeptEntry.model_validate(row) for row in body]
    except ValidationError:
        return []
    return [FeedEntry(title=row.title, text=row.text, published=row.published) for row in rows]
