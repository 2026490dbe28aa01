"""What the vendor's fields hold: numbers that may be blank, prices above zero, days, instants, plain text.

Ints and floats mix per field, and a blank comes as null, "" or "N/A": each is read alike.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from agents.market.plain_text import plain_text
from storage.plain import shortened

LARGEST = 1e15  # beyond it a number is a defect, and arithmetic with it would overflow
DEAREST = 1e9  # dollars; beyond it a price is a defect, and no column of ours would hold it
MILLISECONDS_FROM = 100_000_000_000  # seconds reach it in the year 5138

LINE = 200
PARAGRAPH = 2_000

_BLANK = frozenset({"", "-", "N/A", "n/a", "None", "null"})


def _blank_is_none(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number, was a truth value")
    return None if isinstance(value, str) and value.strip() in _BLANK else value


def _nothing_is_none(value: object) -> object:
    """Zero stands where the vendor has no price."""
    value = _blank_is_none(value)
    return None if value in (0, "0") else value


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a day as YYYY-MM-DD")
    return date.fromisoformat(value[:10])


def _day_or_none(value: object) -> object:
    return None if value is None or (isinstance(value, str) and value.strip() in _BLANK) else _day(value)


def _instant(value: object) -> object:
    """Unix seconds, or milliseconds, as an instant in UTC."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e14:
        raise ValueError("expected a Unix time")
    return datetime.fromtimestamp(value / 1000 if value >= MILLISECONDS_FROM else value, UTC)


def _text(longest: int) -> AfterValidator:
    return AfterValidator(lambda value: shortened(value, longest))


def _article(value: str) -> str:
    return plain_text(value, PARAGRAPH)


Number = Annotated[
    Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)] | None,
    BeforeValidator(_blank_is_none),
]
Shares = Annotated[
    Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)] | None, BeforeValidator(_blank_is_none)
]
Price = Annotated[float, Field(gt=0, le=DEAREST, allow_inf_nan=False)]
MaybePrice = Annotated[Price | None, BeforeValidator(_nothing_is_none)]
Money = Annotated[
    Decimal, BeforeValidator(_blank_is_none), Field(ge=0, le=Decimal("1e9"), allow_inf_nan=False)
]
Positive = Annotated[
    Decimal, BeforeValidator(_blank_is_none), Field(gt=0, le=Decimal("1e9"), allow_inf_nan=False)
]
Day = Annotated[date, BeforeValidator(_day)]
MaybeDay = Annotated[date | None, BeforeValidator(_day_or_none)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
Line = Annotated[str, _text(LINE)]
MaybeLine = Annotated[str | None, AfterValidator(lambda value: value and shortened(value, LINE))]
Paragraph = Annotated[str | None, AfterValidator(lambda value: value and shortened(value, PARAGRAPH))]
Article = Annotated[str, AfterValidator(_article)]


class Row(BaseModel):
    """One row of an answer; fields we do not name are left out, and a blank one is None."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,
    )


class SymbolRow(Row):
    """A row that belongs to one symbol."""

    symbol: Annotated[str, _text(20)]
