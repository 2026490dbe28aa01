"""Rows of the vendor: what was recorded is read whole, and anything else is typed or refused."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.market.fmp import queries
from agents.market.fmp.errors import FmpError
from agents.market.fmp.models import Earnings, EodBar
from agents.market.fmp.queries import Movers, Query, Screener, StatementPeriod
from storage.calls import CallFault
from tests.market.fmp.kit import fixture

RECORDED = (
    ("fmp_recorded/quote__symbol=AAPL.json", queries.quote("AAPL")),
    ("fmp_recorded/profile__symbol=AAPL.json", queries.profile("AAPL")),
    ("fmp_recorded/key-metrics-ttm__symbol=AAPL.json", queries.key_metrics_ttm("AAPL")),
    ("fmp_recorded/ratios-ttm__symbol=AAPL.json", queries.ratios_ttm("AAPL")),
    (
        "fmp_recorded/key-metrics__symbol=AAPL&period=annual&limit=1.json",
        queries.key_metrics("AAPL", StatementPeriod.ANNUAL, 1),
    ),
    (
        "fmp_recorded/ratios__symbol=AAPL&period=annual&limit=1.json",
        queries.ratios("AAPL", StatementPeriod.ANNUAL, 1),
    ),
    (
        "fmp_recorded/income-statement__symbol=AAPL&period=annual&limit=1.json",
        queries.income_statement("AAPL", StatementPeriod.ANNUAL, 1),
    ),
    (
        "fmp_recorded/historical-price-eod-full__symbol=AAPL&from=2023-01-01&to=2023-01-10.json",
        queries.bars("AAPL", date(2023, 1, 1)),
    ),
    (
        "fmp_recorded/company-screener__sector=Energy&industry=OilGasMidstream&limit=2.json",
        queries.screener(Screener()),
    ),
    (
        "fmp_recorded/earnings-calendar__from=2023-11-06&to=2023-11-10__head.json",
        Query(endpoint="earnings-calendar", row=Earnings),
    ),
    (
        "fmp_recorded/news-stock__symbols=AAPL,MSFT&limit=1&page=0.json",
        queries.stock_news("AAPL", 1),
    ),
    ("fmp_documented/company-screener.json", queries.screener(Screener())),
    ("fmp_documented/quote__symbol=^VIX.json", queries.quote("^VIX")),
    ("fmp_documented/historical-price-eod-full__symbol=^VIX.json", queries.bars("^VIX", None)),
    ("fmp_documented/historical-price-eod-light__symbol=^VIX.json", queries.closes("^VIX", None)),
    ("fmp_documented/biggest-gainers.json", queries.movers(Movers.GAINERS)),
    ("fmp_documented/most-actives.json", queries.movers(Movers.ACTIVE)),
    ("fmp_documented/sector-performance-snapshot__date=2024-02-01.json", queries.sectors(date(2024, 2, 1))),
    ("fmp_documented/search-symbol__query=AAPL.json", queries.search("AAPL", by_name=False, limit=10)),
)


@pytest.mark.parametrize(("name", "query"), RECORDED, ids=[name for name, _ in RECORDED])
def test_recorded_answers_parse_and_no_figure_is_lost(name: str, query: Query[Any]) -> None:
    body = json.loads(fixture(name))
    rows = query.rows(body)
    assert len(rows) == len(body)
    for row, raw in zip(rows, body, strict=True):
        for field, info in type(row).model_fields.items():
            alias = info.alias or field
            assert alias in raw or not info.is_required()
            if isinstance(raw.get(alias), (int, float)) and raw[alias] not in (0, None):
                assert getattr(row, field) is not None, field


def test_the_recorded_figures_are_read_under_their_own_names() -> None:
    ratios = queries.ratios_ttm("AAPL").rows(
        json.loads(fixture("fmp_recorded/ratios-ttm__symbol=AAPL.json"))
    )[0]
    assert ratios.price_to_earnings_ratio == 38.44007903787268
    assert ratios.price == pytest.approx(256.08)
    metrics = queries.key_metrics_ttm("AAPL").rows(
        json.loads(fixture("fmp_recorded/key-metrics-ttm__symbol=AAPL.json"))
    )[0]
    assert (metrics.market_cap, metrics.ev_to_ebitda) == (3800327071200, 27.32300185749774)
    assert (metrics.enterprise_value, metrics.net_debt_to_ebitda) == (3871560071200, 0.5027170844625113)
    quote = queries.quote("AAPL").rows(json.loads(fixture("fmp_recorded/quote__symbol=AAPL.json")))[0]
    assert (quote.price, quote.price_avg200) == (256.08, 221.73595)
    assert quote.timestamp.isoformat() == "2025-09-22T20:00:01+00:00"


WORTH = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats() | st.text(max_size=12)


FIELDS = st.sampled_from(
    [
        "symbol",
        "price",
        "timestamp",
        "date",
        "close",
        "open",
        "high",
        "low",
        "volume",
        "dividend",
        "numerator",
    ]
)


@given(
    st.sampled_from(
        [
            queries.quote("AAPL"),
            queries.bars("AAPL", None),
            queries.dividends("AAPL"),
            queries.splits("AAPL"),
            queries.earnings("AAPL"),
            queries.ratios_ttm("AAPL"),
            queries.articles(5),
        ]
    ),
    st.lists(WORTH | st.dictionaries(FIELDS, WORTH | st.just("AAPL") | st.just("2026-03-10")), max_size=3),
)
def test_any_rows_are_typed_or_refused(query: Query[Any], body: list[object]) -> None:
    try:
        rows = query.rows(body)
    except FmpError as refused:
        assert refused.fault in (CallFault.GARBLED, CallFault.WRONG_SYMBOL) and refused.note
    else:
        assert len(rows) == len(body)
        assert all(getattr(row, "symbol", "AAPL") == "AAPL" for row in rows)


def test_a_price_no_column_holds_is_refused_with_its_row() -> None:
    row = {"symbol": "KO", "date": "2026-03-09", "open": 9e14, "high": 9e14, "low": 9e14, "close": 9e14}
    with pytest.raises(ValidationError):
        EodBar.model_validate(row)
