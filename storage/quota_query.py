"""The SQL behind the quota's rows, all of it in the caller's transaction; psycopg only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from storage.calls import Priority
from storage.quota_rules import BANDWIDTH_WINDOW, DESK_NOW, WINDOW
from storage.quota_snapshot import (
    BlockRow,
    CallCount,
    EntitlementRow,
    KeyUse,
    PlannedSlotRow,
    QuotaRow,
    QuotaUse,
)
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]


def read_quota(connection: Connection) -> QuotaRow | None:
    """The key in use and what it has used; None on a desk that never had a vendor's key."""
    window = _window(connection)
    use = fetch_one(connection, KeyUse, _USE, window) if window["key"] is not None else None
    if use is None:
        return None
    counted = fetch_all(connection, _PriorityCount, _BY_PRIORITY, window)
    plan = fetch_one(connection, _Plan, _PLAN, window)
    return QuotaRow(
        **vars(use),
        by_priority=tuple(CallCount(name=priority_name(row.priority), calls=row.calls) for row in counted),
        blocks=fetch_all(connection, BlockRow, _BLOCKS, window),
        planned=tuple(_planned(row) for row in plan.slots) if plan else (),
    )


def read_quota_use(connection: Connection) -> QuotaUse:
    """Who made the calls of the last 24 hours."""
    window = _window(connection)
    return QuotaUse(
        by_job=fetch_all(connection, CallCount, _BY_JOB, window),
        by_endpoint=fetch_all(connection, CallCount, _BY_ENDPOINT, window),
    )


def read_entitlements(connection: Connection) -> tuple[EntitlementRow, ...]:
    """What the key in use may ask: refusals first."""
    return fetch_all(connection, EntitlementRow, _ENTITLEMENTS, _window(connection))


def priority_name(priority: int) -> str:
    return Priority(priority).name.lower()


@dataclass(frozen=True)
class _Now:
    now: datetime
    key: str | None


@dataclass(frozen=True)
class _PriorityCount:
    priority: int
    calls: int


@dataclass(frozen=True)
class _Plan:
    slots: tuple[Mapping[str, Any], ...]


def _window(connection: Connection) -> dict[str, object]:
    """The key in use and the beginnings of its windows, by the clock they move by."""
    found = fetch_one(connection, _Now, _NOW)
    assert found is not None
    return {
        "key": found.key,
        "now": found.now,
        "window": WINDOW,
        "since": found.now - WINDOW,
        "bandwidth_since": found.now - BANDWIDTH_WINDOW,
    }


def _planned(row: Mapping[str, Any]) -> PlannedSlotRow:
    lists = {name: tuple(row[name]) for name in ("endpoints", "symbols", "deferred_symbols")}
    return PlannedSlotRow(**{**row, **lists, "due_at": datetime.fromisoformat(row["due_at"])})


_KEY = "(select key_fingerprint from vendor_keys order by in_force_at desc, key_fingerprint limit 1)"
_NOW = f"select {DESK_NOW} as now, {_KEY} as key"

_USE = """
    with made as (
        select admitted_at, settled_at from vendor_calls
         where key_fingerprint = %(key)s and admitted_at > %(since)s
    )
    select %(now)s as as_of, k.key_fingerprint, k.daily_calls as "limit", k.exits_reserve as reserve,
           k.bandwidth_bytes as bytes_limit,
           (select count(*) from made) as used,
           (select count(*) from made where admitted_at > %(now)s - interval '1 hour') as last_hour,
           (select count(*) from made where settled_at is null) as unsettled,
           (select min(admitted_at) + %(window)s from made) as next_free_at,
           (select coalesce(sum(calls - used) filter (where priority > 0), 0)::int
                 + greatest(coalesce(sum(calls - used) filter (where priority = 0), 0)::int
                            - k.exits_reserve, 0)
              from call_reservations
             where key_fingerprint = %(key)s and released_at is null and expires_at > %(now)s) as held,
           (select coalesce(sum(received_bytes), 0)::bigint from vendor_calls
             where key_fingerprint = %(key)s and admitted_at > %(bandwidth_since)s) as received_bytes,
           r.hour as reset_hour, r.worked_at as reset_learned_at, p.made_at as planned_at, p.dry_at,
           allowed, refused_symbols, refused_endpoints, cached_fresh, cached_stale, oldest_fresh_at
      from vendor_keys k
      left join quota_plans p using (key_fingerprint)
      left join lateral (select hour, worked_at from quota_resets where key_fingerprint = %(key)s
                          order by worked_at desc limit 1) r on true
      cross join lateral (
          select count(*) filter (where state = 'allowed') as allowed,
                 count(distinct symbol) filter (where ask_again_at > %(now)s and symbol <> '')
                   as refused_symbols,
                 count(*) filter (where ask_again_at > %(now)s and symbol = '') as refused_endpoints
            from entitlements where key_fingerprint = %(key)s) e
      cross join lateral (
          select count(*) filter (where expires_at > %(now)s) as cached_fresh,
                 count(*) filter (where expires_at <= %(now)s) as cached_stale,
                 min(fetched_at) filter (where expires_at > %(now)s) as oldest_fresh_at
            from vendor_cache) h
     where k.key_fingerprint = %(key)s
"""

_BY_PRIORITY = """
    select priority, count(*) as calls from vendor_calls
     where key_fingerprint = %(key)s and admitted_at > %(since)s
     group by 1 order by 1
"""

_BY_JOB = """
    select job as name, count(*) as calls from vendor_calls
     where key_fingerprint = %(key)s and admitted_at > %(since)s
     group by 1 order by 2 desc, 1
"""

_BY_ENDPOINT = """
    select endpoint as name, count(*) as calls from vendor_calls
     where key_fingerprint = %(key)s and admitted_at > %(since)s
     group by 1 order by 2 desc, 1
"""

_BLOCKS = """
    select fault, note, refused_at, until from vendor_blocks
     where key_fingerprint = %(key)s and ended_at is null
     order by until desc nulls first, fault
"""

_PLAN = "select slots from quota_plans where key_fingerprint = %(key)s"

_ENTITLEMENTS = """
    select endpoint, symbol, state, fault, note, learned_at, ask_again_at, times from entitlements
     where key_fingerprint = %(key)s
     order by state desc, endpoint, symbol
"""
