"""`quorum deposit` and `quorum withdraw`: money paid in or taken out, which is neither a gain nor a loss."""

from __future__ import annotations

import json
import re
import sys
from decimal import Decimal

import psycopg
import typer

from app.commands.desks import OpenDesk, open_desk
from app.operator import this_operator
from app.runtime.cash import MOST, CashRoom, Payment, book_payment, cash_room
from storage.errors import OperatorError
from storage.plain import as_json, clean
from storage.records import CashKind, DeskKind
from storage.snapshot import DeskSnapshot

REASON_LONGEST = 200  # characters
_AMOUNT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,2})?")
_KEY = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def pay(
    desk: str | None, kind: CashKind, amount: str, reason: str, key: str | None, *, as_object: bool
) -> None:
    """Book it once. Raises OperatorError for what is no amount, no reason, not free, or not confirmed."""
    payment = _payment(kind, amount, reason, key)
    with open_desk(desk) as opened:
        _may_be_paid(opened, opened.snapshot())
        conninfo = opened.server.conninfo(opened.server.desk_database(opened.name))
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
            _confirm(opened.name, payment, cash_room(connection))
            receipt = book_payment(connection, payment, this_operator())
            room = cash_room(connection)
    if not receipt.accepted:
        raise OperatorError(clean(receipt.message), "nothing was changed")
    if as_object:
        typer.echo(
            json.dumps(
                {
                    "desk": opened.name,
                    "message": receipt.message,
                    "room": as_json(room),
                    "free": as_json(room.free),
                }
            )
        )
        return
    typer.echo(clean(f"desk {opened.name}: {receipt.message}"))
    typer.echo(f"cash {room.cash:,.2f} dollars, {room.free:,.2f} may be taken out")


def _payment(kind: CashKind, amount: str, reason: str, key: str | None) -> Payment:
    said = clean(reason).strip()
    if not said or len(said) > REASON_LONGEST:
        raise OperatorError("--reason says nothing or too much", f"say why in {REASON_LONGEST} characters")
    if key is not None and _KEY.fullmatch(key) is None:
        raise OperatorError(
            f"{clean(key)[:40]!r} is no key", "name letters, digits and . _ : - , at most 64 of them"
        )
    try:
        if _AMOUNT.fullmatch(amount) is None:
            raise ValueError
        return Payment(kind=kind, amount=Decimal(amount), reason=said, key=key)
    except ValueError:
        raise OperatorError(
            f"{clean(amount)[:40]!r} is no amount of money",
            f"name dollars and cents above zero, as 2500 or 2500.50, at most {MOST:,}",
        ) from None


def _may_be_paid(opened: OpenDesk, snapshot: DeskSnapshot) -> None:
    """A replay that is driven must stay what it is when it is run again."""
    replay = snapshot.header.kind is DeskKind.HISTORY and snapshot.header.sessions_total is not None
    if replay and opened.server.is_driven(opened.name):
        raise OperatorError(
            f"desk {opened.name} is a replay that is running", "pay in before it starts or while it is paused"
        )


def _confirm(name: str, payment: Payment, room: CashRoom) -> None:
    """Have the amount typed again. Without a terminal a key must make a second try harmless."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        if payment.key is None:
            raise OperatorError(
                "money moves by typing the amount again at a terminal, and this is none",
                "run it in a terminal, or name a --key that makes it one payment however often it is run",
            )
        return
    typer.echo(
        f"desk {name}: {payment.kind} of {payment.amount:,.2f} dollars, booked on {room.session}; "
        f"cash {room.cash:,.2f}, of which {room.free:,.2f} may be taken out",
        err=True,
    )
    typer.echo("type the amount again: ", err=True, nl=False)
    typed = sys.stdin.readline().strip()
    if _AMOUNT.fullmatch(typed) is None or Decimal(typed) != payment.amount:
        raise OperatorError(f"{clean(typed)[:40]!r} is not {payment.amount}", "nothing was changed")
