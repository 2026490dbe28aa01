"""Holdings live through splits, dividends and spin-offs by the desk's own steps; the books still balance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from agents.market.actions import ActionKind, Actions, CorporateAction
from agents.market.bars import AssetType, Instrument, MarketView
from agents.market.calendar import previous_session, sessions
from agents.market.history import HistoryPack, load_pack
from agents.trading.screener import ScreenResult
from app.runtime.founding import set_rules
from app.runtime.replay import Replay
from app.runtime.slots import due_at
from app.runtime.step import Step, StepResult, technicals_json
from app.runtime.steps import STEPS
from app.settings import Settings
from app.wiring import desk_parts
from storage.broker_records import RequestState, RequestVerb
from storage.engine import open_engine
from storage.ledger import Ledger
from storage.models import (
    Approval,
    CashEvent,
    CorporateActionRow,
    Deliberation,
    Fill,
    Order,
    Position,
    PositionRequest,
    RegimeReading,
    TradeOutcome,
)
from storage.records import (
    AgentName,
    ApprovalState,
    CashKind,
    DeskKind,
    Direction,
    ExitReason,
    OrderSide,
    OrderState,
    PositionState,
    Recommendation,
    SetupType,
    Slot,
    Stance,
    to_price,
    uuid7,
)
from tests.app import books
from tests.app.books import prepare
from tests.market.series import bars_of
from tests.storage import desk_builder as build
from tests.trading.builders import PULLBACK

DAYS = sessions(date(2024, 3, 1), date(2024, 3, 28))
BOUGHT, PAID, SPLIT, SOLD = DAYS[2], DAYS[4], DAYS[6], DAYS[9]
PARTS = desk_parts(Settings(_env_file=None), DeskKind.HISTORY)

# Here nothing is bought or argued over: what is held and proposed is put there.
STEPS_HERE = (Slot.CORPORATE_ACTIONS, Slot.CUTOFF, Slot.SETTLE, Slot.DIGEST)


def split(value: str, day: date, symbol: str = "AAA") -> CorporateAction:
    return told(ActionKind.SPLIT, day, symbol, value)


def dividend(value: str, day: date, symbol: str = "AAA") -> CorporateAction:
    return told(ActionKind.DIVIDEND, day, symbol, value)


def told(kind: ActionKind, day: date, symbol: str, value: str) -> CorporateAction:
    return CorporateAction(symbol=symbol, ex_date=day, kind=kind, source="test", value=Decimal(value))


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> HistoryPack:
    """AAA splits 7 for 1 and pays 1.235 before it; BBB splits the same day; prices hardly move."""
    folder = tmp_path_factory.mktemp("packs") / "small"
    folder.mkdir()
    rows = ["date,symbol,open,high,low,close,volume,raw_factor"]
    for place, day in enumerate(DAYS):
        for symbol, ratio in (("AAA", 7), ("BBB", 2)):
            close = 90 + 0.1 * place
            factor = ratio if day < SPLIT else 1
            rows.append(f"{day},{symbol},{close},{close + 0.5},{close - 0.5},{close},700000,{factor}")
        rows.append(f"{day},^GSPC,5000,5010,4990,5000,0,1")
    (folder / "bars.csv").write_text("\n".join(rows))
    (folder / "universe.csv").write_text(
        "symbol,name,sector,industry,asset_type\nAAA,A,,,stock\nBBB,B,,,stock\n^GSPC,S,,,index\n"
    )
    (folder / "corporate_actions.csv").write_text(
        f"symbol,date,type,value\nAAA,{SPLIT},split,7.000002\nBBB,{SPLIT},split,2\nAAA,{PAID},dividend,1.235\n"
    )
    found = load_pack(folder)
    assert not found.data_notes
    return found


@dataclass(frozen=True)
class Holding:
    """What is put on a desk as if it had been bought."""

    symbol: str = "AAA"
    shares: int = 15
    entry: Decimal = Decimal("631.0000")
    stop: Decimal = Decimal("600.0000")
    target: Decimal = Decimal("700.0000")
    max_hold: int = 7
    bought: date = BOUGHT


async def hold(database: AsyncSession, what: Holding) -> Position:
    """An argument, its approval, a filled order and the position, in the middle of its life."""
    eve = previous_session(what.bought)
    approval = await propose(database, what.symbol, eve, what.bought, ApprovalState.APPROVED)
    if await database.get(RegimeReading, eve) is None:
        database.add(build.reading(eve, Direction.BULL))
    order = Order(
        id=uuid7(),
        client_order_id=f"entry-{approval.id}",
        approval_id=approval.id,
        symbol=what.symbol,
        side=OrderSide.BUY,
        shares=what.shares,
        session=what.bought,
        state=OrderState.FILLED,
        note="",
        created_at=build.CLOSE,
    )
    position = build.position(
        approval,
        shares=what.shares,
        entry_price=what.entry,
        stop=what.stop,
        initial_stop=what.stop,
        target=what.target,
        max_hold=what.max_hold,
        low_since=what.entry,
        high_since=what.entry,
        last_close=what.entry,
        last_session=what.bought,
    )
    database.add_all([order, position])
    await database.flush()
    order.position_id = position.id
    fill = build.fill(order, position, str(what.entry), created_at=build.CLOSE)
    for row in build.at_the_broker(order, position, fill):
        database.add(row)
        await database.flush()
    await Ledger(database).book_fill(fill, note="bought")
    await database.flush()
    return position


async def propose(
    database: AsyncSession, symbol: str, evening: date, entry: date, state: ApprovalState
) -> Approval:
    argument = Deliberation(
        id=uuid7(),
        session=evening,
        symbol=symbol,
        rank=1,
        setup_type=SetupType.OVERSOLD_BOUNCE,
        proposed=True,
        reasoning="",
        checks=[],
        technical_snapshot=technicals_json(PULLBACK),
        created_at=build.CLOSE,
    )
    database.add(argument)
    await database.flush()
    database.add(build.vote(argument.id, AgentName.RESEARCH, Stance.FOR, 0.7))
    bound = build.terms(symbol=symbol, entry_session=entry)
    decided = build.approved(decided_digest=bound.digest) if state is ApprovalState.APPROVED else {}
    values: dict[str, Any] = {
        "id": uuid7(),
        "deliberation_id": argument.id,
        "short_id": f"{symbol}-{evening:%d}",
        "created_session": evening,
        "symbol": symbol,
        "setup_type": bound.setup_type,
        "entry_session": entry,
        "min_entry": Decimal("160"),
        "max_entry": Decimal("700"),
        "stop": Decimal("150"),
        "target": Decimal("800"),
        "max_shares": 100_000,
        "max_risk": Decimal("1000000000.00"),
        "max_hold": 10,
        "parameters_version": 1,
        "limits": {},
        "digest": bound.digest,
        "close": Decimal("180"),
        "risky": False,
        "risky_reasons": [],
        "recommendation": Recommendation.APPROVE,
        "reasoning": "",
        "facts": [],
        "state": state,
        "created_at": build.CLOSE,
    }
    approval = Approval(**values | decided)
    database.add(approval)
    await database.flush()
    return approval


async def in_one_transaction(
    conninfo: str, work: Callable[[AsyncSession], Awaitable[None]], *, keep: bool
) -> None:
    engine = open_engine(conninfo)
    try:
        async with AsyncSession(engine, expire_on_commit=False) as database:
            await work(database)
            await (database.commit() if keep else database.rollback())
    finally:
        await engine.dispose()


async def desk_with(
    server: Any, pack: HistoryPack, work: Callable[[AsyncSession], Awaitable[None]]
) -> tuple[str, Replay]:
    """A founded desk over the pack with what `work` puts on it, and its replay from the day after."""
    conninfo, run = await prepare(server, pack, DAYS[3], DAYS[-1])

    async def put(database: AsyncSession) -> None:
        await set_rules(database, PARTS, due_at(DAYS[3], Slot.CUTOFF))
        await work(database)

    await in_one_transaction(conninfo, put, keep=True)
    return conninfo, run


def rows(conninfo: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(conninfo) as connection:
        return connection.execute(query.encode()).fetchall()


def assert_books_balance(conninfo: str) -> None:
    """The promises of the books, where actions may change the shares and bring cash on the way."""
    spared = {
        "every step of every session of a replay before the last ran once",
        "a position is one buy, sold in parts perhaps, and once closed a last sell of what it held",
        "an outcome's profit is what its cash events say",
        "no entry without an approval that had taken effect, inside its band, size and risk",
        "what was last said about an approval is the state it is in",
    }
    promises = {name: query for name, query in books._PROMISES.items() if name not in spared}
    assert len(promises) == len(books._PROMISES) - len(spared)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for promise, query in {**promises, **PROMISES}.items():
            broken = connection.execute(query.encode()).fetchall()
            assert not broken, f"{promise}: {broken[:3]}"


PROMISES = {
    "a position is one buy, and once closed one sell of its shares, or paid out by an action": """
        select p.id from positions p
          left join fills b on b.position_id = p.id and b.side = 'buy'
          left join fills s on s.position_id = p.id and s.side = 'sell'
          left join trade_outcomes t on t.position_id = p.id
         where b.id is null
            or (p.state = 'closed')
               <> (s.id is not null or t.exit_reason is not distinct from 'corporate_action')
            or (s.id is not null and s.shares <> p.shares)
    """,
    "an outcome's profit is all cash of its trade but dividends": """
        select t.id, t.pnl from trade_outcomes t
          join cash_events c on c.kind <> 'dividend' and (c.position_id = t.position_id
               or c.fill_id in (select id from fills where position_id = t.position_id))
         group by t.id, t.pnl having sum(c.amount) <> t.pnl
    """,
    "once all is sold, profits and dividends are the cash that moved": """
        select 1 where not exists (select 1 from positions where state = 'open')
           and (select coalesce(sum(pnl), 0) from trade_outcomes)
               + (select coalesce(sum(amount), 0) from cash_events where kind = 'dividend')
               <> (select sum(amount) from cash_events where kind <> 'deposit')
    """,
    "cash of an action was paid by an action that was applied, to a position that it was applied to": """
        select c.id from cash_events c left join corporate_actions a on a.id = c.action_id
         where (c.kind in ('dividend', 'cash_in_lieu')) <> (c.action_id is not null)
            or (c.action_id is not null and (a.applied_session is distinct from c.session
                                             or c.position_id is null))
    """,
}


@pytest.fixture(autouse=True)
def only_these_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runtime.replay.REPLAYED", STEPS_HERE)


async def put_holding(database: AsyncSession) -> None:
    await hold(database, Holding())


EXPECTED_CASH = [
    ("dividend", Decimal("18.53"), PAID),  # 15 x 1.235, half up
    ("fee", Decimal("-1.00"), BOUGHT),
    ("fee", Decimal("-1.00"), SOLD),
    ("fill", Decimal("-9465.00"), BOUGHT),
]


@pytest.mark.long
async def test_a_holding_lives_through_its_dividend_and_its_split(databases: Any, pack: HistoryPack) -> None:
    conninfo, run = await desk_with(databases, pack, put_holding)
    assert await run.run(asyncio.Event())
    (position,) = rows(
        conninfo,
        """select shares, entry_price, stop, initial_stop, target, realised, state, closed_session
             from positions""",
    )
    assert position == (
        105,
        Decimal("90.1429"),
        Decimal("85.7143"),
        Decimal("85.7143"),
        Decimal("100.0000"),
        Decimal("0.00"),
        "closed",
        SOLD,
    )
    assert rows(
        conninfo,
        "select shares, stop, target, state from paper_orders where kind = 'protection' order by number",
    ) == [  # what stood on the old basis ended with it, before the bar that would have hit it
        (15, Decimal("600.0000"), Decimal("700.0000"), "cancelled"),
        (105, Decimal("85.7143"), Decimal("100.0000"), "cancelled"),
    ]
    cash = rows(
        conninfo, "select kind, amount, session from cash_events where kind <> 'deposit' order by 1, 2"
    )
    assert [row for row in cash if row[2] != SOLD or row[0] != "fill"] == EXPECTED_CASH
    assert rows(conninfo, "select exit_reason, quantity from trade_outcomes") == [("time_exit", 105)]
    assert rows(
        conninfo, "select symbol, ex_date, kind, applied_session from corporate_actions order by 1, 2"
    ) == [
        ("AAA", PAID, "dividend", PAID),
        ("AAA", SPLIT, "split", SPLIT),
        ("BBB", SPLIT, "split", None),
    ]
    said = dict(rows(conninfo, "select session, summary from runs where slot = 'corporate_actions'"))
    assert said[SPLIT] == "AAA split 7 for 1: 15 shares became 105"
    assert said[PAID] == "AAA dividend of 1.235 on 15 shares"
    assert said[SOLD] == "no corporate action concerned the desk"
    (before, at) = rows(
        conninfo, f"select equity from equity where session in ('{DAYS[5]}', '{SPLIT}') order by session"
    )
    assert abs(at[0] - before[0]) < 15  # a tenth of a dollar on 105 shares
    assert_books_balance(conninfo)


@pytest.mark.long
async def test_a_replay_that_is_stopped_after_every_step_does_nothing_twice(
    databases: Any, pack: HistoryPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, run = await desk_with(databases, pack, put_holding)
    assert await run.run(asyncio.Event())
    conninfo, run = await desk_with(databases, pack, put_holding)
    torn = STEPS[Slot.CORPORATE_ACTIONS]
    killed: list[date] = []

    async def dies_the_first_time(step: Step) -> StepResult:
        result = await torn(step)
        if step.session not in killed:
            killed.append(step.session)
            raise RuntimeError("killed")
        again = await torn(step)
        assert again.figures == {"applied": [], "refused": [], "void": []}
        return result

    monkeypatch.setattr("app.runtime.replay.STEPS", {**STEPS, Slot.CORPORATE_ACTIONS: dies_the_first_time})
    for _ in DAYS[3:]:
        with pytest.raises(RuntimeError, match="killed"):
            await run.run(asyncio.Event())
    assert await run.run(asyncio.Event())
    for query in (
        "select kind, amount, session, note from cash_events order by session, kind, amount",
        "select shares, entry_price, stop, realised from positions",
        "select symbol, ex_date, kind, note from corporate_actions order by 1, 2",
        "select session, equity from equity order by 1",
    ):
        assert rows(conninfo, query) == rows(whole, query)
    assert_books_balance(conninfo)


@pytest.mark.long
@pytest.mark.parametrize("state", [ApprovalState.PENDING, ApprovalState.APPROVED])
async def test_a_split_voids_what_waits_for_its_open(
    databases: Any, pack: HistoryPack, state: ApprovalState
) -> None:
    async def put(database: AsyncSession) -> None:
        await propose(database, "BBB", DAYS[5], SPLIT, state)

    conninfo, run = await desk_with(databases, pack, put)
    assert await run.run(asyncio.Event())
    reason = f"BBB split 2 for 1 on {SPLIT}: the prices are void"
    assert rows(conninfo, "select state, decision_reason, effective_at from approvals") == [
        ("expired", reason, None)
    ]
    assert rows(conninfo, "select verb, given_by, reason from verdicts") == [("expired", "the desk", reason)]
    assert rows(conninfo, "select count(*) from orders") == [(0,)]
    said = rows(
        conninfo, f"select summary from runs where slot = 'corporate_actions' and session = '{SPLIT}'"
    )
    assert said == [(f"void: {reason}",)]


async def test_a_resting_entry_is_skipped_and_its_approval_stays(database: str) -> None:
    async def check(session: AsyncSession) -> None:
        found(session)
        await session.flush()
        approval = await propose(session, "AAA", DAYS[5], SPLIT, ApprovalState.APPROVED)
        order = build.order(approval)
        session.add(order)
        await session.flush()
        result = await take(session, SPLIT, [split("2", SPLIT)])
        assert result.figures["void"] == [f"AAA split 2 for 1 on {SPLIT}: the prices are void"]
        assert (order.state, approval.state) == (OrderState.SKIPPED, ApprovalState.APPROVED)
        assert order.note == f"void: AAA split 2 for 1 on {SPLIT}: the prices are void"

    await in_one_transaction(database, check, keep=False)


def found(session: AsyncSession) -> None:
    """The desk's own row and its parameters."""
    from sqlalchemy.orm import Session

    recorded: list[object] = []

    class Recorder(Session):
        def add(self, instance: object, _warn: bool = True) -> None:
            recorded.append(instance)

        def add_all(self, instances: Any) -> None:
            recorded.extend(instances)

    build.found_desk(Recorder())
    session.add_all(recorded)
    session.add(build.deposit("100000000.00"))


def view_of(day: date, price: Decimal, symbol: str = "AAA") -> MarketView:
    """One bar, flat at the price."""
    one = bars_of([float(price)], symbol=symbol, first=day)
    flat = replace(one, high=one.close, low=one.close)
    known = Instrument(symbol, symbol, None, None, AssetType.STOCK)
    return MarketView(day, {symbol: known}, {symbol: flat})


def nothing_screened(*, allowed: frozenset[SetupType]) -> ScreenResult:
    raise AssertionError("no step here screens")


def step_at(
    session: AsyncSession,
    day: date,
    slot: Slot,
    actions: Sequence[CorporateAction] | None,
    view: MarketView | None = None,
) -> Step:
    return Step(
        database=session,
        parts=PARTS,
        parameters_version=1,
        session=day,
        slot=slot,
        next_session=None,
        view=view or MarketView(day, {}, {}),
        screened=nothing_screened,
        now=due_at(day, slot),
        wall_now=due_at(day, slot),
        actions=None if actions is None else Actions(actions),
    )


async def take(session: AsyncSession, day: date, actions: Sequence[CorporateAction] | None) -> StepResult:
    result = await STEPS[Slot.CORPORATE_ACTIONS](step_at(session, day, Slot.CORPORATE_ACTIONS, actions))
    await session.flush()
    return result


async def settle(
    session: AsyncSession, day: date, actions: Sequence[CorporateAction] | None, price: Decimal
) -> StepResult:
    """A session of nothing but its cutoff and its close."""
    for slot in (Slot.CUTOFF, Slot.SETTLE):
        result = await STEPS[slot](step_at(session, day, slot, actions, view_of(day, price)))
        await session.flush()
    return result


def trial(database: str, work: Callable[[AsyncSession], Awaitable[None]]) -> None:
    async def on_a_desk(session: AsyncSession) -> None:
        found(session)
        await session.flush()
        await work(session)

    asyncio.run(in_one_transaction(database, on_a_desk, keep=False))


def test_a_reverse_split_that_leaves_no_share_closes_the_trade(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, Holding(shares=7))
        result = await take(session, DAYS[3], [split("0.1", DAYS[3]), dividend("1", DAYS[3])])
        assert "7 shares became 0, 0.7 of a share paid at 6310.0000" in result.summary
        assert "nothing of AAA is held any more" in result.summary
        assert (position.state, position.closed_session) == (PositionState.CLOSED, DAYS[3])
        (trade,) = (await session.scalars(select(TradeOutcome))).all()
        assert (trade.exit_reason, trade.quantity, trade.pnl, trade.fees) == (
            ExitReason.CORPORATE_ACTION,
            7,
            Decimal("-1.00"),
            Decimal("1.00"),
        )
        (paid,) = (await session.scalars(select(CashEvent).where(CashEvent.action_id.is_not(None)))).all()
        assert (paid.kind, paid.amount, paid.position_id) == (
            CashKind.CASH_IN_LIEU,
            Decimal("4417.00"),
            position.id,
        )
        assert (await take(session, DAYS[4], [split("0.1", DAYS[3])])).figures["applied"] == []

    trial(database, work)


def test_what_is_refused_leaves_a_row_with_the_reason_and_is_not_tried_again(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, Holding())
        absurd = [dividend("700", DAYS[3]), split("1000", DAYS[3])]
        result = await take(session, DAYS[3], absurd)
        assert len(result.figures["refused"]) == 2  # type: ignore[arg-type]
        assert (await take(session, DAYS[4], absurd)).figures["refused"] == []
        kept = (await session.scalars(select(CorporateActionRow))).all()
        assert {(row.kind, row.applied_session) for row in kept} == {("dividend", None), ("split", None)}
        assert all("700" in row.note or "1000" in row.note for row in kept)
        assert position.shares == 15
        assert not (await session.scalars(select(CashEvent).where(CashEvent.action_id.is_not(None)))).all()

    trial(database, work)


def test_a_name_that_is_held_already_is_not_taken(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        one, other = await hold(session, Holding()), await hold(session, Holding(symbol="BBB"))
        renamed = CorporateAction(
            symbol="AAA", ex_date=DAYS[3], kind=ActionKind.SYMBOL_CHANGE, source="test", new_symbol="BBB"
        )
        result = await take(session, DAYS[3], [renamed])
        assert result.summary == "refused: BBB is held already"
        free = replace(renamed, symbol="BBB", new_symbol="CCC")
        assert (await take(session, DAYS[3], [renamed, free])).summary == "BBB BBB is now CCC"
        assert (one.symbol, other.symbol) == ("AAA", "CCC")

    trial(database, work)


def test_what_the_morning_did_not_get_to_is_lived_through_before_the_bar(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, Holding())
        result = await settle(session, DAYS[4], [split("7", DAYS[3])], Decimal("90.2"))
        assert (position.state, position.shares) == (PositionState.OPEN, 105)
        assert "AAA late, split 7 for 1: 15 shares became 105" in result.summary
        assert (await take(session, DAYS[4], [split("7", DAYS[3])])).figures["applied"] == []

    trial(database, work)


def test_a_move_that_nothing_explains_is_the_markets_where_the_source_can_tell(database: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, Holding())
        result = await settle(session, DAYS[3], [], Decimal("300"))
        assert "AAA no action explains -52.5%: the move is the market's" in result.summary
        assert "AAA stop loss" in result.summary
        assert position.state is PositionState.CLOSED

    trial(database, work)


@pytest.mark.parametrize(("price", "sold_at"), [("90.2", "90"), ("6310", "630")])
def test_a_stop_is_held_where_nobody_can_tell_a_split(database: str, price: str, sold_at: str) -> None:
    async def work(session: AsyncSession) -> None:
        position = await hold(session, Holding(max_hold=4))
        for day in DAYS[3:6]:
            result = await settle(session, day, None, Decimal(price))
            assert "AAA stop held, suspected split: opened at" in result.summary
            assert (position.state, position.last_close) == (PositionState.OPEN, Decimal("631.0000"))
        await settle(session, DAYS[6], None, Decimal(price))  # its time is up: the worse of the two prices
        (fill,) = (await session.scalars(select(Fill).where(Fill.side == OrderSide.SELL))).all()
        assert str(fill.price).startswith(sold_at)

    trial(database, work)


def test_a_halted_symbol_is_not_sold_by_hand_until_it_has_a_price(database: str) -> None:
    """The order ends with its auction, the request does not; nothing is sold at a price nobody saw."""

    async def work(session: AsyncSession) -> None:
        position = await hold(session, Holding(max_hold=99))
        session.add(
            PositionRequest(
                id=uuid7(),
                position_id=position.id,
                verb=RequestVerb.CLOSE,
                asked_by="ada",
                asked_from="",
                reason="",
                asked_at=build.CLOSE,
                state=RequestState.WAITING,
            )
        )
        for day in DAYS[3:5]:  # no bar at all
            for slot in (Slot.CUTOFF, Slot.OPEN, Slot.SETTLE):
                await STEPS[slot](step_at(session, day, slot, []))
                await session.flush()
        assert (position.state, position.protected_by is not None) == (PositionState.OPEN, True)
        notes = [order.note for order in await session.scalars(select(Order).order_by(Order.session))]
        assert f"manual: no open of {DAYS[3]}" in notes
        for slot in (Slot.CUTOFF, Slot.OPEN):
            await STEPS[slot](step_at(session, DAYS[5], slot, [], view_of(DAYS[5], Decimal("640"))))
            await session.flush()
        (trade,) = (await session.scalars(select(TradeOutcome))).all()
        assert (trade.exit_reason, trade.exit_price) == (ExitReason.MANUAL, Decimal("639.6800"))

    trial(database, work)


RATIOS = st.sampled_from(["2", "3", "7", "1.5", "1.25", "0.1", "0.5", "0.333333333333", "1.05"])
DIVIDENDS = st.sampled_from(["0.01", "0.25", "1.337", "0.005"])
SPIN_OFFS = st.integers(6, 40)  # percent of the last close


@pytest.mark.long
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 3_000),
    st.integers(200_000, 9_000_000),
    st.lists(st.one_of(RATIOS, DIVIDENDS.map(lambda value: f"d{value}"), SPIN_OFFS), max_size=7),
    st.integers(-4, 8),
)
def test_cash_and_positions_reconcile_to_the_cent(
    database: str, shares: int, ticks: int, moves: list[str | int], leaves: int
) -> None:
    """Whatever a holding lives through: nobody is stopped out by it, and every cent has its reason."""
    entry = ticks * Decimal("0.0001")
    what = Holding(
        shares=shares,
        entry=entry,
        stop=to_price(entry * Decimal("0.93")),
        target=to_price(entry * Decimal("1.1")),
        max_hold=99,
    )

    async def work(session: AsyncSession) -> None:
        position = await hold(session, what)
        known: list[CorporateAction] = []
        for day, move in zip(DAYS[3:], moves, strict=False):
            known.append(_told(move, day, position))
            worth = position.shares * position.last_close + await Ledger(session).cash()
            result = await take(session, day, known)
            cash = await Ledger(session).cash()
            assert (await take(session, day, known)).figures == {"applied": [], "refused": [], "void": []}
            assert await Ledger(session).cash() == cash
            if position.state is PositionState.CLOSED:
                break
            assert 0 < position.initial_stop == position.stop < position.entry_price < position.target
            if known[-1].kind is ActionKind.SPLIT or isinstance(move, int):
                moved = position.shares * position.last_close + cash - worth
                slack = (position.shares + 1) * Decimal("0.00005") + Decimal("0.005")
                assert abs(moved) <= slack, (moved, result.summary)
            await settle(session, day, known, position.last_close)
            assert position.state is PositionState.OPEN, result.summary
        if position.state is PositionState.OPEN:
            risk = position.entry_price - position.stop
            price = max(position.stop - risk if leaves < -2 else position.entry_price + leaves * risk, risk)
            last = DAYS[3 + len(moves)]
            position.max_hold = 0
            await settle(session, last, known, to_price(price))
        assert position.state is PositionState.CLOSED
        events = (await session.scalars(select(CashEvent).where(CashEvent.kind != CashKind.DEPOSIT))).all()
        dividends = sum(event.amount for event in events if event.kind is CashKind.DIVIDEND)
        (trade,) = (await session.scalars(select(TradeOutcome))).all()
        assert sum(event.amount for event in events) == trade.pnl + dividends

    trial(database, work)


def _told(move: str | int, day: date, position: Position) -> CorporateAction:
    if isinstance(move, int):
        return dividend(str(position.last_close * move / 100), day)
    if move.startswith("d"):
        return dividend(move[1:], day)
    return split(move, day)


@pytest.mark.long
@pytest.mark.pack
async def test_apple_is_held_over_its_split_and_its_dividend(
    databases: Any, market_pack: HistoryPack
) -> None:
    """15 shares over 2014-06-09; the dividend of 2014-08-07 is paid on 105."""
    bought, last = date(2014, 6, 2), date(2014, 8, 8)
    conninfo, run = await prepare(databases, market_pack, date(2014, 6, 3), last)

    async def put(database: AsyncSession) -> None:
        await set_rules(database, PARTS, due_at(bought, Slot.CUTOFF))
        await hold(
            database,
            Holding("AAPL", 15, Decimal("630"), Decimal("590"), Decimal("800"), max_hold=90, bought=bought),
        )

    await in_one_transaction(conninfo, put, keep=True)
    assert await run.run(asyncio.Event())
    assert rows(conninfo, "select shares, entry_price, stop, state from positions") == [
        (105, Decimal("90.0000"), Decimal("84.2857"), "open")
    ]
    (told,) = [what for what in market_pack.actions.of("AAPL") if what.ex_date == date(2014, 8, 7)]
    assert rows(conninfo, "select session, amount from cash_events where kind = 'dividend'") == [
        (date(2014, 8, 7), (105 * told.amount).quantize(Decimal("0.01")))
    ]
    closes = rows(conninfo, "select close from bars where symbol = 'AAPL' order by session")
    assert closes[0][0] > 400  # the year before the split is stored as traded
    assert closes[-1][0] < 100
    assert_books_balance(conninfo)
