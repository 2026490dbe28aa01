"""The desk as one picture: every field a screen shows, read back from a small desk of known values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.desk import Desk
from storage.memory import AgentMemory
from storage.records import (
    AgentName,
    ApprovalState,
    DeskKind,
    DeskState,
    Direction,
    ExitReason,
    LimitCheck,
    OrderState,
    PositionState,
    Recommendation,
    RunState,
    Slot,
    Stance,
    ThesisKind,
    VerdictMode,
    Volatility,
)
from storage.snapshot import (
    AgentRow,
    DeskHeader,
    DeskSnapshot,
    EquityRow,
    RegimeRow,
    RunRow,
    SpendRow,
    TradeRow,
    TradeTotals,
    VoteRow,
)
from storage.snapshot_query import CLOSES_SHOWN, DECIDED_SHOWN, EQUITY_SHOWN, read_approval
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
        host_seen_at=None,
        start_equity=Decimal("100000.00"),
        sessions_done=0,
        sessions_total=10,
    )
    assert abs(taken.taken_at - datetime.now(UTC)) < timedelta(seconds=10)
    assert taken.regime is None
    assert (taken.watch, taken.approvals, taken.positions, taken.trades) == ((), (), (), ())
    assert (taken.equity, taken.agents, taken.runs, taken.pending) == ((), (), (), ())
    assert taken.totals == TradeTotals(trades=0, wins=0, mean_r=None, max_drawdown=0.0, denials=())
    assert taken.quota is None
    assert taken.spend == SpendRow(today_usd=Decimal(0), month_usd=Decimal(0), calls=0)


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
        slot=Slot.SETTLE,
        session=SESSIONS[1],
        state=RunState.DONE,
        summary=f"settle of {SESSIONS[1]}",
        desk_time=datetime(2018, 1, 30, 21, 5, tzinfo=UTC),
        seconds=0.25,
    )


def test_spend_counts_today_and_this_month(founded: str) -> None:
    call = """
        insert into llm_interactions (id, agent_name, input_context, model, tokens_used, input_tokens,
            output_tokens, cache_write_tokens, cache_read_tokens, thinking_tokens, cost_usd, reserved_usd,
            state, price_source, created_at)
        values (gen_random_uuid(), 'research', '{}', 'm', 0, 0, 0, 0, 0, 0, %s, 0, 'settled', 'list',
                date_trunc('month', now()) - %s::interval)
    """
    execute(founded, call, Decimal("0.00000123"), "1 s")
    execute(founded, call.replace("date_trunc('month', now())", "now()"), Decimal("0.25"), "0 s")
    spend = snapshot(founded).spend
    assert spend == SpendRow(today_usd=Decimal("0.25"), month_usd=Decimal("0.25"), calls=2)


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
