"""The account: cash is the sum of its events, and nothing is ever booked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from storage.ledger import Ledger
from storage.models import Approval, CashEvent, Fill, Order, Position
from storage.records import CashKind, OrderSide, OrderState, PositionState, to_cents
from tests.storage import desk_builder as build
from tests.storage.desk_builder import CLOSE, SESSIONS, execute, scalar, terms, writing


@pytest.fixture
def founded(database: str) -> str:
    """The connection string of a desk with 100,000 dollars and nothing else."""
    with writing(database) as session:
        build.found_desk(session)
        session.add(build.deposit("100000.00"))
    return database


def bought(session: Session, symbol: str = "AAPL", **changes: object) -> tuple[Approval, Position, Order]:
    """An approval, the position it led to and the order that opened it, not yet filled."""
    made = build.propose(session, terms(symbol=symbol), **build.approved())
    held = build.position(made, **changes)
    order = build.order(made, state=OrderState.FILLED)
    session.add_all([held, order])
    session.flush()
    return made, held, order


# -- cash ----------------------------------------------------------------------------------------------------


async def test_without_an_event_there_is_no_cash(database: str) -> None:
    async with build.transaction(database) as session:
        assert await Ledger(session).cash() == Decimal(0)


async def test_cash_is_the_sum_of_its_events(founded: str) -> None:
    async with build.transaction(founded) as session:
        ledger = Ledger(session)
        for kind, amount in ((CashKind.DIVIDEND, "12.34"), (CashKind.WITHDRAWAL, "-500.00")):
            ledger.deposit(
                CashEvent(kind=kind, amount=Decimal(amount), session=SESSIONS[1], note="", created_at=CLOSE)
            )
        assert await ledger.cash() == Decimal("99512.34")


async def test_a_purchase_takes_its_price_and_its_fee_from_cash(founded: str) -> None:
    with writing(founded) as session:
        _, held, order = bought(session)
    async with build.transaction(founded) as session:
        ledger = Ledger(session)
        await ledger.book_fill(build.fill(order, held, "162.0055"), note="bought")
        assert await ledger.cash() == Decimal("100000.00") - Decimal("16200.55") - Decimal("1.00")
    assert scalar(
        founded, "select array_agg(kind order by kind) from cash_events where fill_id is not null"
    ) == [
        "fee",
        "fill",
    ]


async def test_a_sale_brings_its_price_less_its_fee(founded: str) -> None:
    with writing(founded) as session:
        _, held, _ = bought(session)
        sale = build.order(
            _approval_of(session, held),
            client_order_id="exit-1",
            approval_id=None,
            position_id=held.id,
            side=OrderSide.SELL,
        )
        session.add(sale)
    async with build.transaction(founded) as session:
        ledger = Ledger(session)
        await ledger.book_fill(build.fill(sale, held, "170.0000", fee=Decimal("2.50")), note="sold")
        assert await ledger.cash() == Decimal("116997.50")


def _approval_of(session: Session, held: Position) -> Approval:
    return session.get_one(Approval, held.approval_id)


# -- nothing twice -------------------------------------------------------------------------------------------


async def test_an_order_is_filled_once(founded: str) -> None:
    with writing(founded) as session:
        _, held, order = bought(session)
    async with build.transaction(founded) as session:
        await Ledger(session).book_fill(build.fill(order, held, "162"), note="")
    with pytest.raises(IntegrityError, match="uq_fills_order_id"):
        async with build.transaction(founded) as session:
            await Ledger(session).book_fill(build.fill(order, held, "162"), note="")
    async with build.transaction(founded) as session:
        assert await Ledger(session).cash() == Decimal("83799.00")


def copies(
    second: Callable[[Approval, Position, Order, Fill], object], constraint: str
) -> tuple[Callable[[Approval, Position, Order, Fill], object], str]:
    return second, constraint


@pytest.mark.parametrize(
    ("second", "constraint"),
    [
        copies(lambda made, *_: build.order(made, client_order_id="again"), "uq_orders_approval_id"),
        copies(lambda made, *_: build.order(made, approval_id=None), "uq_orders_client_order_id"),
        copies(lambda made, *_: build.position(made, symbol="OTHER"), "uq_positions_approval_id"),
        copies(
            lambda _made, _held, _order, fill: CashEvent(
                kind=CashKind.FEE,
                amount=Decimal("-1.00"),
                fill_id=fill.id,
                session=SESSIONS[1],
                note="",
                created_at=CLOSE,
            ),
            "uq_cash_events_fill_id_kind",
        ),
    ],
)
async def test_what_exists_once_cannot_exist_twice(
    founded: str, second: Callable[[Approval, Position, Order, Fill], object], constraint: str
) -> None:
    with writing(founded) as session:
        made, held, order = bought(session)
    filled = build.fill(order, held, "162")
    async with build.transaction(founded) as session:
        await Ledger(session).book_fill(filled, note="")
    with pytest.raises(IntegrityError, match=constraint), writing(founded) as session:
        session.add(second(made, held, order, filled))


def test_a_symbol_is_held_once_at_a_time_and_again_after_it_was_sold(founded: str) -> None:
    with writing(founded) as session:
        _, first, _ = bought(session)
        later = build.propose(session, terms(entry_session=SESSIONS[3]), **build.approved())
    with pytest.raises(IntegrityError, match="uq_positions_open_symbol"), writing(founded) as session:
        session.add(build.position(later))
    execute(founded, "update positions set state = 'closed' where id = %s", first.id)
    with writing(founded) as session:
        session.add(build.position(later))


@pytest.mark.parametrize(("shares", "price"), [(0, "162"), (-1, "162"), (100, "0"), (100, "-0.01")])
def test_a_fill_of_nothing_is_refused(founded: str, shares: int, price: str) -> None:
    with writing(founded) as session:
        _, held, order = bought(session)
    with pytest.raises(IntegrityError, match="positive"), writing(founded) as session:
        session.add(build.fill(order, held, price, shares=shares))


async def test_a_step_that_fails_books_nothing(founded: str) -> None:
    with writing(founded) as session:
        _, held, order = bought(session)
    with pytest.raises(RuntimeError, match="power cut"):
        async with build.transaction(founded) as session:
            await Ledger(session).book_fill(build.fill(order, held, "162"), note="")
            raise RuntimeError("power cut")
    assert scalar(founded, "select count(*) from fills") == 0
    async with build.transaction(founded) as session:
        assert await Ledger(session).cash() == Decimal("100000.00")


# -- what the account is asked -------------------------------------------------------------------------------


async def test_open_positions_come_by_symbol_without_the_closed(founded: str) -> None:
    with writing(founded) as session:
        for symbol in ("MSFT", "AAPL"):
            bought(session, symbol)
        bought(session, "GONE", state=PositionState.CLOSED, closed_session=SESSIONS[3])
    async with build.transaction(founded) as session:
        assert [held.symbol for held in await Ledger(session).open_positions()] == ["AAPL", "MSFT"]


async def test_approvals_and_entries_of_a_session_come_best_rank_first(founded: str) -> None:
    with writing(founded) as session:
        for symbol in ("AAPL", "BEST", "MSFT"):
            session.add(build.order(build.propose(session, terms(symbol=symbol), **build.approved())))
        build.propose(session, terms(symbol="LATER", entry_session=SESSIONS[2]))
        session.add(build.order(build.propose(session, terms(symbol="PAST")), state=OrderState.SKIPPED))
    execute(founded, "update deliberations set rank = 2 where symbol <> 'BEST'")
    async with build.transaction(founded) as session:
        ledger = Ledger(session)
        found = await ledger.approvals_for(SESSIONS[1])
        assert [approval.symbol for approval in found] == ["BEST", "AAPL", "MSFT", "PAST"]
        resting = await ledger.resting_entries(SESSIONS[1])
        assert [(order.symbol, approval.symbol) for order, approval in resting] == [
            ("BEST", "BEST"),
            ("AAPL", "AAPL"),
            ("MSFT", "MSFT"),
        ]
        assert (await ledger.approval(found[0].id)).symbol == "BEST"


async def test_the_last_equity(founded: str) -> None:
    async with build.transaction(founded) as session:
        ledger = Ledger(session)
        assert await ledger.last_equity() is None
        for day, total in zip(SESSIONS, ("100000.00", "103000.50", "99000.00"), strict=False):
            ledger.mark(build.equity(day, total))
        last = await ledger.last_equity()
        assert last is not None
        assert (last.session, last.equity) == (SESSIONS[2], Decimal("99000.00"))


# -- any history ---------------------------------------------------------------------------------------------

TRADE = st.tuples(
    st.integers(1, 5_000),  # shares
    st.integers(1, 50_000_000).map(lambda ticks: Decimal(ticks) / 10_000),  # bought at
    st.none() | st.integers(1, 50_000_000).map(lambda ticks: Decimal(ticks) / 10_000),  # sold at, or held
    st.integers(0, 5_000).map(lambda cents: Decimal(cents) / 100),  # fee
)


@given(trades=st.lists(TRADE, min_size=1, max_size=6))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_trades_cash_is_what_was_there_and_what_flowed_and_positions_are_what_was_filled(
    founded: str, trades: list[tuple[int, Decimal, Decimal | None, Decimal]]
) -> None:
    expected = Decimal("100000.00")
    held: dict[str, int] = {}

    async def trade() -> tuple[Decimal, dict[str, int]]:
        nonlocal expected
        async with build.transaction(founded) as session:
            ledger = Ledger(session)
            for number, (shares, paid, got, fee) in enumerate(trades):
                symbol = f"H{number}"
                position, entry = await _enter(session, ledger, symbol, shares)
                await ledger.book_fill(build.fill(entry, position, str(paid), fee=fee), note="in")
                expected -= to_cents(shares * paid) + fee
                if got is None:
                    held[symbol] = shares
                    continue
                leave = _exit_order(entry, position)
                ledger.place(leave)
                await session.flush()
                await ledger.book_fill(build.fill(leave, position, str(got), fee=fee), note="out")
                position.state = PositionState.CLOSED
                expected += to_cents(shares * got) - fee
            open_positions = {found.symbol: found.shares for found in await ledger.open_positions()}
            return await ledger.cash(), open_positions

    cash, positions = asyncio.run(trade())
    assert cash == expected
    assert positions == held
    net = "select coalesce(sum(case side when 'buy' then shares else -shares end), 0) from fills"
    assert scalar(founded, net) == sum(held.values())
    events = "select sum(amount) from cash_events where fill_id is not null"
    assert scalar(founded, events) == expected - Decimal("100000.00")
    for table in ("cash_events where fill_id is not null", "fills", "orders", "positions", "approvals"):
        execute(founded, f"delete from {table}")
    execute(founded, "delete from deliberations")


async def _enter(session: AsyncSession, ledger: Ledger, symbol: str, shares: int) -> tuple[Position, Order]:
    made = await session.run_sync(
        lambda sync: build.propose(sync, terms(symbol=symbol, max_shares=shares), **build.approved())
    )
    position, entry = build.position(made, shares=shares), build.order(made, state=OrderState.FILLED)
    await ledger.open_position(position)
    ledger.place(entry)
    await session.flush()
    return position, entry


def _exit_order(entry: Order, position: Position) -> Order:
    return Order(
        client_order_id=f"exit-{position.id}",
        position_id=position.id,
        symbol=entry.symbol,
        side=OrderSide.SELL,
        shares=entry.shares,
        session=SESSIONS[4],
        state=OrderState.FILLED,
        note="",
        created_at=CLOSE,
    )
