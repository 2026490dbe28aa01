"""A replay, whole: deterministic, resumable, balanced, answered by whom it should be."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import psycopg
import pytest

from agents.market.history import HistoryPack
from app.commands.replay import FIRST_DESK
from app.runtime.founding import sessions_of
from storage.desk import Desk
from storage.errors import DeskTaken, OperatorError
from storage.records import ApprovalState, Operator, VerdictMode
from storage.server import EmbeddedDatabases
from storage.snapshot import ApprovalRow, DeskSnapshot
from tests.app.books import assert_books_balance, prepare, report_of, run_through

FIRST, LAST = date(2007, 1, 3), date(2007, 4, 30)
OPERATOR = Operator(name="ada", tty="/dev/pts/1")


@pytest.fixture(scope="module")
def whole(databases: EmbeddedDatabases, sample: HistoryPack) -> str:
    """A replay that nothing disturbed."""
    return asyncio.run(run_through(databases, sample, FIRST, LAST))


async def test_two_runs_agree_and_their_books_balance(
    databases: EmbeddedDatabases, sample: HistoryPack, whole: str
) -> None:
    other = await run_through(databases, sample, FIRST, LAST)

    assert report_of(other, sample) == report_of(whole, sample)
    assert report_of(whole, sample).trades > 5
    assert_books_balance(whole)


async def test_a_replay_stopped_again_and_again_ends_as_one_that_was_not(
    databases: EmbeddedDatabases, sample: HistoryPack, whole: str
) -> None:
    conninfo, run = await prepare(databases, sample, FIRST, LAST, desk="stopped")
    finished = False
    while not finished:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.7, stop.set)
        finished = await run.run(stop)
        _, run = await prepare(databases, sample, FIRST, LAST, desk="stopped")

    assert report_of(conninfo, sample) == report_of(whole, sample)
    assert_books_balance(conninfo)


async def test_when_everything_is_rejected_nothing_is_traded(
    databases: EmbeddedDatabases, sample: HistoryPack
) -> None:
    conninfo = await run_through(databases, sample, FIRST, date(2007, 2, 28), verdicts=VerdictMode.REJECT)

    report = report_of(conninfo, sample)
    assert (report.trades, report.win_rate, report.final_equity) == (0, None, report.start_equity)


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
        while (filled := (await _snapshot(desk)).positions) == ():
            await asyncio.sleep(0.05)
    stop.set()
    await running

    assert [position.symbol for position in filled] == [asked.terms.symbol]
    assert asked.terms.min_entry <= filled[0].entry_price <= asked.terms.max_entry
    assert_books_balance(conninfo)


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


def test_every_trade_names_its_parameters_and_the_market_it_was_taken_in(whole: str) -> None:
    with psycopg.connect(whole) as connection:
        trades = connection.execute(
            """select parameters_version, market_regime, vix_at_entry, rsi_at_entry,
                      vector_dims(state_vector), mae_r, mfe_r, r_multiple, fees from trade_outcomes"""
        ).fetchall()
    for version, regime, vix, rsi, size, mae, mfe, r, fees in trades:
        assert (version, vix, size, fees) == (1, None, 8, Decimal("2.00"))  # the sample has no VIX
        assert regime in ("BULL", "BEAR", "SIDEWAYS")
        assert 0 < rsi <= 38
        assert mae <= 0 <= mfe
        assert mae - 0.5 <= r <= mfe + 0.5


async def _first_pending(desk: Desk) -> ApprovalRow:
    while not (pending := (await _snapshot(desk)).pending):
        await asyncio.sleep(0.05)
    return pending[0]


async def _snapshot(desk: Desk) -> DeskSnapshot:
    snapshot = await asyncio.to_thread(desk.snapshot)
    assert snapshot is not None
    return snapshot
