"""What a desk has kept of the companies it argues over: the screen's fundamentals and the latest news."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from agents.market.calendar import add_sessions
from agents.market.company import Dossier
from agents.market.fmp.fundamentals import FinancialRatiosTtm, KeyMetricsTtm
from agents.market.news.items import NewsItem
from storage.memory import AgentMemory, ToldNews
from storage.models.base import Json

NEWS_SESSIONS = 5  # what was told earlier is in the price


async def kept_dossiers(
    symbols: Collection[str], *, memory: AgentMemory, session: date, has_news: bool
) -> Mapping[str, Dossier]:
    """By symbol; `has_news` says whether the desk has a source of news at all."""
    snapshots = await memory.fundamentals(session, symbols)
    since = add_sessions(session, -NEWS_SESSIONS)
    found = {}
    for symbol in sorted(symbols):
        snapshot = snapshots.get(symbol, {})
        told = await memory.news_about(symbol, since) if has_news else None
        found[symbol] = Dossier(
            metrics=_metrics(snapshot),
            ratios=_ratios(snapshot),
            news=None if told is None else tuple(map(_item, told)),
        )
    return found


def _metrics(snapshot: Json) -> KeyMetricsTtm | None:
    kept = snapshot.get("metrics")
    return None if kept is None else KeyMetricsTtm.model_validate(kept)


def _ratios(snapshot: Json) -> FinancialRatiosTtm | None:
    kept = snapshot.get("ratios")
    return None if kept is None else FinancialRatiosTtm.model_validate(kept)


def _item(told: ToldNews) -> NewsItem:
    return NewsItem(
        source=told.source,
        title=told.title,
        text=told.body,
        published=told.published_at,
        fetched_at=told.fetched_at,
        symbols=told.symbols,
    )
