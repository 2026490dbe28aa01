"""What an operator asks of positions: sell one, sell all, move a stop, take that back. psycopg only.

Each leaves a request that the runtime carries out, and its row in `operations`. None of it is held up by a
halt, a limit or a difference between book and broker: exits never are.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import psycopg

from storage.broker_records import RequestState, RequestVerb
from storage.control import refused, taken
from storage.records import TICK, CommandReceipt, DeskState, OperationKind, Operator, uuid7
from storage.rows import fetch_all, fetch_one

Connection = psycopg.Connection[tuple[object, ...]]

_POSITION = """
    select p.id, p.symbol, p.shares, p.stop, p.initial_stop, p.target, p.last_close, a.short_id
      from positions p join approvals a on a.id = p.approval_id
     where p.state = 'open'
"""
_ASK = """
    insert into position_requests (id, position_id, verb, stop, looser, asked_by, asked_from, reason,
                                   asked_at, state)
    values (%s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp(), 'waiting')
        on conflict (position_id, verb) where state in ('waiting', 'sent') do nothing
"""
_TAKE_BACK = """
    update position_requests
       set state = 'undone', ended_at = clock_timestamp(), note = 'taken back by ' || %s
     where position_id = %s and state = 'waiting' and verb in ('close', 'stop')
    returning verb
"""


@dataclass(frozen=True)
class _Position:
    id: UUID
    symbol: str
    shares: int
    stop: Decimal
    initial_stop: Decimal
    target: Decimal
    last_close: Decimal
    short_id: str


@dataclass(frozen=True)
class _State:
    state: DeskState


@dataclass(frozen=True)
class _Request:
    state: RequestState
    asked_by: str


def close_position(connection: Connection, symbol: str, reason: str, operator: Operator) -> CommandReceipt:
    """Sell all of a position at the next open, or at the close while the session trades."""
    with connection.transaction():
        held = _held(connection, symbol)
        if isinstance(held, CommandReceipt):
            return held
        if not _ask(connection, held.id, RequestVerb.CLOSE, None, reason, operator):
            return refused(f"{symbol}: {_asked(connection, held.id, RequestVerb.CLOSE)}")
        said = f"{held.symbol}: {held.shares} shares to be sold at the next open or close"
        return taken(connection, OperationKind.CLOSE, operator, _with(said, reason))


def flatten(connection: Connection, reason: str, operator: Operator) -> CommandReceipt:
    """Sell everything at the next open, or at the close while the session trades; also while halted."""
    with connection.transaction():
        if ended := _ended(connection):
            return ended
        rows = fetch_all(connection, _Position, f"{_POSITION} order by p.symbol for update of p")
        if not rows:
            return refused("nothing is held")
        fresh = [row for row in rows if _ask(connection, row.id, RequestVerb.CLOSE, None, reason, operator)]
        if not fresh:
            return refused("every position is to be sold already")
        said = f"{len(fresh)} positions to be sold: {', '.join(row.symbol for row in fresh)}"
        return taken(connection, OperationKind.FLATTEN, operator, _with(said, reason))


def move_stop(
    connection: Connection, symbol: str, stop: Decimal, typed_id: str, operator: Operator
) -> CommandReceipt:
    """Move a stop: up freely, down only with the trade's id typed and never below its first one.

    `stop` in dollars a share. R stays measured to the first stop.
    """
    with connection.transaction():
        held = _held(connection, symbol)
        if isinstance(held, CommandReceipt):
            return held
        if why := _no_stop(held, stop, typed_id):
            return refused(f"{symbol}: {why}")
        price = stop.quantize(TICK)
        connection.execute(
            """update position_requests set state = 'undone', ended_at = clock_timestamp(),
                      note = 'another stop was asked for'
                where position_id = %s and verb = 'stop' and state = 'waiting'""",
            [held.id],
        )
        looser = loosens(price, held.stop)
        _ask(connection, held.id, RequestVerb.STOP, price, "", operator, looser=looser)
        said = f"{held.symbol}: stop from {held.stop:.2f} to {price:.2f}"
        if looser:
            said += f", looser: {(held.stop - price) * held.shares:.2f} dollars more at risk"
        return taken(connection, OperationKind.STOP_MOVED, operator, said)


def take_back(connection: Connection, symbol: str, operator: Operator) -> CommandReceipt:
    """Take back what was asked of a position and has not been sent to the broker."""
    with connection.transaction():
        held = _held(connection, symbol)
        if isinstance(held, CommandReceipt):
            return held
        rows = connection.execute(_TAKE_BACK, [operator.name, held.id]).fetchall()
        if not rows:
            return refused(f"{symbol}: {_asked(connection, held.id, RequestVerb.CLOSE)}")
        kinds = {RequestVerb(str(row[0])) for row in rows}
        kind = OperationKind.CLOSE if RequestVerb.CLOSE in kinds else OperationKind.STOP_MOVED
        return taken(connection, kind, operator, f"{symbol}: taken back: {', '.join(sorted(kinds))}")


def loosens(stop: Decimal, current: Decimal) -> bool:
    """Whether a stop at `stop` risks more than the one there is: then the trade's id must be typed."""
    return stop < current


def _no_stop(held: _Position, stop: Decimal, typed_id: str) -> str:
    """Why the stop cannot be moved there, or nothing."""
    if not stop.is_finite() or stop <= 0 or stop != stop.quantize(TICK):
        return f"{stop} is no price: above zero, at most four decimals"
    if stop == held.stop:
        return f"the stop is at {held.stop:.2f} already"
    if stop >= min(held.last_close, held.target):
        return f"{stop} is not below the last close {held.last_close:.2f}: close it instead"
    if stop < held.initial_stop:
        return f"{stop} is below the first stop {held.initial_stop:.2f}, which one R was measured to"
    if loosens(stop, held.stop) and typed_id != held.short_id:
        return f"looser than {held.stop:.2f} is risky: type {held.short_id}"
    return ""


def _held(connection: Connection, symbol: str) -> _Position | CommandReceipt:
    if ended := _ended(connection):
        return ended
    found = fetch_one(connection, _Position, f"{_POSITION} and p.symbol = %s for update of p", [symbol])
    return found if found is not None else refused(f"{symbol} is not held")


def _ended(connection: Connection) -> CommandReceipt | None:
    desk = fetch_one(connection, _State, "select state from desk")
    if desk is not None and desk.state is DeskState.FINISHED:
        return refused("this desk's history has ended")
    return None


def _ask(
    connection: Connection,
    position_id: UUID,
    verb: RequestVerb,
    stop: Decimal | None,
    reason: str,
    operator: Operator,
    *,
    looser: bool = False,
) -> bool:
    values = [uuid7(), position_id, verb, stop, looser, operator.name, operator.origin, reason]
    return connection.execute(_ASK, values).rowcount == 1


def _asked(connection: Connection, position_id: UUID, verb: RequestVerb) -> str:
    found = fetch_one(
        connection,
        _Request,
        """select state, asked_by from position_requests
            where position_id = %s and verb = %s and state in ('waiting', 'sent')""",
        [position_id, verb],
    )
    if found is None:
        return "nothing was asked of it"
    sent = "is with the broker" if found.state is RequestState.SENT else "waits for the next open or close"
    return f"asked by {found.asked_by} already, and {sent}"


def _with(said: str, reason: str) -> str:
    return f"{said}; {reason}" if reason else said
