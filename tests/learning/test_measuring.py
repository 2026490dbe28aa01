"""What was put into force is measured by its own trades, and is said to be worse once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from agents.learning.measuring import MEASURED_FOR, judge_applied
from agents.learning.space import DeskRules
from agents.learning.tonight import Tonight
from agents.trading.costs import Costs
from storage.learning_records import AdjustmentKind
from storage.memory import AgentMemory, TurnedDown
from storage.records import PositionState
from tests.storage import desk_builder as build
from tests.storage.desk_builder import SESSIONS, execute, scalar, terms, writing
from tests.storage.test_proposals import change

APPLIED = date(2018, 1, 3)
EVENING = datetime(2018, 1, 4, 1, tzinfo=UTC)  # 20:00 in New York on the day it came into force
VERSION = """
    insert into parameter_versions (version, parameters, limits, costs, screen, reason, created_at)
    select 2, parameters, limits, costs, screen, '', now() from parameter_versions
"""
IN_FORCE = "update strategy_adjustments set status = 'applied', applied_session = %s, applied_version = 2"


def night(days: int) -> Tonight:
    now = EVENING + timedelta(days=days)
    return Tonight(
        session=now.date(),
        now=now,
        wall_now=now,
        rules=DeskRules(),
        costs=Costs(),
        version=2,
        expires_at=None,
    )


def trade(conninfo: str, number: int, entered: datetime, r: float, version: int) -> None:
    """One that was held for two days."""
    with writing(conninfo) as session:
        bound = terms(symbol=f"S{number}", entry_session=SESSIONS[1])
        made = build.propose(session, bound, **build.approved())
        left = build.position(made, state=PositionState.CLOSED, closed_session=SESSIONS[2])
        session.add(left)
        session.flush()
        session.add(
            build.outcome(
                left,
                "1.00",
                r_multiple=r,
                entry_time=entered,
                exit_time=entered + timedelta(days=2),
                parameters_version=version,
            )
        )


async def judged(conninfo: str, days: int) -> tuple[str, ...]:
    async with build.transaction(conninfo) as session:
        return await judge_applied(AgentMemory(session), night(days), ())


@pytest.fixture
async def applied(database: str) -> str:
    """A change in force since APPLIED, after twelve good trades."""
    with writing(database) as session:
        build.found_paper(session)
    execute(database, VERSION)
    async with build.transaction(database) as session:
        await AgentMemory(session).store_adjustment(change(expires_at=None), now=EVENING)
    execute(database, IN_FORCE, APPLIED)
    for number in range(12):
        trade(database, number, EVENING - timedelta(days=30 - number), 0.4 + number % 3 / 10, 1)
    return database


OUTCOME = "select outcome || ' ' || (measure ->> 'matched') from strategy_adjustments"


async def test_only_trades_of_its_own_version_count_and_worse_is_told_once(applied: str) -> None:
    for number in range(12):  # entered before it, closed after: they were decided under what was before
        trade(applied, 20 + number, EVENING - timedelta(days=1), -1.0, 1)
    assert await judged(applied, 20) == ()
    assert scalar(applied, OUTCOME) == "PENDING [0, 0]"
    for number in range(12):
        trade(applied, 40 + number, EVENING + timedelta(days=21), -0.8 - number % 3 / 10, 2)
    (alarm,) = await judged(applied, 30)
    assert "has been worse since setups.momentum.rsi_min was changed on 2018-01-03" in alarm
    assert scalar(applied, OUTCOME) == "WORSENED [12, 12]"
    assert await judged(applied, 31) == ()


async def test_with_too_few_trades_after_sixty_days_it_is_measured_on(applied: str) -> None:
    assert await judged(applied, 59) == ()
    late = MEASURED_FOR + timedelta(days=20)
    for number in range(12):
        trade(applied, 40 + number, EVENING + late, 0.4 + number % 3 / 10, 2)
    assert await judged(applied, 90) == ()
    assert scalar(applied, OUTCOME) == "NEUTRAL [12, 12]"
    trade(applied, 90, EVENING + timedelta(days=100), -9.0, 2)
    assert await judged(applied, 110) == ()
    assert scalar(applied, OUTCOME) == "NEUTRAL [12, 12]"  # that was the last word


async def test_what_was_turned_down_needs_trades_closed_since_then(
    applied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.memory.nights.NEW_EVIDENCE", 12)
    down = "update strategy_adjustments set status = 'rolled_back', turned_down_session = %s"
    not_wanted = TurnedDown(name="setups.momentum.rsi_min", old_value="50", new_value="52")
    for since, expected in (
        (SESSIONS[2], [not_wanted]),
        (SESSIONS[1], []),
    ):  # all closed on the third session
        execute(applied, down, since)
        async with build.transaction(applied) as session:
            assert await AgentMemory(session).turned_down(AdjustmentKind.PARAMETER) == expected
            assert await AgentMemory(session).turned_down(AdjustmentKind.PROMPT) == []
