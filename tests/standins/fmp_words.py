"""The vendor's own words and what can be wrong with an answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum

from tests.standins.market import Json

SITE = "https://site.financialmodelingprep.com"
UPGRADE = (
    "is not available under your current subscription please visit our subscription page "
    "to upgrade your plan at https://financialmodelingprep.com/"
)
WRONG_KEY = (
    "Invalid API KEY. Feel free to create a Free API Key or visit "
    f"{SITE}/faqs?search=why-is-my-api-key-invalid for more information."
)
LEGACY = (
    "Legacy Endpoint : Due to Legacy endpoints being no longer supported - This endpoint is only available "
    "for legacy users who have valid subscriptions prior August 31, 2025. Please visit our documentation "
    f"page {SITE}/developer/docs for our current APIs. "
)
DAILY_LIMIT = f"Limit Reach . Please upgrade your plan or visit our documentation for more details at {SITE}/"
BANDWIDTH_LIMIT = f"Bandwidth {DAILY_LIMIT}"
RESTRICTED = f"Restricted Endpoint: This endpoint {UPGRADE}"
LIMIT_OVER_5 = (
    "Premium Query Parameter: 'Special Parameters : The values for 'limit' must be between 0 and 5 based on "
    "your current subscription. please visit our subscription page to upgrade your plan "
    "at https://financialmodelingprep.com/"
)
HTML = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center>nginx</center></body>\r\n</html>"
)


def value_set(parameter: str) -> str:
    """The vendor's words for a parameter's value outside the plan."""
    return f"Premium Query Parameter: 'Special Endpoint : This value set for '{parameter}' {UPGRADE}"


class FaultKind(StrEnum):
    """What can be wrong with an answer."""

    DAILY_LIMIT = "daily_limit"
    BANDWIDTH_LIMIT = "bandwidth_limit"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    SLOW = "slow"
    CUT = "cut"  # the connection ends in the middle of the body
    TRUNCATED = "truncated"  # whole HTTP, half the JSON
    ERROR_200 = "error_200"
    EMPTY_200 = "empty_200"
    EMPTY_ROWS = "empty_rows"
    HTML_200 = "html_200"
    REDIRECT = "redirect"
    NULLS = "nulls"
    MIXED = "mixed"  # whole floats as ints
    STALE = "stale"  # a month ago
    WRONG_SYMBOL = "wrong_symbol"
    NEGATIVE = "negative"


@dataclass
class Fault:
    """Spoils the next `times` answers, of one endpoint or symbol where they are named."""

    kind: FaultKind
    endpoint: str | None = None
    symbol: str | None = None
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What goes over the wire."""

    status: int
    body: bytes
    kind: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    delay_s: float = 0.0


def error(status: int, message: str) -> Reply:
    return Reply(status=status, body=json.dumps({"Error Message": message}, indent=2).encode())


def text(status: int, message: str) -> Reply:
    return Reply(status=status, body=message.encode(), kind="text/html; charset=utf-8")


def rows(rows: list[Json], status: int = 200) -> Reply:
    return Reply(status=status, body=json.dumps(rows, indent=2).encode())


def spoil(row: Json, kind: FaultKind) -> Json:
    """One row with the fault in it."""
    fixed = ("symbol", "date", "price", "close", "timestamp")
    spoiled: Json = {}
    for name, value in row.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind is FaultKind.NULLS and name not in fixed:
            value = None
        elif kind is FaultKind.MIXED and number and name != "timestamp":
            value = round(float(str(value))) if name not in ("close", "open", "high", "low") else value
        elif kind is FaultKind.STALE and name == "timestamp":
            value = int(str(value)) - 30 * 86_400
        elif kind is FaultKind.WRONG_SYMBOL and name == "symbol":
            value = "ZZZZ"
        elif kind is FaultKind.NEGATIVE and name in ("price", "close", "open"):
            value = -float(str(value))
        spoiled[name] = value
    return spoiled
