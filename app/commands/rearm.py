"""`quorum rearm`: a human lets a desk trade again that the drawdown ladder has stopped."""

from __future__ import annotations

import sys

import typer

from app.commands.desks import open_desk
from app.operator import this_operator
from storage.errors import OperatorError
from storage.plain import clean


def rearm_desk(desk: str | None, reason: str) -> None:
    """Ask for the desk's name at the terminal, then re-arm it.

    Raises OperatorError when nothing is halted, when there is no terminal to ask at, and when what was typed
    is not the desk's name.
    """
    said = clean(reason).strip()
    if not said:
        raise OperatorError("--reason says nothing", "say why the desk may trade again")
    with open_desk(desk) as opened:
        ladder = opened.snapshot().ladder
        if ladder is None or not ladder.stopped:
            raise OperatorError(
                f"desk {opened.name}: nothing is halted", "there is nothing to re-arm; see `quorum status`"
            )
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise OperatorError(
                "a desk is re-armed by typing its name at a terminal, and this is none",
                "run the same command in a terminal",
            )
        typer.echo(f"desk {opened.name}: {ladder.words}", err=True)
        typer.echo(
            f"re-armed it trades at quarter size; its new high is the close of {ladder.session}", err=True
        )
        typer.echo("type the desk's name to re-arm it: ", err=True, nl=False)
        typed = sys.stdin.readline().strip()
        if typed != opened.name:
            raise OperatorError(f"{clean(typed)!r} is not {opened.name}", "nothing was changed")
        receipt = opened.desk.rearm(said, operator=this_operator())
    if not receipt.accepted:
        raise OperatorError(clean(receipt.message), "nothing was changed; see `quorum status`")
    typer.echo(clean(receipt.message))
