"""A week of a paper desk against the vendor on loopback, slot by slot when each is due."""

from __future__ import annotations

from datetime import date

import pytest

from agents.market.calendar import sessions
from tests.databases import TemplateDatabases
from tests.runtime.live_stage import (
    HELD,
    MONDAY,
    WATCHED,
    assert_decided_on_good_data,
    calls_of,
    live_stage,
)

LAST = date(2026, 3, 17)
BACKFILL = 2  # sessions over which the first fetches are spread
MOST_A_DAY = 130


@pytest.mark.long
async def test_a_week_after_the_backfill_costs_at_most_130_calls_a_day_on_good_data(
    databases: TemplateDatabases,
) -> None:
    days = sessions(MONDAY, LAST)
    async with live_stage(databases) as stage:
        for day in days:
            await stage.day(day)
            held = await stage.rows(
                "select symbol, last_session from positions where state = 'open' order by 1"
            )
            assert held == [(symbol, day) for symbol in HELD]  # every exit was looked at, backfill or not
        calls = calls_of(stage.conninfo)
        values = assert_decided_on_good_data(stage.conninfo)
        sent = len(stage.vendor.served)
        series = await stage.rows("select count(*) from vendor_series")
    print(f"\n{calls}; {values} values read, {sent} sent")  # noqa: T201
    assert series == [(len(WATCHED) + 2,)]  # SPY and ^VIX beside them
    assert sent == sum(calls.a_day.values()) and calls.faults == 0
    assert calls.fullest <= 250
    assert all(calls.a_day[day] <= MOST_A_DAY for day in days[BACKFILL:])
    assert values > 7 * 200
