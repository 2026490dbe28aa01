"""Rows become records: columns by name, types as the fields ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest

from storage.records import ApprovalState
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]
ID = UUID("0190f5a2-7c7d-7abc-8def-0123456789ab")


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database) as connection:
        yield connection


@dataclass(frozen=True)
class Everything:
    id: UUID
    state: ApprovalState
    maybe_state: ApprovalState | None
    ratio: float
    maybe_ratio: float | None
    amount: Decimal
    names: tuple[str, ...]
    ratios: tuple[float, ...]
    states: tuple[ApprovalState, ...]
    pairs: tuple[tuple[str, ...], ...]
    limits: Mapping[str, float]
    day: date
    at: datetime
    count: int
    yes: bool


EVERYTHING = f"""
    select '{ID}'::uuid as id, 'pending' as state, null as maybe_state, 0.25::numeric as ratio,
           null::numeric as maybe_ratio, 12.50::numeric(18, 2) as amount, array['a', 'b'] as names,
           array[0.5, 1.25]::numeric[] as ratios, array['approved', 'expired'] as states,
           array[['RSI', '28'], ['ATR', '2']] as pairs, '{{"heat": 0.06, "cash": 0.0}}'::jsonb as limits,
           date '2018-02-06' as day, timestamptz '2018-02-06 21:00+00' as at, 3 as count, true as yes
"""


def test_each_column_arrives_as_its_field_asks(connection: Connection) -> None:
    record = fetch_one(connection, Everything, EVERYTHING)
    assert record == Everything(
        id=ID,
        state=ApprovalState.PENDING,
        maybe_state=None,
        ratio=0.25,
        maybe_ratio=None,
        amount=Decimal("12.50"),
        names=("a", "b"),
        ratios=(0.5, 1.25),
        states=(ApprovalState.APPROVED, ApprovalState.EXPIRED),
        pairs=(("RSI", "28"), ("ATR", "2")),
        limits={"heat": 0.06, "cash": 0.0},
        day=date(2018, 2, 6),
        at=datetime(2018, 2, 6, 21, tzinfo=UTC),
        count=3,
        yes=True,
    )
    assert record is not None
    assert type(record.state) is ApprovalState
    assert type(record.ratio) is float
    assert [type(value) for value in record.ratios] == [float, float]
    assert str(record.amount) == "12.50"
    assert record.at.tzinfo is not None


@dataclass(frozen=True)
class Optional:
    state: ApprovalState | None
    ratio: float | None
    names: tuple[str, ...]


def test_what_may_be_missing_may_also_be_there(connection: Connection) -> None:
    query = "select 'rejected' as state, 1::numeric as ratio, '{}'::text[] as names, 'unused' as more"
    record = fetch_one(connection, Optional, query)
    assert record == Optional(state=ApprovalState.REJECTED, ratio=1.0, names=())


@dataclass(frozen=True)
class Number:
    n: int


def test_all_rows_come_in_the_order_of_the_query(connection: Connection) -> None:
    query = "select n from generate_series(%s::int, %s::int) n order by n desc"
    assert fetch_all(connection, Number, query, [1, 3]) == (Number(3), Number(2), Number(1))
    assert fetch_all(connection, Number, query, [2, 1]) == ()
    named = "select %(n)s::int as n"
    assert fetch_all(connection, Number, named, {"n": 7}) == (Number(7),)


def test_the_first_row_or_none(connection: Connection) -> None:
    assert fetch_one(connection, Number, "select n from generate_series(5, 9) n") == Number(5)
    assert fetch_one(connection, Number, "select 1 as n where false") is None


def test_a_value_no_enum_knows_is_an_error_and_not_passed_on(connection: Connection) -> None:
    with pytest.raises(ValueError, match="perhaps"):
        fetch_one(connection, Optional, "select 'perhaps' as state, null as ratio, '{}'::text[] as names")


def test_a_column_that_is_missing_is_an_error(connection: Connection) -> None:
    with pytest.raises(KeyError, match="n"):
        fetch_one(connection, Number, "select 1 as m")
