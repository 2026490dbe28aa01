"""What the agents remember: written once, summed up rightly, never seen before its time."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest

from storage.memory import AgentMemory, StoredThesis
from storage.models import AgentMetric, Approval
from storage.records import AgentName, Direction, PositionState, SetupType, Stance, ThesisKind
from tests.storage import desk_builder as build
from tests.storage.desk_builder import CLOSE, SESSIONS, scalar, terms, writing


@pytest.fixture
def founded(database: str) -> str:
    """The connection string of a desk that remembers nothing yet."""
    with writing(database) as session:
        build.found_desk(session)
    return database


# -- bars ----------------------------------------------------------------------------------------------------


async def test_bars_are_stored_as_they_are_with_their_gaps(founded: str) -> None:
    async with build.transaction(founded) as session:
        await AgentMemory(session).store_bars(build.stored_bars("AAPL", ["160.25", None, "0.0001"]))
    closes = scalar(founded, "select array_agg(close order by session) from bars where symbol = 'AAPL'")
    assert closes == [Decimal("160.2500"), None, Decimal("0.0001")]
    assert scalar(founded, "select sum(volume) from bars") == 3_000_000


async def test_a_bar_that_is_there_is_refused_and_nothing_of_the_batch_stays(founded: str) -> None:
    async with build.transaction(founded) as session:
        await AgentMemory(session).store_bars(build.stored_bars("AAPL", ["160"]))
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with build.transaction(founded) as session:
            memory = AgentMemory(session)
            await memory.store_bars(
                [*build.stored_bars("MSFT", ["90", "91"]), *build.stored_bars("AAPL", ["161"])]
            )
    assert scalar(founded, "select count(*) from bars") == 1
    assert scalar(founded, "select close from bars") == 160


async def test_no_bars_are_no_work(founded: str) -> None:
    async with build.transaction(founded) as session:
        memory = AgentMemory(session)
        await memory.store_bars([])
        await memory.store_instruments([])
        await memory.store_theses(SESSIONS[0], [])


async def test_an_instrument_already_known_stays_as_it_is(founded: str) -> None:
    async with build.transaction(founded) as session:
        await AgentMemory(session).store_instruments(
            [build.instrument("AAPL", "Renamed"), build.instrument("NEW", "New Inc.")]
        )
    assert scalar(founded, "select name from instruments where symbol = 'AAPL'") == "Apple Inc."
    assert scalar(founded, "select name from instruments where symbol = 'NEW'") == "New Inc."


# -- regime --------------------------------------------------------------------------------------------------


async def test_the_regime_of_a_session_is_the_last_one_read_until_then(founded: str) -> None:
    async with build.transaction(founded) as session:
        memory = AgentMemory(session)
        await memory.store_regime(build.reading(SESSIONS[1], Direction.BULL))
        await memory.store_regime(build.reading(SESSIONS[3], Direction.BEAR))
        read = [await memory.regime(day) for day in SESSIONS[:5]]
    bull, bear = Direction.BULL, Direction.BEAR
    assert [found and found.direction for found in read] == [None, bull, bull, bear, bear]


# -- theses --------------------------------------------------------------------------------------------------


async def test_a_thesis_lands_on_its_symbol_of_its_evening_only(founded: str) -> None:
    with writing(founded) as session:
        for evening in SESSIONS[:2]:
            session.add_all([build.screened(evening, symbol, "50") for symbol in ("AAPL", "MSFT", "IBM")])
    said = [
        StoredThesis(
            symbol="AAPL", thesis=ThesisKind.BULLISH, confidence=72.5, source="rules", reasoning="up"
        ),
        StoredThesis(
            symbol="MSFT", thesis=ThesisKind.BEARISH, confidence=10.0, source="rules", reasoning="down"
        ),
        StoredThesis(symbol="NONE", thesis=ThesisKind.NEUTRAL, confidence=1.0, source="rules", reasoning=""),
    ]
    async with build.transaction(founded) as session:
        await AgentMemory(session).store_theses(SESSIONS[1], said)
    marked = """
        select array_agg(symbol || ' ' || thesis || ' ' || confidence || ' ' || source || ' ' || reasoning
                         order by symbol)
          from screener_results where session = %s and thesis is not null
    """
    assert scalar(founded, marked, SESSIONS[1]) == [
        "AAPL bullish 72.50 rules up",
        "MSFT bearish 10.00 rules down",
    ]
    assert scalar(founded, marked, SESSIONS[0]) is None


# -- trades --------------------------------------------------------------------------------------------------


async def test_a_setups_record_holds_only_what_was_closed_before_the_instant(founded: str) -> None:
    with writing(founded) as session:
        for number, pnl in enumerate(("100.00", "-50.00", "0.00", "10.00")):
            made = build.propose(session, terms(symbol=f"T{number}"), **build.approved())
            left = build.position(made, state=PositionState.CLOSED, closed_session=SESSIONS[number])
            session.add(left)
            session.flush()
            session.add(build.outcome(left, pnl, exit_time=CLOSE + timedelta(days=number)))
    cell = (SetupType.OVERSOLD_BOUNCE, Direction.BULL)
    async with build.transaction(founded) as session:
        memory = AgentMemory(session)
        assert await memory.trade_counts(before=CLOSE) == {}
        assert await memory.trade_counts(before=CLOSE + timedelta(microseconds=1)) == {cell: (1, 1)}
        assert await memory.trade_counts(before=CLOSE + timedelta(days=2)) == {cell: (2, 1)}
        assert await memory.trade_counts(before=CLOSE + timedelta(days=99)) == {cell: (4, 2)}


async def test_an_evenings_arguments_votes_and_approvals_are_kept_together(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
        template = build.propose(session, terms())
    async with build.transaction(database) as session:
        memory = AgentMemory(session)
        approval = await session.get_one(Approval, template.id)
        assert (await memory.deliberation(approval)).symbol == "AAPL"


# -- metrics -------------------------------------------------------------------------------------------------


def metrics(conninfo: str) -> dict[AgentName, AgentMetric]:
    with writing(conninfo) as session:
        return {row.agent_name: row for row in session.query(AgentMetric)}


async def test_a_days_votes_and_readings_are_summed_up_by_agent(founded: str) -> None:
    with writing(founded) as session:
        first = build.deliberate(session, "AAPL", SESSIONS[0])
        build.deliberate(session, "MSFT", SESSIONS[0])
        build.deliberate(session, "AAPL", SESSIONS[1])  # another day's
        strategy = build.vote(first.id, AgentName.STRATEGY, Stance.AGAINST, 0.5)
        strategy.latency_ms = 7.5
        session.add_all([strategy, build.reading(SESSIONS[0], Direction.BULL)])
    async with build.transaction(founded) as session:
        await AgentMemory(session).store_metrics(SESSIONS[0], now=CLOSE)
    found = metrics(founded)
    assert set(found) == set(AgentName) - {AgentName.LEARNING}
    research, news, strategy_row = (
        found[name] for name in (AgentName.RESEARCH, AgentName.NEWS, AgentName.STRATEGY)
    )
    assert (research.tasks_completed, research.abstained, research.success_rate) == (2, 0, 1.0)
    assert (research.avg_latency_ms, research.avg_confidence) == (2.0, Decimal("75.00"))
    assert (news.tasks_completed, news.abstained, news.success_rate) == (0, 2, 0.0)
    assert news.avg_confidence is None
    assert (strategy_row.tasks_completed, strategy_row.avg_latency_ms) == (1, 7.5)
    regime = found[AgentName.REGIME]
    assert (regime.tasks_completed, regime.avg_latency_ms) == (1, 3.0)
    assert regime.avg_confidence == Decimal("50.00")  # a probability of 0.25 is half way from a coin's
    assert {row.date for row in found.values()} == {SESSIONS[0]}
    assert all(row.impact_on_pnl == 0 for row in found.values())


async def test_an_agent_is_credited_with_the_trades_it_voted_for_on_the_day_they_close(founded: str) -> None:
    with writing(founded) as session:
        for symbol, pnl, closed in (
            ("AAPL", "120.50", SESSIONS[2]),
            ("MSFT", "-20.25", SESSIONS[2]),
            ("IBM", "999.00", SESSIONS[3]),
        ):
            made = build.propose(session, terms(symbol=symbol), **build.approved())
            session.add(build.vote(made.deliberation_id, AgentName.STRATEGY, Stance.AGAINST, 0.5))
            left = build.position(made, state=PositionState.CLOSED, closed_session=closed)
            session.add(left)
            session.flush()
            session.add(build.outcome(left, pnl))
        build.deliberate(session, "NEXT", SESSIONS[2])
    async with build.transaction(founded) as session:
        await AgentMemory(session).store_metrics(SESSIONS[2], now=CLOSE)
    found = metrics(founded)
    assert found[AgentName.RESEARCH].impact_on_pnl == Decimal("100.25")
    assert found[AgentName.NEWS].impact_on_pnl == 0


async def test_a_trade_that_closes_on_a_quiet_day_is_credited_too(founded: str) -> None:
    with writing(founded) as session:
        made = build.propose(session, terms(), **build.approved())
        left = build.position(made, state=PositionState.CLOSED, closed_session=SESSIONS[3])
        session.add(left)
        session.flush()
        session.add(build.outcome(left, "120.50"))
    async with build.transaction(founded) as session:
        await AgentMemory(session).store_metrics(SESSIONS[3], now=CLOSE)
    found = metrics(founded)
    assert set(found) == {AgentName.RESEARCH, AgentName.RISK}
    research = found[AgentName.RESEARCH]
    assert (research.impact_on_pnl, research.tasks_completed) == (Decimal("120.50"), 0)
    assert (research.abstained, research.success_rate, research.avg_latency_ms) == (0, None, None)


async def test_summing_up_again_replaces_the_first_sum(founded: str) -> None:
    with writing(founded) as session:
        build.deliberate(session, "AAPL", SESSIONS[0])
    for _ in range(2):
        async with build.transaction(founded) as session:
            await AgentMemory(session).store_metrics(SESSIONS[0], now=CLOSE)
    assert scalar(founded, "select count(*) from agent_metrics") == 3


async def test_an_idle_day_has_no_metrics(founded: str) -> None:
    async with build.transaction(founded) as session:
        await AgentMemory(session).store_metrics(SESSIONS[0], now=CLOSE)
    assert metrics(founded) == {}
