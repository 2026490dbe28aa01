"""A replay, whole: deterministic, resumable, balanced, answered by whom it should be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType

import psycopg
import pytest

from agents.market.history import HistoryPack
from app.commands.replay_order import FIRST_DESK
from app.runtime.founding import remove_history, sessions_of
from app.runtime.outage import through_outages
from storage.desk import Desk
from storage.errors import DatabaseAway, DeskTaken, OperatorError
from storage.records import ApprovalState, Operator, OrderState, RejectReason, VerdictMode
from storage.server import EmbeddedDatabases, ServedDatabases
from storage.snapshot import ApprovalRow, DeskSnapshot
from tests.app.books import assert_books_balance, prepare, report_of, run_through

FIRST, LAST = date(2007, 1, 3), date(2007, 2, 28)
OPERATOR = Operator(name="ada", tty="/dev/pts/1")


@pytest.fixture(scope="module")
def whole(databases: EmbeddedDatabases, sample: HistoryPack) -> str:
    """A replay that nothing disturbed."""
    return asyncio.run(run_through(databases, sample, FIRST, LAST))


@pytest.mark.long
async def test_two_runs_agree_and_their_books_balance(
    databases: EmbeddedDatabases, sample: HistoryPack, whole: str
) -> None:
    other = await run_through(databases, sample, FIRST, LAST)

    assert report_of(other) == report_of(whole)
    report = report_of(whole)
    assert report.trades > 5
    assert {"held", "protections", "sector", "setup"} <= set(report.denials)  # six names, five of one sector
    assert_books_balance(whole)


@pytest.mark.long
async def test_a_replay_stopped_again_and_again_ends_as_one_that_was_not(
    databases: EmbeddedDatabases, sample: HistoryPack, whole: str
) -> None:
    conninfo, run = await prepare(databases, sample, FIRST, LAST, desk="stopped")
    finished, lives_s = False, 0.0
    while not finished:
        stop = asyncio.Event()
        lives_s += 0.3  # ever longer, so that a slow machine gets there as well
        asyncio.get_running_loop().call_later(lives_s, stop.set)
        finished = await run.run(stop)
        _, run = await prepare(databases, sample, FIRST, LAST, desk="stopped")

    assert report_of(conninfo) == report_of(whole)
    assert_books_balance(conninfo)


async def test_when_everything_is_rejected_nothing_is_traded(
    databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    conninfo = await run_through(databases, sample, FIRST, date(2007, 1, 12), verdicts=VerdictMode.REJECT)

    report = report_of(conninfo)
    assert (report.trades, report.win_rate, report.final_equity) == (0, None, report.start_equity)


@pytest.mark.long
async def test_the_clock_stands_still_until_a_human_answers(
    databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    conninfo, run = await prepare(
        databases, sample, FIRST, LAST, verdicts=VerdictMode.ASK, ask_timeout_s=60, undo_s=1
    )
    stop = asyncio.Event()
    running = asyncio.create_task(run.run(stop))
    with Desk(conninfo) as desk:
        asked = await _first_pending(desk)
        session = (await _snapshot(desk)).header.session
        await asyncio.sleep(0.5)
        assert (await _snapshot(desk)).header.session == session

        receipt = await asyncio.to_thread(
            desk.approve, asked.id, digest=asked.digest, typed_id=asked.short_id, operator=OPERATOR
        )
        assert receipt.accepted
        taken_back = await asyncio.to_thread(desk.undo, asked.id, operator=OPERATOR)
        assert taken_back.accepted
        again = await asyncio.to_thread(
            desk.approve, asked.id, digest=asked.digest, typed_id=asked.short_id, operator=OPERATOR
        )
        assert again.accepted
        await _reject_what_waits(desk)
        while (filled := (await _snapshot(desk)).positions) == ():
            await asyncio.sleep(0.05)
    stop.set()
    await running

    assert [position.symbol for position in filled] == [asked.terms.symbol]
    assert asked.terms.min_entry <= filled[0].entry_price <= asked.terms.max_entry
    assert_books_balance(conninfo)


@pytest.mark.long
async def test_what_nobody_answers_in_time_is_rejected_by_the_clock(
    databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    conninfo, run = await prepare(
        databases, sample, FIRST, date(2007, 1, 12), verdicts=VerdictMode.ASK, ask_timeout_s=0.1
    )
    assert await run.run(asyncio.Event())

    with Desk(conninfo) as desk:
        snapshot = await _snapshot(desk)
    assert snapshot.approvals
    assert {(row.state, row.decided_by) for row in snapshot.approvals} == {
        (ApprovalState.REJECTED, "the clock")
    }


async def test_only_one_process_drives_a_desk(
    databases: EmbeddedDatabases, sample: HistoryPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runtime.replay.DRIVER_PATIENCE_S", 0.2)
    _, run = await prepare(
        databases, sample, FIRST, LAST, desk="contested", verdicts=VerdictMode.ASK, ask_timeout_s=60
    )
    _, rival = await prepare(
        databases, sample, FIRST, LAST, desk="contested", verdicts=VerdictMode.ASK, ask_timeout_s=60
    )
    stop = asyncio.Event()
    running = asyncio.create_task(run.run(stop))
    await asyncio.sleep(0.3)
    with pytest.raises(DeskTaken):
        await rival.run(asyncio.Event())
    with pytest.raises(DeskTaken):
        databases.drop_desk("contested")
    stop.set()
    assert not await running


async def test_a_desk_refuses_another_history(databases: EmbeddedDatabases, sample: HistoryPack) -> None:
    await prepare(databases, sample, FIRST, LAST, desk="mine")
    with pytest.raises(OperatorError, match="holds another replay"):
        await prepare(databases, sample, FIRST, date(2007, 6, 29), desk="mine")


@pytest.mark.long
async def test_what_quorum_alone_opens_proposes_within_fifteen_sessions(
    databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    first = FIRST_DESK.first
    assert first is not None
    fifteen = sessions_of(sample, first, None)[:15]
    conninfo = await run_through(databases, sample, first, fifteen[-1])

    with psycopg.connect(conninfo) as connection:
        row = connection.execute("select count(*), min(session) from deliberations where proposed").fetchone()
        regimes = connection.execute("select count(*) from regime_readings").fetchone()
    assert row is not None
    assert row[0] >= 1
    assert regimes == (15,)  # the indicators were warm from the first session


@pytest.mark.long
def test_every_trade_names_its_parameters_and_the_market_it_was_taken_in(whole: str) -> None:
    with psycopg.connect(whole) as connection:
        trades = connection.execute(
            """select parameters_version, market_regime, vix_at_entry, rsi_at_entry,
                      vector_dims(state_vector), mae_r, mfe_r, r_multiple, fees, setup_type
                 from trade_outcomes"""
        ).fetchall()
    assert {trade[-1] for trade in trades} >= {"oversold_bounce", "momentum"}
    for version, regime, vix, rsi, size, mae, mfe, r, fees, setup in trades:
        assert (version, vix, size, fees) == (1, None, 8, Decimal("2.00"))  # the sample has no VIX
        assert regime in ("BULL", "BEAR", "SIDEWAYS")
        low, high = {"oversold_bounce": (0, 38), "momentum": (40, 60), "breakout": (0, 100)}[setup]
        assert low < rsi <= high
        assert mae <= 0 <= mfe
        assert mae - 0.5 <= r <= mfe + 0.5


async def _first_pending(desk: Desk) -> ApprovalRow:
    while not (pending := (await _snapshot(desk)).pending):
        await asyncio.sleep(0.05)
    return pending[0]


async def _reject_what_waits(desk: Desk) -> None:
    """The clock stands still as long as anything is unanswered."""
    for other in (await _snapshot(desk)).pending:
        receipt = await asyncio.to_thread(
            desk.reject, other.id, digest=other.digest, reason=RejectReason.OTHER, operator=OPERATOR
        )
        assert receipt.accepted


async def _snapshot(desk: Desk) -> DeskSnapshot:
    snapshot = await asyncio.to_thread(desk.snapshot)
    assert snapshot is not None
    return snapshot


@pytest.mark.long
async def test_terms_changed_after_the_verdict_are_not_traded(
    databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    conninfo, run = await prepare(
        databases, sample, FIRST, date(2007, 1, 12), verdicts=VerdictMode.ASK, ask_timeout_s=60, undo_s=1
    )
    stop = asyncio.Event()
    running = asyncio.create_task(run.run(stop))
    with Desk(conninfo) as desk:
        asked = await _first_pending(desk)
        await asyncio.to_thread(
            desk.approve, asked.id, digest=asked.digest, typed_id=asked.short_id, operator=OPERATOR
        )
        await asyncio.to_thread(_enlarge, conninfo, asked)
        await _reject_what_waits(desk)
        while not (row := _row(await _snapshot(desk), asked)).order_state:
            await asyncio.sleep(0.05)
        while (row := _row(await _snapshot(desk), asked)).order_state is OrderState.RESTING:
            await asyncio.sleep(0.05)
        snapshot = await _snapshot(desk)
    stop.set()
    await running
    assert row.order_state is OrderState.SKIPPED
    assert "not those that were approved" in row.order_note
    assert asked.terms.symbol not in {position.symbol for position in snapshot.positions}


@pytest.mark.long
async def test_everything_said_about_a_proposal_stays_on_record(
    databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    conninfo, run = await prepare(
        databases, sample, FIRST, date(2007, 1, 12), verdicts=VerdictMode.ASK, ask_timeout_s=1, undo_s=30
    )
    stop = asyncio.Event()
    running = asyncio.create_task(run.run(stop))
    with Desk(conninfo) as desk:
        asked = await _first_pending(desk)
        approved = await asyncio.to_thread(
            desk.approve, asked.id, digest=asked.digest, typed_id="", operator=OPERATOR
        )
        undone = await asyncio.to_thread(desk.undo, asked.id, operator=OPERATOR)
        assert approved.accepted and undone.accepted
        while _row(await _snapshot(desk), asked).state is ApprovalState.PENDING:
            await asyncio.sleep(0.05)
    stop.set()
    await running
    with psycopg.connect(conninfo) as connection:
        said = connection.execute(
            """select verb, given_by, given_from, digest from verdicts
                where approval_id = %s order by given_at""",
            [asked.id],
        ).fetchall()
    assert said == [
        ("approved", "ada", "/dev/pts/1", asked.digest),
        ("undone", "ada", "/dev/pts/1", asked.digest),
        ("rejected", "the clock", "", asked.digest),
    ]


@pytest.mark.long
async def test_a_trade_keeps_the_parameters_it_was_made_with(
    databases: EmbeddedDatabases, sample: HistoryPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = date(2007, 1, 31)
    conninfo, run = await prepare(databases, sample, FIRST, last, desk="tuned")
    stop = asyncio.Event()
    running = asyncio.create_task(run.run(stop))
    with Desk(conninfo) as desk:
        while not (await _snapshot(desk)).positions:
            await asyncio.sleep(0.02)
    stop.set()
    await running
    monkeypatch.setenv("QUORUM_SETUPS__OVERSOLD_BOUNCE__STOP_ATR", "3.5")
    _, run = await prepare(databases, sample, FIRST, last, desk="tuned")
    assert await run.run(asyncio.Event())
    with psycopg.connect(conninfo) as connection:
        made = connection.execute(
            """select parameters_version, strategy_params -> 'setups' -> 'oversold_bounce' ->> 'stop_atr'
                 from trade_outcomes group by 1, 2 order by 1"""
        ).fetchall()
    assert made == [(1, "2.0"), (2, "3.5")]


@pytest.mark.long
async def test_two_founders_at_once_found_one_desk(databases: EmbeddedDatabases, sample: HistoryPack) -> None:
    founded = await asyncio.gather(
        *(prepare(databases, sample, FIRST, date(2007, 1, 12), desk="twice") for _ in range(4))
    )
    assert await founded[0][1].run(asyncio.Event())
    assert_books_balance(founded[0][0])


async def test_only_a_history_is_replaced(databases: EmbeddedDatabases, sample: HistoryPack) -> None:
    conninfo, _ = await prepare(databases, sample, FIRST, LAST, desk="precious")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("update desk set kind = 'paper'")
    with pytest.raises(OperatorError, match="is paper, not history"):
        remove_history(databases, "precious")
    assert databases.has_desk("precious")


@pytest.mark.long
async def test_a_symbol_without_prices_is_sold_when_its_time_is_up(
    databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    """AMZN, a bounce bought in January 2007, stops trading the day after."""
    silent = without_bars_after(sample, "AMZN", date(2007, 1, 10))
    conninfo = await run_through(databases, silent, FIRST, date(2007, 1, 26))
    with psycopg.connect(conninfo) as connection:
        sold = connection.execute(
            """select t.exit_reason, p.closed_session, p.last_session, f.reference_price > f.price
                 from trade_outcomes t join positions p on p.id = t.position_id
                 join fills f on f.position_id = p.id and f.side = 'sell' where t.symbol = 'AMZN'"""
        ).fetchall()
    assert sold == [("time_exit", date(2007, 1, 24), date(2007, 1, 10), True)]
    assert_books_balance(conninfo)


@pytest.mark.long
async def test_a_server_that_stays_away_for_a_while_is_waited_for() -> None:
    """`ensure` itself may fail at first, as with a served database that restarts."""
    server = ComesBack(after=3)
    calls = 0

    async def work() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise DatabaseAway("the server restarts", "wait")
        return "done"

    assert await through_outages(server, work) == "done"
    assert server.asked == 3


class ComesBack(ServedDatabases):
    """A served database whose server answers the n-th time it is asked for."""

    def __init__(self, *, after: int) -> None:
        super().__init__("postgresql://nobody@127.0.0.1:1/nothing")
        self.asked = 0
        self._after = after

    def ensure(self) -> None:
        self.asked += 1
        if self.asked < self._after:
            super().ensure()  # nobody listens there


def _enlarge(conninfo: str, asked: ApprovalRow) -> None:
    """In a thread: the row may be locked by the replay that runs in the test's own loop."""
    with psycopg.connect(conninfo, autocommit=True) as vandal:
        vandal.execute(
            "update approvals set max_shares = max_shares * 5, max_risk = max_risk * 5 where id = %s",
            [asked.id],
        )


def _row(snapshot: DeskSnapshot, asked: ApprovalRow) -> ApprovalRow:
    return next(row for row in snapshot.approvals if row.id == asked.id)


def without_bars_after(pack: HistoryPack, symbol: str, last: date) -> HistoryPack:
    bars = {known: pack.bars(known) for known in pack.instruments}
    return replace(
        pack,
        digest=f"{symbol} until {last}",
        _bars=MappingProxyType({**bars, symbol: bars[symbol].upto(last)}),
    )
