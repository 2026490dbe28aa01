"""`quorum halt` and `quorum lift`: stop all entries at once, and let a named human allow them again."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import typer

from app.commands.desks import open_desk
from app.operator import this_operator
from app.settings import load_settings
from storage.errors import DatabaseAway, OperatorError
from storage.halt import new_halt
from storage.halt_file import halt_path, read_halt, write_halt
from storage.plain import clean
from storage.server import MAIN_DESK, checked_desk_name, open_server


def halt_desk(desk: str | None, reason: str) -> None:
    """Write the file, then the row. While the database is away the file halts by itself."""
    said = _said(reason)
    name = checked_desk_name(desk or MAIN_DESK)
    path = halt_path(load_settings().home, name)
    asked = new_halt(said, this_operator(), datetime.now(UTC))
    write_halt(path, asked)
    try:
        with open_desk(name) as opened:
            opened.snapshot()
            receipt = opened.desk.halt(read_halt(path) or asked)
    except DatabaseAway as away:
        typer.echo(f"desk {name}: halted by the file {path}; its row follows when a runtime leads ({away})")
        return
    except OperatorError:
        if not _is_there(name):
            path.unlink(missing_ok=True)  # a slip of the keyboard halts nothing, also later
        raise
    typer.echo(clean(f"desk {name}: {receipt.message}"))


def _is_there(name: str) -> bool:
    settings = load_settings()
    return open_server(settings.home, settings.database_url).has_desk(name)


def lift_desk(desk: str | None, reason: str) -> None:
    """Ask for the desk's name at the terminal, then lift the halt.

    Raises OperatorError when nobody has halted it, when there is no terminal to ask at, and when what was
    typed is not the desk's name.
    """
    said = _said(reason)
    with open_desk(desk) as opened:
        stands = opened.snapshot().halt
        if stands is None:
            raise OperatorError(
                f"desk {opened.name}: nobody has halted it",
                "what its drawdown has stopped, `quorum rearm` lets go on; see `quorum status`",
            )
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise OperatorError(
                "a halt is lifted by typing the desk's name at a terminal, and this is none",
                "run the same command in a terminal",
            )
        typer.echo(clean(f"desk {opened.name}: {stands.words}"), err=True)
        typer.echo("type the desk's name to lift it: ", err=True, nl=False)
        typed = sys.stdin.readline().strip()
        if typed != opened.name:
            raise OperatorError(f"{clean(typed)!r} is not {opened.name}", "nothing was changed")
        receipt = opened.desk.lift(said, operator=this_operator())
        name = opened.name
    if not receipt.accepted:
        raise OperatorError(clean(receipt.message), "nothing was changed; see `quorum status`")
    halt_path(load_settings().home, name).unlink(missing_ok=True)
    typer.echo(clean(receipt.message))


def _said(reason: str) -> str:
    said = clean(reason).strip()
    if not said:
        raise OperatorError("--reason says nothing", "say why; it is kept")
    return said
