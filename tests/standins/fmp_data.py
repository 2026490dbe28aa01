"""The rows the stand-in answers with, endpoint by endpoint, and its public files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from email.utils import format_datetime
from zlib import crc32

from agents.market.calendar import NEW_YORK, add_sessions
from agents.market.fmp.free_plan import FREE_UNIVERSE
from tests.standins.market import SHARES, Json, StandInMarket

SECTORS = ("Technology", "Healthcare", "Energy", "Financial Services", "Industrials", "Consumer Cyclical")
PE, PB, PS, PFCF = 20, 4, 3, 25  # at the price of the day


def rows(
    market: StandInMarket, endpoint: str, symbol: str, params: dict[str, str], now: datetime
) -> list[Json]:
    """The answer of an endpoint of the plan; parameters it does not know are passed over."""
    if not symbol.replace("-", "").replace("^", "").isalnum() or symbol.startswith("NOSUCH"):
        return []
    if endpoint.startswith("historical-price-eod/"):
        found = market.bars(symbol, _day(params, "from"), _day(params, "to"), now)
        if endpoint.endswith("light"):
            light = ("symbol", "date", "close", "volume")
            return [{"price" if name == "close" else name: row[name] for name in light} for row in found]
        return found
    return _ENDPOINTS[endpoint](market, symbol, params, now)


def public_file(market: StandInMarket, path: str, now: datetime) -> tuple[str, str]:
    """Content type and text of a public file: the volatility index as two sources tell it, or a feed."""
    bars = market.bars("^VIX", None, None, now)[::-1]
    if path == "/public/VIX_History.csv":
        lines = [
            f"{date.fromisoformat(str(row['date'])):%m/%d/%Y},{row['open']},{row['high']},{row['low']},{row['close']}"
            for row in bars
        ]
        return "text/csv", "\n".join(["DATE,OPEN,HIGH,LOW,CLOSE", *lines]) + "\n"
    if path == "/public/VIXCLS.csv":
        lines = [f"{row['date']},{row['close']}" for row in bars]
        return "text/csv", "\n".join(["observation_date,VIXCLS", *lines]) + "\n"
    if path == "/public/feed.xml":
        item = (
            f"<item><title>{FREE_UNIVERSE[0]} (NASDAQ: {FREE_UNIVERSE[0]}) moves</title>"
            f"<description>Some news.</description><pubDate>{format_datetime(now)}</pubDate></item>"
        )
        return "application/rss+xml", f"<rss version='2.0'><channel><title>feed</title>{item}</channel></rss>"
    return "text/plain", ""


def _day(params: dict[str, str], name: str) -> date | None:
    return date.fromisoformat(params[name]) if name in params else None


def _quote(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    return [market.quote(symbol, now)]


def _aftermarket(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    price, _ = market.price(symbol, now)
    sizes: Json = {"symbol": symbol, "bidSize": 2, "bidPrice": round(price - 0.02, 2), "askSize": 3}
    return [
        {
            **sizes,
            "askPrice": round(price + 0.02, 2),
            "volume": 1000,
            "timestamp": int(now.timestamp() * 1000),
        }
    ]


def _profile(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    quote = market.quote(symbol, now)
    return [
        {
            **{name: quote[name] for name in ("symbol", "price", "marketCap", "change", "changePercentage")},
            "beta": 1.1,
            "lastDividend": 1,
            "range": f"{quote['yearLow']}-{quote['yearHigh']}",
            "volume": quote["volume"],
            "averageVolume": quote["volume"],
            "companyName": f"{symbol} Corporation",
            "currency": "USD",
            "cik": "0000320193",
            "exchange": "NASDAQ",
            "exchangeFullName": "NASDAQ Global Select",
            "industry": "Software",
            "sector": SECTORS[crc32(symbol.encode()) % len(SECTORS)],
            "country": "US",
            "description": "A company of the stand-in.",
            "fullTimeEmployees": "1000",
            "ipoDate": "1999-01-04",
            "isEtf": symbol in ("SPY", "SPYG", "VWO"),
            "isActivelyTrading": True,
            "isAdr": False,
            "isFund": False,
        }
    ]


def _key_metrics_ttm(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    cap = market.price(symbol, now)[0] * SHARES
    figures: Json = {
        "enterpriseValue": cap * 1.1,
        "evToSales": PS * 1.1,
        "evToEBITDA": 12.5,
        "earningsYield": 1 / PE,
        "freeCashFlowYield": 1 / PFCF,
        "returnOnEquity": PB / PE,
        "returnOnInvestedCapital": 0.15,
        "currentRatio": 2,
    }
    return [{"symbol": symbol, "marketCap": cap, **{f"{name}TTM": value for name, value in figures.items()}}]


def _ratios_ttm(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    price = market.price(symbol, now)[0]
    figures: Json = {
        "netProfitMargin": PS / PE,
        "grossProfitMargin": 0.5,
        "currentRatio": 2,
        "priceToEarningsRatio": PE,
        "priceToBookRatio": PB,
        "priceToSalesRatio": PS,
        "priceToFreeCashFlowRatio": PFCF,
        "debtToEquityRatio": 0.8,
        "dividendYield": 0.02,
        "netIncomePerShare": price / PE,
        "bookValuePerShare": price / PB,
        "revenuePerShare": price / PS,
        "interestCoverageRatio": 0,
    }
    return [{"symbol": symbol, **{f"{name}TTM": value for name, value in figures.items()}}]


def _by_year(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    """Rows that have a few fields of every statement: the models take what is theirs."""
    year = now.year - 1
    return [
        {
            "symbol": symbol,
            "date": f"{year - back}-12-31",
            "fiscalYear": str(year - back),
            "period": "FY",
            "reportedCurrency": "USD",
            "filingDate": f"{year - back + 1}-02-15",
            "revenue": 100_000_000 * (10 - back),
            "netIncome": 15_000_000.5 * (10 - back),
            "eps": 1.5,
            "returnOnEquity": 0.2,
            "priceToEarningsRatio": PE,
        }
        for back in range(min(int(params.get("limit", "5")), 5))
    ]


def _earnings(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    today = now.astimezone(NEW_YORK).date()
    return [
        {
            "symbol": symbol,
            "date": day.isoformat(),
            "epsActual": 1.1 if day < today else None,
            "epsEstimated": 1,
            "revenueActual": 100_000_000 if day < today else None,
            "revenueEstimated": 99_000_000,
            "lastUpdated": today.isoformat(),
        }
        for day in market.report_days(symbol, now)
    ]


def _dividends(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    if crc32(symbol.encode()) % 2:
        return []
    return [
        {
            "symbol": symbol,
            "date": add_sessions(day, 10).isoformat(),
            "recordDate": add_sessions(day, 11).isoformat(),
            "paymentDate": add_sessions(day, 20).isoformat(),
            "declarationDate": "",
            "adjDividend": 0.25,
            "dividend": 0.25,
            "yield": 1.2,
            "frequency": "Quarterly",
        }
        for day in market.report_days(symbol, now)
    ]


def _splits(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    return [
        {
            "symbol": symbol,
            "date": day.isoformat(),
            "numerator": ratio,
            "denominator": 1,
            "splitType": "stock-split",
        }
        for day, ratio in sorted(market.splits.get(symbol, []), reverse=True)
    ]


def _articles(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    written = now.astimezone(NEW_YORK)
    return [
        {
            "title": f"{name} in the stand-in's news",
            "date": f"{written - timedelta(hours=back):%Y-%m-%d %H:%M:%S}",
            "content": f"<p>Analysts of the stand-in looked at <b>{name}</b> &amp; found nothing new.</p>",
            "tickers": f"NASDAQ:{name}",
            "image": "",
            "link": "https://example.com/article",
            "author": "Nobody",
            "site": "Stand-in",
        }
        for back, name in enumerate(FREE_UNIVERSE[: min(int(params.get("limit", "20")), 50)])
    ]


def _movers(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    quotes = [market.quote(name, now) for name in FREE_UNIVERSE[:20]]
    return [
        {
            "symbol": quote["symbol"],
            "price": quote["price"],
            "name": quote["name"],
            "change": quote["change"],
            "changesPercentage": quote["changePercentage"],
            "exchange": "NASDAQ",
        }
        for quote in quotes
    ]


def _sectors(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    return [
        {"date": params["date"], "sector": sector, "exchange": "NASDAQ", "averageChange": 0.5}
        for sector in SECTORS
    ]


def _search(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    return [
        {
            "symbol": name,
            "name": f"{name} Corporation",
            "currency": "USD",
            "exchangeFullName": "NASDAQ Global Select",
            "exchange": "NASDAQ",
        }
        for name in FREE_UNIVERSE
        if params.get("query", "").upper() in name
    ]


def _screener(market: StandInMarket, symbol: str, params: dict[str, str], now: datetime) -> list[Json]:
    return [
        {
            **_profile(market, name, params, now)[0],
            "exchangeShortName": "NASDAQ",
            "lastAnnualDividend": None,
        }
        for name in FREE_UNIVERSE[: int(params.get("limit", "1000"))]
    ]


_ENDPOINTS: dict[str, Callable[[StandInMarket, str, dict[str, str], datetime], list[Json]]] = {
    "quote": _quote,
    "aftermarket-quote": _aftermarket,
    "profile": _profile,
    "key-metrics-ttm": _key_metrics_ttm,
    "ratios-ttm": _ratios_ttm,
    "key-metrics": _by_year,
    "ratios": _by_year,
    "income-statement": _by_year,
    "earnings": _earnings,
    "dividends": _dividends,
    "splits": _splits,
    "fmp-articles": _articles,
    "biggest-gainers": _movers,
    "biggest-losers": _movers,
    "most-actives": _movers,
    "sector-performance-snapshot": _sectors,
    "search-symbol": _search,
    "search-name": _search,
    "company-screener": _screener,
    "batch-quote": _movers,
    "stock-list": _search,
    "news/stock": lambda market, symbol, params, now: [
        {
            "symbol": params["symbols"],
            "publishedDate": f"{now.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}",
            "publisher": "Stand-in",
            "title": "News of the stand-in",
            "image": None,
            "site": "example.com",
            "text": "Nothing happened.",
            "url": "https://example.com/news",
        }
    ],
}
