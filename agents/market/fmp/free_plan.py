"""The symbols of the vendor's free plan: what a desk with a free key can watch.

Read from the vendor's pricing page ("Symbol Limited to ..."), as transcribed in October 2025. The vendor
changes the list without notice, and what a key may really ask is learned by asking.
"""

from __future__ import annotations

FREE_SYMBOLS: tuple[str, ...] = (
    "AAL",
    "AAPL",
    "ABBV",
    "ADBE",
    "AMD",
    "AMZN",
    "ATVI",
    "BA",
    "BABA",
    "BAC",
    "BIDU",
    "BILI",
    "C",
    "CARR",
    "CCL",
    "COIN",
    "COST",
    "CPRX",
    "CSCO",
    "CVX",
    "DAL",
    "DIS",
    "DOCU",
    "ET",
    "ETSY",
    "F",
    "FDX",
    "FUBO",
    "GE",
    "GM",
    "GOOGL",
    "GS",
    "HCA",
    "HOOD",
    "INTC",
    "JNJ",
    "JPM",
    "KO",
    "LCID",
    "LMT",
    "META",
    "MGM",
    "MRNA",
    "MRO",
    "MSFT",
    "NFLX",
    "NIO",
    "NKE",
    "NOK",
    "NVDA",
    "PEP",
    "PFE",
    "PINS",
    "PLTR",
    "PYPL",
    "RBLX",
    "RIOT",
    "RIVN",
    "RKT",
    "ROKU",
    "SBUX",
    "SHOP",
    "SIRI",
    "SNAP",
    "SOFI",
    "SONY",
    "SPY",
    "SPYG",
    "SQ",
    "T",
    "TGT",
    "TLRY",
    "TSLA",
    "TSM",
    "TWTR",
    "UAL",
    "UBER",
    "UNH",
    "V",
    "VIAC",
    "VWO",
    "VZ",
    "WBA",
    "WFC",
    "WMT",
    "XOM",
    "ZM",
)

# Funds among them: no stock to trade, but a yardstick.
FREE_FUNDS = frozenset({"SPY", "SPYG", "VWO"})

# Bought, renamed or no longer listed since the list was made: the vendor may show old prices for these.
NO_LONGER_LISTED = frozenset({"ATVI", "MRO", "SQ", "TWTR", "VIAC", "WBA"})

FREE_INDICES: tuple[str, ...] = (
    "^GSPC",
    "^DJI",
    "^IXIC",
    "^RUT",
    "^FTSE",
    "^N225",
    "^HSI",
    "^STOXX50E",
    "^VIX",
)

# The free plan's stocks that still trade: the universe of the local screen.
FREE_UNIVERSE: tuple[str, ...] = tuple(
    symbol for symbol in FREE_SYMBOLS if symbol not in FREE_FUNDS | NO_LONGER_LISTED
)
