"""Records as plain text and plain JSON: nothing in them that a terminal obeys or a parser stumbles over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

LONGEST = 5_000  # characters of one outside text that are ever looked at

_BLANKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
# Escape sequences whole, then control and invisible format characters (bidi overrides, zero-width), variation
# selectors, surrogates: each moves a terminal's cursor or makes a line wider or narrower than measured.
_UNSAFE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff\ufff9-\ufffc\ud800-\udfff\U000e0000-\U000e0fff]"
)


def clean(text: str) -> str:
    """Outside text without anything that a terminal would obey, on one line."""
    return _UNSAFE.sub("", _BLANKS.sub(" ", text[:LONGEST]))


def shortened(text: str, longest: int) -> str:
    """Outside text, clean and in at most `longest` characters."""
    whole = clean(text)
    return whole if len(whole) <= longest else whole[: longest - 3] + "..."


def span(seconds: float) -> str:
    """A span of time no finer than it must be: 45s, 12m, 1h57m, 2d04h. What is negative is 0s."""
    whole = max(int(seconds), 0)
    if whole < 100:
        return f"{whole}s"
    minutes, hours = whole // 60, whole // 3600
    if hours < 1:
        return f"{minutes}m"
    return f"{hours}h{minutes % 60:02d}m" if hours < 24 else f"{hours // 24}d{hours % 24:02d}h"


def as_json(value: object) -> object:
    """A record as JSON values: money and prices as numbers, instants as ISO 8601 in UTC, days as ISO."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
