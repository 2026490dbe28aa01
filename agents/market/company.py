"""What a desk may know of a company beside its prices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from agents.market.fmp.fundamentals import FinancialRatiosTtm, KeyMetricsTtm
from agents.market.news.items import NewsItem


@dataclass(frozen=True, kw_only=True)
class Dossier:
    """The latest fundamentals, at the price of the close, and what was written lately, newest first.

    None is what no source has told; news of nothing is an empty tuple.
    """

    metrics: KeyMetricsTtm | None = None
    ratios: FinancialRatiosTtm | None = None
    news: tuple[NewsItem, ...] | None = None


NOTHING_KNOWN = Dossier()

# Asked once an evening for the symbols that are argued over; one that is missing is not known.
Dossiers = Callable[[Collection[str]], Awaitable[Mapping[str, Dossier]]]
