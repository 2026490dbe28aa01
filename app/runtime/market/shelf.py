"""What is kept of each question to the vendor, and until when it is good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from agents.market.bars import VOLATILITY_INDEX
from agents.market.fmp import lifetimes
from agents.market.fmp.series import OVERLAP
from app.runtime.market.wants import ARTICLES, BARS, Kept
from storage.vendor_series import SeriesAge


class Shelf:
    """Ages by endpoint and symbol, as they stood when it was made."""

    def __init__(
        self,
        answers: Mapping[tuple[str, str, str], tuple[datetime, datetime]],
        series: Mapping[str, SeriesAge],
        now: datetime,
    ) -> None:
        """`answers` as VendorCache.ages tells them."""
        self._answers = answers
        self._series = series
        self._now = now
        self._by_name = {(endpoint, symbol): ages for (endpoint, symbol, _), ages in answers.items()}

    def __call__(self, endpoint: str, symbol: str) -> Kept | None:
        """What is kept of an endpoint's answer for a symbol; bars are known by how far they reach."""
        if endpoint == BARS:
            return self._bars(symbol)
        ages = self._by_name.get((endpoint, symbol if endpoint != ARTICLES else ""))
        return None if ages is None else Kept(fetched_at=ages[0], expires_at=ages[1])

    def newest(self, symbol: str) -> date | None:
        """The last session a symbol's bars reach."""
        age = self._series.get(symbol)
        return age.newest if age else None

    def _bars(self, symbol: str) -> Kept | None:
        age = self._series.get(symbol)
        if age is None:
            return None
        if age.newest >= lifetimes.last_settled(self._now) or symbol == VOLATILITY_INDEX:
            return Kept(fetched_at=age.fetched_at, expires_at=lifetimes.bars(age.newest, self._now))
        # They end too early. Whoever asked for the rest a short while ago found nothing.
        asked = self._answers.get((BARS, symbol, f"from={age.newest - OVERLAP}"))
        return Kept(fetched_at=age.fetched_at, expires_at=asked[1] if asked else age.fetched_at)
