"""The watchlist as an operator reads and changes it; psycopg only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import psycopg

from storage.control import Connection, refused, taken
from storage.records import CommandReceipt, OperationKind, Operator, uuid7
from storage.rows import fetch_all


@dataclass(frozen=True, kw_only=True)
class WatchRow:
    """A symbol the desk follows, and how far its bars reach."""

    symbol: str
    name: str | None  # None: its profile has not been read yet
    sector: str | None
    added_by: str
    added_at: datetime
    newest_bar: date | None
    fetched_at: datetime | None
    refused: str | None  # what the vendor refuses of it now
    refused_until: datetime | None


def read_watchlist(connection: Connection) -> tuple[WatchRow, ...]:
    """By symbol."""
    return fetch_all(connection, WatchRow, _LIST)


def watch(connection: Connection, symbol: str, operator: Operator) -> CommandReceipt:
    """Follow a symbol from now on."""
    with connection.transaction():
        try:
            with connection.transaction():
                connection.execute(_ADD, [uuid7(), symbol, operator.name])
        except psycopg.errors.UniqueViolation:
            return refused(f"{symbol} is watched already")
        return taken(connection, OperationKind.WATCH, operator, f"{symbol} is watched")


def unwatch(connection: Connection, symbol: str, operator: Operator) -> CommandReceipt:
    """Follow a symbol no longer; what is held of it is followed all the same."""
    with connection.transaction():
        gone = connection.execute(_REMOVE, [operator.name, symbol]).rowcount
        if not gone:
            return refused(f"{symbol} is not watched; `quorum watch list` names those that are")
        return taken(connection, OperationKind.WATCH, operator, f"{symbol} is watched no longer")


_LIST = """
    select w.symbol, i.name, i.sector, w.added_by, w.added_at,
           s.sessions[cardinality(s.sessions)] as newest_bar, s.fetched_at,
           e.endpoint as refused, e.ask_again_at as refused_until
      from watchlist w
      left join instruments i on i.symbol = w.symbol
      left join vendor_series s on s.symbol = w.symbol
      left join lateral (
           select endpoint, ask_again_at from entitlements
            where symbol = w.symbol and state = 'refused'
              and key_fingerprint =
                  (select key_fingerprint from vendor_keys order by in_force_at desc limit 1)
            order by ask_again_at desc limit 1) e on true
     where w.removed_at is null
     order by w.symbol
"""
_ADD = "insert into watchlist (id, symbol, added_by, added_at) values (%s, %s, %s, clock_timestamp())"
_REMOVE = """
    update watchlist set removed_at = clock_timestamp(), removed_by = %s
     where symbol = %s and removed_at is null
"""
