"""The desk as one picture: every field a screen shows, read back from a small desk of known values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.desk import Desk
from storage.memory import AgentMemory
from storage.models import CorporateActionRow
from storage.records import (
    ActionKind,
    AgentName,
    ApprovalState,
    DeskKind,
    DeskState,
    Direction,
    ExitReason,
    LimitCheck,
    OperationKind,
    OrderState,
    PositionState,
    Queue,
    Recommendation,
    RunState,
    Slot,
    Stance,
    ThesisKind,
    VerdictMode,
    Volatility,
)
from storage.snapshot import (
    LEADER_SILENT_S,
    AgentRow,
    DeskHeader,
    DeskSnapshot,
    EquityRow,
    LeaderRow,
    OperationRow,
    QueueRow,
    RegimeRow,
    RunRow,
    SlotRow,
    SpendRow,
    TradeRow,
    TradeTotals,
    VoteRow,
)
from storage.snapshot_approvals import DECIDED_SHOWN, read_approval
from storage.snapshot_book import EQUITY_SHOWN
from storage.snapshot_query import CLOSES_SHOWN, OPERATIONS_SHOWN, RUNS_SHOWN, WORKER_GONE_S
from tests.storage import desk_builder as build
from tests.storage.desk_builder import CLOSE, SESSIONS, execute, terms, writing


def snapshot(conninfo: str) -> DeskSnapshot:
    desk = Desk(conninfo)
    try:
        taken = desk.snapshot()
    finally:
        desk.close()
    assert taken is not None
    return taken


@pytest.fixture
def founded(database: str) -> str:
    """The connection string of a desk with nothing but its founding."""
    with writing(database) as session:
        build.found_desk(session)
    return database


@pytest.fixture
def paper(database: str) -> str:
    """The connection string of a desk of the present with nothing but its founding."""
    with writing(database) as session:
        build.found_paper(session)
    return database


def test_an_empty_database_has_no_snapshot(database: str) -> None:
    desk = Desk(database)
    assert desk.snapshot() is None
    desk.close()


def test_a_desk_just_founded_shows_itself_and_nothing_else(founded: str) -> None:
    taken = snapshot(founded)
    assert taken.header == DeskHeader(
        name="small",
        kind=DeskKind.HISTORY,
        state=DeskState.RUNNING,
        verdict_mode=VerdictMode.ASK,
        history_title="A small history",
        survivors=True,
        first_session=SESSIONS[0],
        last_session=SESSIONS[-1],
        session=None,
        desk_time=CLOSE,
        clock_speed=1.0,
        host_seen_at=None,
        start_equity=Decimal("100000.00"),
        sessions_done=0,
        sessions_total=10,
    )
    assert abs(taken.taken_at - datetime.now(UTC)) < timedelta(seconds=10)
    assert taken.regime is None
    assert (taken.watch, taken.approvals, taken.positions, taken.trades) == ((), (), (), ())
    assert (taken.equity, taken.agents, taken.runs, taken.pending) == ((), (), (), ())
    assert (taken.leader, taken.led, taken.schedule, taken.operations) == (None, False, (), ())
    assert taken.queues == (
        QueueRow(queue=Queue.IO, waiting=0, running=0, workers=0),
        QueueRow(queue=Queue.COMPUTE, waiting=0, running=0, workers=0),
    )
    assert taken.totals == TradeTotals(trades=0, wins=0, mean_r=None, max_drawdown=0.0, denials=())
    assert taken.quota is None
    assert taken.spend == SpendRow(today_usd=Decimal(0), month_usd=Decimal(0), total_usd=Decimal(0), calls=0)


def test_the_header_counts_the_days_done(founded: str) -> None:
    with writing(founded) as session:
        for day in SESSIONS[:3]:
            session.add_all([build.run(day, Slot.SETTLE, 1), build.run(day, Slot.DIGEST, 5)])
        session.add(build.run(SESSIONS[3], Slot.SETTLE, 1))
        session.add(build.run(SESSIONS[4], Slot.CUTOFF))
    header = snapshot(founded).header
    assert (header.session, header.sessions_done) == (SESSIONS[3], 3)


# -- regime --------------------------------------------------------------------------------------------------


def test_the_regime_is_the_newest_reading(founded: str) -> None:
    with writing(founded) as session:
        session.add(build.reading(SESSIONS[0], Direction.BULL))
        session.add(build.reading(SESSIONS[1], Direction.BEAR, since=SESSIONS[1], standing=1))
    assert snapshot(founded).regime == RegimeRow(
        session=SESSIONS[1],
        direction=Direction.BEAR,
        volatility=Volatility.NORMAL_VOL,
        bear_probability=0.25,
        index_symbol="^GSPC",
        index_close=2700.0,
        sma200=2500.0,
        distance=2700.0 / 2500.0 - 1,
        volatility_source="^VIX 10-day mean",
        volatility_value=16.5,
        since=SESSIONS[1],
        standing=1,
    )


# -- watch ---------------------------------------------------------------------------------------------------


def test_the_watchlist_is_the_last_screen_with_what_is_held_or_proposed(founded: str) -> None:
    with writing(founded) as session:
        session.add_all(
            [build.instrument(symbol, f"{symbol} Inc.") for symbol in ("HELD", "OLD", "DONE", "LOW")]
        )
        session.add_all([*build.bars("AAPL", ["160", "161", None, "163.30"]), *build.bars("MSFT", ["90"])])
        session.add_all([build.run(SESSIONS[1], Slot.SCREEN), build.run(SESSIONS[2], Slot.SCREEN)])
        session.add(build.screened(SESSIONS[1], "OLD", "99"))
        session.add(build.screened(SESSIONS[2], "LOW", "41.25", technical_snapshot={}))
        session.add(
            build.screened(
                SESSIONS[2],
                "AAPL",
                "87.5",
                thesis=ThesisKind.BULLISH,
                confidence=Decimal("72.50"),
                source="rules",
                reasoning="above its average",
            )
        )
        build.propose(session, terms(symbol="MSFT"))
        session.add(build.position(build.propose(session, terms(symbol="HELD"), **build.approved())))
        build.propose(session, terms(symbol="DONE"), **build.approved(state=ApprovalState.REJECTED))
    apple, low, held, proposed = snapshot(founded).watch
    assert [row.symbol for row in (apple, low, held, proposed)] == ["AAPL", "LOW", "HELD", "MSFT"]
    assert (apple.name, apple.sector) == ("Apple Inc.", "Technology")
    assert apple.closes == (160.0, 161.0, 163.3)
    assert (apple.close, apple.bar_session) == (163.3, SESSIONS[3])
    assert apple.change == pytest.approx(163.3 / 161 - 1)
    assert (apple.score, apple.rsi14, apple.held) == (87.5, 28.5, False)
    assert (apple.thesis, apple.confidence, apple.source) == (ThesisKind.BULLISH, 72.5, "rules")
    assert apple.reasoning == "above its average"
    assert (low.rsi14, low.close, low.change, low.bar_session, low.closes) == (None, None, None, None, ())
    assert (low.thesis, low.confidence, low.source, low.reasoning) == (None, None, "", "")
    assert (held.held, held.score) == (True, None)
    assert (proposed.held, proposed.close, proposed.change) == (False, 90.0, None)


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({"universe": 9, "with_data": 9, "passed": 1, "failures": {}}, "reached 'thesis', was MSFT"),
        ({"universe": "many", "with_data": 9, "passed": 1, "failures": {}}, "many"),
        ({"universe": 9, "with_data": 9, "passed": 1, "failures": {"fresh": None}}, "None"),
        ({"failures": {}}, "universe"),
    ],
)
def test_an_evening_whose_rows_do_not_fit_says_so_and_the_rest_is_shown(
    founded: str, figures: dict[str, object], why: str
) -> None:
    with writing(founded) as session:
        session.add(build.run(SESSIONS[0], Slot.SCREEN, result=figures))
        session.add(build.screened(SESSIONS[0], "AAPL", "90", selected_for_watchlist=True))
        build.deliberate(session, "MSFT", SESSIONS[0])
    taken = snapshot(founded)
    assert [row.symbol for row in taken.watch] == ["AAPL"]
    assert taken.evening is not None
    assert [row.symbol for row in taken.evening.argued] == ["MSFT"]
    assert taken.evening.funnel.sentence.startswith("The evening cannot be counted")
    assert why in taken.evening.funnel.sentence


def split(day: date, value: str, symbol: str = "AAPL", **changes: Any) -> CorporateActionRow:
    values: dict[str, Any] = {
        "symbol": symbol,
        "ex_date": day,
        "kind": ActionKind.SPLIT,
        "value": Decimal(value),
        "source": "test",
        "late": False,
        "note": "not held",
        "created_at": CLOSE,
    }
    return CorporateActionRow(**values | changes)


def test_a_split_is_no_fall_on_the_watchlist(founded: str) -> None:
    with writing(founded) as session:
        session.add_all([build.screened(SESSIONS[0], "AAPL", "90"), build.run(SESSIONS[0], Slot.SCREEN)])
        session.add_all(build.bars("AAPL", ["160", "168", "42.5", "42.5"]))
        session.add_all(
            [
                split(SESSIONS[2], "4"),
                split(SESSIONS[3], "1000"),  # absurd: refused wherever it is seen
                split(SESSIONS[3], "2", "MSFT"),
                split(SESSIONS[4], "2"),  # of a day whose bar is not there yet
                split(SESSIONS[1], "0.50", kind=ActionKind.DIVIDEND),
            ]
        )
    (apple,) = snapshot(founded).watch
    assert (apple.close, apple.change) == (42.5, 0.0)
    assert apple.closes == pytest.approx((40, 42, 42.5, 42.5))
    execute(founded, "delete from bars where session = %s", SESSIONS[3])
    (apple,) = snapshot(founded).watch
    assert apple.change == pytest.approx(42.5 / 42 - 1)  # on the ex-date itself


def test_a_watched_symbol_shows_its_last_closes_only(founded: str) -> None:
    with writing(founded) as session:
        build.propose(session, terms())
    execute(
        founded,
        "insert into bars select 'AAPL', date '2017-01-01' + n, n, n, n, n, 1 from generate_series(1, 80) n",
    )
    (apple,) = snapshot(founded).watch
    assert apple.closes == tuple(float(n) for n in range(81 - CLOSES_SHOWN, 81))


# -- approvals -----------------------------------------------------------------------------------------------


def test_an_approval_shows_its_argument_whole(founded: str) -> None:
    expires = datetime(2026, 3, 2, 14, 3, tzinfo=UTC)
    with writing(founded) as session:
        made = build.propose(session, terms(), risky=True, expires_at=expires)
    (row,) = snapshot(founded).approvals
    assert (row.id, row.short_id) == (made.id, made.short_id)
    assert (row.state, row.digest, row.terms) == (ApprovalState.PENDING, terms().digest, terms())
    assert (row.risky, row.risky_reasons) == (True, ("0.6% of equity at risk",))
    assert (row.recommendation, row.reasoning) == (Recommendation.APPROVE, "oversold above its average")
    assert row.checks == (
        LimitCheck(name="risk_per_trade", limit=0.005, before=0.0, after=0.0042),
        LimitCheck(name="cash", limit=0.0, before=100_000.0, after=83_600.5),
    )
    assert row.risk_fraction == 0.0042
    assert row.votes == (
        VoteRow(
            agent=AgentName.RESEARCH,
            stance=Stance.FOR,
            conviction=0.75,
            source="rules",
            reason="research says for",
            veto_only=False,
        ),
        VoteRow(
            agent=AgentName.NEWS,
            stance=Stance.ABSTAIN,
            conviction=None,
            source="rules",
            reason="news says abstain",
            veto_only=False,
        ),
        VoteRow(
            agent=AgentName.RISK,
            stance=Stance.FOR,
            conviction=None,
            source="rules",
            reason="risk says for",
            veto_only=True,
        ),
    )
    assert row.facts == (("RSI(14)", "28.4"), ("ATR(14)", "2.10"))
    assert (row.close, row.created_session, row.expires_at) == (Decimal("162.0000"), SESSIONS[0], expires)
    assert (row.decided_by, row.decided_at, row.decision_reason, row.effective_at) == ("", None, "", None)
    assert (row.order_state, row.order_note) == (None, "")


def test_pending_approvals_come_first_then_the_latest_decided(founded: str) -> None:
    rejected = build.approved(state=ApprovalState.REJECTED)
    with writing(founded) as session:
        build.propose(session, terms(symbol="OLD", entry_session=SESSIONS[1]), **rejected)
        skipped = build.propose(session, terms(symbol="NEW", entry_session=SESSIONS[3]), **build.approved())
        session.add(build.order(skipped, state=OrderState.SKIPPED, note="gap: opened above the band"))
        build.propose(session, terms(symbol="MSFT", entry_session=SESSIONS[2]))
        build.propose(session, terms(symbol="AAPL", entry_session=SESSIONS[2]))
    taken = snapshot(founded)
    assert [row.terms.symbol for row in taken.approvals] == ["AAPL", "MSFT", "NEW", "OLD"]
    assert [row.terms.symbol for row in taken.pending] == ["AAPL", "MSFT"]
    new = taken.approvals[2]
    assert (new.state, new.order_state) == (ApprovalState.APPROVED, OrderState.SKIPPED)
    assert (new.order_note, new.decided_by) == ("gap: opened above the band", "ada")
    assert (taken.approvals[3].state, taken.approvals[3].votes) == (ApprovalState.REJECTED, new.votes)


def test_every_pending_approval_is_listed_and_of_the_decided_the_last_few(founded: str) -> None:
    with writing(founded) as session:
        for number in range(DECIDED_SHOWN + 3):
            build.propose(session, terms(symbol=f"D{number}"), **build.approved())
            build.propose(session, terms(symbol=f"P{number}"))
    taken = snapshot(founded)
    assert len(taken.pending) == DECIDED_SHOWN + 3
    assert len(taken.approvals) - len(taken.pending) == DECIDED_SHOWN


LIMIT = st.floats(min_value=1e-9, max_value=1.0) | st.just(0.0)
CENTS = st.integers(1, 10**12).map(lambda cents: Decimal(cents) / 100)
STEP = st.integers(1, 10**8).map(lambda ticks: Decimal(ticks) / 10_000)


@given(
    limits=st.dictionaries(st.text(st.characters(categories=["L", "N"])), LIMIT, max_size=5),
    risk=CENTS,
    steps=st.tuples(STEP, STEP, STEP, STEP),
    shares=st.integers(1, 2**31 - 1),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_terms_read_back_are_the_terms_stored_to_the_last_digit(
    founded: str,
    limits: dict[str, float],
    risk: Decimal,
    steps: tuple[Decimal, Decimal, Decimal, Decimal],
    shares: int,
) -> None:
    tick = Decimal("0.0001")
    stop, low, high, target = (sum(steps[: n + 1], Decimal(0)).quantize(tick) for n in range(4))
    bound = terms(
        limits=limits,
        max_risk=risk.quantize(Decimal("0.01")),
        stop=stop,
        min_entry=low,
        max_entry=high,
        target=target,
        max_shares=shares,
    )
    with writing(founded) as session:
        made = build.propose(session, bound)
    with psycopg.connect(founded) as connection:
        row = read_approval(connection, made.id)
    execute(founded, "delete from approvals; delete from deliberations")
    assert row is not None
    assert row.terms == bound
    assert row.terms.digest == row.digest == bound.digest


# -- money ---------------------------------------------------------------------------------------------------


def test_an_open_position_shows_where_it_stands(founded: str) -> None:
    with writing(founded) as session:
        session.add(build.equity(SESSIONS[2], "90000.00"))
        session.add(build.equity(SESSIONS[3], "100000.00"))
        session.add_all([build.run(day, Slot.SETTLE) for day in SESSIONS[:4]])
        session.add(build.run(SESSIONS[4], Slot.CUTOFF))
        made = build.propose(session, terms(), **build.approved())
        held = build.position(made, stop=Decimal("160.0000"))
        session.add(held)
    (row,) = snapshot(founded).positions
    assert (row.id, row.symbol, row.shares) == (held.id, "AAPL", 100)
    assert (row.entry_session, row.entry_price) == (SESSIONS[1], Decimal("162.0000"))
    assert (row.stop, row.target) == (Decimal("160.0000"), Decimal("171.2500"))
    assert (row.last_close, row.last_session) == (Decimal("164.0000"), SESSIONS[3])
    assert (row.sessions_held, row.max_hold) == (2, 10)
    assert row.unrealised == Decimal("200.00")
    assert row.r_now == pytest.approx(2 / 3.5)  # measured against the first stop, not the raised one
    assert row.heat == pytest.approx(2 * 100 / 100_000)


def test_a_stop_above_the_entry_risks_nothing(founded: str) -> None:
    with writing(founded) as session:
        session.add(build.equity(SESSIONS[3], "100000.00"))
        made = build.propose(session, terms(), **build.approved())
        session.add(build.position(made, stop=Decimal("163.0000")))
    assert snapshot(founded).positions[0].heat == 0.0


def test_a_position_is_shown_before_the_first_equity_is_marked(founded: str) -> None:
    with writing(founded) as session:
        made = build.propose(session, terms(), **build.approved())
        session.add(build.position(made, initial_stop=Decimal("162.0000")))
    (row,) = snapshot(founded).positions
    assert row.heat == pytest.approx(350 / 100_000)
    assert row.r_now == 0.0


def test_trades_come_latest_first_and_are_summed_up(founded: str) -> None:
    with writing(founded) as session:
        for symbol, closed, pnl, r in (
            ("AAPL", SESSIONS[3], "123.45", 0.5),
            ("MSFT", SESSIONS[5], "-80.00", -1.25),
            ("ZERO", SESSIONS[5], "0.00", 0.0),
        ):
            made = build.propose(session, terms(symbol=symbol), **build.approved())
            left = build.position(made, state=PositionState.CLOSED, closed_session=closed)
            session.add(left)
            session.flush()
            session.add(build.outcome(left, pnl, r_multiple=r, exit_reason=ExitReason.TIME_EXIT))
        for number, reason in enumerate(("heat", "cash", "heat", None)):
            build.deliberate(session, f"N{number}", SESSIONS[1], proposed=False, denied_by=reason)
    taken = snapshot(founded)
    assert [row.symbol for row in taken.trades] == ["MSFT", "ZERO", "AAPL"]
    assert taken.trades[2] == TradeRow(
        symbol="AAPL",
        setup_type="oversold_bounce",
        entry_session=SESSIONS[1],
        exit_session=SESSIONS[3],
        exit_reason=ExitReason.TIME_EXIT,
        shares=100,
        pnl=Decimal("123.45"),
        r_multiple=0.5,
    )
    assert taken.totals == TradeTotals(
        trades=3, wins=1, mean_r=-0.25, max_drawdown=0.0, denials=(("heat", 2), ("cash", 1))
    )
    assert taken.positions == ()


def test_equity_comes_oldest_first(founded: str) -> None:
    with writing(founded) as session:
        for day, total in ((SESSIONS[2], "101000.00"), (SESSIONS[0], "100000.00"), (SESSIONS[1], "99500.25")):
            session.add(build.equity(day, total))
    taken = snapshot(founded).equity
    assert [row.session for row in taken] == list(SESSIONS[:3])
    assert taken[1] == EquityRow(
        session=SESSIONS[1],
        equity=Decimal("99500.25"),
        cash=Decimal("83600.00"),
        heat=0.0035,
        drawdown=0.0,
        day_return=0.001,
        unsettled=Decimal(0),
        settles_on=None,
    )


def test_of_a_long_history_the_last_year_of_equity_is_shown(founded: str) -> None:
    execute(
        founded,
        "insert into equity select date '2010-01-01' + n, 1, 1, n, 0, 0, 0 from generate_series(1, 400) n",
    )
    taken = snapshot(founded).equity
    assert [row.equity for row in taken] == [Decimal(n) for n in range(401 - EQUITY_SHOWN, 401)]


# -- work ----------------------------------------------------------------------------------------------------


async def test_each_agent_shows_the_last_session_it_worked(founded: str) -> None:
    with writing(founded) as session:
        build.deliberate(session, "AAPL", SESSIONS[0])
        build.deliberate(session, "AAPL", SESSIONS[1])
        build.deliberate(session, "MSFT", SESSIONS[1])
        session.add(build.reading(SESSIONS[1], Direction.BULL))
    for day in SESSIONS[:2]:
        async with build.transaction(founded) as session:
            await AgentMemory(session).store_metrics(day, now=CLOSE)
    regime, research, news, risk = snapshot(founded).agents
    assert regime.agent is AgentName.REGIME
    assert research == AgentRow(
        agent=AgentName.RESEARCH,
        source="rules",
        last_session=SESSIONS[1],
        last_result="2 done",
        tasks=2,
        abstained=0,
        success_rate=1.0,
        latency_ms=2.0,
        symbol=None,
        working_since=None,
        paused_by=None,
        paused_at=None,
        failures=0,
        next_slot=None,
        next_due_at=None,
    )
    assert (news.last_result, news.tasks, news.abstained) == ("0 done, 2 abstained", 2, 2)
    assert (news.success_rate, news.latency_ms) == (0.0, 2.0)
    assert risk.agent is AgentName.RISK


async def test_a_day_without_work_does_not_hide_the_last_day_with_some(founded: str) -> None:
    with writing(founded) as session:
        made = build.propose(session, terms(), **build.approved())
        left = build.position(made, state=PositionState.CLOSED, closed_session=SESSIONS[3])
        session.add(left)
        session.flush()
        session.add(build.outcome(left, "120.50"))
    for day in SESSIONS[:4]:
        async with build.transaction(founded) as session:
            await AgentMemory(session).store_metrics(day, now=CLOSE)
    research = snapshot(founded).agents[0]
    assert (research.agent, research.last_session) == (AgentName.RESEARCH, SESSIONS[0])


def test_runs_come_latest_first(founded: str) -> None:
    with writing(founded) as session:
        session.add(build.run(SESSIONS[1], Slot.CUTOFF, 1))
        session.add(build.run(SESSIONS[0], Slot.DIGEST, 30))
        session.add(build.run(SESSIONS[1], Slot.SETTLE, 5))
    taken = snapshot(founded).runs
    assert [(row.session, row.slot) for row in taken] == [
        (SESSIONS[1], Slot.SETTLE),
        (SESSIONS[1], Slot.CUTOFF),
        (SESSIONS[0], Slot.DIGEST),
    ]
    assert taken[0] == RunRow(
        agent="desk",
        slot=Slot.SETTLE,
        session=SESSIONS[1],
        state=RunState.DONE,
        summary=f"settle of {SESSIONS[1]}",
        desk_time=datetime(2018, 1, 30, 21, 5, tzinfo=UTC),
        late_s=0.0,
        seconds=0.25,
        attempts=1,
        asked_by=None,
        finished_at=CLOSE,
    )


def test_a_run_that_has_not_ended_shows_what_it_has(founded: str) -> None:
    with writing(founded) as session:
        waiting = build.unfinished(RunState.QUEUED)
        session.add(build.run(SESSIONS[0], Slot.SCREEN, late_s=90.5, attempts=3, asked_by="ada", **waiting))
    (row,) = snapshot(founded).runs
    assert (row.state, row.late_s, row.attempts, row.asked_by) == (RunState.QUEUED, 90.5, 3, "ada")
    assert (row.seconds, row.finished_at, row.summary) == (None, None, "")


def test_of_many_runs_the_latest_are_shown(founded: str) -> None:
    with writing(founded) as session:
        for number in range(RUNS_SHOWN + 5):
            session.add(build.run(SESSIONS[0] + timedelta(days=number), Slot.SETTLE))
    taken = snapshot(founded).runs
    assert len(taken) == RUNS_SHOWN
    assert taken[0].session == SESSIONS[0] + timedelta(days=RUNS_SHOWN + 4)


def test_spend_counts_today_and_this_month(founded: str) -> None:
    call = """
        insert into llm_interactions (id, agent_name, input_context, model, tokens_used, input_tokens,
            output_tokens, cache_write_tokens, cache_read_tokens, thinking_tokens, cost_usd, reserved_usd,
            state, price_source, created_at)
        values (gen_random_uuid(), 'research', '{}', 'm', 0, 0, 0, 0, 0, 0, %s, 0, 'settled', 'list',
                date_trunc('month', now(), 'UTC') - %s::interval)
    """
    execute(founded, call, Decimal("0.00000123"), "1 s")
    execute(founded, call.replace("date_trunc('month', now(), 'UTC')", "now()"), Decimal("0.25"), "0 s")
    spend = snapshot(founded).spend
    assert (spend.today_usd, spend.month_usd, spend.calls) == (Decimal("0.25"), Decimal("0.25"), 2)
    assert spend.total_usd == Decimal("0.25000123")
    assert spend.standing is None
    assert [(row.agent, row.calls, row.month_usd) for row in spend.agents] == [
        (AgentName.RESEARCH, 1, Decimal("0.25"))
    ]
    assert spend.last is not None
    assert (spend.last.model, spend.last.price_source, spend.last.state) == ("m", "list", "settled")


def test_the_next_snapshot_holds_what_was_committed_since(founded: str) -> None:
    desk = Desk(founded)
    taken = desk.snapshot()
    assert taken is not None
    with writing(founded) as session:
        build.propose(session, terms())
    again = desk.snapshot()
    assert again is not None
    assert (len(taken.approvals), len(again.approvals)) == (0, 1)
    assert again.taken_at > taken.taken_at
    desk.close()


# -- the machine ---------------------------------------------------------------------------------------------


def test_the_clock_of_a_paper_desk_is_the_walls(paper: str) -> None:
    taken = snapshot(paper)
    assert taken.header.desk_time == taken.taken_at
    assert (taken.header.kind, taken.header.history_title) == (DeskKind.PAPER, "")
    assert (taken.header.last_session, taken.header.sessions_total) == (None, None)


@pytest.mark.parametrize("speed", [60.0, 1.0, 0.5])
def test_an_accelerated_clock_runs_on_from_its_anchor(paper: str, speed: float) -> None:
    start = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)
    anchor = datetime.now(UTC) - timedelta(seconds=100)
    execute(
        paper, "update desk set clock_speed = %s, clock_from = %s, clock_anchor = %s", speed, start, anchor
    )
    taken = snapshot(paper)
    expected = start + (taken.taken_at - anchor) * speed
    assert abs(taken.header.desk_time - expected) <= timedelta(microseconds=1)
    assert taken.header.clock_speed == speed


def test_the_clock_of_history_stands_where_its_last_step_left_it(founded: str) -> None:
    assert snapshot(founded).header.desk_time == CLOSE


def test_the_leader_is_shown_as_it_registered(paper: str) -> None:
    with writing(paper) as session:
        made = build.leader(stop_asked_at=CLOSE, stop_asked_by="ada")
        session.add(made)
    taken = snapshot(paper)
    assert taken.leader == LeaderRow(
        epoch=3,
        host="desk-1",
        pid=4711,
        since=made.since,
        heartbeat_at=made.heartbeat_at,
        ended_at=None,
        stop_asked_at=CLOSE,
        stop_asked_by="ada",
    )
    assert taken.led
    assert taken.header.host_seen_at == made.heartbeat_at  # the leader drives the desk


def test_a_leader_is_gone_when_it_says_so_or_falls_silent(paper: str) -> None:
    with writing(paper) as session:
        session.add(build.leader(ended_at=datetime.now(UTC)))
    taken = snapshot(paper)
    assert (taken.led, taken.leader is not None) == (False, True)
    assert taken.leader is not None
    assert taken.leader.stop_asked_by == ""
    silent = timedelta(seconds=LEADER_SILENT_S + 1)
    execute(paper, "update leadership set ended_at = null, heartbeat_at = now() - %s", silent)
    assert not snapshot(paper).led
    execute(paper, "update leadership set heartbeat_at = now() - interval '2 s'")
    assert snapshot(paper).led


def test_queues_show_their_jobs_and_the_workers_seen_lately(paper: str) -> None:
    execute(
        paper,
        "set search_path to procrastinate, public; select procrastinate_defer_jobs_v1(array["
        " row('io', 'work', 0, null, null, '{}', null)::procrastinate_job_to_defer_v1,"
        " row('io', 'work', 0, null, null, '{}', null)::procrastinate_job_to_defer_v1,"
        " row('compute', 'work', 0, null, null, '{}', null)::procrastinate_job_to_defer_v1])",
    )
    for queue, status in (
        ("io", "doing"),
        ("io", "succeeded"),
        ("compute", "failed"),
        ("compute", "cancelled"),
        ("of_somebody_else", "todo"),
    ):
        build.job(paper, queue, status)
    with writing(paper) as session:
        session.add_all([build.worker(Queue.IO, Queue.COMPUTE), build.worker(Queue.IO)])
        session.add(build.worker(Queue.COMPUTE, seen_s=WORKER_GONE_S + 5))
    assert snapshot(paper).queues == (
        QueueRow(queue=Queue.IO, waiting=2, running=1, workers=2),
        QueueRow(queue=Queue.COMPUTE, waiting=1, running=0, workers=1),
    )


def test_the_schedule_is_in_the_order_it_falls_due(paper: str) -> None:
    noon = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
    with writing(paper) as session:
        session.add(build.scheduled(Slot.SETTLE, noon + timedelta(hours=5)))
        session.add(build.scheduled(Slot.NEWS, noon, AgentName.NEWS, lacks="no news without a key"))
        session.add(build.scheduled(Slot.LEARN, noon, AgentName.LEARNING))
    taken = snapshot(paper).schedule
    assert [row.slot for row in taken] == [Slot.LEARN, Slot.NEWS, Slot.SETTLE]
    assert taken[1] == SlotRow(
        slot=Slot.NEWS,
        session=noon.date(),
        due_at=noon,
        agents=(AgentName.NEWS,),
        lacks="no news without a key",
    )
    assert taken[2].agents == ()


def test_operations_come_latest_first_and_only_the_last_few(paper: str) -> None:
    with writing(paper) as session:
        for number in range(OPERATIONS_SHOWN + 2):
            session.add(build.operation(f"number {number}", CLOSE + timedelta(minutes=number)))
        pause = {"kind": OperationKind.PAUSE, "who": "ada"}
        session.add(build.operation("news paused", CLOSE - timedelta(days=1), **pause))
        session.add(build.operation("regime paused", CLOSE + timedelta(days=1), **pause))
    taken = snapshot(paper).operations
    assert len(taken) == OPERATIONS_SHOWN
    assert taken[0] == OperationRow(
        at=CLOSE + timedelta(days=1), kind=OperationKind.PAUSE, who="ada", text="regime paused"
    )
    assert [row.text for row in taken[1:3]] == ["number 31", "number 30"]


# -- agents of a desk with a schedule ------------------------------------------------------------------------


@pytest.fixture
def scheduled(paper: str) -> str:
    """A paper desk whose evening has two slots of research and one that all but it take part in."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with writing(paper) as session:
        session.add_all(build.agent_state(agent) for agent in AgentName)
        session.add_all(
            [
                build.scheduled(Slot.SCREEN, tomorrow + timedelta(minutes=5), AgentName.RESEARCH),
                build.scheduled(
                    Slot.DELIBERATE, tomorrow, AgentName.RESEARCH, AgentName.STRATEGY, AgentName.RISK
                ),
                build.scheduled(Slot.REGIME, tomorrow - timedelta(minutes=5), AgentName.REGIME),
                build.scheduled(Slot.SETTLE, tomorrow - timedelta(minutes=10)),
            ]
        )
    return paper


def agents(conninfo: str) -> dict[AgentName, AgentRow]:
    return {row.agent: row for row in snapshot(conninfo).agents}


def test_every_agent_is_there_before_its_first_run(scheduled: str) -> None:
    taken = snapshot(scheduled)
    assert [row.agent for row in taken.agents] == list(AgentName)
    due = {row.slot: row.due_at for row in taken.schedule}
    research, news = taken.agents[1:3]
    assert research == AgentRow(
        agent=AgentName.RESEARCH,
        source="",
        last_session=None,
        last_result="",
        tasks=0,
        abstained=0,
        success_rate=None,
        latency_ms=None,
        symbol=None,
        working_since=None,
        paused_by=None,
        paused_at=None,
        failures=0,
        next_slot=Slot.DELIBERATE,
        next_due_at=due[Slot.DELIBERATE],
    )
    assert (news.next_slot, news.next_due_at) == (None, None)  # it takes part in nothing


def test_an_agent_shows_its_last_ended_run_its_work_and_its_pause(scheduled: str) -> None:
    with writing(scheduled) as session:
        session.add(build.run(SESSIONS[0], Slot.SCREEN, 1, summary="12 near a setup", seconds=1.5))
        session.add(build.run(SESSIONS[0], Slot.SETTLE, 30, summary="nobody's"))
        session.add(build.run(SESSIONS[1], Slot.SCREEN, **build.unfinished(RunState.RUNNING)))
    execute(
        scheduled,
        "update agent_states set symbol = 'AAPL', working_since = %s, paused_by = 'ada', paused_at = %s"
        " where agent_name = 'research'",
        CLOSE,
        CLOSE + timedelta(minutes=1),
    )
    by_name = agents(scheduled)
    research = by_name[AgentName.RESEARCH]
    assert (research.last_session, research.last_result) == (SESSIONS[0], "12 near a setup")
    assert research.latency_ms == pytest.approx(1500)
    assert (research.symbol, research.working_since) == ("AAPL", CLOSE)
    assert (research.paused_by, research.paused_at) == ("ada", CLOSE + timedelta(minutes=1))
    assert by_name[AgentName.STRATEGY].last_result == ""


def test_a_run_of_many_agents_is_the_last_result_of_each(scheduled: str) -> None:
    with writing(scheduled) as session:
        session.add(build.run(SESSIONS[0], Slot.SCREEN, 1))
        failed = {"state": RunState.FAILED, "summary": "the model hung up", "seconds": None}
        session.add(build.run(SESSIONS[0], Slot.DELIBERATE, 2, **failed))
    by_name = agents(scheduled)
    for name in (AgentName.RESEARCH, AgentName.STRATEGY, AgentName.RISK):
        assert (by_name[name].last_result, by_name[name].failures) == ("the model hung up", 1)
        assert by_name[name].latency_ms is None
    assert (by_name[AgentName.REGIME].last_result, by_name[AgentName.REGIME].failures) == ("", 0)


@given(
    states=st.lists(
        st.sampled_from([RunState.DONE, RunState.FAILED, RunState.SKIPPED, RunState.QUEUED]), max_size=12
    )
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_failures_in_a_row_are_those_after_the_last_run_that_was_done(
    scheduled: str, states: list[RunState]
) -> None:
    expected = 0
    with writing(scheduled) as session:
        for number, state in enumerate(states):
            expected = 0 if state is RunState.DONE else expected + (state is RunState.FAILED)
            day = SESSIONS[0] + timedelta(days=number)
            session.add(build.run(day, Slot.REGIME, state=state))
            # The failures of others do not count.
            session.add(build.run(day, Slot.DELIBERATE, 5, state=RunState.FAILED))
    found = agents(scheduled)[AgentName.REGIME].failures
    execute(scheduled, "delete from runs")
    assert found == expected


async def test_an_agent_with_a_schedule_keeps_the_counts_of_its_last_day(scheduled: str) -> None:
    with writing(scheduled) as session:
        build.deliberate(session, "AAPL", SESSIONS[0])
        session.add(build.run(SESSIONS[0], Slot.DELIBERATE, 2, summary="1 proposal", seconds=0.5))
    async with build.transaction(scheduled) as session:
        await AgentMemory(session).store_metrics(SESSIONS[0], now=CLOSE)
    research = agents(scheduled)[AgentName.RESEARCH]
    assert (research.source, research.tasks, research.success_rate) == ("rules", 1, 1.0)
    assert (research.last_result, research.latency_ms) == ("1 proposal", 500.0)
