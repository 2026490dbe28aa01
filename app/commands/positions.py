"""`quorum positions`, `close`, `stop`, `flatten`: what is held, and what a human asks of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

import typer

from app.commands.desks import OpenDesk, open_desk
from app.operator import this_operator
from storage.errors import OperatorError
from storage.plain import as_json, clean, span
from storage.positions_control import loosens
from storage.records import CommandReceipt
from storage.snapshot import DeskSnapshot, PositionRow

SEE = "nothing was changed; see `quorum positions`"
HEADING = (
    f"{'symbol':<8}{'shares':>7}{'entry':>10}{'last':>10}{'R':>7}{'P&L $':>12}{'stop':>10}{'to stop':>9}"
    f"{'target':>10}{'held':>8}{'heat':>7}  protection"
)


def print_positions(desk: str | None, *, as_object: bool) -> None:
    """One line a position, or one JSON object."""
    with open_desk(desk) as opened:
        taken = opened.snapshot()
    if as_object:
        rows = [{**_object(row), "to_stop": to_stop(row)} for row in taken.positions]
        typer.echo(json.dumps({"desk": opened.name, "positions": rows}))
        return
    if not taken.positions:
        typer.echo(f"desk {opened.name} holds nothing")
        return
    for line in _lines(taken):
        typer.echo(clean(line))


def to_stop(row: PositionRow) -> float | None:
    """From the last close to the stop, a fraction of the close."""
    return float(row.stop / row.last_close - 1) if row.last_close else None


def close_position(symbol: str, reason: str, desk: str | None) -> None:
    """Raises OperatorError when it is not held, or is to be sold already."""
    with open_desk(desk) as opened:
        opened.snapshot()
        receipt = opened.desk.close_position(symbol.upper(), clean(reason).strip(), operator=this_operator())
    _told(receipt)


def take_back(symbol: str, desk: str | None) -> None:
    """Raises OperatorError when nothing waits that could be taken back."""
    with open_desk(desk) as opened:
        opened.snapshot()
        receipt = opened.desk.take_back(symbol.upper(), operator=this_operator())
    _told(receipt)


def move_stop(symbol: str, price: str, desk: str | None) -> None:
    """A looser stop asks for the trade's id at the terminal. Raises OperatorError on a price that is none."""
    try:
        stop = Decimal(price)
    except InvalidOperation:
        raise OperatorError(f"{clean(price)!r} is no price", "dollars a share, such as 123.45") from None
    with open_desk(desk) as opened:
        held = _held(opened.snapshot(), symbol.upper(), opened)
        typed = ""
        if stop.is_finite() and held.initial_stop <= stop and loosens(stop, held.stop):
            risked = (held.stop - stop) * held.shares
            _say(f"{held.symbol}: from {held.stop:.2f} down to {stop}, {risked:.2f} dollars more at risk")
            typed = _typed(f"type {held.short_id} to loosen the stop: ", "a stop is loosened by typing an id")
        receipt = opened.desk.move_stop(held.symbol, stop, typed_id=typed, operator=this_operator())
    _told(receipt)


def flatten_desk(reason: str, desk: str | None) -> None:
    """Ask for the desk's name at the terminal, then have everything sold."""
    with open_desk(desk) as opened:
        taken = opened.snapshot()
        if not taken.positions:
            raise OperatorError(f"desk {opened.name} holds nothing", "there is nothing to sell")
        worth = sum((row.last_close * row.shares for row in taken.positions), Decimal(0))
        names = ", ".join(row.symbol for row in taken.positions)
        _say(f"desk {opened.name}: {len(taken.positions)} positions worth {worth:,.2f}: {names}")
        typed = _typed("type the desk's name to sell them all: ", "a desk is flattened by typing its name")
        if typed != opened.name:
            raise OperatorError(f"{clean(typed)!r} is not {opened.name}", "nothing was changed")
        receipt = opened.desk.flatten(clean(reason).strip(), operator=this_operator())
    _told(receipt)


def protection(row: PositionRow, taken: DeskSnapshot) -> str:
    """What stands between a position and a fall, in a few words."""
    if row.protected_by is not None:
        return "at the broker"
    if row.unprotected_since is None:
        return "not protected yet"
    return f"UNPROTECTED for {span((taken.taken_at - row.unprotected_since).total_seconds())}"


def _lines(taken: DeskSnapshot) -> Iterator[str]:
    yield HEADING
    for row in taken.positions:
        away = to_stop(row)
        yield (
            f"{row.symbol:<8}{row.shares:>7,}{row.entry_price:>10,.2f}{row.last_close:>10,.2f}{row.r_now:>+7.2f}"
            f"{row.unrealised:>12,.2f}{row.stop:>10,.2f}{'-' if away is None else f'{away:.1%}':>9}"
            f"{row.target:>10,.2f}{f'{row.sessions_held}/{row.max_hold}':>8}{row.heat:>7.2%}"
            f"  {protection(row, taken)}{f'; asked: {row.asked}' if row.asked else ''}"
        )
    heat = sum(row.heat for row in taken.positions)
    gain = sum((row.unrealised for row in taken.positions), Decimal(0))
    yield f"{len(taken.positions)} open, heat {heat:.2%}, unrealised {gain:+,.2f}"


def _held(taken: DeskSnapshot, symbol: str, opened: OpenDesk) -> PositionRow:
    for row in taken.positions:
        if row.symbol == symbol:
            return row
    raise OperatorError(f"desk {opened.name} does not hold {clean(symbol)}", SEE)


def _typed(question: str, rule: str) -> str:
    """What a human types; raises OperatorError where there is no terminal to ask at."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OperatorError(f"{rule} at a terminal, and this is none", "run the same command in a terminal")
    typer.echo(clean(question), err=True, nl=False)
    return sys.stdin.readline().strip()


def _say(text: str) -> None:
    typer.echo(clean(text), err=True)


def _told(receipt: CommandReceipt) -> None:
    if not receipt.accepted:
        raise OperatorError(clean(receipt.message), SEE)
    typer.echo(clean(receipt.message))


def _object(row: PositionRow) -> dict[str, object]:
    fields = as_json(row)
    assert isinstance(fields, dict)
    return fields
