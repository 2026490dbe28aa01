"""A small desk in a database, built row by row through the models; every value may be overridden."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from storage.broker_records import BrokerOrderState, Leg, OrderKind
from storage.engine import open_engine
from storage.memory import StoredBar
from storage.models import (
    AgentState,
    Approval,
    Bar,
    Base,
    CashEvent,
    Deliberation,
    DeskRow,
    Equity,
    Fill,
    Instrument,
    Leadership,
    Operation,
    Order,
    PaperFill,
    PaperHolding,
    PaperOrder,
    ParameterVersion,
    Position,
    RegimeReading,
    Run,
    ScheduledSlot,
    ScreenerResult,
    TradeOutcome,
    Vote,
    Worker,
)
from storage.records import (
    AgentName,
    ApprovalState,
    CashKind,
    DeskKind,
    DeskState,
    Direction,
    ExitReason,
    OperationKind,
    Operator,
    OrderSide,
    OrderState,
    PositionState,
    Queue,
    Recommendation,
    RunState,
    SetupType,
    Slot,
    Stance,
    TradeTerms,
    VerdictMode,
    Volatility,
    uuid7,
)

# Ten sessions in a row, the first a Monday.
SESSIONS = tuple(date(2018, 1, 29) + timedelta(days=n) for n in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11))
CLOSE = datetime(2018, 1, 29, 21, tzinfo=UTC)
LIMITS = {"risk_per_trade": 0.005, "heat": 0.06, "min_cash": 0.0, "daily_loss": 0.02}
CHECKS: list[dict[str, object]] = [
    {"name": "risk_per_trade", "limit": 0.005, "before": 0.0, "after": 0.0042},
    {"name": "cash", "limit": 0.0, "before": 100_000.0, "after": 83_600.5},
]
ADA = Operator(name="ada", tty="/dev/pts/3", ssh_origin="10.0.0.7")
UNDO_S, UNDO_RISKY_S = 30, 120


@contextmanager
def writing(conninfo: str) -> Iterator[Session]:
    """A session in one transaction, committed at the end."""
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=NullPool
    )
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


@asynccontextmanager
async def transaction(conninfo: str) -> AsyncIterator[AsyncSession]:
    """What a step of the desk works in: one transaction, committed at the end."""
    engine = open_engine(conninfo)
    try:
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            yield session
    finally:
        await engine.dispose()


def execute(conninfo: str, statement: str, *values: object) -> None:
    """Write to a database behind everybody's back."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def scalar(conninfo: str, query: str, *values: object) -> Any:
    """The first value of the first row; the row must be there."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


def found_desk(session: Session, **changes: object) -> None:
    """The desk's own row, its first parameters and AAPL and MSFT; what every other row leans on."""
    values: dict[str, object] = {
        "id": 1,
        "name": "small",
        "kind": DeskKind.HISTORY,
        "state": DeskState.RUNNING,
        "verdict_mode": VerdictMode.ASK,
        "history_title": "A small history",
        "history_digest": "d" * 64,
        "survivors": True,
        "first_session": SESSIONS[0],
        "last_session": SESSIONS[-1],
        "start_equity": Decimal("100000.00"),
        "desk_time": CLOSE,
        "host_seen_at": None,
        "sessions_total": len(SESSIONS),
        "undo_s": UNDO_S,
        "undo_risky_s": UNDO_RISKY_S,
        "created_at": CLOSE,
    }
    session.add(DeskRow(**values | changes))
    session.add(version(1, limits=LIMITS))
    session.add_all([instrument("AAPL", "Apple Inc."), instrument("MSFT", "Microsoft Corp.")])
    session.flush()


def version(number: int, *, limits: dict[str, float]) -> ParameterVersion:
    """A version of the parameters of which only the limits matter."""
    return ParameterVersion(
        version=number, parameters={}, limits=limits, costs={}, screen={}, reason="founding", created_at=CLOSE
    )


def instrument(symbol: str, name: str) -> Instrument:
    return Instrument(symbol=symbol, name=name, sector="Technology", industry="Software", asset_type="stock")


def bars(symbol: str, closes: Sequence[str | None]) -> list[Bar]:
    """The rows of `stored_bars`."""
    return [Bar(**asdict(bar)) for bar in stored_bars(symbol, closes)]


def stored_bars(symbol: str, closes: Sequence[str | None]) -> list[StoredBar]:
    """A bar for each close, from the first session on."""
    prices = [None if close is None else Decimal(close) for close in closes]
    return [
        StoredBar(
            symbol=symbol,
            session=session,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=1_000_000,
        )
        for session, price in zip(SESSIONS, prices, strict=False)
    ]


def terms(**changes: object) -> TradeTerms:
    """At most 100 shares of AAPL at 160 to 164 dollars, entry on the second session."""
    values: dict[str, Any] = {
        "symbol": "AAPL",
        "setup_type": SetupType.OVERSOLD_BOUNCE,
        "entry_session": SESSIONS[1],
        "min_entry": Decimal("160.0000"),
        "max_entry": Decimal("164.0000"),
        "stop": Decimal("158.5000"),
        "target": Decimal("171.2500"),
        "max_shares": 100,
        "max_risk": Decimal("550.00"),
        "max_hold": 10,
        "parameters_version": 1,
        "limits": LIMITS,
    }
    return TradeTerms(**values | changes)


def propose(session: Session, bound: TradeTerms, *, risky: bool = False, **changes: object) -> Approval:
    """An approval on the eve of its entry session, with the deliberation and the votes behind it."""
    deliberation = deliberate(session, bound.symbol, bound.entry_session - timedelta(days=1))
    values: dict[str, object] = {
        "id": uuid7(),
        "deliberation_id": deliberation.id,
        "short_id": f"{bound.symbol}-{bound.digest[:4]}",
        "created_session": deliberation.session,
        "symbol": bound.symbol,
        "setup_type": bound.setup_type,
        "entry_session": bound.entry_session,
        "min_entry": bound.min_entry,
        "max_entry": bound.max_entry,
        "stop": bound.stop,
        "target": bound.target,
        "max_shares": bound.max_shares,
        "max_risk": bound.max_risk,
        "max_hold": bound.max_hold,
        "parameters_version": bound.parameters_version,
        "limits": dict(bound.limits),
        "digest": bound.digest,
        "close": Decimal("162.0000"),
        "risky": risky,
        "risky_reasons": ["0.6% of equity at risk"] if risky else [],
        "recommendation": Recommendation.APPROVE,
        "reasoning": "oversold above its average",
        "facts": [["RSI(14)", "28.4"], ["ATR(14)", "2.10"]],
        "state": ApprovalState.PENDING,
        "created_at": CLOSE,
    }
    approval = Approval(**values | changes)
    session.add(approval)
    session.flush()
    return approval


def deliberate(session: Session, symbol: str, evening: date, **changes: object) -> Deliberation:
    """An argument that led to a proposal: research for it, news silent, risk with a say but no vote."""
    values: dict[str, object] = {
        "id": uuid7(),
        "session": evening,
        "symbol": symbol,
        "rank": 1,
        "setup_type": SetupType.OVERSOLD_BOUNCE,
        "proposed": True,
        "denied_by": None,
        "reasoning": "",
        "checks": CHECKS,
        "technical_snapshot": {},
        "created_at": CLOSE,
    }
    deliberation = Deliberation(**values | changes)
    session.add(deliberation)
    session.flush()
    session.add_all(
        [
            vote(deliberation.id, AgentName.RISK, Stance.FOR, None, veto_only=True),
            vote(deliberation.id, AgentName.NEWS, Stance.ABSTAIN, None),
            vote(deliberation.id, AgentName.RESEARCH, Stance.FOR, 0.75),
        ]
    )
    session.flush()
    return deliberation


def vote(
    deliberation_id: UUID,
    agent: AgentName,
    stance: Stance,
    conviction: float | None,
    *,
    veto_only: bool = False,
) -> Vote:
    return Vote(
        deliberation_id=deliberation_id,
        agent_name=agent,
        stance=stance,
        conviction=conviction,
        source="rules",
        reason=f"{agent} says {stance}",
        veto_only=veto_only,
        latency_ms=2.0,
    )


def approved(**changes: object) -> dict[str, Any]:
    """What a verdict that took effect leaves on an approval."""
    decided = CLOSE + timedelta(hours=1)
    values: dict[str, object] = {
        "state": ApprovalState.APPROVED,
        "decided_by": "ada",
        "decided_at": decided,
        "decision_reason": "",
        "effective_at": decided,
    }
    return values | changes


def order(approval: Approval, **changes: object) -> Order:
    """The resting entry order of an approval."""
    values: dict[str, object] = {
        "id": uuid7(),
        "client_order_id": f"entry-{approval.id}",
        "approval_id": approval.id,
        "symbol": approval.symbol,
        "side": OrderSide.BUY,
        "shares": approval.max_shares,
        "session": approval.entry_session,
        "state": OrderState.RESTING,
        "note": "",
        "created_at": CLOSE,
    }
    return Order(**values | changes)


def position(approval: Approval, **changes: object) -> Position:
    """100 shares bought at 162 with the stop at 158.50, now at 164."""
    values: dict[str, object] = {
        "id": uuid7(),
        "approval_id": approval.id,
        "symbol": approval.symbol,
        "setup_type": approval.setup_type,
        "shares": 100,
        "entry_session": approval.entry_session,
        "entry_price": Decimal("162.0000"),
        "entry_fee": Decimal("1.00"),
        "stop": Decimal("158.5000"),
        "initial_stop": Decimal("158.5000"),
        "target": approval.target,
        "max_hold": approval.max_hold,
        "low_since": Decimal("161.0000"),
        "high_since": Decimal("164.5000"),
        "last_close": Decimal("164.0000"),
        "last_session": SESSIONS[3],
        "state": PositionState.OPEN,
        "closed_session": None,
    }
    return Position(**values | changes)


def fill(filled: Order, held: Position, price: str, **changes: object) -> Fill:
    """The whole order at a price, for a dollar."""
    values: dict[str, object] = {
        "id": uuid7(),
        "order_id": filled.id,
        "position_id": held.id,
        "symbol": filled.symbol,
        "side": filled.side,
        "shares": filled.shares,
        "price": Decimal(price),
        "reference_price": Decimal(price),
        "fee": Decimal("1.00"),
        "session": filled.session,
        "created_at": CLOSE,
    }
    return Fill(**values | changes)


def at_the_broker(bought: Order, held: Position, filled: Fill) -> list[Base]:
    """What the paper broker has of a position that is put on a desk as if it had been bought."""
    filled.broker_fill_id = f"paper-{bought.client_order_id}"
    return [
        PaperOrder(
            client_order_id=bought.client_order_id,
            kind=OrderKind.LIMIT_ON_OPEN,
            symbol=bought.symbol,
            side=OrderSide.BUY,
            shares=bought.shares,
            session=bought.session,
            limit_price=filled.price,
            floor_price=filled.price,
            state=BrokerOrderState.FILLED,
            placed_at=CLOSE,
        ),
        PaperFill(
            client_order_id=bought.client_order_id,
            symbol=bought.symbol,
            side=OrderSide.BUY,
            shares=filled.shares,
            price=filled.price,
            reference=filled.reference_price,
            fee=filled.fee,
            leg=Leg.OPEN,
            session=filled.session,
        ),
        PaperHolding(
            symbol=held.symbol,
            shares=held.shares,
            entry_session=held.entry_session,
            last_close=held.last_close,
            last_session=held.last_session,
        ),
    ]


def deposit(amount: str) -> CashEvent:
    return CashEvent(
        kind=CashKind.DEPOSIT,
        amount=Decimal(amount),
        session=SESSIONS[0],
        note="opening balance",
        created_at=CLOSE,
    )


def outcome(closed: Position, pnl: str, **changes: object) -> TradeOutcome:
    """What became of a closed position."""
    values: dict[str, object] = {
        "id": uuid7(),
        "position_id": closed.id,
        "symbol": closed.symbol,
        "entry_time": CLOSE,
        "entry_price": closed.entry_price,
        "exit_time": CLOSE + timedelta(days=3),
        "exit_price": closed.last_close,
        "quantity": closed.shares,
        "pnl": Decimal(pnl),
        "fees": Decimal("2.00"),
        "return_pct": 0.01,
        "r_multiple": 0.5,
        "mae_r": -0.2,
        "mfe_r": 0.7,
        "setup_type": closed.setup_type,
        "entry_reason": "",
        "exit_reason": ExitReason.TAKE_PROFIT,
        "market_regime": Direction.BULL,
        "volatility": Volatility.NORMAL_VOL,
        "sector": "Technology",
        "strategy_params": {},
        "parameters_version": 1,
        "state_vector": [0.5] * 8,
        "desk_kind": DeskKind.HISTORY,
        "created_at": CLOSE,
    }
    return TradeOutcome(**values | changes)


def equity(session: date, total: str, **changes: object) -> Equity:
    values: dict[str, object] = {
        "session": session,
        "cash": Decimal("83600.00"),
        "positions_value": Decimal(total) - Decimal("83600.00"),
        "equity": Decimal(total),
        "heat": 0.0035,
        "day_return": 0.001,
        "drawdown": 0.0,
    }
    return Equity(**values | changes)


def reading(session: date, direction: Direction, **changes: object) -> RegimeReading:
    values: dict[str, object] = {
        "session": session,
        "direction": direction,
        "since": session,
        "standing": 1,
        "volatility": Volatility.NORMAL_VOL,
        "bear_probability": 0.25,
        "index_symbol": "^GSPC",
        "index_close": 2700.0,
        "sma200": 2500.0,
        "volatility_source": "^VIX 10-day mean",
        "volatility_value": 16.5,
        "source": "rules",
        "latency_ms": 3.0,
        "created_at": CLOSE,
    }
    return RegimeReading(**values | changes)


def run(session: date, slot: Slot, minute: int = 0, /, **changes: object) -> Run:
    """A finished step at that minute after the session's close."""
    values: dict[str, object] = {
        "agent": "desk",
        "session": session,
        "slot": slot,
        "state": RunState.DONE,
        "summary": f"{slot} of {session}",
        "result": {},
        "desk_time": datetime(session.year, session.month, session.day, 21, minute, tzinfo=UTC),
        "seconds": 0.25,
        "finished_at": CLOSE,
    }
    return Run(**values | changes)


def unfinished(state: RunState) -> dict[str, Any]:
    """What a run that has not ended lacks."""
    return {"state": state, "summary": "", "seconds": None, "finished_at": None}


def found_paper(session: Session, **changes: object) -> None:
    """A desk of the present: no history, no end."""
    present: dict[str, object] = {
        "name": "paper",
        "kind": DeskKind.PAPER,
        "history_title": "",
        "history_digest": "",
        "survivors": False,
        "last_session": None,
        "sessions_total": None,
    }
    found_desk(session, **present | changes)


def leader(**changes: object) -> Leadership:
    """A runtime that beat just now, by this machine's clock, which is also the test server's."""
    now = datetime.now(UTC)
    values: dict[str, object] = {
        "id": 1,
        "epoch": 3,
        "holder": "quorum run 0123",
        "host": "desk-1",
        "pid": 4711,
        "since": now - timedelta(hours=2),
        "heartbeat_at": now,
        "ended_at": None,
        "stop_asked_at": None,
        "stop_asked_by": None,
    }
    return Leadership(**values | changes)


def worker(*queues: Queue, seen_s: float = 1.0) -> Worker:
    """A worker seen that many seconds ago."""
    now = datetime.now(UTC)
    return Worker(
        id=uuid7(),
        host="desk-1",
        pid=4712,
        queues=list(queues),
        started_at=now - timedelta(hours=1),
        seen_at=now - timedelta(seconds=seen_s),
    )


def scheduled(slot: Slot, due_at: datetime, *agents: AgentName, **changes: object) -> ScheduledSlot:
    """When a slot is due next and who takes part in it."""
    values: dict[str, object] = {
        "slot": slot,
        "agents": list(agents),
        "session": due_at.date(),
        "due_at": due_at,
        "lacks": "",
    }
    return ScheduledSlot(**values | changes)


def agent_state(agent: AgentName, **changes: object) -> AgentState:
    """An agent at rest."""
    values: dict[str, object] = {
        "agent_name": agent,
        "symbol": None,
        "working_since": None,
        "paused_by": None,
        "paused_at": None,
    }
    return AgentState(**values | changes)


def operation(text: str, at: datetime, **changes: object) -> Operation:
    values: dict[str, object] = {
        "id": uuid7(),
        "at": at,
        "kind": OperationKind.LED,
        "who": "desk-1:4711",
        "text": text,
    }
    return Operation(**values | changes)


def job(conninfo: str, queue: str, status: str = "todo") -> None:
    """A job as the queue keeps it; the queue's own triggers find their tables by the search path."""
    with psycopg.connect(conninfo, options="-c search_path=procrastinate,public") as connection:
        connection.execute(
            "insert into procrastinate_jobs (queue_name, task_name, status) values (%s, 'work', %s)",
            [queue, status],
        )


def screened(session: date, symbol: str, score: str, **changes: object) -> ScreenerResult:
    values: dict[str, object] = {
        "scan_id": uuid7(),
        "session": session,
        "symbol": symbol,
        "asset_type": "stock",
        "filters_matched": {},
        "fundamental_snapshot": {},
        "technical_snapshot": {"rsi14": 28.5},
        "composite_score": Decimal(score),
        "selected_for_watchlist": True,
        "created_at": CLOSE,
    }
    return ScreenerResult(**values | changes)
