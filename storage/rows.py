"""Query results as frozen records: columns are matched to fields by name, and types made to fit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import TypeVar, Union, get_args, get_origin, get_type_hints

import psycopg
from psycopg.rows import dict_row

Record = TypeVar("Record")
Parameters = Mapping[str, object] | Sequence[object]


def fetch_all(
    connection: psycopg.Connection[tuple[object, ...]],
    record: type[Record],
    query: str,
    parameters: Parameters = (),
) -> tuple[Record, ...]:
    """Every row as a `record`, a dataclass whose fields the query selects by name.

    Text becomes the enum a field asks for, NUMERIC becomes float where it is float, arrays become tuples.
    """
    converters = _converters(record)  # type: ignore[arg-type]  # a class is hashable
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(query.encode(), parameters)
        return tuple(
            record(**{name: convert(row[name]) for name, convert in converters.items()}) for row in cursor
        )


def fetch_one(
    connection: psycopg.Connection[tuple[object, ...]],
    record: type[Record],
    query: str,
    parameters: Parameters = (),
) -> Record | None:
    """The first row as a `record`, or None."""
    return next(iter(fetch_all(connection, record, query, parameters)), None)


@cache
def _converters(record: Hashable) -> dict[str, Callable[[object], object]]:
    hints = get_type_hints(record)
    return {name: _converter(hint) for name, hint in hints.items()}


def _converter(hint: object) -> Callable[[object], object]:
    if get_origin(hint) in (Union, UnionType):
        inner = _converter(next(part for part in get_args(hint) if part is not type(None)))
        return lambda value: None if value is None else inner(value)
    if get_origin(hint) is tuple:
        element = _converter(get_args(hint)[0])
        return lambda values: tuple(element(value) for value in values)  # type: ignore[attr-defined]
    if hint is float:
        return lambda value: float(value)  # type: ignore[arg-type]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return lambda value: hint(str(value))
    return lambda value: value
