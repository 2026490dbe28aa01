"""What a desk has kept of a company reaches the agents as typed facts."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from agents.market.calendar import add_sessions
from app.runtime.dossiers import NEWS_SESSIONS, kept_dossiers
from storage.engine import open_engine
from storage.memory import AgentMemory, ToldNews
from tests.storage import desk_builder as build
from tests.storage.desk_builder import CLOSE, SESSIONS, writing

TODAY = SESSIONS[5]


def told(title: str, symbol: str = "AAPL") -> ToldNews:
    return ToldNews(
        digest=title,
        source="fmp-articles",
        title=title,
        body="",
        published_at=CLOSE - timedelta(hours=1),
        fetched_at=CLOSE,
        symbols=(symbol,),
    )


async def test_fundamentals_of_the_screen_and_the_latest_news_are_told(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
        screened = build.screened(TODAY, "AAPL", "70")
        screened.fundamental_snapshot = {
            "metrics": {"symbol": "AAPL", "return_on_equity": 0.31},
            "ratios": {"symbol": "AAPL", "price_to_earnings_ratio": 14.2},
        }
        session.add(screened)
    engine = open_engine(database)
    try:
        async with AsyncSession(engine) as opened, opened.begin():
            memory = AgentMemory(opened)
            await memory.store_news(add_sessions(TODAY, -NEWS_SESSIONS), [told("in time")])
            await memory.store_news(add_sessions(TODAY, -NEWS_SESSIONS - 1), [told("too old")])
            found = await kept_dossiers(["AAPL", "MSFT"], memory=memory, session=TODAY, has_news=True)
            without = await kept_dossiers(["AAPL"], memory=memory, session=TODAY, has_news=False)
    finally:
        await engine.dispose()
    apple, microsoft = found["AAPL"], found["MSFT"]
    assert apple.metrics is not None
    assert apple.metrics.return_on_equity == 0.31
    assert apple.ratios is not None
    assert apple.ratios.price_to_earnings_ratio == 14.2
    assert apple.news is not None
    assert [item.title for item in apple.news] == ["in time"]
    assert (microsoft.metrics, microsoft.ratios, microsoft.news) == (None, None, ())
    assert without["AAPL"].news is None
