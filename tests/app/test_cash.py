"""Money paid in or out: booked once, never more than is free, and neither a gain nor a loss to anybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from threading import Barrier

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from agents.market.calendar import add_sessions
from agents.trading.limits import EquityPoint, Limits, ladder_state, time_weighted
from app.runtime.cash import Payment, book_payment, cash_room
from app.runtime.performance import read_performance
from storage.records import CashKind, DeskState, OrderState, Slot
from storage.server import DRIVER_LOCK
from tests.app.test_runtime_commands import Here, at_a_terminal, here
from tests.runtime.conftest import rehearsal_template, rehearsed, stage
from tests.runtime.stage import FIRST, SECOND, Stage
from tests.storage import desk_builder as build
from tests.storage.desk_builder import ADA, SESSIONS, approved, execute, scalar, terms, writing

__all__ = ["here", "rehearsal_template", "rehearsed", "stage"]

DEPOSIT, WITHDRAWAL = CashKind.DEPOSIT, CashKind.WITHDRAWAL
START = Decimal("100000.00")

Flow = tuple[CashKind, Decimal]


def paying(kind: CashKind, amount: str | Decimal, *, reason: str = "test", key: str | None = None) -> Payment:
    return Payment(kind=kind, amount=Decimal(amount), reason=reason, key=key)


def book(conninfo: str, payment: Payment) -> tuple[bool, str]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        receipt = book_payment(connection, payment, ADA)
        return receipt.accepted, receipt.message


def cash_of(conninfo: str) -> Decimal:
    return Decimal(scalar(conninfo, "select coalesce(sum(amount), 0) from cash_events"))


@pytest.fixture
def paper(database: str) -> str:
    """A desk of the present with its opening balance, which has settled nothing."""
    with writing(database) as session:
        build.found_paper(session)
        session.add(build.deposit(str(START)))
    return database


FLOWS = some.lists(
    some.tuples(
        some.sampled_from([DEPOSIT, WITHDRAWAL]),
        some.integers(1, 90_000_00).map(lambda cents: Decimal(cents) / 100),
    ),
    max_size=3,
)
DAYS = some.lists(some.tuples(some.integers(-900, 900), FLOWS), min_size=2, max_size=7)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(days=DAYS)
def test_no_sequence_of_payments_is_a_gain_or_a_loss(paper: str, days: list[tuple[int, list[Flow]]]) -> None:
    """Whatever is paid before a close, the index, the ladder and the returns are those of the gains alone."""
    with psycopg.connect(paper, autocommit=True) as connection:
        connection.execute("delete from equity")
        connection.execute("delete from cash_events where note <> 'opening balance'")
        index, expected, session = Decimal(1), [Decimal(1)], SESSIONS[0]
        growth = Decimal(1)
        before = START
        for number, (basis_points, flows) in enumerate(days):
            for count, (kind, amount) in enumerate(flows):
                room, held = cash_room(connection), cash_of(paper)
                assert room.session == session and room.free == held  # nothing rests, nothing is unsettled
                receipt = book_payment(connection, paying(kind, amount, key=f"{number}.{count}"), ADA)
                allowed = kind is DEPOSIT or amount <= held
                assert receipt.accepted is allowed, receipt.message
                change = (amount if kind is DEPOSIT else -amount) if allowed else Decimal(0)
                assert cash_of(paper) == held + change >= 0
            gain = max(round(before * basis_points / 10_000, 2), -cash_of(paper))  # nobody owes money
            connection.execute(
                "insert into cash_events (id, kind, amount, session, note, created_at)"
                " values (gen_random_uuid(), 'interest', %s, %s, 'gain', now())",
                [gain, session],
            )
            if before > 0:
                growth *= (before + gain) / before
            if number:  # the first close is where the index begins
                index *= (before + gain) / before if before > 0 else 1
                expected.append(index)
            before = cash_of(paper)
            connection.execute(
                "insert into equity (session, cash, positions_value, equity, heat, day_return, drawdown)"
                " values (%s, %s, 0, %s, 0, 0, 0)",
                [session, before, before],
            )
            if before <= 0:
                break
            session = add_sessions(session, 1)
        found = read_performance(connection)
        points = [
            EquityPoint(session=row[0], equity=row[1], flow=row[2])
            for row in connection.execute(
                """select e.session, e.equity, coalesce((select sum(c.amount) from cash_events c
                           where c.kind in ('deposit', 'withdrawal') and c.session = e.session), 0)
                     from equity e order by e.session"""
            ).fetchall()
        ]
    reckoned = [point.index for point in time_weighted(points)]
    assert [float(value) for value in reckoned] == pytest.approx([float(value) for value in expected])
    ladder = ladder_state(time_weighted(points), (), (), Limits())
    highest = max(expected)
    assert float(ladder.drawdown) == pytest.approx(float(1 - expected[-1] / highest), abs=1e-9)
    assert found.total_return == pytest.approx(float(growth) - 1, abs=1e-9)


async def test_a_payment_while_a_close_is_marked_is_in_its_cash_and_its_flow_or_in_neither(
    stage: Stage,
) -> None:
    await stage.play(FIRST, Slot.SETTLE)
    async with await psycopg.AsyncConnection.connect(stage.conninfo) as watching:

        def pay(release: Barrier, booked: Barrier) -> None:
            with psycopg.connect(stage.conninfo) as connection, connection.transaction():
                assert book_payment(connection, paying(DEPOSIT, "50000.00"), ADA).accepted
                booked.wait(30)
                release.wait(30)

        release, booked = Barrier(2), Barrier(2)
        payer = asyncio.create_task(asyncio.to_thread(pay, release, booked))
        await asyncio.to_thread(booked.wait, 30)
        closing = asyncio.create_task(stage.play(SECOND, Slot.SETTLE))
        await watching.set_autocommit(True)
        for _ in range(3_000):
            waiting = await watching.execute(
                "select 1 from pg_stat_activity where datname = current_database()"
                " and wait_event_type = 'Lock'"
            )
            if await waiting.fetchone() is not None:
                break
            assert not closing.done(), "the close was marked past a payment that was being booked"
            await asyncio.sleep(0.01)
        await asyncio.to_thread(release.wait, 30)
        await asyncio.gather(payer, closing)
    close = await stage.rows("select equity, day_return, drawdown from equity where session = %s", SECOND)
    assert close == [(Decimal("150000.00"), 0.0, 0.0)]
    assert await stage.rows("select rung from ladder_readings where session = %s", SECOND) == [("full",)]


def test_a_double_press_books_once(paper: str) -> None:
    barrier = Barrier(4)

    def press(_: int) -> tuple[bool, str]:
        barrier.wait(30)
        return book(paper, paying(DEPOSIT, "250.50"))

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(press, range(4)))
    assert all(accepted for accepted, _ in answers)
    assert sum("already" in message for _, message in answers) == 3
    assert cash_of(paper) == START + Decimal("250.50")
    assert scalar(paper, "select count(*) from operations where kind = 'cash'") == 1
    assert book(paper, paying(DEPOSIT, "250.50", reason="the second half"))[0]
    assert cash_of(paper) == START + Decimal("501.00")
    assert book(paper, paying(DEPOSIT, "1.00", key="k"))[0]
    assert book(paper, paying(DEPOSIT, "2.00", key="k")) == (
        False,
        f"that key booked another payment on {SESSIONS[0]}",
    )


def test_what_has_not_settled_or_is_kept_for_approved_entries_stays(paper: str) -> None:
    with writing(paper) as session:
        bought = build.propose(session, terms(), **approved())
        entry = build.order(bought, state=OrderState.FILLED)
        held = build.position(bought)
        session.add_all([entry, held])
        session.flush()
        session.add(build.fill(entry, held, "100.0000"))
        session.add(build.equity(SESSIONS[3], "100000.00"))
        waits = build.propose(session, terms(symbol="MSFT", entry_session=SESSIONS[4]), **approved())
        session.add(build.order(waits))
        build.propose(session, terms(symbol="AAPL", entry_session=SESSIONS[5]))  # nobody approved it
    for amount, when in (("-10001.00", SESSIONS[1]), ("4000.00", SESSIONS[3])):
        execute(
            paper,
            "insert into cash_events (id, kind, amount, session, note, created_at)"
            " values (gen_random_uuid(), 'fill', %s, %s, '', now())",
            amount,
            when,
        )
    with psycopg.connect(paper, autocommit=True) as connection:
        room = cash_room(connection)
    reserve = 100 * Decimal("164.00") + 1  # its commission
    assert (room.session, room.unsettled, room.reserved) == (SESSIONS[4], Decimal("4000.00"), reserve)
    assert room.free == START - Decimal("10001.00") - reserve
    accepted, message = book(paper, paying(WITHDRAWAL, room.free + Decimal("0.01")))
    assert not accepted and message.startswith(f"{room.free:,.2f} dollars may be taken out")
    assert book(paper, paying(WITHDRAWAL, room.free))[0]
    with psycopg.connect(paper, autocommit=True) as connection:
        assert cash_room(connection).free == 0


@pytest.mark.parametrize(
    "amount", ["0", "0.00", "-1", "1.001", "1e9", "NaN", "1,000", "10000000000", "", "\u0661"]
)
def test_what_is_no_amount_of_money_is_refused(here: Here, amount: str) -> None:
    line = here.refused("deposit", "--reason", "r", "--key", "k", "--", amount)
    assert "is no amount of money" in line


def founded(here: Here, found: Callable[..., None], **changes: object) -> str:
    conninfo = here.desk()
    with writing(conninfo) as session:
        found(session, **changes)
        session.add(build.deposit(str(START)))
    return conninfo


def test_a_script_names_a_key_and_a_human_types_the_amount_again(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    conninfo = founded(here, build.found_paper)
    assert here.refused("deposit", "10.50", "--reason", "more").startswith("money moves by typing")
    keyed = ("deposit", "10.50", "--reason", "more", "--key", "may-1", "--json")
    for _ in range(2):
        told = json.loads(here.run(*keyed).out)
        assert told["room"]["cash"] == 100_010.5 == told["free"]

    assert here.refused("withdraw", "100010.51", "--reason", "all", "--key", "a").startswith("100,010.50")
    for typed, code in (("10.5", 0), ("10.51", 2), ("", 2)):
        at_a_terminal(monkeypatch, f"{typed}\n")
        said = here.run("withdraw", "10.50", "--reason", f"rent {typed}")
        assert said.code == code, said.err
    assert cash_of(conninfo) == START


def test_a_replay_that_is_driven_and_a_history_that_has_ended_take_no_payment(here: Here) -> None:
    conninfo = founded(here, build.found_desk)
    payment = ("deposit", "5", "--reason", "more", "--key", "k")
    with psycopg.connect(conninfo, autocommit=True) as driver:
        driver.execute("select pg_advisory_lock(%s)", [DRIVER_LOCK])
        assert "is a replay that is running" in here.refused(*payment)
    assert here.run(*payment).code == 0
    execute(conninfo, "update desk set state = %s", DeskState.FINISHED.value)
    assert "history has ended" in here.refused("withdraw", "5", "--reason", "r", "--key", "k2")


def test_a_first_deposit_before_the_first_close_is_no_return(paper: str) -> None:
    assert book(paper, paying(DEPOSIT, "100000"))[0]
    with writing(paper) as session:
        session.add(build.equity(SESSIONS[0], "201000.00"))
    with psycopg.connect(paper, autocommit=True) as connection:
        found = read_performance(connection)
    assert found.total_return == pytest.approx(0.01)
    assert found.paid_in == START


def test_sessions_are_those_of_the_calendar(paper: str) -> None:
    with writing(paper) as session:
        session.add(build.equity(date(2018, 2, 16), "100000.00"))  # before a long weekend
    with psycopg.connect(paper, autocommit=True) as connection:
        assert cash_room(connection).session == date(2018, 2, 20)
