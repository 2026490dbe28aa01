"""What the memory is asked: patterns, screens, calls, changes, figures; hostile text stays text."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.exc import IntegrityError

from storage.learning_records import AdjustmentKind, AdjustmentOutcome, AdjustmentStatus
from storage.memory import (
    Adjustment,
    AdjustmentMeasure,
    AgentMemory,
    CandidateWanted,
    Horizon,
    Interaction,
)
from storage.models import AgentMetric, CashEvent, Deliberation
from storage.proposal_evidence import ProposalEvidence
from storage.records import (
    AgentName,
    CashKind,
    Direction,
    ExitReason,
    OrderState,
    PositionState,
    SetupType,
    Stance,
    Volatility,
    uuid7,
)
from tests.storage import desk_builder as build
from tests.storage.desk_builder import CLOSE, SESSIONS, execute, scalar, terms, writing

HOSTILE = "'; drop table votes; --\x1b[31m\r\n<b>"
LATER = CLOSE + timedelta(days=99)
CALL = Interaction(
    agent=AgentName.RESEARCH,
    symbol="AAPL",
    session=SESSIONS[0],
    input_context={"messages": []},
    output_result={"content": HOSTILE},
    model="some-model",
    input_tokens=1000,
    output_tokens=200,
    cost_usd=Decimal("0.01250000"),
    latency_ms=830,
    success=True,
)
CHANGE = Adjustment(
    session=SESSIONS[0],
    kind=AdjustmentKind.PARAMETER,
    parameter="setups.bounce.rsi",
    family="setups.bounce",
    old_value="38",
    new_value="35",
    reasoning=HOSTILE,
    expected_impact="fewer losers",
    confidence=61.5,
    proposed_by=AgentName.LEARNING,
    evidence=ProposalEvidence(verdict="promising", sentences=(HOSTILE,), n=12),
)


@pytest.fixture
def traded(database: str) -> str:
    """Four closed trades: AAPL's rise from a state of 0.5 on, MSFT's falls in a bear market."""
    with writing(database) as session:
        build.found_desk(session)
        for number, (symbol, pnl, regime, rsi) in enumerate(
            (
                ("AAPL", "100.00", Direction.BULL, 28.0),
                ("AAPL", "50.00", Direction.BULL, 35.0),
                ("MSFT", "-70.00", Direction.BEAR, 30.0),
                ("MSFT", "-10.00", Direction.BEAR, None),
            )
        ):
            made = build.propose(
                session, terms(symbol=symbol, entry_session=SESSIONS[number + 1]), **build.approved()
            )
            argued = session.get_one(Deliberation, made.deliberation_id)
            argued.base_rate, argued.pooled = 0.5, 0.6
            left = build.position(made, state=PositionState.CLOSED, closed_session=SESSIONS[number + 2])
            session.add(left)
            session.flush()
            order = build.order(made, state=OrderState.FILLED)
            session.add(order)
            session.flush()
            session.add(build.fill(order, left, "162.50", reference_price=Decimal("162.00")))
            session.add(
                build.outcome(
                    left,
                    pnl,
                    market_regime=regime,
                    rsi_at_entry=rsi,
                    vix_at_entry=Decimal("19.99"),
                    r_multiple=float(pnl) / 100,
                    state_vector=[0.5 - number / 10] * 8,
                    exit_time=CLOSE + timedelta(days=number),
                )
            )
    return database


async def test_a_trade_is_known_with_all_that_filters_ask_about(traded: str) -> None:
    async with build.transaction(traded) as session:
        first, *_, last = await AgentMemory(session).trades_known(before=LATER)
    assert (first.symbol, first.sector, first.setup) == ("AAPL", "Technology", SetupType.OVERSOLD_BOUNCE)
    assert (first.regime, first.volatility, first.exit_reason) == (
        Direction.BULL,
        Volatility.NORMAL_VOL,
        ExitReason.TAKE_PROFIT,
    )
    assert (first.entered, first.closed, first.r) == (SESSIONS[1], SESSIONS[2], 1.0)
    assert (first.rsi, first.vix, last.rsi) == (28.0, 19.99, None)
    assert first.stances == ((AgentName.NEWS, Stance.ABSTAIN), (AgentName.RESEARCH, Stance.FOR))
    assert first.conviction == 0.75  # of those that were for it


async def test_no_trade_is_known_before_it_closed_nor_before_the_desk_knew_it(traded: str) -> None:
    async with build.transaction(traded) as session:
        memory = AgentMemory(session)
        for count in range(5):
            before = CLOSE + timedelta(days=count)
            assert len(await memory.trades_known(before=before)) == count
            resolved = await memory.resolved(before=before, most=9)
            assert [argument.won for argument in resolved] == [True, True, False, False][:count]
    execute(traded, "update trade_outcomes set created_at = %s where symbol = 'MSFT'", LATER)
    async with build.transaction(traded) as session:
        memory = AgentMemory(session)
        assert len(await memory.trades_known(before=LATER - timedelta(seconds=1))) == 2
        assert len(await memory.trades_known(before=LATER)) == 4


async def test_the_nearest_trades_are_nearest_among_those_that_are_meant(traded: str) -> None:
    async with build.transaction(traded) as session:
        memory = AgentMemory(session)
        every = await memory.trades_known(before=LATER)
        ids = [trade.id for trade in every]
        near = await memory.past_trades(ids, most=2, like=[0.2] * 8)
        assert [trade.distance for trade in near] == pytest.approx([0.0, 0.1 * 8**0.5], abs=1e-6)
        bull = await memory.past_trades(ids[:2], most=2, like=[0.2] * 8)
        assert [trade.symbol for trade in bull] == ["AAPL", "AAPL"]
        latest = await memory.past_trades(ids, most=1)
        assert (latest[0].r_multiple, latest[0].distance) == (-0.1, None)
        assert await memory.past_trades([], most=1) == []


async def test_the_last_candidate_of_a_kind_is_no_example_of_itself(traded: str) -> None:
    with writing(traded) as session:
        session.add(build.reading(SESSIONS[3], Direction.BEAR))
    async with build.transaction(traded) as session:
        memory = AgentMemory(session)
        ids = [trade.id for trade in await memory.trades_known(before=LATER)]
        last = await memory.last_candidate(CandidateWanted(symbols={"AAPL"}), before=LATER)
        assert last is not None and (last.symbol, last.session) == ("AAPL", SESSIONS[1])
        others = await memory.past_trades(ids, most=9, like=[0.4] * 8, but=last.deliberation_id)
        assert [trade.r_multiple for trade in others] == [-0.7, 1.0, -0.1]
        bear = await memory.last_candidate(
            CandidateWanted(setup=SetupType.OVERSOLD_BOUNCE, regime=Direction.BEAR), before=LATER
        )
        assert bear is not None and bear.session == SESSIONS[3]
        for none in (
            CandidateWanted(setup=SetupType.BREAKOUT),
            CandidateWanted(volatility=Volatility.HIGH_VOL),
            CandidateWanted(symbols={HOSTILE}),
        ):
            assert await memory.last_candidate(none, before=LATER) is None
        assert await memory.last_candidate(CandidateWanted(), before=CLOSE) is None


async def test_the_last_outcomes_are_what_the_pool_learns_from(traded: str) -> None:
    async with build.transaction(traded) as session:
        found = await AgentMemory(session).resolved(before=LATER, most=3)
    assert [argument.won for argument in found] == [True, False, False]
    (news, research) = found[0].votes  # the risk manager has no vote
    assert (news.agent, news.stance, news.conviction) == (AgentName.NEWS, Stance.ABSTAIN, None)
    assert (research.agent, research.stance, research.conviction) == (AgentName.RESEARCH, Stance.FOR, 0.75)
    assert (found[0].base_rate, found[0].pooled) == (0.5, 0.6)


async def test_a_trade_carries_its_slippage_its_dividends_and_its_models(traded: str) -> None:
    with writing(traded) as session:
        held = scalar(traded, "select id from positions where symbol = 'AAPL' order by entry_session limit 1")
        session.add(
            CashEvent(
                kind=CashKind.DIVIDEND,
                amount=Decimal("6.30"),
                position_id=held,
                session=SESSIONS[2],
                note="",
                created_at=CLOSE,
            )
        )
    eve = scalar(traded, "select min(created_session) from approvals")
    async with build.transaction(traded) as session:
        memory = AgentMemory(session)
        for symbol, about in (("AAPL", eve), ("AAPL", eve), ("MSFT", eve), ("AAPL", None)):
            await memory.store_interaction(replace(CALL, symbol=symbol, session=about), now=CLOSE)
        first = (await memory.trade_records(most=9))[-1]
        assert len(await memory.trade_records(most=2)) == 2
    assert (first.decision_close, first.entry_reference, first.entry_fill) == (
        Decimal("162.0000"),
        Decimal("162.0000"),
        Decimal("162.5000"),
    )
    assert (first.dividends, first.model_usd, first.exit_fill) == (Decimal("6.30"), Decimal("0.0250"), None)
    assert first.net == Decimal("100.00") + Decimal("6.30") - Decimal("0.0250")
    assert first.tags == ("oversold_bounce", "BULL", "NORMAL_VOL", "take_profit", "history", "v1")


async def test_an_outcome_is_written_on_its_row_and_asked_for_once(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
        session.add_all([build.screened(day, "AAPL", "61.50") for day in SESSIONS[:3]])
    due = {Horizon.SESSIONS_5: [SESSIONS[0], SESSIONS[1]], Horizon.DAYS_30: [SESSIONS[0]], Horizon.DAYS_7: []}
    async with build.transaction(database) as session:
        memory = AgentMemory(session)
        rows = await memory.unmeasured_screens(due)
        assert sorted((row.session, row.horizon) for row in rows) == sorted(
            [
                (SESSIONS[0], Horizon.SESSIONS_5),
                (SESSIONS[1], Horizon.SESSIONS_5),
                (SESSIONS[0], Horizon.DAYS_30),
            ]
        )
        (first,) = {row.id for row in rows if row.session == SESSIONS[0]}
        both = {Horizon.SESSIONS_5: 0.015, Horizon.DAYS_30: 0.015}
        await memory.store_screen_outcomes({first: both})
        await memory.store_screen_outcomes({first: {Horizon.SESSIONS_5: 9.0}})  # what is known stays
        await memory.store_screen_outcomes({})
        again = await memory.unmeasured_screens(due)
        assert [(row.session, row.horizon) for row in again] == [(SESSIONS[1], Horizon.SESSIONS_5)]
        assert await memory.unmeasured_screens({}) == []
        known = await memory.screen_outcomes(last=SESSIONS[1])
    assert [(row.session, row.outcome_5s, row.outcome_30d, row.outcome_7d) for row in known] == [
        (SESSIONS[0], 0.015, 0.015, None),
        (SESSIONS[1], None, None, None),
    ]


async def test_a_call_is_kept_whole_and_found_again(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
    async with build.transaction(database) as session:
        memory = AgentMemory(session)
        kept = await memory.store_interaction(CALL, now=CLOSE)
        failed = replace(CALL, agent=AgentName.NEWS, success=False, error_message=HOSTILE)
        await memory.store_interaction(failed, now=CLOSE + timedelta(seconds=1))
    async with build.transaction(database) as session:
        memory = AgentMemory(session)
        whole = await memory.interaction(kept)
        assert whole is not None and whole.output_result == {"content": HOSTILE}
        assert await memory.interaction(uuid7()) is None
        every = await memory.interactions(most=10)
        assert [(row.agent, row.symbol, row.tokens) for row in every] == [
            (AgentName.NEWS, "AAPL", 1200),
            (AgentName.RESEARCH, "AAPL", 1200),
        ]
        assert [row.error for row in await memory.interactions(failed=True, most=10)] == [HOSTILE]
        assert len(await memory.interactions(agent=AgentName.RISK, most=10)) == 0
        spend = await memory.model_spend(agent=AgentName.NEWS)
        assert (spend.calls, spend.cost_usd) == (1, Decimal("0.0125"))
        assert (await memory.model_spend()).cost_usd == Decimal("0.025")
        await memory.store_metrics(SESSIONS[0], now=CLOSE)
    with writing(database) as session:
        costs = {row.agent_name: row.cost_usd for row in session.query(AgentMetric)}
    assert costs == {AgentName.NEWS: Decimal("0.0125"), AgentName.RESEARCH: Decimal("0.0125")}


async def test_a_change_is_proposed_measured_and_listed(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
    measure = AdjustmentMeasure(
        outcome=AdjustmentOutcome.NEUTRAL,
        sharpe_before=0.4,
        sharpe_after=None,
        win_rate_before=0.5,
        win_rate_after=0.55,
    )
    async with build.transaction(database) as session:
        memory = AgentMemory(session)
        made = await memory.store_adjustment(CHANGE, now=CLOSE)
        await memory.store_adjustment_outcome(made, measure, now=LATER)
        (row,) = await memory.adjustments(most=5)
        assert await memory.adjustments(status=AdjustmentStatus.APPLIED, most=5) == []
    assert (row.id, row.parameter, row.reasoning, row.confidence) == (made, CHANGE.parameter, HOSTILE, 61.5)
    assert (row.status, row.outcome, row.measured_at) == (
        AdjustmentStatus.PROPOSED,
        AdjustmentOutcome.NEUTRAL,
        LATER,
    )
    assert (row.sharpe_before, row.sharpe_after, row.win_rate_after) == (0.4, None, 0.55)


async def test_a_confidence_beyond_a_hundred_is_refused(database: str) -> None:
    with writing(database) as session:
        build.found_desk(session)
    with pytest.raises(IntegrityError, match="confidence_score"):
        async with build.transaction(database) as session:
            await AgentMemory(session).store_adjustment(replace(CHANGE, confidence=100.5), now=CLOSE)


async def test_a_figure_logged_again_replaces_the_first(database: str) -> None:
    async with build.transaction(database) as session:
        memory = AgentMemory(session)
        for value in (0.5, 0.25):
            await memory.log_metric(AgentName.NEWS, "pool weight", value, session=SESSIONS[0], now=CLOSE)
        await memory.log_metric(AgentName.NEWS, HOSTILE, 1.0, session=SESSIONS[1], now=CLOSE)
        found = await memory.measurements(AgentName.NEWS, most=9)
        assert await memory.measurements(AgentName.RISK, most=9) == []
    assert [(row.session, row.name, row.value) for row in found] == [
        (SESSIONS[1], HOSTILE, 1.0),
        (SESSIONS[0], "pool weight", 0.25),
    ]


async def test_a_span_holds_what_was_entered_and_closed_under_the_versions_asked_for(traded: str) -> None:
    with writing(traded) as session:
        session.add_all([build.equity(day, "100100.00", day_return=0.001) for day in SESSIONS[:4]])
    newer = "insert into parameter_versions (version, parameters, limits, costs, screen, reason, created_at)"
    older = "select 2, parameters, limits, costs, screen, '', now() from parameter_versions"
    build.execute(traded, f"{newer} {older}")
    build.execute(traded, "update trade_outcomes set entry_time = exit_time - interval '1 day'")
    build.execute(traded, "update trade_outcomes set parameters_version = 2 where r_multiple < 0")
    async with build.transaction(traded) as session:
        memory, end = AgentMemory(session), CLOSE + timedelta(days=3)
        span = await memory.span(CLOSE, end)
        after, before = await memory.span(CLOSE, end, since=2), await memory.span(CLOSE, end, before=2)
    assert span.r == (0.5, -0.7)
    assert span.returns == (0.001, 0.001, 0.001)
    assert (before.r, after.r) == ((0.5,), (-0.7,))
