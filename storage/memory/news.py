"""News the desk was told, each piece kept once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import any_, literal, select
from sqlalchemy.dialects.postgresql import insert

from storage.memory.part import Part
from storage.models import NewsRow
from storage.records import uuid7


@dataclass(frozen=True, kw_only=True)
class ToldNews:
    """One piece as plain text; `digest` is of its words, `symbols` those it is plainly about."""

    digest: str
    source: str
    title: str
    body: str
    published_at: datetime | None
    fetched_at: datetime
    symbols: tuple[str, ...]


class NewsMemory(Part):
    async def store_news(self, session: date, told: Sequence[ToldNews]) -> int:
        """Keep what was not told before; how many pieces that are."""
        if not told:
            return 0
        rows = [
            {**vars(item), "symbols": list(item.symbols), "id": uuid7(), "session": session} for item in told
        ]
        new = insert(NewsRow).values(rows).on_conflict_do_nothing().returning(NewsRow.id)
        return len((await self._session.scalars(new)).all())

    async def news_about(self, symbol: str, since: date) -> tuple[ToldNews, ...]:
        """What is plainly about a symbol and still has its words, newest first."""
        rows = await self._session.scalars(
            select(NewsRow)
            .where(
                NewsRow.session >= since,
                literal(symbol) == any_(NewsRow.symbols),
                NewsRow.text_removed_at.is_(None),
            )
            .order_by(NewsRow.session.desc(), NewsRow.published_at.desc().nulls_last(), NewsRow.id)
        )
        return tuple(
            ToldNews(
                digest=row.digest,
                source=row.source,
                title=row.title,
                body=row.body,
                published_at=row.published_at,
                fetched_at=row.fetched_at,
                symbols=tuple(row.symbols),
            )
            for row in rows
        )
